// SPDX-License-Identifier: Apache-2.0
#include "net/url.hpp"

#include <charconv>

namespace meridian::net {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::uint16_t default_port(std::string_view scheme) {
    return scheme == "https" ? 443 : 80;
}

Result<std::uint16_t> parse_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || value == 0 || value > 65535) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no port (expected 1 to 65535)", text));
    }
    return static_cast<std::uint16_t>(value);
}

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/// Takes host and port out of an authority without user name.
Result<void> parse_authority(std::string_view authority, Url& url) {
    std::string_view port;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos || end < 3) {
            return fail(Category::incorrect, "the IPv6 address of the URL has no closing ']'");
        }
        url.host = lower(authority.substr(1, end - 1));
        if (url.host.find_first_not_of("0123456789abcdef:.") != std::string::npos) {
            return fail(Category::incorrect, fmt::format("\"{}\" is no IPv6 address", url.host));
        }
        port = authority.substr(end + 1);
        if (!port.empty() && port[0] != ':')
            return fail(Category::incorrect, "text follows the ']' of the URL's IPv6 address");
    } else {
        const std::size_t colon = std::min(authority.find(':'), authority.size());
        url.host = lower(authority.substr(0, colon));
        if (url.host.empty()) return fail(Category::incorrect, "the URL names no host");
        for (const char c : url.host) {
            if (!is_host_character(c))
                return fail(
                    Category::incorrect,
                    fmt::format(
                        "the host \"{}\" of the URL holds a character that no host name may have",
                        url.host));
        }
        port = authority.substr(colon);
    }
    if (!port.empty()) port.remove_prefix(1);
    url.port = port.empty() ? default_port(url.scheme) : TRY(parse_port(port));
    return {};
}

}  // namespace

Result<std::vector<std::string>> parse_path(std::string_view path) {
    if (path.empty() || path[0] != '/')
        return fail(Category::incorrect, "the path does not begin with '/'");
    std::vector<std::string> segments;
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view raw = path.substr(0, end);
        path.remove_prefix(end);
        if (raw.empty()) continue;
        std::string segment = TRY(percent_decode(raw));
        if (segment == "." || segment == "..") {
            return fail(
                Category::incorrect,
                fmt::format("the path holds the segment \"{}\": write the path out", segment));
        }
        segments.push_back(std::move(segment));
    }
    return segments;
}

Result<Url> Url::parse(std::string_view text) {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) {
            return fail(Category::incorrect,
                        "the URL holds a space or control character: encode it as %XX");
        }
    }
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos) {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no absolute URL (expected http://… or https://…)", text));
    }
    Url url;
    url.scheme = lower(text.substr(0, colon));
    if (url.scheme != "http" && url.scheme != "https") {
        return fail(
            Category::incorrect,
            fmt::format("the scheme \"{}\" is not supported (expected http or https)", url.scheme));
    }
    std::string_view rest = text.substr(colon + 3);
    rest = rest.substr(0, rest.find('#'));
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, authority_end);
    if (authority.find('@') != std::string_view::npos) {
        return fail(Category::incorrect,
                    "the URL holds a user name: credentials do not belong into URLs");
    }
    TRY(parse_authority(authority, url));
    rest.remove_prefix(authority_end);
    const std::size_t question = std::min(rest.find('?'), rest.size());
    url.path = question == 0 ? "/" : std::string(rest.substr(0, question));
    if (question < rest.size()) url.query = rest.substr(question + 1);
    return url;
}

std::string Url::target() const {
    return query.empty() ? path : path + "?" + query;
}

std::string Url::to_text() const {
    const std::string shown_host = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const std::string shown_port =
        port == default_port(scheme) ? std::string() : fmt::format(":{}", port);
    return scheme + "://" + shown_host + shown_port + target();
}

}  // namespace meridian::net
