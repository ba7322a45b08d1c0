// SPDX-License-Identifier: Apache-2.0
// The pages behind one-time links: the first administrator, and a password for an account that is
// there.
#include "base/hash.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/pages/visit.hpp"
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

namespace {

constexpr std::size_t form_cookie_bytes = 32;

}  // namespace

// --- the first administrator ---

/// The form's token is made of a cookie of its own before there is a session. Empty: it has one.
std::string SignIn::begin_form(Visit& visit) {
    if (!visit.csrf.empty()) return {};
    const std::string secret = base64url_encode(random_bytes(form_cookie_bytes));
    visit.csrf = Sessions::csrf_token_for(secret);
    return set_cookie(sign_in_cookie, secret);
}

net::Response SignIn::setup_page(Visit& visit, int status, std::string_view problem) {
    const std::string set_sign_in = begin_form(visit);
    const std::string_view posted = visit.field("key");
    std::string body =
        fmt::format(R"(<h1>{}</h1><p class="soft">{}</p><div class="card">)",
                    visit.say("设置第一位安全管理员", "Make the first security administrator"),
                    visit.say("安全管理员为其他人开立账户，但看不到病历。此链接只能使用一次。",
                              "The security administrator makes everybody else's account, and sees "
                              "no record. This link works once."));
    if (!problem.empty()) body += alert("problem", problem);
    body += fmt::format(
        R"(<form method="post" action="/setup">{}<input type="hidden" name="key" value="{}"><label for="display_name">{}</label><input id="display_name" name="display_name" value="{}" autocomplete="name" required maxlength="120"><label for="name">{}</label><input id="name" name="name" value="{}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="128"><label for="password">{}</label><input id="password" name="password" type="password" autocomplete="new-password" required aria-describedby="hint"><p class="soft" id="hint">{}</p><button>{}</button></form></div>)",
        visit.hidden_csrf(),
        escaped_markup(posted.empty() ? Visit::value(visit.query, "key") : posted),
        visit.say("姓名", "Your name"), escaped_markup(visit.field("display_name")),
        visit.say("账户名", "Account name"), escaped_markup(visit.field("name")),
        visit.say("密码", "Password"),
        visit.say("至少 8 个字符；一句话比一个单词好。",
                  "At least 8 characters. A sentence is better than a word."),
        visit.say("创建", "Create"));
    net::Response response = visit.page(status, visit.say("初始设置", "Set-up"), true, body);
    if (!set_sign_in.empty()) response.headers.add("Set-Cookie", set_sign_in);
    return response;
}

net::Response SignIn::show_setup(Visit& visit) {
    const auto good =
        is_setup_key(vault_, accounts_, Visit::value(visit.query, "key"), options_.clock);
    if (!good) return failure(visit, good.error());
    if (!*good)
        return visit.page(
            403, visit.say("初始设置", "Set-up"), true,
            fmt::format("<h1>{}</h1>{}", visit.say("初始设置", "Set-up"),
                        alert("problem", visit.say("链接已使用或已过期。请重启服务以获得新链接。",
                                                   "The link is used up or too old. A restart of "
                                                   "the server prints a new one."))));
    return setup_page(visit, 200, "");
}

net::Response SignIn::take_setup(Visit& visit) {
    const std::string_view key = visit.field("key");
    NewAccount wanted{.name = std::string(visit.field("name")),
                      .role = Role::security_admin,
                      .display_name = std::string(visit.field("display_name")),
                      .password = std::string(visit.field("password"))};
    const auto good = is_setup_key(vault_, accounts_, key, options_.clock);
    if (!good) return failure(visit, good.error());
    if (!*good || wanted.password.empty()) {
        report(visit, "setup", "", false);
        return failure(visit, {Category::forbidden, "the set-up link is used up", "", nullptr});
    }
    // The person is made once the rest is known to be good, for a person cannot be unmade.
    if (const auto checked = accounts_.check(wanted); !checked)
        return setup_page(visit, 400, wrong_choice(visit.language, checked.error()));
    const auto person = options_.make_person(wanted);
    if (!person) return failure(visit, person.error());
    wanted.person = *person;
    const auto account = use_setup_key(vault_, accounts_, key, wanted, options_.clock);
    report(visit, "setup", account ? std::string_view(account->name) : "", account.has_value());
    if (!account) {
        const Category category = account.error().category;
        if (category != Category::incorrect && category != Category::conflict)
            return failure(visit, account.error());
        return setup_page(visit, 400, wrong_choice(visit.language, account.error()));
    }
    return enter(visit, *account, {"pwd"}, "/account", false);
}

