// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/url_prefixes.hpp"

namespace meridian::rest {

/// Extra header fields of a fetch: names and values.
using FetchHeaders = std::vector<std::pair<std::string, std::string>>;

/// Where an import may fetch from: prefixes that the operator listed under import.sources, nothing
/// else. A server that fetches whatever a client names would reach for the client what only the
/// server can reach.
class ImportSources {
 public:
    /// `prefixes` are URLs: "https://files.example.org/exports" allows that path and what lies
    /// below it on that host and port; "file:///srv/exports" that folder. Errors: `incorrect` for
    /// one that is neither, with the key import.sources as place.
    static Result<ImportSources> make(const std::vector<std::string>& prefixes);

    /// Errors: `forbidden` with a sentence that names the key import.sources; `incorrect` for what
    /// is no URL of http, https or file. Blocking: the file system, for file URLs.
    Result<void> check(std::string_view url) const;

    /// Streams the bytes behind `url` into `on_bytes`; an empty piece comes about once a second
    /// while nothing else does. Redirects are followed when their targets are allowed too.
    /// Errors: as check; those of `on_bytes`; `not_found`, `unavailable` or `too_large` when the
    /// source does not give them. Blocking: as long as it lasts.
    Result<void> fetch(const std::string& url, const FetchHeaders& headers, std::size_t bytes_max,
                       const std::function<Result<void>(std::string_view)>& on_bytes) const;

 private:
    Result<std::string> allowed_file(std::string_view url) const;
    Result<void> check_web(std::string_view url) const;

    net::UrlPrefixes web_;
    std::vector<std::string> folders_;
};

}  // namespace meridian::rest
