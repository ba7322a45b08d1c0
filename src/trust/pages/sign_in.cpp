// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/sign_in.hpp"
#include "trust/pages/routed.hpp"

#include <charconv>

#include "base/hash.hpp"
#include "base/query_string.hpp"
#include "trust/pages/visit.hpp"
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view pending_space = "sign-in";
constexpr std::size_t cookie_bytes = 32;

std::string name_of_host(std::string_view host) {
    if (host.starts_with('[')) return std::string(host.substr(0, host.find(']') + 1));
    return std::string(host.substr(0, host.find(':')));
}

}  // namespace

std::string own_path(std::string_view text) {
    const bool is_own = text.starts_with('/') && !text.starts_with("//") &&
                        text.size() <= limits::return_to_bytes_max &&
                        std::all_of(text.begin(), text.end(),
                                    [](char c) { return c > 0x20 && c != 0x7F && c != '\\'; });
    return is_own ? std::string(text) : "/";
}

SignIn::SignIn(Vault& vault, Accounts& accounts, Sessions& sessions, Options options)
    : vault_(vault),
      accounts_(accounts),
      sessions_(sessions),
      options_(std::move(options)),
      devices_(vault, options_.clock),
      throttle_(vault, options_.clock),
      passkeys_(vault, accounts, {.clock = options_.clock}) {}

std::span<const SignIn::Route> SignIn::routes() {
    using net::Method;
    static const Route table[] = {
        {Method::get, "/sign-in", &SignIn::show_sign_in},
        {Method::post, "/sign-in", &SignIn::take_password, Door::open, "sign-in.password"},
        {Method::get, "/sign-in/second", &SignIn::show_second},
        {Method::post, "/sign-in/second", &SignIn::take_second, Door::open, "sign-in.second"},
        {Method::post, "/sign-in/passkey/options", &SignIn::passkey_options, Door::open,
         "sign-in.passkey"},
        {Method::post, "/sign-in/passkey", &SignIn::take_passkey, Door::open, "sign-in.passkey"},
        {Method::get, style_path, &SignIn::style},
        {Method::get, script_path, &SignIn::script_file},
        {Method::post, "/sign-out", &SignIn::sign_out, Door::signed_in, "sign-out"},
        {Method::get, "/setup", &SignIn::show_setup},
        {Method::post, "/setup", &SignIn::take_setup, Door::open, "setup"},
        {Method::get, "/setup/account", &SignIn::show_account_setup},
        {Method::post, "/setup/account", &SignIn::take_account_setup, Door::open, "setup.account"},
        {Method::get, "/step-up", &SignIn::show_step_up, Door::signed_in},
        {Method::post, "/step-up", &SignIn::take_step_up, Door::signed_in, "step-up"},
        {Method::post, "/step-up/passkey/options", &SignIn::step_up_options, Door::signed_in,
         "step-up"},
        {Method::post, "/step-up/passkey", &SignIn::take_step_up_passkey, Door::signed_in,
         "step-up"},
        {Method::get, "/account", &SignIn::show_account, Door::signed_in},
        {Method::post, "/account/password", &SignIn::set_password, Door::signed_in,
         "account.password"},
        {Method::post, "/account/codes", &SignIn::begin_totp, Door::recent, "account.codes"},
        {Method::post, "/account/codes/confirm", &SignIn::confirm_totp, Door::recent,
         "account.codes"},
        {Method::post, "/account/codes/remove", &SignIn::remove_totp, Door::recent,
         "account.codes-removed"},
        {Method::post, "/account/recovery", &SignIn::begin_recovery, Door::recent,
         "account.recovery"},
        {Method::post, "/account/recovery/confirm", &SignIn::confirm_recovery, Door::recent,
         "account.recovery"},
        {Method::post, "/account/passkeys/options", &SignIn::new_passkey_options, Door::recent,
         "account.passkey"},
        {Method::post, "/account/passkeys", &SignIn::add_passkey, Door::recent, "account.passkey"},
        {Method::post, "/account/passkeys/remove", &SignIn::remove_passkey, Door::recent,
         "account.passkey-removed"},
        {Method::post, "/account/sessions/revoke", &SignIn::revoke_session, Door::recent,
         "account.session-revoked"},
        {Method::post, "/account/sessions/revoke-others", &SignIn::revoke_others, Door::recent,
         "account.sessions-revoked"},
        {Method::get, "/account/identities", &SignIn::show_identities, Door::recent},
        {Method::post, "/account/identities", &SignIn::add_identity, Door::recent,
         "account.identity"},
        {Method::post, "/account/identities/remove", &SignIn::remove_identity, Door::recent,
         "account.identity-removed"},
    };
    return table;
}

