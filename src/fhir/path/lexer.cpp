// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/lexer.hpp"

#include <optional>

namespace meridian::fhir::path {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name(char c) {
    return is_name_start(c) || is_digit(c);
}
bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void append_utf8(std::string& out, char32_t code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}

class Lexer {
 public:
    explicit Lexer(std::string_view text) : text_(text) {}

    Result<std::vector<Token>> run() {
        std::vector<Token> tokens;
        while (true) {
            TRY(skip_space_and_comments());
            Token token{TokenKind::end, {}, line_, column()};
            if (at_ == text_.size()) {
                tokens.push_back(std::move(token));
                return tokens;
            }
            TRY(read(token));
            tokens.push_back(std::move(token));
        }
    }

 private:
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    unsigned column() const { return static_cast<unsigned>(at_ - line_start_) + 1; }

    std::unexpected<Error> wrong(std::string_view why) const {
        return fail(Category::incorrect,
                    fmt::format("line {}, column {}: {}", line_, column(), why),
                    fmt::format("{}:{}", line_, column()));
    }

    void advance() {
        if (text_[at_] == '\n') {
            ++line_;
            line_start_ = at_ + 1;
        }
        ++at_;
    }

    Result<void> skip_space_and_comments() {
        while (at_ < text_.size()) {
            if (is_space(peek())) {
                advance();
            } else if (peek() == '/' && peek(1) == '/') {
                while (at_ < text_.size() && peek() != '\n') advance();
            } else if (peek() == '/' && peek(1) == '*') {
                auto end = text_.find("*/", at_ + 2);
                if (end == std::string_view::npos)
                    return wrong("a comment is not closed (expected */)");
                while (at_ < end + 2) advance();
            } else {
                break;
            }
        }
        return {};
    }

    Result<void> read(Token& token) {
        char c = peek();
        if (is_name_start(c)) {
            token.kind = TokenKind::identifier;
            token.text = name();
            return {};
        }
        if (is_digit(c)) return number(token);
        switch (c) {
            case '\'':
                token.kind = TokenKind::string;
                return quoted('\'', token.text);
            case '`':
                token.kind = TokenKind::delimited;
                return quoted('`', token.text);
            case '@':
                return date_or_time(token);
            case '$':
                return special(token);
            case '%':
                return external(token);
            default:
                return symbol(token);
        }
    }

    std::string name() {
        std::size_t start = at_;
        while (is_name(peek())) ++at_;
        return std::string(text_.substr(start, at_ - start));
    }

    std::string digits() {
        std::size_t start = at_;
        while (is_digit(peek())) ++at_;
        return std::string(text_.substr(start, at_ - start));
    }

    Result<void> number(Token& token) {
        token.kind = TokenKind::number;
        token.text = digits();
        if (peek() == '.' && is_digit(peek(1))) {
            ++at_;
            token.text += '.' + digits();
        }
        return {};
    }

    Result<void> special(Token& token) {
        ++at_;
        token.kind = TokenKind::special;
        token.text = name();
        if (token.text != "this" && token.text != "index" && token.text != "total") {
            return wrong("unknown variable (expected $this, $index or $total)");
        }
        return {};
    }

    Result<void> external(Token& token) {
        ++at_;
        token.kind = TokenKind::external;
        if (peek() == '`' || peek() == '\'') return quoted(peek(), token.text);
        token.text = name();
        if (token.text.empty()) return wrong("% without a name");
        return {};
    }

    Result<void> quoted(char quote, std::string& out) {
        advance();
        while (true) {
            if (at_ == text_.size())
                return wrong(fmt::format("a text is not closed (expected {})", quote));
            char c = peek();
            if (c == quote) {
                advance();
                return {};
            }
            if (c != '\\') {
                out += c;
                advance();
                continue;
            }
            advance();
            TRY(escape(out));
        }
    }

