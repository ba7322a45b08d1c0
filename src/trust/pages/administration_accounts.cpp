// SPDX-License-Identifier: Apache-2.0
// Accounts, for security administrators.
#include "text/letter_case.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/pages/administration_route.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;

std::string role_options(const Visit& visit, std::string_view chosen, bool is_search,
                         bool with_administrators) {
    std::string out;
    if (is_search)
        out += fmt::format(R"(<option value="">{}</option>)", visit.say("所有角色", "All roles"));
    // None is chosen before somebody chooses: the first one is an administrator.
    if (!is_search && chosen.empty())
        out += fmt::format(R"(<option value="">{}</option>)", visit.say("请选择", "Choose one"));
    for (const Role role : all_roles()) {
        if (!with_administrators && (is_administrator(role) || role == Role::system_client))
            continue;
        out += fmt::format(R"(<option value="{}"{}>{}</option>)", name_of(role),
                           name_of(role) == chosen ? " selected" : "",
                           role_text(visit.language, role));
    }
    return out;
}

std::string address_of(const Account& account) {
    return fmt::format("/administration/account?name={}", percent_encode(account.name));
}

std::string state_of(const Visit& visit, const Account& account) {
    if (account.disabled)
        return fmt::format(R"(<span class="tag warn">{}</span>)", visit.say("已停用", "Disabled"));
    if (account.role != Role::system_client && account.password.empty() && account.passkeys.empty())
        return fmt::format(R"(<span class="tag">{}</span>)",
                           visit.say("尚未设置密码", "No password yet"));
    return std::string(visit.say("可用", "Active"));
}

/// The accounts that a search finds behind `after`, and where the next page begins.
struct Found {
    std::vector<Account> accounts{};
    std::string next{};
};
Result<Found> find_accounts(Accounts& accounts, std::string_view wanted, std::optional<Role> role,
                            std::string_view after) {
    const std::string folded = text::to_lower(wanted);
    const auto matches = [&](const Account& account) {
        if (role && account.role != *role) return false;
        return folded.empty() || account.name.find(folded) != std::string::npos ||
               text::to_lower(account.display_name).find(folded) != std::string::npos ||
               account.person == wanted || account.organisation == wanted;
    };
    Found found;
    std::string from(after);
    for (std::size_t looked_at = 0; looked_at < limits::accounts_searched_max;) {
        const auto part = TRY(accounts.list(from));
        if (part.empty()) return found;
        for (const Account& account : part) {
            if (matches(account)) {
                if (found.accounts.size() == limits::administration_rows_max) {
                    found.next = from;
                    return found;
                }
                found.accounts.push_back(account);
            }
            from = account.name;
        }
        looked_at += part.size();
    }
    found.next = from;
    return found;
}

std::string link_notice(const Visit& visit, std::string_view name, std::string_view url) {
    return fmt::format(
        R"(<div class="good" role="status"><p>{}</p><p><code>{}</code></p><p class="soft">{}</p></div>)",
        visit.language == Language::chinese
            ? fmt::format("请将此一次性链接交给 {} 本人：", escaped_markup(name))
            : fmt::format("Give this one-time link to {} and nobody else:", escaped_markup(name)),
        escaped_markup(url),
        visit.say("24 小时内有效，只显示这一次；新的链接会使旧链接失效。",
                  "It is good for 24 hours and is not shown again. A new link ends this one."));
}

std::string problem_of(const Visit& visit, const Error& error) {
    if (error.where == "last-security-admin")
        return std::string(
            visit.say("这是最后一位可用的安全管理员，不能停用：否则再没有人能开立或恢复账户。",
                      "This is the last security administrator. Without one nobody could open an "
                      "account again."));
    if (error.where == "own")
        return std::string(
            visit.say("不能在此更改自己的账户。", "You cannot do this to your own account."));
    if (error.where == "administrator")
        return std::string(
            visit.say("管理员的第二因素和角色不能由另一位管理员更改；请在服务器主机上使用命令 "
                      "meridian account reset-factors。",
                      "No administrator changes the second factor or the role of another: that is "
                      "done on the server's own machine, by meridian account reset-factors."));
    if (error.where == "--patient" || error.where == "--practitioner" ||
        error.where == "--organisation" || error.where == "organisation" || error.where == "person")
        return fmt::format("{} ({})",
                           visit.say("所填的机构、医务人员或患者不存在，或与角色不符。",
                                     "The organisation, practitioner or patient does not exist, or "
                                     "does not fit the role."),
                           error.message);
    if (error.category == Category::forbidden)
        return std::string(visit.say("此账户不允许这样做。", "This account does not allow that."));
    return wrong_choice(visit.language, error);
}