std::optional<net::Response> SignIn::handle(const net::Request& request) {
    return routed(routes(), request, [&](const Route& route) {
        Visit visit(request);
        return answer(visit, route);
    });
}

net::Response SignIn::answer(Visit& visit, const Route& route) {
    const bool is_post = route.method == net::Method::post;
    auto stopped =
        stopped_at(visit, sessions_, route.door,
                   is_post ? std::string_view("/account") : std::string_view(visit.request.target));
    if (!stopped) {
        if (stopped.error().category == Category::forbidden)
            report(visit, route.audited,
                   visit.session ? std::string_view(visit.session->account.name) : "", false);
        return failure_page(visit, stopped.error());
    }
    if (*stopped) return **std::move(stopped);
    return (this->*route.handler)(visit);
}

void SignIn::report(const Visit& visit, std::string_view what, std::string_view account,
                    bool ok) const {
    options_.audit(what, account, ok, visit.request);
}

net::Response SignIn::failure(Visit& visit, const Error& error) {
    return failure_page(visit, error);
}

net::Response SignIn::style(Visit&) {
    return style_sheet();
}
net::Response SignIn::script_file(Visit&) {
    return script();
}

Passkeys::Site SignIn::site(const net::Request& request) const {
    const auto& origins = sessions_.options().origins;
    const std::string_view host = request.headers.get("Host");
    Passkeys::Site site{options_.relying_party, origins};
    if (site.origins.empty()) {
        for (const char* scheme : {"https", "http"}) {
            const std::string origin = fmt::format("{}://{}", scheme, host);
            if (sessions_.is_own_origin(request, origin)) site.origins.push_back(origin);
        }
    }
    if (site.relying_party.empty()) {
        const std::string_view origin =
            origins.empty() ? std::string_view() : std::string_view(origins[0]);
        const std::size_t authority = origin.find("://");
        site.relying_party =
            name_of_host(authority == std::string_view::npos ? host : origin.substr(authority + 3));
    }
    return site;
}

// --- name and password ---

net::Response SignIn::sign_in_page(Visit& visit, int status, std::string_view name,
                                   std::string_view problem) {
    // Before there is a session, the form's token is made of a cookie of its own.
    const std::string set_sign_in = begin_form(visit);
    const std::string_view posted = visit.field("return_to");
    const std::string return_to =
        own_path(posted.empty() ? Visit::value(visit.query, "return_to") : posted);
    std::string body = fmt::format(
        R"(<h1>{}</h1><p class="soft">{}</p><div class="card"><div data-needs-passkeys hidden><button type="button" class="wide" data-passkey="get" data-options="/sign-in/passkey/options" data-finish="/sign-in/passkey" data-return-to="{}" data-message="passkey-problem" data-failed="{}">{}</button><p class="bad" id="passkey-problem" role="alert"></p><div class="or">{}</div></div>)",
        visit.say("登录", "Sign in"),
        visit.say("医疗记录只对有权的人开放，每次查看都会留痕。",
                  "The record opens only to those who may see it, and every look is noted."),
        escaped_markup(return_to),
        visit.say("未能使用通行密钥，请重试或使用密码。",
                  "The passkey was not used. Try again, or use your password."),
        visit.say("使用通行密钥登录", "Sign in with a passkey"), visit.say("或", "or"));
    if (Visit::value(visit.query, "done") == "password")
        body += good_news(
            visit.say("密码已保存，请用它登录。", "The password is saved. Sign in with it."));
    if (!problem.empty()) body += alert("problem", problem);
    const std::string_view invalid =
        problem.empty() ? "" : R"( aria-invalid="true" aria-describedby="problem")";
    body += fmt::format(
        R"(<form method="post" action="/sign-in">{}<input type="hidden" name="return_to" value="{}"><label for="name">{}</label><input id="name" name="name" value="{}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="128"{}{}><label for="password">{}</label><input id="password" name="password" type="password" autocomplete="current-password" required{}{}><button>{}</button></form></div>)",
        visit.hidden_csrf(), escaped_markup(return_to), visit.say("账户名", "Account name"),
        escaped_markup(name), invalid, problem.empty() ? " autofocus" : "",
        visit.say("密码", "Password"), invalid, problem.empty() ? "" : " autofocus",
        visit.say("继续", "Continue"));
    body += provider_links(visit, Federated::Purpose::sign_in, return_to);
    net::Response response = visit.page(status, visit.say("登录", "Sign in"), true, body);
    if (!set_sign_in.empty()) response.headers.add("Set-Cookie", set_sign_in);
    return response;
}

