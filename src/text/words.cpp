// SPDX-License-Identifier: Apache-2.0
#include "text/words.hpp"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <cstdint>
#include <vector>

#include "text/fold.hpp"

namespace meridian::text {

namespace {

/// True for characters of scripts that are written without spaces, or with spaces that do not part
/// words for a searcher.
bool is_unspaced(UChar32 c) {
    if (c < 0x1100) return false;
    if (c >= 0x4E00 && c <= 0x9FFF) return true;
    UErrorCode error = U_ZERO_ERROR;
    switch (uscript_getScript(c, &error)) {
        case USCRIPT_HAN:
        case USCRIPT_HIRAGANA:
        case USCRIPT_KATAKANA:
        case USCRIPT_HANGUL:
        case USCRIPT_BOPOMOFO:
            return true;
        default:
            return c == 0x30FC;  // the prolonged sound mark belongs to both kana
    }
}

/// A piece of folded text: one unspaced character, or a whole word of a spaced script.
struct Piece {
    std::string_view text;
    bool is_unspaced;
    bool follows_space;
};

std::vector<Piece> pieces(std::string_view folded) {
    std::vector<Piece> out;
    bool follows_space = true;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(folded.data());
    for (std::size_t at = 0; at < folded.size();) {
        const std::size_t start = at;
        UChar32 c;
        U8_NEXT(bytes, at, folded.size(), c);
        if (c == ' ') {
            follows_space = true;
            continue;
        }
        const bool unspaced = is_unspaced(c);
        if (!unspaced && !follows_space && !out.empty() && !out.back().is_unspaced) {
            Piece& word = out.back();
            word.text = {word.text.data(), word.text.size() + (at - start)};
        } else {
            out.push_back({folded.substr(start, at - start), unspaced, follows_space});
        }
        follows_space = false;
    }
    return out;
}

/// Joins pieces to words. `is_open`: the last run may go on in the text.
std::string joined(const std::vector<Piece>& all, bool is_open) {
    std::string out;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto is_run = [&](std::size_t left) {
            return left + 1 < all.size() && all[left].is_unspaced && all[left + 1].is_unspaced &&
                   !all[left + 1].follows_space;
        };
        const bool ends_run = i > 0 && is_run(i - 1) && !is_run(i);
        if (is_open && ends_run && i + 1 == all.size()) break;
        if (!out.empty()) out += ' ';
        out += all[i].text;
        if (is_run(i)) out += all[i + 1].text;
    }
    return out;
}

}  // namespace

std::string words(std::string_view utf8) {
    const std::string folded = fold(utf8);
    return joined(pieces(folded), false);
}

std::string query_words(std::string_view utf8) {
    const std::string folded = fold(utf8);
    return joined(pieces(folded), true);
}

std::string match_phrase(std::string_view utf8) {
    const std::string folded = fold(utf8);
    const std::vector<Piece> all = pieces(folded);
    if (all.empty()) return {};
    const bool is_single = all.back().is_unspaced && (all.size() == 1 || all.back().follows_space ||
                                                      !all[all.size() - 2].is_unspaced);
    return "\"" + joined(all, true) + (is_single ? "\" *" : "\"");
}

}  // namespace meridian::text
