// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/soundex.hpp"

#include <algorithm>

namespace meridian::fhir::search {
namespace {

/// Digit of a consonant; '0' for vowels and y, which part equal digits; '-' for h and w, which do
/// not.
char digit_of(char letter) {
    static constexpr std::string_view digits = "01230120022455012623010202";
    if (letter == 'h' || letter == 'w') return '-';
    return digits[static_cast<std::size_t>(letter - 'a')];
}

std::string soundex(std::string_view word) {
    std::string key(1, word.front());
    char last = digit_of(word.front());
    for (const char letter : word.substr(1)) {
        const char digit = digit_of(letter);
        if (digit == '-') continue;
        if (digit != '0' && digit != last) key += digit;
        last = digit;
        if (key.size() == 4) break;
    }
    key.resize(4, '0');
    return key;
}

}  // namespace

std::string phonetic_key(std::string_view folded) {
    std::string key;
    while (!folded.empty()) {
        const std::size_t space = std::min(folded.find(' '), folded.size());
        const std::string_view word = folded.substr(0, space);
        folded.remove_prefix(std::min(space + 1, folded.size()));
        if (word.empty()) continue;
        if (!key.empty()) key += ' ';
        const bool is_latin =
            std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
        key += is_latin ? soundex(word) : std::string(word);
    }
    return key;
}

}  // namespace meridian::fhir::search
