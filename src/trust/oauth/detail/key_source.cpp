// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/key_source.hpp"

#include <chrono>

#include "net/client.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/client.hpp"

namespace meridian::trust::oauth::detail {

namespace {

std::int64_t steady_milliseconds() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

Result<std::string> fetch(const std::string& url) {
    if (!is_safe_address(url))
        return fail(Category::incorrect, "an address is neither https nor loopback");
    net::Client client({.total_timeout = std::chrono::seconds(limits::oauth_fetch_seconds_max),
                        .answer_bytes_max = limits::jwks_bytes_max});
    net::ClientRequest request;
    request.url = url;
    request.headers.add("Accept", "application/json");
    net::ClientAnswer answer = TRY(client.send(request));
    if (answer.status != 200)
        return fail(Category::unavailable,
                    fmt::format("another server answered {} instead of a document", answer.status));
    return std::move(answer.body);
}

}  // namespace

Result<std::string> KeySource::document_not_older(const std::string& url,
                                                  std::int64_t milliseconds) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = kept_.find(url);
        if (found != kept_.end() && steady_milliseconds() - found->second.fetched < milliseconds)
            return found->second.text;
    }
    std::string text = TRY(fetch(url));
    const std::lock_guard lock(mutex_);
    if (kept_.size() >= limits::oauth_jwks_cached_max) kept_.clear();
    kept_[url] = {text, steady_milliseconds()};
    return text;
}

Result<std::string> KeySource::document(const std::string& url) {
    return document_not_older(url, limits::oauth_jwks_cache_seconds * 1000);
}

Result<jose::KeySet> KeySource::keys(const std::string& url, std::string_view key_id) {
    jose::KeySet keys = TRY(jose::KeySet::parse(TRY(document(url))));
    if (key_id.empty() || keys.has(key_id)) return keys;
    return jose::KeySet::parse(
        TRY(document_not_older(url, limits::oauth_jwks_refresh_seconds_min * 1000)));
}

}  // namespace meridian::trust::oauth::detail