    Result<void> escape(std::string& out) {
        char c = peek();
        switch (c) {
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case '`':
            case '\'':
            case '"':
            case '\\':
            case '/':
                out += c;
                break;
            case 'u':
                return unicode_escape(out);
            default:
                return wrong(
                    "unknown escape (expected one of \\` \\' \\\" \\\\ \\/ \\f \\n \\r \\t "
                    "\\uXXXX)");
        }
        advance();
        return {};
    }

    std::optional<char32_t> hex_unit() {
        char32_t code = 0;
        for (int i = 1; i <= 4; ++i) {
            char c = peek(static_cast<std::size_t>(i));
            int digit = is_digit(c)              ? c - '0'
                        : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                        : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                                 : -1;
            if (digit < 0) return std::nullopt;
            code = code * 16 + static_cast<char32_t>(digit);
        }
        at_ += 5;
        return code;
    }

    /// \uXXXX; two surrogates make one character.
    Result<void> unicode_escape(std::string& out) {
        auto code = hex_unit();
        if (!code) return wrong("\\u needs four hexadecimal digits");
        if (*code >= 0xD800 && *code < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
            ++at_;
            auto low = hex_unit();
            if (!low || *low < 0xDC00 || *low > 0xDFFF) return wrong("a surrogate stands alone");
            code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        } else if (*code >= 0xD800 && *code <= 0xDFFF) {
            return wrong("a surrogate stands alone");
        }
        append_utf8(out, *code);
        return {};
    }

    bool digits_follow(std::size_t offset, std::size_t count) const {
        for (std::size_t i = 0; i < count; ++i) {
            if (!is_digit(peek(offset + i))) return false;
        }
        return true;
    }

    void take(std::size_t count, std::string& out) {
        out += text_.substr(at_, count);
        at_ += count;
    }

    /// hh[:mm[:ss[.fff]]]
    bool time_part(std::string& out) {
        if (!digits_follow(0, 2)) return false;
        take(2, out);
        for (int part = 0; part < 2; ++part) {
            if (peek() != ':' || !digits_follow(1, 2)) return true;
            take(3, out);
        }
        if (peek() == '.' && is_digit(peek(1))) {
            take(1, out);
            out += digits();
        }
        return true;
    }

    Result<void> date_or_time(Token& token) {
        ++at_;
        if (peek() == 'T') {
            ++at_;
            token.kind = TokenKind::time;
            if (!time_part(token.text))
                return wrong("@T needs a time (expected @Thh[:mm[:ss[.fff]]])");
            return {};
        }
        token.kind = TokenKind::date;
        if (!digits_follow(0, 4))
            return wrong("@ needs a date or time (expected @YYYY[-MM[-DD]] or @Thh:mm)");
        take(4, token.text);
        for (int part = 0; part < 2; ++part) {
            if (peek() != '-' || !digits_follow(1, 2)) break;
            take(3, token.text);
        }
        if (peek() != 'T') return {};
        token.kind = TokenKind::date_time;
        take(1, token.text);
        if (!time_part(token.text)) return {};
        if (peek() == 'Z') {
            take(1, token.text);
        } else if ((peek() == '+' || peek() == '-') && digits_follow(1, 2) && peek(3) == ':' &&
                   digits_follow(4, 2)) {
            take(6, token.text);
        }
        return {};
    }

    Result<void> symbol(Token& token) {
        token.kind = TokenKind::symbol;
        std::string_view rest = text_.substr(at_);
        for (std::string_view two : {"<=", ">=", "!=", "!~"}) {
            if (rest.starts_with(two)) {
                token.text = two;
                at_ += 2;
                return {};
            }
        }
        if (std::string_view("+-*/&|<>=~.,()[]{}").find(rest.front()) == std::string_view::npos) {
            return wrong("unexpected character");
        }
        token.text = rest.front();
        ++at_;
        return {};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t line_start_ = 0;
    unsigned line_ = 1;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view text) {
    return Lexer(text).run();
}

}  // namespace meridian::fhir::path
