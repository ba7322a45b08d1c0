// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"
#include "trust/accounts/one_time_code.hpp"
#include "trust/pages/visit.hpp"
#include "trust/sessions/cookie.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;

std::string profile(const Visit& visit, const Account& account) {
    std::string facts;
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty())
            facts += fmt::format("<dt>{}</dt><dd>{}</dd>", name, escaped_markup(value));
    };
    add(visit.say("账户名", "Account"), account.name);
    add(visit.say("角色", "Role"), role_text(visit.language, account.role));
    add(visit.say("人员", "Person"), account.person);
    add(visit.say("机构", "Organisation"), account.organisation);
    return fmt::format(
        R"(<section aria-labelledby="profile"><h2 id="profile">{}</h2><dl class="facts">{}</dl></section>)",
        visit.say("资料", "Profile"), facts);
}

std::string passkey_section(const Visit& visit, const Account& account, std::string_view problem) {
    std::string rows;
    for (const Passkey& passkey : account.passkeys) {
        const std::string label =
            passkey.label.empty() ? std::string(visit.say("通行密钥", "Passkey")) : passkey.label;
        rows += fmt::format(
            R"(<li><div><strong>{}</strong><br><span class="soft">{} {}</span></div>{}</li>)",
            escaped_markup(label), visit.say("添加于", "Added"), when(passkey.created),
            button_form(visit, "/account/passkeys/remove", "id", base64url_encode(passkey.id),
                        visit.say("移除", "Remove"), label));
    }
    return fmt::format(
        R"(<section aria-labelledby="passkeys"><h2 id="passkeys">{}</h2><p class="soft">{}</p>{}{}<div data-needs-passkeys hidden><div class="actions"><div><label for="passkey-label">{}</label><input id="passkey-label" maxlength="60" placeholder="{}"></div><button type="button" data-passkey="create" data-options="/account/passkeys/options" data-finish="/account/passkeys" data-message="new-passkey-problem" data-failed="{}" data-known="{}">{}</button></div><p class="bad" id="new-passkey-problem" role="alert"></p></div></section>)",
        visit.say("通行密钥", "Passkeys"),
        visit.say(
            "用指纹、面容或安全密钥登录，不怕钓鱼网站。",
            "Sign in with a fingerprint, your face or a security key. No false site can use it."),
        problem.empty() ? "" : alert("passkeys-problem", problem),
        rows.empty() ? "" : fmt::format(R"(<ul class="rows">{}</ul>)", rows),
        visit.say("名称", "Name"), visit.say("例如：办公室电脑", "For example: office computer"),
        visit.say("未能添加通行密钥，请重试。", "The passkey was not added. Try again."),
        visit.say("此设备已有该账户的通行密钥。",
                  "This device has a passkey for the account already."),
        visit.say("添加通行密钥", "Add a passkey"));
}

/// "abcd efgh …", for typing.
std::string grouped(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        if (!out.empty()) out += ' ';
        out += text.substr(at, 4);
    }
    return out;
}

std::string code_form(const Visit& visit, std::string_view action, std::string_view id,
                      std::string_view label, std::string_view attributes,
                      std::string_view problem) {
    return fmt::format(
        R"({}<form method="post" action="{}">{}<label for="{}">{}</label><input id="{}" name="code" {} required autofocus{}><button>{}</button></form>)",
        problem.empty() ? "" : alert("code-problem", problem), action, visit.hidden_csrf(), id,
        label, id, attributes,
        problem.empty() ? "" : R"( aria-invalid="true" aria-describedby="code-problem")",
        visit.say("确认", "Confirm"));
}

std::string code_section(const Visit& visit, const Account& account, std::string_view place,
                         std::string_view problem) {
    std::string body = fmt::format(
        R"(<section aria-labelledby="codes"><h2 id="codes">{}</h2><p class="soft">{}</p>)",
        visit.say("一次性验证码", "One-time codes"),
        visit.say("手机上的身份验证器应用每 30 秒给出一个新的六位数字。",
                  "An authenticator app on your phone shows six new digits every 30 seconds."));
    if (account.totp)
        body += fmt::format(
            R"(<ul class="rows"><li><div>{} <span class="soft">{}</span></div>{}</li></ul>)",
            visit.say("已启用", "In use since"), when(account.totp->created),
            button_form(visit, "/account/codes/remove", "what", "codes",
                        visit.say("停用", "Turn off"),
                        visit.say("一次性验证码", "one-time codes")));
    if (account.totp_waiting && place == "codes") {
        const std::string uri = totp_uri("Meridian", account.name, account.totp_waiting->secret);
        body += fmt::format(
            R"(<p>{}</p><p><code>{}</code></p><p><a href="{}">{}</a></p>)",
            visit.say(
                "在应用中添加账户并输入此密钥，再输入应用显示的验证码：",
                "Add an account in the app with this key, then type the code that the app shows:"),
            grouped(base32(account.totp_waiting->secret)), escaped_markup(uri),
            visit.say("在本机的应用中打开", "Open in an app on this device"));
        body +=
            code_form(visit, "/account/codes/confirm", "totp-code", visit.say("验证码", "Code"),
                      R"(inputmode="numeric" autocomplete="one-time-code" maxlength="8")", problem);
    } else {
        body += fmt::format(
            R"(<form method="post" action="/account/codes">{}<button class="second">{}</button></form>)",
            visit.hidden_csrf(),
            account.totp ? visit.say("更换应用", "Move to another app")
                         : visit.say("设置", "Set up"));
    }
    return body + "</section>";
}

