// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/apps_page.hpp"

#include "base/markup.hpp"
#include "base/query_string.hpp"
#include "trust/oauth/detail/allowances.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/grants.hpp"
#include "trust/oauth/detail/pages.hpp"
#include "trust/pages/html.hpp"

namespace meridian::trust::oauth::detail {

namespace {

/// One app as its person sees it.
struct Shown {
    Allowance allowance{};
    std::string name{};
    Instant used{};
    bool is_running = false;
    std::vector<Scope> scopes{};  ///< consented or given, each once
};

struct Page {
    const net::Request& request;
    Language language;
    std::string csrf;
    std::string_view say(std::string_view chinese, std::string_view english) const {
        return trust::say(language, chinese, english);
    }
};

std::string day(Instant instant) {
    const std::string text = to_text(instant);
    return fmt::format(R"(<time datetime="{}">{} {} UTC</time>)", text, text.substr(0, 10),
                       text.substr(11, 5));
}

void add_once(std::vector<Scope>& scopes, const std::vector<Scope>& more) {
    for (const Scope& scope : more)
        if (std::ranges::find(scopes, scope) == scopes.end()) scopes.push_back(scope);
}

Result<Shown> shown(Context& context, const Page& page, Allowance allowance) {
    Shown app{.name = allowance.client, .used = allowance.since};
    // An app that is no longer registered is shown by its id, so that it can be ended all the same.
    if (const auto client = TRY(context.clients.find(allowance.client))) {
        const bool in_chinese = page.language == Language::chinese && !client->name_zh.empty();
        app.name = in_chinese ? client->name_zh : client->name;
    }
    Grants grants(context, &page.request);
    add_once(app.scopes, allowance.consented);
    for (const Allowance::Running& running : allowance.running) {
        if (running.ends <= context.now() || TRY(grants.is_revoked(running.family))) continue;
        app.is_running = true;
        add_once(app.scopes, running.scopes);
        app.used =
            std::max(app.used, TRY(grants.last_used(running.family)).value_or(running.since));
    }
    app.allowance = std::move(allowance);
    return app;
}

std::string form(const Page& page, std::string_view step, const Shown& app, std::string_view scope,
                 std::string_view button) {
    const std::string about = scope.empty() ? app.name : fmt::format("{}: {}", app.name, scope);
    return fmt::format(
        R"(<form method="post" action="{}/{}"><input type="hidden" name="csrf" value="{}"><input type="hidden" name="client" value="{}">{}<button class="{} small" aria-label="{}">{}</button></form>)",
        apps_path, step, escaped_markup(page.csrf), escaped_markup(app.allowance.client),
        scope.empty() ? ""
                      : fmt::format(R"(<input type="hidden" name="scope" value="{}">)",
                                    escaped_markup(scope)),
        scope.empty() ? "danger" : "second", escaped_markup(fmt::format("{}: {}", button, about)),
        button);
}

std::string section(const Page& page, const Shown& app) {
    std::string rows;
    for (const Scope& scope : app.scopes) {
        // Words such as "openid" are no access to the record; they end with the app.
        const bool can_go = scope.level != Scope::Level::word;
        rows += fmt::format(
            "<li><div>{}</div>{}</li>", escaped_markup(in_words(scope, page.language)),
            can_go
                ? form(page, "withhold", app, scope.to_text(), page.say("不再允许", "Do not allow"))
                : "");
    }
    for (const Scope& scope : app.allowance.withheld)
        rows += fmt::format(R"(<li><div class="soft">{}</div><span class="tag">{}</span></li>)",
                            escaped_markup(in_words(scope, page.language)),
                            page.say("已取消", "Not allowed"));
    return fmt::format(
        R"(<section><h2>{}</h2><p class="soft">{} {} · {} {}{}</p><ul class="rows">{}</ul>{}</section>)",
        escaped_markup(app.name), page.say("授权于", "Allowed since"), day(app.allowance.since),
        page.say("最近使用", "last used"), day(app.used),
        app.is_running ? std::string()
                       : fmt::format(" · {}", page.say("当前没有访问", "has no access just now")),
        rows, form(page, "end", app, "", page.say("终止全部访问", "End all access")));
}

Result<net::Response> list(Context& context, const Page& page, const Subject& subject) {
    std::string body = fmt::format(
        R"(<h1>{}</h1><p class="soft">{}</p>)", page.say("我的应用", "My apps"),
        page.say("您允许这些应用以您的身份查看或修改数据。终止后立即生效，应用须重新请求您的同意。",
                 "You allowed these apps to use your access. What you end here ends at once; the "
                 "app has to ask you again."));
    std::string sections;
    for (Allowance& allowance : TRY(Allowances(context).of(subject.account))) {
        const Shown app = TRY(shown(context, page, std::move(allowance)));
        if (!app.scopes.empty() || !app.allowance.withheld.empty()) sections += section(page, app);
    }
    if (sections.empty())
        sections =
            fmt::format("<section><p>{}</p></section>",
                        page.say("没有应用可以使用您的访问权限。", "No app may use your access."));
    body += sections;
    body += fmt::format(R"(<p><a href="/account">{}</a></p>)",
                        page.say("返回我的账户", "Back to my account"));
    return html_page(200,
                     {.language = page.language,
                      .title = page.say("我的应用", "My apps"),
                      .csrf = page.csrf,
                      .address = apps_path,
                      .signed_in = true},
                     body);
}

Result<void> change(Context& context, const Page& page, const Subject& subject,
                    std::string_view step) {
    const net::Parameters form = TRY(page.request.form());
    const std::string client = value_of(form, "client");
    if (step == "/end") return Allowances(context).end(subject.account, client);
    return Allowances(context).withhold(subject.account, client,
                                        TRY(Scope::parse(value_of(form, "scope"))));
}

}  // namespace

std::optional<net::Response> apps_page(Context& context, const net::Request& request) {
    const std::string_view step = request.path().substr(apps_path.size());
    const bool is_change = step == "/end" || step == "/withhold";
    if (!context.options.check_csrf || (!step.empty() && !is_change)) return std::nullopt;
    const net::Method method = is_change ? net::Method::post : net::Method::get;
    if (request.method != method) return not_allowed(net::name_of(method));
    const auto subject = context.options.signed_in(request);
    if (!subject)
        return trust::redirect(fmt::format("{}?return_to={}", context.options.sign_in_path,
                                           percent_encode(apps_path)));
    const Page page{request, trust::language_of(request), context.options.csrf_token(request)};
    if (!is_change) {
        auto answer = list(context, page, *subject);
        return answer ? *std::move(answer) : problem_page(503, Problem::busy, page.language);
    }
    const auto genuine = context.options.check_csrf(request);
    const auto changed =
        genuine ? change(context, page, *subject, step) : std::unexpected(genuine.error());
    context.audit(request, step == "/end" ? "oauth.app-ended" : "oauth.app-withheld", &*subject,
                  changed.has_value());
    if (!genuine) return problem_page(403, Problem::form_is_over, page.language);
    if (changed) return trust::redirect(apps_path);
    const bool is_away = changed.error().category == Category::unavailable;
    return problem_page(is_away ? 503 : 400, is_away ? Problem::busy : Problem::form_is_over,
                        page.language);
}

}  // namespace meridian::trust::oauth::detail