// --- a password for an account that is there ---

namespace {

/// What the link says: in its address, and then in the form.
std::string_view of_link(const SignIn::Visit& visit, std::string_view name) {
    const std::string_view posted = visit.field(name);
    return posted.empty() ? SignIn::Visit::value(visit.query, name) : posted;
}

}  // namespace

net::Response SignIn::account_setup_page(Visit& visit, int status, const Account& account,
                                         std::string_view problem) {
    const std::string set_sign_in = begin_form(visit);
    const std::string_view title = visit.say("设置密码", "Choose a password");
    std::string body = fmt::format(
        R"(<h1>{}</h1><p class="soft">{}</p><div class="card">{}<form method="post" action="/setup/account">{}<input type="hidden" name="key" value="{}"><input type="hidden" name="name" value="{}"><dl class="facts"><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl><label for="password" class="wide">{}</label><input id="password" name="password" type="password" autocomplete="new-password" required autofocus aria-describedby="{}hint"{}><p class="soft" id="hint">{}</p><button>{}</button></form></div>)",
        title,
        visit.say("此链接只能使用一次。设置后，其他设备上的登录都会失效。",
                  "This link works once. Whoever is signed in to the account elsewhere is signed "
                  "out."),
        problem.empty() ? "" : alert("problem", problem), visit.hidden_csrf(),
        escaped_markup(of_link(visit, "key")), escaped_markup(account.name),
        visit.say("账户名", "Account name"), escaped_markup(account.name),
        visit.say("角色", "Role"), role_text(visit.language, account.role),
        visit.say("密码", "Password"), problem.empty() ? "" : "problem ",
        problem.empty() ? "" : R"( aria-invalid="true")",
        visit.say("至少 8 个字符；一句话比一个单词好。",
                  "At least 8 characters. A sentence is better than a word."),
        visit.say("保存", "Save"));
    net::Response response = visit.page(status, title, true, body);
    if (!set_sign_in.empty()) response.headers.add("Set-Cookie", set_sign_in);
    return response;
}

net::Response SignIn::show_account_setup(Visit& visit) {
    const auto account = account_of_link(vault_, accounts_, of_link(visit, "name"),
                                         of_link(visit, "key"), options_.clock);
    if (!account) return failure(visit, account.error());
    if (*account) return account_setup_page(visit, 200, **account, "");
    const std::string_view title = visit.say("设置密码", "Choose a password");
    return visit.page(
        403, title, true,
        fmt::format(
            "<h1>{}</h1>{}", title,
            alert("problem",
                  visit.say("链接已使用、已过期，或已有更新的链接。请向安全管理员索取新链接。",
                            "The link is used up, too old, or there is a newer one. Ask "
                            "your security administrator for another."))));
}

net::Response SignIn::take_account_setup(Visit& visit) {
    const std::string name(visit.field("name"));
    const std::string_view key = visit.field("key");
    const auto account = account_of_link(vault_, accounts_, name, key, options_.clock);
    if (!account) return failure(visit, account.error());
    if (!*account) {
        report(visit, "setup.account", "", false);
        return show_account_setup(visit);
    }
    const auto set =
        use_account_link(vault_, accounts_, name, key, visit.field("password"), options_.clock);
    report(visit, "setup.account", (*account)->name, set.has_value());
    if (!set) {
        if (set.error().category != Category::incorrect) return failure(visit, set.error());
        return account_setup_page(visit, 400, **account, wrong_choice(visit.language, set.error()));
    }
    // Whoever knew the old password is out (ASVS 5.0 V7.4.3).
    if (const auto ended = sessions_.revoke_all(set->name); !ended)
        return failure(visit, ended.error());
    net::Response response = redirect("/sign-in?done=password");
    response.headers.add("Set-Cookie", clear_cookie(sign_in_cookie));
    return response;
}

}  // namespace meridian::trust