std::string recovery_section(const Visit& visit, const Account& account,
                             const std::vector<std::string>& fresh, bool is_waiting,
                             std::string_view problem) {
    std::string body = fmt::format(
        R"(<section aria-labelledby="recovery"><h2 id="recovery">{}</h2><p class="soft">{}</p>)",
        visit.say("恢复码", "Recovery codes"),
        visit.say("丢失手机或密钥时，每个恢复码可代替一次第二步验证。",
                  "When you lose your phone or key, each code stands once for the second step."));
    if (!account.recovery_codes.empty())
        body += fmt::format("<p>{}</p>",
                            visit.language == Language::chinese
                                ? fmt::format("还剩 {} 个。", account.recovery_codes.size())
                                : fmt::format("{} are left.", account.recovery_codes.size()));
    if (!fresh.empty()) {
        body +=
            fmt::format("<p>{}</p><ol class=\"codes\">",
                        visit.say("请立即抄写或打印，之后不再显示：",
                                  "Write them down or print them now; they are not shown again:"));
        for (const std::string& code : fresh) body += fmt::format("<li>{}</li>", code);
        body += "</ol>";
    }
    if (is_waiting) {
        body += code_form(
            visit, "/account/recovery/confirm", "recovery-code",
            visit.say("输入其中任意一个以确认已保存",
                      "Type any one of them, to show that you have them"),
            R"(autocomplete="off" spellcheck="false" autocapitalize="none" maxlength="40")",
            problem);
    } else {
        body += fmt::format(
            R"(<form method="post" action="/account/recovery">{}<button class="second">{}</button></form>)",
            visit.hidden_csrf(), visit.say("生成新的恢复码", "Make new codes"));
    }
    return body + "</section>";
}

std::string password_section(const Visit& visit, std::string_view problem) {
    return fmt::format(
        R"(<section aria-labelledby="password"><h2 id="password">{}</h2>{}<form method="post" action="/account/password">{}<label for="current">{}</label><input id="current" name="current" type="password" autocomplete="current-password" required><label for="new">{}</label><input id="new" name="new" type="password" autocomplete="new-password" required aria-describedby="{}hint"{}><p class="soft" id="hint">{}</p><button class="second">{}</button></form></section>)",
        visit.say("密码", "Password"), problem.empty() ? "" : alert("password-problem", problem),
        visit.hidden_csrf(), visit.say("当前密码", "Current password"),
        visit.say("新密码", "New password"), problem.empty() ? "" : "password-problem ",
        problem.empty() ? "" : R"( aria-invalid="true")",
        visit.say("至少 8 个字符；一句话比一个单词好。修改后，其他设备需重新登录。",
                  "At least 8 characters; a sentence is better than a word. Other devices must "
                  "sign in again."),
        visit.say("修改密码", "Change password"));
}

std::string session_section(const Visit& visit, const std::vector<SessionInfo>& sessions) {
    std::string rows;
    for (const SessionInfo& session : sessions) {
        const bool is_own = session.id == visit.session->subject.session;
        const std::string device = session.device.empty()
                                       ? std::string(visit.say("未知设备", "Unknown device"))
                                       : session.device;
        rows += fmt::format(
            R"(<li><div>{}<br><span class="soft">{} · {} {} · {} {}</span></div>{}</li>)",
            escaped_markup(device), escaped_markup(session.network), visit.say("登录", "since"),
            when(session.started), visit.say("最近使用", "last used"), when(session.used),
            is_own
                ? fmt::format(R"(<span class="tag">{}</span>)", visit.say("本设备", "This device"))
                : button_form(visit, "/account/sessions/revoke", "id", session.id,
                              visit.say("退出", "Sign out"), device));
    }
    return fmt::format(
        R"(<section aria-labelledby="sessions"><h2 id="sessions">{}</h2><ul class="rows">{}</ul><form method="post" action="/account/sessions/revoke-others">{}<button class="danger">{}</button></form></section>)",
        visit.say("登录中的设备", "Where you are signed in"), rows, visit.hidden_csrf(),
        visit.say("退出其他所有设备", "Sign out everywhere else"));
}