std::string add_form(const Visit& visit) {
    constexpr std::string_view plain =
        R"(maxlength="128" autocapitalize="none" spellcheck="false" autocomplete="off")";
    std::string fields =
        field_row("new-name", visit.say("账户名", "Account name"), visit.field("new-name"),
                  fmt::format("required {}", plain)) +
        field_row("display", visit.say("姓名", "Name"), visit.field("display"),
                  R"(maxlength="120" autocomplete="off")") +
        fmt::format(
            R"(<div><label for="new-role">{}</label><select id="new-role" name="new-role" required>{}</select></div>)",
            visit.say("角色", "Role"), role_options(visit, visit.field("new-role"), false, true)) +
        field_row("organisation", visit.say("机构", "Organisation"), visit.field("organisation"),
                  fmt::format(R"(placeholder="Organization/…" {})", plain)) +
        field_row("practitioner", visit.say("医务人员（可选）", "Practitioner (if there is one)"),
                  visit.field("practitioner"),
                  fmt::format(R"(placeholder="Practitioner/…" {})", plain)) +
        field_row("patient",
                  visit.say("患者（患者或监护人账户）", "Patient (of a patient or guardian)"),
                  visit.field("patient"), fmt::format(R"(placeholder="Patient/…" {})", plain));
    return fmt::format(
        R"(<section aria-labelledby="add"><h2 id="add">{}</h2><form method="post" action="/administration/accounts">{}<div class="fields">{}</div><button>{}</button></form></section>)",
        visit.say("开立账户", "Add an account"), visit.hidden_csrf(), fields,
        visit.say("开立", "Add"));
}

std::string search_form(const Visit& visit) {
    return fmt::format(
        R"(<form method="get" action="/administration/accounts" role="search"><div class="fields">{}<div><label for="role">{}</label><select id="role" name="role">{}</select></div><div><button class="second">{}</button></div></div></form>)",
        field_row("q", visit.say("账户名、姓名或引用", "Account, name or reference"),
                  Visit::value(visit.query, "q"), R"(type="search" maxlength="128")"),
        visit.say("角色", "Role"),
        role_options(visit, Visit::value(visit.query, "role"), true, true),
        visit.say("查找", "Search"));
}

}  // namespace

net::Response Administration::accounts_page(Visit& visit, int status, std::string_view above) {
    const auto role = role_named(Visit::value(visit.query, "role"));
    const std::string_view wanted = Visit::value(visit.query, "q");
    const auto found = find_accounts(accounts_, wanted, role, Visit::value(visit.query, "after"));
    if (!found) return failure_page(visit, found.error());
    std::string rows;
    for (const Account& account : found->accounts)
        rows += table_row(
            {fmt::format(R"(<a href="{}">{}</a>)", escaped_markup(address_of(account)),
                         escaped_markup(account.name)),
             escaped_markup(account.display_name), role_text(visit.language, account.role),
             escaped_markup(account.organisation), state_of(visit, account)});
    const std::string_view title = visit.say("账户", "Accounts");
    std::string body(above);
    if (Visit::value(visit.query, "done") == "sessions")
        body += good_news(
            visit.say("所有其他人的登录都已结束。", "Everybody else has been signed out."));
    body += search_form(visit);
    body +=
        table(title,
              {visit.say("账户名", "Account"), visit.say("姓名", "Name"), visit.say("角色", "Role"),
               visit.say("机构", "Organisation"), visit.say("状态", "State")},
              rows, visit.say("没有符合条件的账户。", "No account fits."));
    if (!found->next.empty())
        body += fmt::format(
            R"(<p class="wide"><a href="/administration/accounts?q={}&amp;role={}&amp;after={}" rel="next">{}</a></p>)",
            percent_encode(wanted), percent_encode(Visit::value(visit.query, "role")),
            percent_encode(found->next), visit.say("下一页", "Next page"));
    body += add_form(visit);
    body += fmt::format(
        R"(<section aria-labelledby="all-sessions"><h2 id="all-sessions">{}</h2><p class="soft">{}</p><form method="post" action="/administration/sessions">{}<button class="danger">{}</button></form></section>)",
        visit.say("结束所有登录", "End all sessions"),
        visit.say("怀疑有人闯入时使用。除您以外，所有人需重新登录，应用的授权随登录一同结束。",
                  "For when somebody may have broken in. Everybody but you must sign in again, and "
                  "what apps got by those sessions ends with them."),
        visit.hidden_csrf(), visit.say("让所有人重新登录", "Sign everybody out"));
    return page(visit, status, Desk::accounts, title, body);
}