net::Response SignIn::show_sign_in(Visit& visit) {
    // An app wants a fresh proof (OpenID Connect Core §3.1.2.1, prompt=login and max_age).
    if (visit.session && !visit.session->must_enrol && Visit::value(visit.query, "again") == "1")
        return redirect(fmt::format("/step-up?return_to={}", percent_encode(own_path(Visit::value(
                                                                 visit.query, "return_to")))));
    if (visit.session)
        return redirect(visit.session->must_enrol
                            ? "/account"
                            : own_path(Visit::value(visit.query, "return_to")));
    // Who comes back here begins anew, perhaps as somebody else.
    if (const auto done = forget_pending(visit); !done) return failure(visit, done.error());
    return sign_in_page(visit, 200, "", "");
}

Result<std::string> SignIn::device_of(const Visit& visit, const Account& account) {
    return devices_.known(visit.request, account.name, account.devices_known_from);
}

net::Response SignIn::take_password(Visit& visit) {
    const std::string_view written = visit.field("name");
    const auto folded = account_name(written);
    const std::string name = folded ? *folded : std::string();
    const auto known = accounts_.find(name);
    if (!known) return failure(visit, known.error());
    const std::string_view audited = *known ? std::string_view((*known)->name) : "";
    const auto device = *known ? device_of(visit, **known) : Result<std::string>(std::string());
    if (!device) return failure(visit, device.error());
    const std::string network = network_of(sessions_.options().client_address(visit.request));
    const Attempt attempt{Proof::password, name, network, *device};

    std::optional<Account> account;
    const auto proved = counted(attempt, [&]() -> Result<void> {
        account = TRY(accounts_.verify_password(written, visit.field("password")));
        return {};
    });
    report(visit, "sign-in.password", audited, proved.has_value());
    if (!proved) {
        const Error& error = proved.error();
        const bool is_expected =
            error.category == Category::unauthenticated || error.category == Category::busy;
        if (!is_expected) return failure(visit, error);
        const std::string problem =
            error.category == Category::busy
                ? problem_text(visit.language, error)
                : std::string(visit.say("账户名或密码不正确。",
                                        "The account name or the password is not right."));
        return with_wait(sign_in_page(visit, status_of(error), written, problem), error);
    }
    const std::string return_to = own_path(visit.field("return_to"));
    if (!account->has_second_factor()) return enter(visit, *account, {"pwd"}, return_to, false);
    const auto cookie_header = keep_pending(*account, return_to, "pwd");
    if (!cookie_header) return failure(visit, cookie_header.error());
    net::Response response = redirect("/sign-in/second");
    response.headers.add("Set-Cookie", *cookie_header);
    return response;
}

/// The person is who they say: a session, and a device that is known from now on.
net::Response SignIn::enter(Visit& visit, const Account& account, std::vector<std::string> methods,
                            std::string_view return_to, bool as_json,
                            std::optional<Instant> proved) {
    const bool must_enrol =
        options_.second_factor_required(account.role) && !account.has_second_factor();
    const auto session =
        sessions_.start(visit.request, account, std::move(methods), must_enrol, proved);
    if (!session) return failure(visit, session.error());
    const auto device = devices_.remember(visit.request, account.name);
    if (!device) return failure(visit, device.error());
    report(visit, "sign-in", account.name, true);
    const std::string location = must_enrol ? "/account" : own_path(return_to);
    net::Response response =
        as_json ? json_answer(200, json_of("location", location)) : redirect(location);
    response.headers.add("Set-Cookie", *session);
    response.headers.add("Set-Cookie", *device);
    response.headers.add("Set-Cookie", clear_cookie(sign_in_cookie));
    return response;
}

