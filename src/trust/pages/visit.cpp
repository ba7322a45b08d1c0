// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/visit.hpp"

#include <charconv>

#include "base/log.hpp"

namespace meridian::trust {

std::string problem_text(Language language, const Error& error) {
    if (error.category != Category::busy)
        return std::string(say(language, "信息不正确，请检查后重试。",
                               "That is not right. Check it and try again."));
    int seconds = 0;
    std::from_chars(error.where.data(), error.where.data() + error.where.size(), seconds);
    if (seconds == 0)
        return std::string(say(language, "此刻登录的人太多，请稍后重试。",
                               "Too many people sign in just now. Try again in a moment."));
    const bool is_long = seconds > 90;
    const int number = is_long ? (seconds + 59) / 60 : seconds;
    if (language == Language::chinese)
        return fmt::format("尝试次数过多，请等待{}{}后再试，或使用通行密钥登录。", number,
                           is_long ? "分钟" : "秒");
    return fmt::format("Too many attempts. Wait {} {} before you try again, or use a passkey.",
                       number, is_long ? "minutes" : "seconds");
}

int status_of(const Error& error) {
    switch (error.category) {
        case Category::busy:
            return error.where.empty() ? 503 : 429;
        case Category::incorrect:
            return 400;
        case Category::conflict:
            return 409;
        case Category::not_found:
            return 404;
        case Category::unauthenticated:
        case Category::forbidden:
            return 403;
        case Category::unavailable:
            return 503;
        default:
            return 500;
    }
}

net::Response with_wait(net::Response response, const Error& error) {
    if (error.category == Category::busy)
        response.headers.add("Retry-After", error.where.empty() ? "3" : error.where);
    return response;
}

std::string json_of(std::string_view name, std::string_view value) {
    std::string out = "{";
    write_string(name, out);
    out += ":";
    write_string(value, out);
    return out + "}";
}

Result<std::optional<net::Response>> stopped_at(SignIn::Visit& visit, Sessions& sessions, Door door,
                                                std::string_view come_back) {
    visit.session = TRY(sessions.look_up(visit.request));
    TRY(sessions.check_csrf(visit.request));
    const auto elsewhere = [&](std::string_view page) {
        const std::string location =
            fmt::format("{}?return_to={}", page, percent_encode(own_path(come_back)));
        return visit.wants_json() ? json_answer(200, json_of("location", location))
                                  : redirect(location);
    };
    if (door != Door::open && !visit.session) return elsewhere("/sign-in");
    if (door == Door::recent && !sessions.require_recent(visit.session->subject, recent_proof))
        return elsewhere("/step-up");
    return std::nullopt;
}

net::Response failure_page(SignIn::Visit& visit, const Error& error) {
    const int status = status_of(error);
    if (status == 500)
        log::error("a page failed", {{"category", name_of(error.category)},
                                     {"path", visit.request.path()},
                                     {"request", visit.request.id}});
    const std::string text =
        error.category == Category::forbidden && error.where == "csrf"
            ? std::string(visit.say("页面已过期，请返回并刷新后重试。",
                                    "This page is too old. Go back, reload it and try again."))
        : status >= 500 ? std::string(visit.say("服务暂时不可用，请稍后重试。",
                                                "This does not work just now. Try again later."))
                        : problem_text(visit.language, error);
    if (visit.wants_json()) return with_wait(json_answer(status, json_of("message", text)), error);
    const std::string body =
        fmt::format(R"(<h1>{}</h1>{}<p><a href="/sign-in">{}</a></p>)",
                    visit.say("未能完成", "That did not work"), alert("problem", text),
                    visit.say("返回登录", "Back to sign-in"));
    return with_wait(visit.page(status, visit.say("未能完成", "That did not work"), true, body),
                     error);
}

std::string when(Instant instant) {
    const std::string text = to_text(instant);
    return fmt::format(R"(<time datetime="{}">{} {} UTC</time>)", text, text.substr(0, 10),
                       text.substr(11, 5));
}

std::string role_text(Language language, Role role) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"系统管理员", "System administrator"},
        {"安全管理员", "Security administrator"},
        {"审计管理员", "Audit administrator"},
        {"医生", "Doctor"},
        {"护士", "Nurse"},
        {"药师", "Pharmacist"},
        {"随访人员", "Follow-up staff"},
        {"科研人员", "Researcher"},
        {"数据管理员", "Data manager"},
        {"保险人员", "Insurer"},
        {"监管人员", "Regulator"},
        {"患者", "Patient"},
        {"监护人", "Guardian"},
        {"系统", "System"}};
    const auto at = static_cast<std::size_t>(role);
    return std::string(say(language, names[at].first, names[at].second));
}