net::Response Administration::show_accounts(Visit& visit) {
    return accounts_page(visit, 200, "");
}

net::Response Administration::add_account(Visit& visit) {
    const auto role = role_named(visit.field("new-role"));
    const std::string name(visit.field("new-name"));
    const auto added = [&]() -> Result<Account> {
        if (!role) return fail(Category::incorrect, "there is no such role", "role");
        return options_.add_account(
            {.account = {.name = name,
                         .role = *role,
                         .organisation = std::string(visit.field("organisation")),
                         .display_name = std::string(visit.field("display"))},
             .practitioner = std::string(visit.field("practitioner")),
             .patient = std::string(visit.field("patient"))});
    }();
    const auto noted = note(visit, "account.added",
                            added ? fmt::format("{} {}", added->name, name_of(added->role)) : "",
                            added.has_value());
    if (!noted) return failure_page(visit, noted.error());
    if (!added) {
        const int status = status_of(added.error());
        if (status >= 500) return failure_page(visit, added.error());
        return accounts_page(visit, status, alert("problem", problem_of(visit, added.error())));
    }
    std::string above = good_news(visit.language == Language::chinese
                                      ? fmt::format("已开立账户 {}。", added->name)
                                      : fmt::format("The account {} is there.", added->name));
    if (added->role != Role::system_client) {
        const auto link = make_account_link(vault_, accounts_, added->name, options_.clock);
        if (!link) return failure_page(visit, link.error());
        above += link_notice(visit, added->name, origin_of(visit, sessions_) + *link);
    }
    visit.form.clear();  // the form is for the next one
    return accounts_page(visit, 201, above);
}

net::Response Administration::end_all_sessions(Visit& visit) {
    const auto ended = sessions_.revoke_everybody(visit.session->account.name);
    const auto noted = note(visit, "sessions-ended", "", ended.has_value());
    if (!noted) return failure_page(visit, noted.error());
    if (!ended) return failure_page(visit, ended.error());
    return redirect("/administration/accounts?done=sessions");
}

// --- one account ---