std::string elsewhere_section(const Visit& visit) {
    return fmt::format(
        R"(<section aria-labelledby="elsewhere"><h2 id="elsewhere">{}</h2><ul class="rows"><li><a href="/account/apps">{}</a></li><li><a href="/account/identities">{}</a></li></ul></section>)",
        visit.say("应用与外部登录", "Apps and other sign-ins"),
        visit.say("我允许的应用", "Apps that I allowed"),
        visit.say("通过其他机构登录", "Signing in through others"));
}

/// Says that a change is kept. Who changed how they sign in may want all others out: what somebody
/// else set up or stole before would go on (ASVS 5.0 V7.4.3). A new password does it unasked.
std::string notice(const Visit& visit) {
    const std::string_view done = Visit::value(visit.query, "done");
    if (done.empty()) return "";
    std::string out = good_news(visit.say("已保存。", "Saved."));
    if (done == "codes" || done == "passkey" || done == "recovery")
        out += fmt::format(
            R"(<form method="post" action="/account/sessions/revoke-others">{}<p>{}</p><button class="second">{}</button></form>)",
            visit.hidden_csrf(),
            visit.say("登录方式已更改。其他设备上的登录仍然有效。",
                      "How you sign in has changed. Other devices are still signed in."),
            visit.say("退出其他所有设备", "Sign out everywhere else"));
    return out;
}

/// Where else this account leads.
std::string rooms(const Visit& visit, const Account& account) {
    std::string links;
    const auto add = [&](std::string_view address, std::string_view text) {
        links += fmt::format(R"(<a href="{}">{}</a>)", address, text);
    };
    if (account.role == Role::patient || account.role == Role::guardian)
        add("/account/access", visit.say("谁看过病历", "Who saw the record"));
    if (is_administrator(account.role) || account.role == Role::data_manager)
        add("/administration", visit.say("管理", "Administration"));
    if (links.empty()) return "";
    return fmt::format(R"(<nav class="tabs" aria-label="{}">{}</nav>)",
                       visit.say("其他页面", "Other pages"), links);
}

}  // namespace

net::Response SignIn::account_page(Visit& visit, int status, std::string_view place,
                                   std::string_view problem) {
    const std::optional<Account> account = [&]() -> std::optional<Account> {
        auto found = accounts_.find(visit.session->account.name);
        return found ? *std::move(found) : std::nullopt;
    }();
    const auto sessions = sessions_.list(visit.session->account.name);
    if (!account || !sessions)
        return failure(visit, {Category::unavailable, "the account cannot be read", "", nullptr});
    const auto at = [&](std::string_view section) {
        return place == section ? problem : std::string_view();
    };
    std::string body = fmt::format(
        R"(<h1>{}</h1>)",
        escaped_markup(account->display_name.empty() ? account->name : account->display_name));
    body += notice(visit);
    if (visit.session->must_enrol)
        body += fmt::format(
            R"(<p class="bad" role="status">{}</p>)",
            visit.say("您的角色需要第二种登录方式。请先添加通行密钥或一次性验证码，再继续。",
                      "Your role needs a second way to prove who you are. Add a passkey or "
                      "one-time codes, then go on."));
    else
        body += rooms(visit, *account) + profile(visit, *account);
    body += passkey_section(visit, *account, at("passkeys"));
    body += code_section(visit, *account, place, at("codes"));
    if (!visit.session->must_enrol) {
        if (account->has_second_factor())
            body += recovery_section(visit, *account, {}, place == "recovery", at("recovery"));
        body += password_section(visit, at("password"));
        body += session_section(visit, *sessions);
        body += elsewhere_section(visit);
    }
    return visit.page(status, visit.say("我的账户", "My account"), false, body);
}

net::Response SignIn::show_account(Visit& visit) {
    return account_page(visit, 200, "", "");
}

net::Response SignIn::set_password(Visit& visit) {
    const Account& account = visit.session->account;
    const auto device = device_of(visit, account);
    if (!device) return failure(visit, device.error());
    const std::string network = network_of(sessions_.options().client_address(visit.request));
    const Attempt attempt{Proof::password, account.name, network, *device};
    const auto proved = counted(attempt, [&]() -> Result<void> {
        TRY(accounts_.verify_password(account.name, visit.field("current")));
        return {};
    });
    if (!proved) {
        report(visit, "account.password", account.name, false);
        const Error& error = proved.error();
        return with_wait(
            account_page(visit, status_of(error), "password",
                         error.category == Category::unauthenticated
                             ? std::string(visit.say("当前密码不正确。",
                                                     "The current password is not right."))
                             : problem_text(visit.language, error)),
            error);
    }
    const auto changed = accounts_.set_password(account.name, visit.field("new"));
    report(visit, "account.password", account.name, changed.has_value());
    if (!changed) {
        if (changed.error().category != Category::incorrect) return failure(visit, changed.error());
        return account_page(visit, 400, "password", wrong_choice(visit.language, changed.error()));
    }
    // Whoever knew the old one is out (ASVS 5.0 V7.4.3).
    const auto revoked = sessions_.revoke_all(account.name, visit.session->subject.session);
    if (!revoked) return failure(visit, revoked.error());
    // Not renewed by the password alone where a second factor would be asked for.
    return redirect("/account?done=password");
}

