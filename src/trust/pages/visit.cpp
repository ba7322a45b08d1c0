// SPDX-License-Identifier: Apache-2.0
#include "trust/pages/visit.hpp"

#include <charconv>

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