namespace {

std::string action(const Visit& visit, const Account& account, std::string_view path,
                   std::string_view text, std::string_view explanation, bool is_danger = false) {
    return fmt::format(
        R"(<li><div><strong>{1}</strong><br><span class="soft">{2}</span></div><form method="post" action="/administration/account/{0}">{3}<input type="hidden" name="name" value="{4}"><button class="{5} small" aria-label="{1}: {4}">{1}</button></form></li>)",
        path, text, explanation, visit.hidden_csrf(), escaped_markup(account.name),
        is_danger ? "danger" : "second");
}

std::string facts_of(const Visit& visit, const Account& account) {
    std::string facts;
    const auto add = [&](std::string_view name, std::string_view markup) {
        if (!markup.empty()) facts += fmt::format("<dt>{}</dt><dd>{}</dd>", name, markup);
    };
    std::vector<std::string> ways;
    if (!account.password.empty()) ways.emplace_back(visit.say("密码", "password"));
    if (account.totp) ways.emplace_back(visit.say("一次性验证码", "one-time codes"));
    if (!account.passkeys.empty())
        ways.push_back(
            fmt::format("{} × {}", visit.say("通行密钥", "passkey"), account.passkeys.size()));
    if (!account.identities.empty()) ways.emplace_back(visit.say("外部登录", "another provider"));
    add(visit.say("姓名", "Name"), escaped_markup(account.display_name));
    add(visit.say("角色", "Role"), role_text(visit.language, account.role));
    add(visit.say("人员", "Person"), escaped_markup(account.person));
    add(visit.say("机构", "Organisation"), escaped_markup(account.organisation));
    add(visit.say("状态", "State"), state_of(visit, account));
    add(visit.say("开立于", "Added"), when(account.created));
    add(visit.say("登录方式", "Signs in by"), fmt::format("{}", fmt::join(ways, ", ")));
    if (account.password_changed)
        add(visit.say("密码设置于", "Password set"), when(*account.password_changed));
    return fmt::format(R"(<section><dl class="facts">{}</dl></section>)", facts);
}

std::string actions_on(const Visit& visit, const Account& account, bool is_own) {
    std::string rows;
    if (account.role != Role::system_client && !account.disabled && !is_own) {
        rows += action(visit, account, "reset", visit.say("发放密码链接", "Give a password link"),
                       visit.say("忘记密码或首次登录时。第二因素不变。",
                                 "For a first or a forgotten password. Second factors stay."));
        if (account.has_second_factor() && !is_administrator(account.role))
            rows += action(
                visit, account, "factors", visit.say("移除第二因素", "Remove second factors"),
                visit.say("仅在当面核实身份之后：手机或密钥已丢失。",
                          "Only after you have made sure who they are: phone or key is lost."),
                true);
        rows += action(visit, account, "unlock", visit.say("解除登录延迟", "Lift the waiting time"),
                       visit.say("多次输错后需要等待；解除后可立即再试。",
                                 "After many wrong attempts people must wait. This ends it."));
    }
    if (account.disabled)
        rows += action(visit, account, "enable", visit.say("恢复账户", "Enable the account"),
                       visit.say("可再次登录。", "They can sign in again."));
    else
        rows += action(visit, account, "disable", visit.say("停用账户", "Disable the account"),
                       visit.say("立即结束其登录和令牌；账户和审计记录保留。",
                                 "Sessions and tokens end at once. The account and its traces "
                                 "stay."),
                       true);
    std::string role_form;
    if (!is_administrator(account.role) && account.role != Role::system_client && !is_own)
        role_form = fmt::format(
            R"(<form method="post" action="/administration/account/role">{}<input type="hidden" name="name" value="{}"><div class="fields"><div><label for="role">{}</label><select id="role" name="role">{}</select></div><div><button class="second">{}</button></div></div></form>)",
            visit.hidden_csrf(), escaped_markup(account.name), visit.say("角色", "Role"),
            role_options(visit, name_of(account.role), false, false),
            visit.say("更改角色", "Change the role"));
    return fmt::format(
        R"(<section aria-labelledby="actions"><h2 id="actions">{}</h2><ul class="rows">{}</ul>{}</section>)",
        visit.say("操作", "Actions"), rows, role_form);
}

std::string sessions_of(const Visit& visit, const Account& account,
                        const std::vector<SessionInfo>& sessions) {
    std::string rows;
    for (const SessionInfo& session : sessions) {
        const std::string device = session.device.empty()
                                       ? std::string(visit.say("未知设备", "Unknown device"))
                                       : session.device;
        rows += fmt::format(
            R"(<li><div>{0}<br><span class="soft">{1} · {2} {3} · {4} {5}</span></div><form method="post" action="/administration/account/session">{6}<input type="hidden" name="name" value="{7}"><input type="hidden" name="id" value="{8}"><button class="second small" aria-label="{9}: {0}">{9}</button></form></li>)",
            escaped_markup(device), escaped_markup(session.network), visit.say("登录", "since"),
            when(session.started), visit.say("最近使用", "last used"), when(session.used),
            visit.hidden_csrf(), escaped_markup(account.name), escaped_markup(session.id),
            visit.say("结束", "End"));
    }
    std::string body =
        fmt::format(R"(<section aria-labelledby="sessions"><h2 id="sessions">{}</h2>)",
                    visit.say("登录中的设备", "Where they are signed in"));
    if (rows.empty())
        return body + fmt::format(R"(<p class="soft">{}</p></section>)",
                                  visit.say("目前没有登录。", "Nowhere just now."));
    return body +
           fmt::format(
               R"(<ul class="rows">{}</ul><form method="post" action="/administration/account/sessions">{}<input type="hidden" name="name" value="{}"><button class="danger">{}</button></form></section>)",
               rows, visit.hidden_csrf(), escaped_markup(account.name),
               visit.say("结束此账户的所有登录", "End all sessions of this account"));
}

}  // namespace

net::Response Administration::account_page(Visit& visit, int status, std::string_view above) {
    const std::string_view posted = visit.field("name");
    const auto account =
        accounts_.find(posted.empty() ? Visit::value(visit.query, "name") : posted);
    if (!account) return failure_page(visit, account.error());
    if (!*account)
        return page(visit, 404, Desk::accounts,
                    visit.say("没有这个账户", "There is no such account"),
                    fmt::format(R"(<p><a href="/administration/accounts">{}</a></p>)",
                                visit.say("所有账户", "All accounts")));
    const auto sessions = sessions_.list((*account)->name);
    if (!sessions) return failure_page(visit, sessions.error());
    const bool is_own = (*account)->name == visit.session->account.name;
    std::string body(above);
    if (Visit::value(visit.query, "done") == "1")
        body += good_news(visit.say("已完成，并已记入审计。", "Done, and noted in the audit."));
    body += facts_of(visit, **account) + actions_on(visit, **account, is_own) +
            sessions_of(visit, **account, *sessions);
    return page(visit, status, Desk::accounts, escaped_markup((*account)->name), body);
}

