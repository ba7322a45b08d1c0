// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "fhir/search/criteria.hpp"
#include "text/words.hpp"

/// _text and _content: words and "phrases" joined by AND (or nothing), OR, NOT and parentheses.
namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

namespace {

class TextQuery {
 public:
    TextQuery(store::Name param, std::string_view text, std::string_view where)
        : param_(param), text_(text), where_(where) {}

    Result<Condition> whole() {
        Condition condition = TRY(either(0));
        skip_space();
        if (at_ != text_.size()) return wrong("a \")\" has no \"(\"");
        return condition;
    }

 private:
    static constexpr unsigned depth_max = 20;

    std::unexpected<Error> wrong(std::string_view message) const {
        return fail(Category::incorrect, fmt::format("{} at character {}", message, at_ + 1),
                    std::string(where_));
    }
    void skip_space() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    std::string_view peek() {
        skip_space();
        if (at_ == text_.size()) return {};
        if (text_[at_] == '(' || text_[at_] == ')' || text_[at_] == '"')
            return text_.substr(at_, 1);
        const std::size_t end = std::min(text_.find_first_of(" ()\"", at_), text_.size());
        return text_.substr(at_, end - at_);
    }
    static bool is_word(std::string_view token, std::string_view upper, std::string_view lower) {
        return token == upper || token == lower;
    }

    Result<Condition> either(unsigned depth) {
        if (depth > depth_max)
            return fail(Category::too_large, "parentheses are nested too deep",
                        std::string(where_));
        Conditions any;
        any.push_back(TRY(both(depth)));
        for (auto token = peek(); is_word(token, "OR", "or"); token = peek()) {
            at_ += token.size();
            any.push_back(TRY(both(depth)));
        }
        return any_of(std::move(any));
    }

    Result<Condition> both(unsigned depth) {
        Conditions all;
        for (auto token = peek(); !token.empty() && token != ")" && !is_word(token, "OR", "or");
             token = peek()) {
            if (is_word(token, "AND", "and")) {
                at_ += token.size();
                continue;
            }
            all.push_back(TRY(one(depth)));
        }
        if (all.empty()) return wrong("a word is missing");
        return all_of(std::move(all));
    }

    Result<Condition> one(unsigned depth) {
        if (++terms_ > limits::search_values_max)
            return fail(Category::too_large, "too many words", std::string(where_));
        const std::string_view token = peek();
        at_ += token.size();
        if (is_word(token, "NOT", "not")) {
            if (const auto next = peek(); next.empty() || next == ")")
                return wrong("a word is missing after NOT");
            if (depth >= depth_max)
                return fail(Category::too_large, "NOT is nested too deep", std::string(where_));
            return none_of(TRY(one(depth + 1)));
        }
        if (token == "(") {
            Condition inner = TRY(either(depth + 1));
            if (peek() != ")") return wrong("a \")\" is missing");
            ++at_;
            return inner;
        }
        if (token == "\"") {
            const std::size_t end = text_.find('"', at_);
            if (end == std::string_view::npos) return wrong("a quotation mark is missing");
            const std::string_view phrase = text_.substr(at_, end - at_);
            at_ = end + 1;
            return words(phrase);
        }
        return words(token);
    }

    Result<Condition> words(std::string_view term) const {
        // One written word may be several indexed ones (Chinese, "T2-weighted"): they must follow
        // each other.
        std::string found = text::query_words(term);
        if (found.empty()) found = text::words(term);
        if (found.empty()) return store::Everything{};
        // A single Chinese character at the end stands in the index as the start of a pair.
        const bool is_start = text::match_phrase(term).ends_with(" *");
        return store::HasText{param_, std::move(found), true, is_start};
    }

    store::Name param_;
    std::string_view text_;
    std::string_view where_;
    std::size_t at_ = 0;
    std::size_t terms_ = 0;
};

}  // namespace

Result<Condition> text_condition(store::Name param, std::string_view value,
                                 std::string_view where) {
    // A comma means OR between whole expressions, as everywhere in search.
    Conditions any;
    for (const auto part : split_value(value, ',')) {
        const std::string text = TRY(unescape_value(part));
        if (!text.empty()) any.push_back(TRY(TextQuery(param, text, where).whole()));
    }
    return any_of(std::move(any));
}

}  // namespace meridian::fhir::search
