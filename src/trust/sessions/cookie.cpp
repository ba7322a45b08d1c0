// SPDX-License-Identifier: Apache-2.0
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

std::optional<std::string_view> cookie(const net::Request& request, std::string_view name) {
    std::optional<std::string_view> found;
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
        const net::Headers::Field field = request.headers[i];
        if (field.name.size() != 6 || (field.name[0] | 0x20) != 'c') continue;
        std::string lower(field.name);
        for (char& c : lower) c = static_cast<char>(c | 0x20);
        if (lower != "cookie") continue;
        std::string_view rest = field.value;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(';'), rest.size());
            std::string_view pair = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            pair.remove_prefix(std::min(pair.find_first_not_of(" \t"), pair.size()));
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
            const std::string_view value = pair.substr(equals + 1);
            if (found && *found != value) return std::nullopt;
            found = value;
        }
    }
    return found;
}

std::string set_cookie(std::string_view name, std::string_view value,
                       std::optional<std::chrono::seconds> max_age) {
    std::string out = fmt::format("{}={}; Path=/; Secure; HttpOnly; SameSite=Lax", name, value);
    if (max_age) out += fmt::format("; Max-Age={}", max_age->count());
    return out;
}

std::string clear_cookie(std::string_view name) {
    return set_cookie(name, "", std::chrono::seconds(0));
}

}  // namespace meridian::trust
