// SPDX-License-Identifier: Apache-2.0
// Inside pages/: one request to the sign-in pages, with what was found out about it.
#pragma once

#include "base/json.hpp"
#include "base/markup.hpp"
#include "base/query_string.hpp"
#include "trust/pages/html.hpp"
#include "trust/pages/sign_in.hpp"

namespace meridian::trust {

/// Who may come to a page.
enum class Door : unsigned char {
    open,       ///< anybody
    signed_in,  ///< who has a session, also one that must enrol yet
    recent,     ///< who proved within the last minutes who they are
};

struct SignIn::Route {
    net::Method method;
    std::string_view path;
    Handler handler;
    Door door = Door::open;
    std::string_view audited{};  ///< what a refused request is called in the audit
};

/// Between the password and the second factor.
struct SignIn::Pending {
    Account account{};
    std::string return_to{};
    std::string first{};  ///< what was proved before: "pwd" or "fed"
    std::int64_t attempts = 0;
    Vault::Entry entry{};
};

struct SignIn::Visit {
    explicit Visit(const net::Request& from)
        : request(from), language(language_of(from)), csrf(Sessions::csrf_token(from)) {
        if (const auto parameters = from.parameters()) query = *parameters;
        if (from.content_type() == "application/x-www-form-urlencoded") {
            if (const auto parameters = from.form()) form = *parameters;
        } else if (from.content_type() == "application/json") {
            if (auto document = JsonDocument::parse(from.body)) json = std::move(*document);
        }
    }

    const net::Request& request;
    Language language;
    std::string csrf;
    net::Parameters query{};
    net::Parameters form{};
    JsonDocument json{};
    std::optional<Sessions::Found> session{};

    bool wants_json() const { return request.content_type() == "application/json"; }
    std::string_view say(std::string_view chinese, std::string_view english) const {
        return trust::say(language, chinese, english);
    }
    static std::string_view value(const net::Parameters& parameters, std::string_view wanted) {
        for (const auto& [name, text] : parameters) {
            if (name == wanted) return text;
        }
        return {};
    }
    std::string_view field(std::string_view name) const { return value(form, name); }
    std::string hidden_csrf() const {
        return fmt::format(R"(<input type="hidden" name="csrf" value="{}">)", escaped_markup(csrf));
    }
    /// Where the language switch leads: this page, as far as it can be asked for again.
    std::string address() const {
        // Coming back from an outside provider happens once.
        if (request.path().starts_with("/oauth/"))
            return session ? "/account/identities" : "/sign-in";
        if (request.method == net::Method::get) return request.target;
        if (request.path() == "/account" || request.path().starts_with("/account/"))
            return "/account";
        if (request.path() == "/setup/account")
            return fmt::format("/setup/account?name={}&key={}", percent_encode(field("name")),
                               percent_encode(field("key")));
        if (request.path().starts_with("/administration/account/"))
            return "/administration/account?name=" + percent_encode(field("name"));
        if (request.path() == "/setup") return "/setup?key=" + percent_encode(field("key"));
        return std::string(request.path());
    }
    net::Response page(int status, std::string_view title, bool narrow,
                       std::string_view body) const {
        const std::string here = address();
        return html_page(status,
                         {.language = language,
                          .title = title,
                          .csrf = csrf,
                          .address = here,
                          .signed_in = session.has_value(),
                          .narrow = narrow},
                         body);
    }
};

/// How old a proof may be for Door::recent.
inline constexpr std::chrono::seconds recent_proof = std::chrono::minutes(10);

/// Finds out whose visit it is (Visit::session), and whether a page of ours made the request. The
/// result is where to go instead when the door is not open: to sign in, or to prove it again, and
/// from there back to `come_back`. Errors: `forbidden` for a forged request; those of Sessions.
Result<std::optional<net::Response>> stopped_at(SignIn::Visit& visit, Sessions& sessions, Door door,
                                                std::string_view come_back);
/// A page that says that it did not work, without what helps an attacker; JSON to a script.
net::Response failure_page(SignIn::Visit& visit, const Error& error);

/// "2026-05-01 08:30 UTC", for machines too.
std::string when(Instant instant);
std::string role_text(Language language, Role role);
/// One form with one button, as rows end with. `description` says to screen readers of what.
std::string button_form(const SignIn::Visit& visit, std::string_view action, std::string_view field,
                        std::string_view value, std::string_view text,
                        std::string_view description);
/// Says that something was done.
std::string good_news(std::string_view text);
/// "https://record.example.org", as the browser knows this server.
std::string origin_of(const SignIn::Visit& visit, const Sessions& sessions);
/// A label and its field; `attributes` are written as they are.
std::string field_row(std::string_view name, std::string_view label, std::string_view value,
                      std::string_view attributes = {});

/// One line of a table: cells are markup.
std::string table_row(std::initializer_list<std::string_view> cells);
/// A table that scrolls by itself, and whose rows are stacked on a phone; `nothing` stands in its
/// place when it has no rows.
std::string table(std::string_view label, std::initializer_list<std::string_view> head,
                  std::string_view rows, std::string_view nothing);

/// What to say about a failed proof: nothing that helps an attacker.
std::string problem_text(Language language, const Error& error);
/// What is wrong with a chosen password or name.
std::string wrong_choice(Language language, const Error& error);
/// The HTTP status of an error on these pages; and its Retry-After.
int status_of(const Error& error);
net::Response with_wait(net::Response response, const Error& error);
/// {"name":"value"}
std::string json_of(std::string_view name, std::string_view value);

/// What went wrong, for people: said at once by screen readers.
inline std::string alert(std::string_view id, std::string_view problem) {
    return fmt::format(R"(<p class="bad" id="{}" role="alert">{}</p>)", id,
                       escaped_markup(problem));
}

}  // namespace meridian::trust