net::Response SignIn::begin_totp(Visit& visit) {
    const auto enrolment = accounts_.begin_totp(visit.session->account.name);
    if (!enrolment) return failure(visit, enrolment.error());
    return account_page(visit, 200, "codes", "");
}

net::Response SignIn::confirm_totp(Visit& visit) {
    const Account& account = visit.session->account;
    const auto confirmed = accounts_.confirm_totp(account.name, visit.field("code"));
    report(visit, "account.codes", account.name, confirmed.has_value());
    if (!confirmed)
        return account_page(visit, status_of(confirmed.error()), "codes",
                            problem_text(visit.language, confirmed.error()));
    if (visit.session->must_enrol)
        return renewed(visit, {"pwd", "otp"}, "/account?done=codes", false);
    return redirect("/account?done=codes");
}

net::Response SignIn::remove_totp(Visit& visit) {
    const auto removed = accounts_.remove_totp(visit.session->account.name);
    report(visit, "account.codes-removed", visit.session->account.name, removed.has_value());
    if (!removed) return failure(visit, removed.error());
    return redirect("/account?done=codes");
}

net::Response SignIn::begin_recovery(Visit& visit) {
    const auto codes = accounts_.begin_recovery_codes(visit.session->account.name);
    report(visit, "account.recovery", visit.session->account.name, codes.has_value());
    if (!codes) return failure(visit, codes.error());
    const std::string body =
        fmt::format("<h1>{}</h1>", visit.say("新的恢复码", "New recovery codes")) +
        recovery_section(visit, visit.session->account, *codes, true, "");
    return visit.page(200, visit.say("恢复码", "Recovery codes"), false, body);
}

net::Response SignIn::confirm_recovery(Visit& visit) {
    const Account& account = visit.session->account;
    const auto confirmed = accounts_.confirm_recovery_codes(account.name, visit.field("code"));
    report(visit, "account.recovery", account.name, confirmed.has_value());
    if (!confirmed)
        return account_page(visit, status_of(confirmed.error()), "recovery",
                            problem_text(visit.language, confirmed.error()));
    return redirect("/account?done=recovery");
}

net::Response SignIn::new_passkey_options(Visit& visit) {
    const auto options = passkeys_.begin_registration(site(visit.request), visit.session->account);
    if (!options) return failure(visit, options.error());
    return json_answer(200, *options);
}

net::Response SignIn::add_passkey(Visit& visit) {
    const Account& account = visit.session->account;
    const auto added =
        passkeys_.finish_registration(site(visit.request), account, visit.json.root());
    report(visit, "account.passkey", account.name, added.has_value());
    if (!added) return failure(visit, added.error());
    if (visit.session->must_enrol)
        return renewed(visit, {"pwd", "hwk"}, "/account?done=passkey", true);
    return json_answer(200, json_of("location", "/account?done=passkey"));
}

net::Response SignIn::remove_passkey(Visit& visit) {
    std::string id;
    const bool is_id = base64url_decode(visit.field("id"), id);
    const auto removed = accounts_.remove_passkey(visit.session->account.name, is_id ? id : "");
    report(visit, "account.passkey-removed", visit.session->account.name, removed.has_value());
    if (!removed) return failure(visit, removed.error());
    return redirect("/account?done=passkey");
}

net::Response SignIn::revoke_session(Visit& visit) {
    const auto revoked = sessions_.revoke(visit.session->account.name, visit.field("id"));
    report(visit, "account.session-revoked", visit.session->account.name, revoked.has_value());
    if (!revoked && revoked.error().category != Category::not_found)
        return failure(visit, revoked.error());
    return redirect("/account?done=session");
}

net::Response SignIn::revoke_others(Visit& visit) {
    const Account& account = visit.session->account;
    const auto revoked = [&]() -> Result<void> {
        TRY(sessions_.revoke_all(account.name, visit.session->subject.session));
        return accounts_.forget_devices(account.name);
    }();
    report(visit, "account.sessions-revoked", account.name, revoked.has_value());
    if (!revoked) return failure(visit, revoked.error());
    const auto device = devices_.remember(visit.request, account.name);
    if (!device) return failure(visit, device.error());
    net::Response response = redirect("/account?done=sessions");
    response.headers.add("Set-Cookie", *device);
    return response;
}

}  // namespace meridian::trust
