// SPDX-License-Identifier: Apache-2.0
#include "net/url_prefixes.hpp"

#include <algorithm>

#include "net/url.hpp"

namespace meridian::net {

Result<void> UrlPrefixes::add(std::string_view prefix) {
    const auto url = Url::parse(prefix);
    if (!url || !url->query.empty())
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no prefix: expected an http or https URL without a query",
                        prefix.substr(0, 200)));
    listed_.push_back({url->scheme, url->host, url->port, TRY(parse_path(url->path))});
    return {};
}

Result<bool> UrlPrefixes::contain(std::string_view url) const {
    const Url parsed = TRY(Url::parse(url));
    const std::vector<std::string> path = TRY(parse_path(parsed.path));
    return std::any_of(listed_.begin(), listed_.end(), [&](const Prefix& listed) {
        return listed.scheme == parsed.scheme && listed.host == parsed.host &&
               listed.port == parsed.port && listed.path.size() <= path.size() &&
               std::equal(listed.path.begin(), listed.path.end(), path.begin());
    });
}

}  // namespace meridian::net
