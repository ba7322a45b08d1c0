// SPDX-License-Identifier: Apache-2.0
#include "text/normal_form.hpp"

#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <stdexcept>

namespace meridian::text {

std::string to_nfkc(std::string_view utf8) {
    const bool is_ascii = std::all_of(utf8.begin(), utf8.end(),
                                      [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (is_ascii) return std::string(utf8);
    UErrorCode error = U_ZERO_ERROR;
    const icu::Normalizer2* const form = icu::Normalizer2::getNFKCInstance(error);
    if (U_FAILURE(error)) throw std::runtime_error("ICU has no normalisation data");
    const auto source =
        icu::UnicodeString::fromUTF8({utf8.data(), static_cast<std::int32_t>(utf8.size())});
    const icu::UnicodeString normal = form->normalize(source, error);
    if (U_FAILURE(error)) throw std::bad_alloc();
    std::string out;
    normal.toUTF8String(out);
    return out;
}

}  // namespace meridian::text