net::Response Administration::show_account(Visit& visit) {
    return account_page(visit, 200, "");
}

net::Response Administration::done(Visit& visit, std::string_view what, std::string_view account,
                                   const Result<void>& outcome) {
    if (const auto noted = note(visit, what, account, outcome.has_value()); !noted)
        return failure_page(visit, noted.error());
    if (outcome)
        return redirect(
            fmt::format("/administration/account?name={}&done=1", percent_encode(account)));
    const int status = status_of(outcome.error());
    if (status >= 500) return failure_page(visit, outcome.error());
    return account_page(visit, status, alert("problem", problem_of(visit, outcome.error())));
}

net::Response Administration::disable(Visit& visit) {
    const std::string_view name = visit.field("name");
    return done(visit, "account.disabled", name, [&]() -> Result<void> {
        TRY(accounts_.set_disabled(name, true));
        // They end by the account alone; taken away they stay ended when it is enabled again.
        return sessions_.revoke_all(name);
    }());
}

net::Response Administration::enable(Visit& visit) {
    const std::string_view name = visit.field("name");
    return done(visit, "account.enabled", name, accounts_.set_disabled(name, false));
}

namespace {

/// The account that somebody acts on. Errors: `not_found`; `forbidden` for their own.
Result<Account> other_account(Accounts& accounts, const Visit& visit) {
    const auto account = TRY(accounts.find(visit.field("name")));
    if (!account) return fail(Category::not_found, "there is no such account");
    if (account->name == visit.session->account.name)
        return fail(Category::forbidden, "nobody does this to their own account", "own");
    return *account;
}

}  // namespace

net::Response Administration::unlock(Visit& visit) {
    return done(visit, "account.unlocked", visit.field("name"), [&]() -> Result<void> {
        return throttle_.unlock(TRY(other_account(accounts_, visit)).name);
    }());
}

net::Response Administration::reset_password(Visit& visit) {
    const auto link = [&]() -> Result<std::string> {
        const Account account = TRY(other_account(accounts_, visit));
        return make_account_link(vault_, accounts_, account.name, options_.clock);
    }();
    if (!link)
        return done(visit, "account.password-link", visit.field("name"),
                    std::unexpected(link.error()));
    if (const auto noted = note(visit, "account.password-link", visit.field("name"), true); !noted)
        return failure_page(visit, noted.error());
    return account_page(
        visit, 200, link_notice(visit, visit.field("name"), origin_of(visit, sessions_) + *link));
}

net::Response Administration::remove_factors(Visit& visit) {
    return done(visit, "account.factors-removed", visit.field("name"), [&]() -> Result<void> {
        const Account account = TRY(other_account(accounts_, visit));
        // With the password link as well this would be a way into their duties.
        if (is_administrator(account.role))
            return fail(Category::forbidden, "an administrator's factors stay", "administrator");
        TRY(accounts_.remove_second_factors(account.name));
        return sessions_.revoke_all(account.name);
    }());
}

net::Response Administration::change_role(Visit& visit) {
    const auto role = role_named(visit.field("role"));
    const std::string what = fmt::format("account.role {}", role ? name_of(*role) : "?");
    return done(visit, what, visit.field("name"), [&]() -> Result<void> {
        if (!role) return fail(Category::incorrect, "there is no such role", "role");
        const Account account = TRY(other_account(accounts_, visit));
        if (is_administrator(account.role) || is_administrator(*role) ||
            (account.role == Role::system_client) != (*role == Role::system_client))
            return fail(Category::forbidden, "such a role does not change", "administrator");
        TRY(accounts_.change_role(account.name, *role));
        // What they may do is decided anew; where they were signed in for the old task, they leave.
        return sessions_.revoke_all(account.name);
    }());
}

net::Response Administration::end_session(Visit& visit) {
    const std::string_view name = visit.field("name");
    return done(visit, "account.session-ended", name, [&]() -> Result<void> {
        const auto ended = sessions_.revoke(name, visit.field("id"));
        // It may have ended by itself meanwhile.
        if (!ended && ended.error().category != Category::not_found) return ended;
        return {};
    }());
}

net::Response Administration::end_sessions(Visit& visit) {
    const std::string_view name = visit.field("name");
    return done(visit, "account.sessions-ended", name, sessions_.revoke_all(name));
}

}  // namespace meridian::trust
