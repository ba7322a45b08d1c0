// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/text_search.hpp"

#include <map>
#include <vector>

namespace meridian::store::postgres {

namespace {

constexpr std::size_t position_max = 16'383;
constexpr std::size_t positions_of_a_word_max = 255;
constexpr std::size_t word_bytes_max = 2'046;

/// In single quotes, with quotes and backslashes doubled, and cut to what a lexeme may hold.
void append_quoted(std::string& out, std::string_view word) {
    out += '\'';
    for (const char c : word.substr(0, word_bytes_max)) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    out += '\'';
}

template <class Visit>
void each_word(std::string_view words, Visit visit) {
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = std::min(words.find(' ', at), words.size());
        // U+0000 stands in no text of PostgreSQL's.
        std::string_view word = words.substr(at, end - at);
        word = word.substr(0, std::min(word.find('\0'), word.size()));
        if (!word.empty()) visit(word);
        at = end + 1;
    }
}

}  // namespace

std::string text_vector(std::string_view words) {
    std::map<std::string_view, std::vector<std::size_t>> places;
    std::size_t place = 0;
    each_word(words, [&](std::string_view word) {
        place = std::min(place + 1, position_max);
        auto& known = places[word];
        if (known.size() < positions_of_a_word_max && (known.empty() || known.back() != place))
            known.push_back(place);
    });
    std::string out;
    for (const auto& [word, at] : places) {
        if (!out.empty()) out += ' ';
        append_quoted(out, word);
        char separator = ':';
        for (const std::size_t each : at) {
            out += separator;
            out += std::to_string(each);
            separator = ',';
        }
    }
    return out;
}

std::string text_query(const HasText& condition) {
    std::string out;
    each_word(condition.words, [&](std::string_view word) {
        if (!out.empty()) out += condition.phrase ? " <-> " : " & ";
        append_quoted(out, word);
    });
    if (condition.prefix && !out.empty()) out += ":*";
    return out;
}

}  // namespace meridian::store::postgres
