// SPDX-License-Identifier: Apache-2.0
#include "text/fold.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <stdexcept>

#include "base/utf8.hpp"

namespace meridian::text {

namespace {

/// Appends folded characters; turns any number of separators into one space between two of them.
class Output {
 public:
    explicit Output(std::size_t expected_bytes) { out_.reserve(expected_bytes); }

    void separator() { is_separated_ = true; }
    void character(char32_t c) {
        if (is_separated_ && !out_.empty()) out_ += ' ';
        is_separated_ = false;
        if (c < 0x80) {
            out_ += static_cast<char>(c);
        } else {
            append_utf8(out_, c);
        }
    }
    /// Folds an ASCII character.
    void ascii(char32_t c) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            character(c);
        } else if (c >= 'A' && c <= 'Z') {
            character(c + ('a' - 'A'));
        } else {
            separator();
        }
    }
    std::string take() { return std::move(out_); }

 private:
    std::string out_;
    bool is_separated_ = false;
};

enum class Simple { character, separator, full_width, no };

/// Sorts characters that need no tables: what makes up nearly all Chinese and Japanese text.
Simple simple_kind(char32_t c) {
    if (c >= 0x4E00 && c <= 0x9FFF) return Simple::character;   // CJK unified ideographs
    if (c >= 0x3400 && c <= 0x4DBF) return Simple::character;   // extension A
    if (c >= 0xFF01 && c <= 0xFF5E) return Simple::full_width;  // full-width ASCII
    if (c >= 0x3000 && c <= 0x3002)
        return Simple::separator;  // ideographic space, comma, full stop
    if (c >= 0x3008 && c <= 0x3011) return Simple::separator;  // brackets
    if (c >= 0x2010 && c <= 0x2016) return Simple::separator;  // dashes
    if (c >= 0x2018 && c <= 0x201F) return Simple::separator;  // quotation marks
    if (c == 0x2026 || c == 0x00B7) return Simple::separator;  // ellipsis, middle dot
    return Simple::no;
}

/// Folds without tables; false when `utf8` holds a character that needs them.
bool fold_simple(std::string_view utf8, Output& out) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
    const std::size_t size = utf8.size();
    for (std::size_t at = 0; at < size;) {
        if (bytes[at] < 0x80) {
            out.ascii(bytes[at++]);
            continue;
        }
        UChar32 c;
        U8_NEXT(bytes, at, size, c);
        if (c < 0) return false;
        switch (simple_kind(static_cast<char32_t>(c))) {
            case Simple::character:
                out.character(static_cast<char32_t>(c));
                break;
            case Simple::separator:
                out.separator();
                break;
            case Simple::full_width:
                out.ascii(static_cast<char32_t>(c) - 0xFEE0);
                break;
            case Simple::no:
                return false;
        }
    }
    return true;
}

/// Letters whose stroke or ligature Unicode does not decompose, as they are written without it;
/// nullptr for others.
const char* plain_form(UChar32 c) {
    switch (c) {
        case 0x00E6:
            return "ae";
        case 0x00F8:
            return "o";
        case 0x0111:
            return "d";
        case 0x0127:
            return "h";
        case 0x0131:
            return "i";
        case 0x0142:
            return "l";
        case 0x0153:
            return "oe";
        case 0x0167:
            return "t";
        default:
            return nullptr;
    }
}

/// An accent is a combining mark that attaches to a letter without making it another one. Kana
/// voicing marks (class 8), Indic nuktas (7) and viramas (9) do make another letter, and so do
/// vowel signs, which have class 0.
bool is_accent(UChar32 c) {
    return u_getCombiningClass(c) >= 10;
}

bool is_kept(UChar32 c) {
    return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK)) != 0;
}

const icu::Normalizer2& normalizer(const icu::Normalizer2* (*get)(UErrorCode&)) {
    UErrorCode error = U_ZERO_ERROR;
    const icu::Normalizer2* instance = get(error);
    if (U_FAILURE(error)) throw std::runtime_error("ICU has no normalisation data");
    return *instance;
}

icu::UnicodeString normalized(const icu::Normalizer2& form, const icu::UnicodeString& text) {
    UErrorCode error = U_ZERO_ERROR;
    icu::UnicodeString out = form.normalize(text, error);
    if (U_FAILURE(error)) throw std::bad_alloc();
    return out;
}

icu::UnicodeString without_accents(const icu::UnicodeString& decomposed) {
    icu::UnicodeString out;
    for (std::int32_t at = 0; at < decomposed.length();) {
        const UChar32 c = decomposed.char32At(at);
        at += U16_LENGTH(c);
        if (is_accent(c)) continue;
        if (const char* plain = plain_form(c)) {
            out.append(icu::UnicodeString(plain, -1, US_INV));
        } else {
            out.append(c);
        }
    }
    return out;
}

void fold_with_tables(std::string_view utf8, Output& out) {
    static const icu::Normalizer2& decompose = normalizer(icu::Normalizer2::getNFKDInstance);
    static const icu::Normalizer2& compose = normalizer(icu::Normalizer2::getNFCInstance);
    const auto source =
        icu::UnicodeString::fromUTF8({utf8.data(), static_cast<std::int32_t>(utf8.size())});
    // Case folding may bring accents of its own (İ becomes i with a dot), so it stands before they
    // are dropped.
    icu::UnicodeString text = normalized(decompose, source).foldCase(U_FOLD_CASE_DEFAULT);
    text = normalized(compose, without_accents(normalized(decompose, text)));
    for (std::int32_t at = 0; at < text.length();) {
        const UChar32 c = text.char32At(at);
        at += U16_LENGTH(c);
        if (c < 0x80) {
            out.ascii(static_cast<char32_t>(c));
        } else if (c != 0xFFFD && is_kept(c)) {
            out.character(static_cast<char32_t>(c));
        } else {
            out.separator();
        }
    }
}

}  // namespace

std::string fold(std::string_view utf8) {
    Output simple(utf8.size());
    if (fold_simple(utf8, simple)) return simple.take();
    Output full(utf8.size());
    fold_with_tables(utf8, full);
    return full.take();
}

}  // namespace meridian::text