std::string button_form(const SignIn::Visit& visit, std::string_view action, std::string_view field,
                        std::string_view value, std::string_view text,
                        std::string_view description) {
    return fmt::format(
        R"(<form method="post" action="{}">{}<input type="hidden" name="{}" value="{}"><button class="second small" aria-label="{}">{}</button></form>)",
        action, visit.hidden_csrf(), field, escaped_markup(value),
        escaped_markup(fmt::format("{}: {}", text, description)), text);
}

std::string good_news(std::string_view text) {
    return fmt::format(R"(<p class="good" role="status">{}</p>)", escaped_markup(text));
}

std::string origin_of(const SignIn::Visit& visit, const Sessions& sessions) {
    const auto& origins = sessions.options().origins;
    if (!origins.empty()) return origins.front();
    const std::string plain = fmt::format("http://{}", visit.request.headers.get("Host"));
    return !visit.request.is_secure && sessions.is_own_origin(visit.request, plain)
               ? plain
               : fmt::format("https://{}", visit.request.headers.get("Host"));
}

std::string field_row(std::string_view name, std::string_view label, std::string_view value,
                      std::string_view attributes) {
    return fmt::format(
        R"(<div><label for="{0}">{1}</label><input id="{0}" name="{0}" value="{2}" {3}></div>)",
        name, label, escaped_markup(value), attributes);
}

std::string table_row(std::initializer_list<std::string_view> cells) {
    std::string row = "<tr>";
    for (const std::string_view cell : cells) row += fmt::format("<td>{}</td>", cell);
    return row + "</tr>";
}

std::string table(std::string_view label, std::initializer_list<std::string_view> head,
                  std::string_view rows, std::string_view nothing) {
    if (rows.empty()) return fmt::format(R"(<p class="empty">{}</p>)", nothing);
    std::string titles;
    for (const std::string_view title : head)
        titles += fmt::format(R"(<th scope="col">{}</th>)", title);
    // A part that scrolls can be reached by keyboard (WCAG 2.1.1).
    return fmt::format(
        R"(<div class="scroll stack" tabindex="0" role="region" aria-label="{}"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>)",
        escaped_markup(label), titles, rows);
}

std::string wrong_choice(Language language, const Error& error) {
    if (error.where == "short")
        return std::string(
            say(language, "密码至少需要 8 个字符。", "The password needs at least 8 characters."));
    if (error.where == "common")
        return std::string(
            say(language, "这个密码太常见，攻击者会最先尝试。请换一个。",
                "Many people use this password, and attackers try it first. Choose another."));
    if (error.where == "own")
        return std::string(say(language, "密码不能是自己的名字或单位。",
                               "The password is your own name or organisation."));
    if (error.where == "name")
        return std::string(
            say(language, "账户名只能包含字母 a-z、数字、汉字和 . _ - @ +。",
                "An account name holds letters a-z, digits, Chinese characters and . _ - @ +."));
    if (error.category == Category::conflict)
        return std::string(say(language, "已有同名账户。", "An account of this name exists."));
    return std::string(say(language, "输入的内容不可用。", "What you entered cannot be used."));
}

}  // namespace meridian::trust
