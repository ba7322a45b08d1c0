// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/html.hpp"

#include "base/markup.hpp"
#include "base/query_string.hpp"
#include "trust/pages/assets.hpp"
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view emblem =
    R"svg(<svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="13" fill="none" stroke="currentColor" stroke-width="2.4"/><path d="M16 1v30" stroke="currentColor" stroke-width="2.4"/></svg>)svg";

/// No secret; named and set as every cookie here, so that nobody else can set it (RFC 6265bis
/// §4.1.3.2).
constexpr std::string_view kept_language = "__Host-lang";

std::string with_language(std::string_view address, std::string_view language) {
    const std::size_t question = address.find('?');
    std::string out(address.substr(0, question));
    out += "?";
    if (question != std::string_view::npos) {
        if (const auto parameters = parse_query_string(address.substr(question + 1))) {
            for (const auto& [name, value] : *parameters) {
                if (name != "lang")
                    out += fmt::format("{}={}&", percent_encode(name), percent_encode(value));
            }
        }
    }
    return out + "lang=" + std::string(language);
}

void protect(net::Response& response) {
    response.headers.add(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src "
        "'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'");
    response.headers.add("Cross-Origin-Opener-Policy", "same-origin");
    // Not "no-referrer": browsers then send "Origin: null" with our own forms, which check_csrf()
    // cannot tell from a forged one.
    response.headers.add("Referrer-Policy", "same-origin");
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Cache-Control", "no-store");
}

net::Response asset(std::string_view text, std::string_view type) {
    net::Response response = net::Response::text(200, std::string(text), type);
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Cache-Control", "no-cache");
    return response;
}

}  // namespace

Language language_of(const net::Request& request) {
    if (const auto parameters = request.parameters()) {
        for (const auto& [name, value] : *parameters) {
            if (name == "lang") return value == "en" ? Language::english : Language::chinese;
        }
    }
    if (const auto kept = cookie(request, kept_language))
        return *kept == "en" ? Language::english : Language::chinese;
    return request.headers.get("Accept-Language").starts_with("zh") ? Language::chinese
                                                                    : Language::english;
}

std::string language_cookie(Language language) {
    constexpr std::chrono::seconds year(365 * 86'400);
    return set_cookie(kept_language, language == Language::chinese ? "zh" : "en", year);
}

net::Response html_page(int status, const Frame& frame, std::string_view body) {
    const bool chinese = frame.language == Language::chinese;
    std::string out = fmt::format(
        R"(<!doctype html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="csrf" content="{}"><title>{} · Meridian</title><link rel="stylesheet" href="{}"><link rel="icon" href="data:,"><script src="{}" defer></script></head><body>)",
        chinese ? "zh-CN" : "en", escaped_markup(frame.csrf), escaped_markup(frame.title),
        style_path, script_path);
    out += fmt::format(R"(<header><a class="brand" href="/">{}<span>{}</span></a><nav>)", emblem,
                       say(frame.language, "子午 Meridian", "Meridian"));
    if (frame.signed_in)
        out += fmt::format(
            R"(<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="{}"><button class="plain">{}</button></form>)",
            escaped_markup(frame.csrf), say(frame.language, "退出", "Sign out"));
    out += fmt::format(R"(<a href="{}" hreflang="{}" lang="{}">{}</a></nav></header>)",
                       escaped_markup(with_language(frame.address, chinese ? "en" : "zh")),
                       chinese ? "en" : "zh-CN", chinese ? "en" : "zh-CN",
                       chinese ? "English" : "中文");
    out += fmt::format(R"(<main{}>{}</main></body></html>)",
                       frame.narrow ? " class=\"narrow\"" : "", body);
    net::Response response =
        net::Response::text(status, std::move(out), "text/html; charset=utf-8");
    protect(response);
    if (frame.address.find("lang=") != std::string_view::npos)
        response.headers.add("Set-Cookie", language_cookie(frame.language));
    return response;
}

net::Response redirect(std::string_view location) {
    net::Response response = net::Response::text(303, "");
    response.headers.add("Location", location);
    protect(response);
    return response;
}

net::Response json_answer(int status, std::string body) {
    net::Response response = net::Response::text(status, std::move(body), "application/json");
    protect(response);
    return response;
}

net::Response style_sheet() {
    return asset(style_text, "text/css; charset=utf-8");
}

net::Response script() {
    return asset(script_text, "text/javascript; charset=utf-8");
}

}  // namespace meridian::trust
