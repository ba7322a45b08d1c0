// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/password.hpp"

#include <array>
#include <chrono>

#include "base/utf8.hpp"
#include "text/fold.hpp"
#include "text/letter_case.hpp"
#include "text/normal_form.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// Sorted words, one a line, in lower case (data/trust/README.md).
constexpr std::string_view refused_words =
#include "../../../data/trust/refused_passwords.inc"
    ;

std::size_t character_count(std::string_view utf8) {
    return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

/// Binary search in sorted lines.
bool is_line_of(std::string_view lines, std::string_view wanted) {
    while (!lines.empty()) {
        const std::size_t before = lines.rfind('\n', lines.size() / 2);
        const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
        const std::size_t end = std::min(lines.find('\n', begin), lines.size());
        const std::string_view line = lines.substr(begin, end - begin);
        if (line == wanted) return true;
        if (wanted < line) {
            lines = lines.substr(0, begin == 0 ? 0 : begin - 1);
        } else {
            lines = end == lines.size() ? std::string_view() : lines.substr(end + 1);
        }
    }
    return false;
}

/// "aaaaaaaa", "abcabcabc": a start of at most four bytes, over and over.
bool is_repetition(std::string_view text) {
    for (std::size_t period = 1; period <= 4 && period * 2 <= text.size(); ++period) {
        if (text.substr(period) == text.substr(0, text.size() - period)) return true;
    }
    return false;
}

/// "23456789", "lkjhgfds": one line of the keyboard, the alphabet or the digits, either way.
bool is_run(std::string_view text) {
    constexpr std::array<std::string_view, 6> lines = {
        "01234567890123456789", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
        "`1234567890-=",        "qwertyuiop[]\\",
        "asdfghjkl;'",          "zxcvbnm,./"};
    const std::string backwards(text.rbegin(), text.rend());
    return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) {
        return line.find(text) != std::string_view::npos ||
               line.find(backwards) != std::string_view::npos;
    });
}

/// "p@ssw0rd" → "password".
std::string without_substitutions(std::string_view text) {
    constexpr std::string_view written = "@4301$5!7";
    constexpr std::string_view meant = "aaeoissit";
    std::string out(text);
    for (char& c : out) {
        const std::size_t at = written.find(c);
        if (at != std::string_view::npos) c = meant[at];
    }
    return out;
}

/// A listed word, also with letters replaced.
bool is_listed(std::string_view text) {
    return is_line_of(refused_words, text) ||
           is_line_of(refused_words, without_substitutions(text));
}

/// What people put behind a word to please a rule: up to six digits and marks, "Dragon2024!".
bool is_listed_with_tail(std::string_view text) {
    constexpr std::size_t tail_max = 6;
    constexpr std::size_t word_min = 3;
    constexpr std::string_view tail_characters = "0123456789!@#$%^&*.?_-+=~";
    for (std::size_t tail = 1; tail <= tail_max && tail + word_min <= text.size(); ++tail) {
        if (tail_characters.find(text[text.size() - tail]) == std::string_view::npos) return false;
        if (is_listed(text.substr(0, text.size() - tail))) return true;
    }
    return false;
}

unsigned digits_value(std::string_view digits) {
    unsigned value = 0;
    for (const char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
    return value;
}

/// Birthdays: "19640311", "11031964", "03111964".
bool is_date(std::string_view text) {
    if (text.size() != 8 || text.find_first_not_of("0123456789") != std::string_view::npos)
        return false;
    const auto fits = [&](std::size_t year_at, std::size_t month_at, std::size_t day_at) {
        const unsigned year = digits_value(text.substr(year_at, 4));
        const unsigned month = digits_value(text.substr(month_at, 2));
        const unsigned day = digits_value(text.substr(day_at, 2));
        return year >= 1900 && year < 2100 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
    };
    return fits(0, 4, 6) || fits(4, 2, 0) || fits(4, 0, 2);
}

}  // namespace

bool is_commonly_used(std::string_view normal_password) {
    const std::string lower = text::to_lower(normal_password);
    return is_repetition(lower) || is_run(lower) || is_date(lower) || is_listed(lower) ||
           is_listed_with_tail(lower);
}

Result<std::string> normal_password(std::string_view text) {
    if (text.size() > limits::password_bytes_max)
        return fail(Category::incorrect,
                    fmt::format("a password has at most {} bytes", limits::password_bytes_max));
    if (!is_valid_utf8(text)) return fail(Category::incorrect, "a password must be UTF-8 text");
    return text::to_nfkc(text);
}

Result<std::string> chosen_password(std::string_view text, const PasswordContext& context) {
    std::string normal = TRY(normal_password(text));
    if (character_count(normal) < limits::password_characters_min)
        return fail(
            Category::incorrect,
            fmt::format("a password has at least {} characters", limits::password_characters_min),
            "short");
    const std::string folded = text::fold(normal);
    for (const std::string_view own :
         {context.name, context.display_name, context.organisation, context.person}) {
        if (!own.empty() && !folded.empty() && folded == text::fold(own))
            return fail(Category::incorrect, "the password is your own name or organisation",
                        "own");
    }
    if (is_commonly_used(normal))
        return fail(Category::incorrect,
                    "the password is one that many people use and attackers try first", "common");
    return normal;
}

Result<void> Gate::enter() {
    std::unique_lock lock(mutex_);
    if (free_ == 0) {
        if (places_ == 0)
            return fail(Category::busy, "too many people sign in just now; try again");
        --places_;
        const bool is_free = left_.wait_for(
            lock, std::chrono::seconds(limits::argon2_wait_seconds_max), [&] { return free_ > 0; });
        ++places_;
        if (!is_free) return fail(Category::busy, "too many people sign in just now; try again");
    }
    --free_;
    return {};
}

void Gate::leave() {
    {
        const std::lock_guard lock(mutex_);
        ++free_;
    }
    left_.notify_one();
}

}  // namespace meridian::trust