// --- between the factors ---

Result<std::string> SignIn::keep_pending(const Account& account, std::string_view return_to,
                                         std::string_view first) {
    // A new secret, so that nobody who knew the form's cookie has the next step.
    const std::string secret = base64url_encode(random_bytes(cookie_bytes));
    JsonDocument document;
    Json root = document.object();
    document.set(root, "account", document.string(account.name));
    document.set(root, "returnTo", document.string(return_to));
    document.set(root, "first", document.string(first));
    document.set(root, "attempts", document.number(std::int64_t{0}));
    std::vector<Vault::Entry> entries;
    entries.push_back({.space = std::string(pending_space),
                       .key = to_hex(sha256(secret)),
                       .value = to_text(root),
                       .expires = Instant{options_.clock().milliseconds +
                                          std::int64_t{limits::sign_in_minutes} * 60'000}});
    if (!TRY(vault_.put(std::move(entries))))
        return fail(Category::conflict, "the sign-in could not be kept; try again");
    return set_cookie(sign_in_cookie, secret);
}

Result<std::optional<SignIn::Pending>> SignIn::pending(const Visit& visit) {
    const auto secret = cookie(visit.request, sign_in_cookie);
    if (!secret || secret->empty()) return std::nullopt;
    auto entry = TRY(vault_.get(pending_space, to_hex(sha256(*secret))));
    if (!entry || (entry->expires && *entry->expires <= options_.clock())) return std::nullopt;
    const JsonDocument document = TRY(JsonDocument::parse(entry->value));
    const Json& root = document.root();
    auto account = TRY(accounts_.find(root.string_at("account")));
    if (!account || account->disabled) return std::nullopt;
    Pending state{*std::move(account), std::string(root.string_at("returnTo")),
                  std::string(root.string_at("first", "pwd")), 0, *std::move(entry)};
    const std::string_view digits = root["attempts"].text();
    std::from_chars(digits.data(), digits.data() + digits.size(), state.attempts);
    if (state.attempts >= limits::sign_in_code_attempts_max) return std::nullopt;
    return state;
}

Result<bool> SignIn::count_attempt(const Visit&, Pending& state) {
    JsonDocument document = TRY(JsonDocument::parse(state.entry.value));
    document.set(document.root(), "attempts", document.number(state.attempts + 1));
    state.entry.value = to_text(document.root());
    std::vector<Vault::Entry> entries;
    entries.push_back(state.entry);
    return vault_.put(std::move(entries));
}

Result<void> SignIn::forget_pending(const Visit& visit) {
    const auto secret = cookie(visit.request, sign_in_cookie);
    if (!secret || secret->empty()) return {};
    auto entry = TRY(vault_.get(pending_space, to_hex(sha256(*secret))));
    if (!entry) return {};
    entry->removed = true;
    std::vector<Vault::Entry> entries;
    entries.push_back(*std::move(entry));
    (void)TRY(vault_.put(std::move(entries)));
    return {};
}

// --- the second factor ---

net::Response SignIn::second_page(Visit& visit, const Account& account, int status,
                                  std::string_view problem, bool step_up) {
    const std::string_view action = step_up ? "/step-up" : "/sign-in/second";
    const std::string return_to =
        own_path(visit.field("return_to").empty() ? Visit::value(visit.query, "return_to")
                                                  : visit.field("return_to"));
    const bool has_code = account.totp.has_value() || !account.recovery_codes.empty();
    const bool asks_password = !account.has_second_factor();
    const std::string_view title = step_up ? visit.say("再次确认身份", "Confirm that it is you")
                                           : visit.say("第二步验证", "Second step");
    std::string body = fmt::format(
        R"(<h1>{}</h1><p class="soft">{}</p><div class="card">)", title,
        step_up ? visit.say("这一步需要刚刚确认过的身份。", "The next step asks for a fresh proof.")
                : visit.say("第一步已完成，请再用另一种方式证明身份。",
                            "The first step is done. Prove it a second way."));
    if (!account.passkeys.empty()) {
        body += fmt::format(
            R"(<div data-needs-passkeys hidden><button type="button" class="wide" data-passkey="get" data-options="{}" data-finish="{}" data-return-to="{}" data-message="passkey-problem" data-failed="{}">{}</button><p class="bad" id="passkey-problem" role="alert"></p>{}</div>)",
            step_up ? "/step-up/passkey/options" : "/sign-in/passkey/options",
            step_up ? "/step-up/passkey" : "/sign-in/passkey", escaped_markup(return_to),
            visit.say("未能使用通行密钥，请重试。", "The passkey was not used. Try again."),
            visit.say("使用通行密钥", "Use a passkey"),
            has_code ? fmt::format(R"(<div class="or">{}</div>)", visit.say("或", "or")) : "");
        if (!has_code)
            body += fmt::format(
                "<noscript><p class=soft>{}</p></noscript>",
                visit.say("通行密钥需要启用 JavaScript。", "Passkeys need JavaScript."));
    }
    if (!problem.empty()) body += alert("problem", problem);
    if (has_code || asks_password) {
        body += fmt::format(
            R"(<form method="post" action="{}">{}<input type="hidden" name="return_to" value="{}"><label for="code">{}</label><input id="code" name="code" {} required autofocus{}><p class="soft" id="hint">{}</p><button>{}</button></form>)",
            action, visit.hidden_csrf(), escaped_markup(return_to),
            asks_password ? visit.say("密码", "Password") : visit.say("验证码", "Code"),
            asks_password
                ? R"(type="password" autocomplete="current-password")"
                : R"(autocomplete="one-time-code" maxlength="64" spellcheck="false" autocapitalize="none")",
            problem.empty() ? R"( aria-describedby="hint")"
                            : R"( aria-invalid="true" aria-describedby="problem hint")",
            asks_password
                ? ""
                : visit.say("身份验证器应用中的六位数字，或一个恢复码。",
                            "Six digits from your authenticator app, or a recovery code."),
            visit.say("继续", "Continue"));
    }
    body += "</div>";
    if (step_up && asks_password)
        body += provider_links(visit, Federated::Purpose::step_up, return_to, &account);
    return visit.page(status, title, true, body);
}

net::Response SignIn::show_second(Visit& visit) {
    const auto state = pending(visit);
    if (!state) return failure(visit, state.error());
    if (!*state) return redirect("/sign-in");
    return second_page(visit, (*state)->account, 200, "", false);
}

Result<void> SignIn::counted(const Attempt& attempt, const std::function<Result<void>()>& prove) {
    TRY(throttle_.begin(attempt));
    TRY(prove());
    return throttle_.succeeded(attempt);
}

Result<void> SignIn::prove_by_code(const Account& account, std::string_view code) {
    const auto digits = static_cast<std::size_t>(
        std::count_if(code.begin(), code.end(), [](char c) { return c >= '0' && c <= '9'; }));
    const bool is_one_time = digits == limits::totp_digits &&
                             code.find_first_not_of("0123456789 ") == std::string_view::npos;
    return is_one_time ? accounts_.verify_totp(account.name, code)
                       : accounts_.verify_recovery_code(account.name, code);
}

net::Response SignIn::take_second(Visit& visit) {
    auto state = pending(visit);
    if (!state) return failure(visit, state.error());
    if (!*state) return redirect("/sign-in");
    Pending& here = **state;
    const auto device = device_of(visit, here.account);
    if (!device) return failure(visit, device.error());
    const std::string network = network_of(sessions_.options().client_address(visit.request));
    const Attempt attempt{Proof::code, here.account.name, network, *device};
    const auto is_counted = count_attempt(visit, here);
    if (!is_counted) return failure(visit, is_counted.error());
    if (!*is_counted) return redirect("/sign-in/second");  // two at once: this one is not heard

    const auto proved =
        counted(attempt, [&] { return prove_by_code(here.account, visit.field("code")); });
    report(visit, "sign-in.second", here.account.name, proved.has_value());
    if (!proved) {
        const Error& error = proved.error();
        if (here.attempts + 1 >= limits::sign_in_code_attempts_max) return redirect("/sign-in");
        return with_wait(second_page(visit, here.account, status_of(error),
                                     problem_text(visit.language, error), false),
                         error);
    }
    if (const auto done = forget_pending(visit); !done) return failure(visit, done.error());
    return enter(visit, here.account, {here.first, "otp"}, here.return_to, false);
}

// --- passkeys ---

net::Response SignIn::passkey_options(Visit& visit) {
    const std::string network = network_of(sessions_.options().client_address(visit.request));
    const auto may = throttle_.begin({.proof = Proof::challenge, .network = network});
    if (!may) return failure(visit, may.error());
    const auto state = pending(visit);
    if (!state) return failure(visit, state.error());
    const auto options =
        passkeys_.begin_assertion(site(visit.request), *state ? &(*state)->account : nullptr);
    if (!options) return failure(visit, options.error());
    return json_answer(200, *options);
}

net::Response SignIn::take_passkey(Visit& visit) {
    const auto state = pending(visit);
    if (!state) return failure(visit, state.error());
    const Account* const account = *state ? &(*state)->account : nullptr;
    const auto asserted =
        passkeys_.finish_assertion(site(visit.request), account, visit.json.root());
    const std::string_view who = asserted  ? std::string_view(asserted->account.name)
                                 : account ? std::string_view(account->name)
                                           : "";
    report(visit, "sign-in.passkey", who, asserted.has_value());
    if (!asserted) return failure(visit, asserted.error());
    if (const auto done = forget_pending(visit); !done) return failure(visit, done.error());
    std::vector<std::string> methods = account != nullptr
                                           ? std::vector<std::string>{(*state)->first, "hwk"}
                                           : std::vector<std::string>{"hwk"};
    const std::string return_to = account != nullptr
                                      ? (*state)->return_to
                                      : std::string(visit.json.root().string_at("returnTo"));
    return enter(visit, asserted->account, std::move(methods), return_to, true);
}

net::Response SignIn::sign_out(Visit& visit) {
    const auto ended = sessions_.end(visit.request);
    report(visit, "sign-out", visit.session->account.name, ended.has_value());
    if (!ended) return failure(visit, ended.error());
    net::Response response = redirect("/sign-in");
    response.headers.add("Set-Cookie", clear_cookie(session_cookie));
    // What pages keep in the browser goes as well (ASVS 5.0 V14.3.1).
    response.headers.add("Clear-Site-Data", "\"cache\", \"storage\"");
    return response;
}

// --- step-up ---

net::Response SignIn::show_step_up(Visit& visit) {
    return second_page(visit, visit.session->account, 200, "", true);
}

net::Response SignIn::renewed(Visit& visit, std::vector<std::string> methods,
                              std::string_view location, bool as_json) {
    const auto header = sessions_.renew(visit.request, std::move(methods));
    if (!header) return failure(visit, header.error());
    net::Response response =
        as_json ? json_answer(200, json_of("location", location)) : redirect(location);
    response.headers.add("Set-Cookie", *header);
    return response;
}

net::Response SignIn::take_step_up(Visit& visit) {
    const Account& account = visit.session->account;
    const bool by_password = !account.has_second_factor();
    const auto device = device_of(visit, account);
    if (!device) return failure(visit, device.error());
    const std::string network = network_of(sessions_.options().client_address(visit.request));
    const Attempt attempt{by_password ? Proof::password : Proof::code, account.name, network,
                          *device};
    const auto proved = counted(attempt, [&]() -> Result<void> {
        if (!by_password) return prove_by_code(account, visit.field("code"));
        TRY(accounts_.verify_password(account.name, visit.field("code")));
        return {};
    });
    report(visit, "step-up", account.name, proved.has_value());
    if (!proved)
        return with_wait(second_page(visit, account, status_of(proved.error()),
                                     problem_text(visit.language, proved.error()), true),
                         proved.error());
    return renewed(visit, {by_password ? "pwd" : "otp"}, own_path(visit.field("return_to")), false);
}

net::Response SignIn::step_up_options(Visit& visit) {
    const auto options = passkeys_.begin_assertion(site(visit.request), &visit.session->account);
    if (!options) return failure(visit, options.error());
    return json_answer(200, *options);
}

net::Response SignIn::take_step_up_passkey(Visit& visit) {
    const auto asserted =
        passkeys_.finish_assertion(site(visit.request), &visit.session->account, visit.json.root());
    report(visit, "step-up", visit.session->account.name, asserted.has_value());
    if (!asserted) return failure(visit, asserted.error());
    return renewed(visit, {"hwk"}, own_path(visit.json.root().string_at("returnTo")), true);
}

}  // namespace meridian::trust
