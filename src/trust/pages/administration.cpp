// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/administration.hpp"

#include "base/log.hpp"
#include "trust/pages/administration_route.hpp"
#include "trust/pages/routed.hpp"

namespace meridian::trust {

Administration::Administration(Vault& vault, Accounts& accounts, Sessions& sessions,
                               fhir::Repository& repository, policy::Decisions& decisions,
                               Options options)
    : vault_(vault),
      accounts_(accounts),
      sessions_(sessions),
      repository_(repository),
      decisions_(decisions),
      options_(std::move(options)),
      throttle_(vault, options_.clock),
      clients_(vault) {}

std::span<const Administration::Route> Administration::routes() {
    using net::Method;
    constexpr std::string_view accounts = "/administration/accounts";
    constexpr std::string_view clients = "/administration/clients";
    static const Route table[] = {
        {Method::get, "/administration", &Administration::first_desk, Desk::any},
        {Method::get, accounts, &Administration::show_accounts, Desk::accounts},
        {Method::post, accounts, &Administration::add_account, Desk::accounts, accounts},
        {Method::get, "/administration/account", &Administration::show_account, Desk::accounts},
        {Method::post, "/administration/account/disable", &Administration::disable, Desk::accounts,
         accounts},
        {Method::post, "/administration/account/enable", &Administration::enable, Desk::accounts,
         accounts},
        {Method::post, "/administration/account/unlock", &Administration::unlock, Desk::accounts,
         accounts},
        {Method::post, "/administration/account/reset", &Administration::reset_password,
         Desk::accounts, accounts},
        {Method::post, "/administration/account/factors", &Administration::remove_factors,
         Desk::accounts, accounts},
        {Method::post, "/administration/account/role", &Administration::change_role, Desk::accounts,
         accounts},
        {Method::post, "/administration/account/session", &Administration::end_session,
         Desk::accounts, accounts},
        {Method::post, "/administration/account/sessions", &Administration::end_sessions,
         Desk::accounts, accounts},
        {Method::post, "/administration/sessions", &Administration::end_all_sessions,
         Desk::accounts, accounts},
        {Method::get, clients, &Administration::show_clients, Desk::clients},
        {Method::post, clients, &Administration::add_client, Desk::clients, clients},
        {Method::post, "/administration/clients/remove", &Administration::remove_client,
         Desk::clients, clients},
        {Method::get, "/administration/policy", &Administration::show_policy, Desk::policy},
        {Method::get, "/administration/reviews", &Administration::show_reviews, Desk::reviews},
        {Method::post, "/administration/reviews", &Administration::take_review, Desk::reviews,
         "/administration/reviews"},
        {Method::get, "/administration/audit", &Administration::show_audit, Desk::audit},
        {Method::get, "/administration/status", &Administration::show_status, Desk::status},
    };
    return table;
}

std::optional<net::Response> Administration::handle(const net::Request& request) {
    const std::string_view path = request.path();
    if (path != "/administration" && !path.starts_with("/administration/")) return std::nullopt;
    return routed(routes(), request, [&](const Route& route) {
        Visit visit(request);
        return answer(visit, route);
    });
}

bool Administration::has_desk(const Subject& subject, Desk desk) const {
    switch (desk) {
        case Desk::accounts:
        case Desk::clients:
        case Desk::policy:
            return subject.role == Role::security_admin;
        case Desk::audit:
            return subject.role == Role::audit_admin;
        case Desk::status:
            return subject.role == Role::system_admin;
        case Desk::reviews:
            return decisions_.policy()->of(subject.role).reviews_break_glass;
        case Desk::any:
            return is_administrator(subject.role) || has_desk(subject, Desk::reviews);
    }
    return false;
}

net::Response Administration::answer(Visit& visit, const Route& route) {
    const bool is_post = route.method == net::Method::post;
    auto stopped = stopped_at(visit, sessions_, is_post ? Door::recent : Door::signed_in,
                              is_post ? route.come_back : std::string_view(visit.request.target));
    if (!stopped) return failure_page(visit, stopped.error());
    if (*stopped) return **std::move(stopped);
    if (visit.session->must_enrol) return redirect("/account");
    if (has_desk(visit.session->subject, route.desk)) return (this->*route.handler)(visit);
    if (const auto noted = note(visit, "administration.refused", route.path, false); !noted)
        return failure_page(visit, noted.error());
    const std::string_view title = visit.say("无权访问", "Not for your role");
    return visit.page(
        403, title, true,
        fmt::format(
            R"(<h1>{}</h1>{}<p><a href="/account">{}</a></p>)", title,
            alert("problem",
                  visit.say("此页面属于另一角色。系统、安全、审计三种管理员的职责互相分离。",
                            "This page belongs to another role. The duties of the system, "
                            "security and audit administrators are separated.")),
            visit.say("我的账户", "My account")));
}

Result<void> Administration::note(const Visit& visit, std::string_view what, std::string_view on,
                                  bool ok) {
    fhir::Caller caller = TRY(decisions_.caller(visit.session->subject));
    caller.request_id = visit.request.id;
    caller.address = visit.request.peer;
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::security;
    record.query = on.empty() ? std::string(what) : fmt::format("{} {}", what, on);
    record.outcome = ok ? fhir::AuditOutcome::success : fhir::AuditOutcome::refused;
    return repository_.note(caller, {std::move(record)});
}

net::Response Administration::page(Visit& visit, int status, Desk desk, std::string_view title,
                                   std::string_view body) {
    const struct {
        Desk desk;
        std::string_view path, chinese, english;
    } tabs[] = {
        {Desk::accounts, "/administration/accounts", "账户", "Accounts"},
        {Desk::clients, "/administration/clients", "应用", "Apps"},
        {Desk::policy, "/administration/policy", "访问策略", "Policy"},
        {Desk::reviews, "/administration/reviews", "紧急访问复核", "Emergency reviews"},
        {Desk::audit, "/administration/audit", "审计", "Audit"},
        {Desk::status, "/administration/status", "运行状态", "Status"},
    };
    std::string links;
    for (const auto& tab : tabs) {
        if (!has_desk(visit.session->subject, tab.desk)) continue;
        links += fmt::format(R"(<a href="{}"{}>{}</a>)", tab.path,
                             tab.desk == desk ? R"( aria-current="page")" : "",
                             visit.say(tab.chinese, tab.english));
    }
    links += fmt::format(R"(<a href="/account">{}</a>)", visit.say("我的账户", "My account"));
    return visit.page(
        status, title, false,
        fmt::format(
            R"(<div class="broad"><nav class="tabs" aria-label="{}">{}</nav><h1>{}</h1>{}</div>)",
            visit.say("管理", "Administration"), links, title, body));
}

net::Response Administration::first_desk(Visit& visit) {
    for (const Route& route : routes()) {
        if (route.method == net::Method::get && route.desk != Desk::any &&
            has_desk(visit.session->subject, route.desk))
            return redirect(route.path);
    }
    return redirect("/account");
}

// --- policy ---

namespace {

/// `text` with **bold** and `code`.
std::string inline_markup(std::string_view text) {
    std::string out;
    bool is_bold = false;
    bool is_code = false;
    const std::string escaped = escaped_markup(text);
    for (std::size_t at = 0; at < escaped.size(); ++at) {
        if (escaped.compare(at, 2, "**") == 0) {
            out += std::exchange(is_bold, !is_bold) ? "</strong>" : "<strong>";
            ++at;
        } else if (escaped[at] == '`') {
            out += std::exchange(is_code, !is_code) ? "</code>" : "<code>";
        } else {
            out += escaped[at];
        }
    }
    return out;
}

std::string cells_of(std::string_view line, std::string_view tag) {
    std::string out = "<tr>";
    line = line.substr(1, line.size() - 2);
    while (true) {
        const std::size_t bar = line.find('|');
        out += fmt::format("<{0}>{1}</{0}>", tag, inline_markup(line.substr(0, bar)));
        if (bar == std::string_view::npos) return out + "</tr>";
        line.remove_prefix(bar + 1);
    }
}

/// The document of policy::document_of as HTML: headings, lists, tables and paragraphs are all that
/// it has.
std::string html_of(std::string_view document) {
    std::string out;
    std::string_view open;  ///< the tag that is open
    const auto in = [&](std::string_view tag) {
        if (open == tag) return;
        if (open == "table") out += "</table></div>";
        if (open == "ul") out += "</ul>";
        if (tag == "table") out += R"(<div class="scroll" tabindex="0"><table>)";
        if (tag == "ul") out += "<ul>";
        open = tag;
    };
    while (!document.empty()) {
        const std::size_t end = std::min(document.find('\n'), document.size());
        const std::string_view line = document.substr(0, end);
        document.remove_prefix(std::min(end + 1, document.size()));
        if (line.starts_with("|---")) continue;
        if (line.starts_with("|")) {
            const bool is_head = open != "table";
            in("table");
            out += cells_of(line, is_head ? "th" : "td");
        } else if (line.starts_with("- ")) {
            in("ul");
            out += fmt::format("<li>{}</li>", inline_markup(line.substr(2)));
        } else {
            in("");
            if (line.starts_with("### "))
                out += fmt::format("<h2>{}</h2>", inline_markup(line.substr(4)));
            else if (!line.empty())
                out += fmt::format("<p>{}</p>", inline_markup(line));
        }
    }
    in("");
    return out;
}

}  // namespace

net::Response Administration::show_policy(Visit& visit) {
    const auto policy = decisions_.policy();
    const std::string body = fmt::format(
        R"(<p class="soft">{}</p><dl class="facts"><dt>{}</dt><dd>{}</dd><dt>SHA-256</dt><dd><code>{}</code></dd></dl><section class="document">{}</section>)",
        visit.say(
            "当前生效的访问策略，只读。修改方法：在数据目录的 policy/ 中放入策略文件并重启服务。",
            "What decides now, read-only. It is changed by files in the data folder's "
            "policy/ and a restart."),
        visit.say("版本", "Version"), escaped_markup(policy->name), policy->hash,
        html_of(policy::document_of(*policy)));
    return page(visit, 200, Desk::policy, visit.say("访问策略", "Policy"), body);
}

// --- status ---

net::Response Administration::show_status(Visit& visit) {
    const auto lines = options_.status();
    if (!lines) return failure_page(visit, lines.error());
    std::string rows;
    for (const StatusLine& line : *lines)
        rows += fmt::format(R"(<dt>{}</dt><dd{}>{}</dd>)",
                            escaped_markup(visit.say(line.chinese, line.english)),
                            line.is_good ? "" : R"( class="warn")", escaped_markup(line.value));
    const std::string body = fmt::format(
        R"(<p class="soft">{}</p><section><dl class="facts">{}</dl></section>)",
        visit.say("系统管理员维护服务器的运行，看不到病历、账户和审计内容。更多指标见 /metrics。",
                  "System administrators keep the server running. They see no record, no accounts "
                  "and no audit. /metrics has more figures."),
        rows);
    return page(visit, 200, Desk::status, visit.say("运行状态", "Status"), body);
}

}  // namespace meridian::trust
