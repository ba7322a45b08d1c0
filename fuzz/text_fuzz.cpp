// SPDX-License-Identifier: Apache-2.0
// Folding is stable and always yields UTF-8; words and phrases hold nothing that ends a quoted
// phrase.
#include <cstdint>
#include <cstdlib>

#include "text/fold.hpp"
#include "text/utf8.hpp"
#include "text/words.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string folded = meridian::text::fold(text);
    if (!meridian::text::is_valid(folded) || meridian::text::fold(folded) != folded) std::abort();
    const std::string words = meridian::text::words(text);
    if (!meridian::text::is_valid(words) || words.find('"') != std::string::npos) std::abort();
    const std::string query = meridian::text::query_words(text);
    if (words.compare(0, query.size(), query) != 0) std::abort();
    if (meridian::text::match_phrase(text).empty() != folded.empty()) std::abort();
    for (const std::size_t bytes : {0uz, 1uz, size / 2}) {
        if (meridian::text::is_valid(text) &&
            !meridian::text::is_valid(meridian::text::cut(text, bytes)))
            std::abort();
    }
    return 0;
}
