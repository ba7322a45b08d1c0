// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/jose/key.hpp"

namespace meridian::trust::oauth::detail {

/// JSON documents of other servers (JWK sets, discovery), fetched with bounds on time and size and
/// kept for limits::oauth_jwks_cache_seconds. Redirects are not followed. Thread-safe.
class KeySource {
 public:
    /// Errors: `unavailable`, `too_large`; `incorrect` for an address that is neither https nor
    /// loopback. Blocking: up to limits::oauth_fetch_seconds_max.
    Result<std::string> document(const std::string& url);
    /// The keys at `url`. When none of them is called `key_id` they are fetched again, at most
    /// every limits::oauth_jwks_refresh_seconds_min: the owner may have changed them since.
    Result<jose::KeySet> keys(const std::string& url, std::string_view key_id);

 private:
    struct Kept {
        std::string text{};
        std::int64_t fetched = 0;  ///< steady milliseconds
    };
    Result<std::string> document_not_older(const std::string& url, std::int64_t milliseconds);
    std::mutex mutex_{};
    std::map<std::string, Kept, std::less<>> kept_{};
};

}  // namespace meridian::trust::oauth::detail
