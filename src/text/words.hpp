// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::text {

/// The words of a prose text for a full-text index that splits at spaces: folded, separated by
/// single spaces.
///
/// Chinese, Japanese and Korean have no spaces to split at, so a run of such characters becomes its
/// overlapping pairs and its last character: "右上肺癌 T2" → "右上 上肺 肺癌 癌 t2". Every part of
/// a run of two or more characters is then a phrase of pairs, and every single character is the
/// start of some word. Blocking: never.
std::string words(std::string_view utf8);

/// The words to look for, one after the other (a phrase), in an index of words(): like words(), but
/// a run at the very end does not end with its last character, because in the text it may go on:
/// "肺癌" → "肺癌". Empty when there is nothing to find.
std::string query_words(std::string_view utf8);

/// query_words() as one FTS5 phrase: `"右上 上肺"`. A single character at the end, which the text
/// may hold inside a longer run, becomes the start of a word: `"癌" *`. Empty when there is nothing
/// to find.
std::string match_phrase(std::string_view utf8);

}  // namespace meridian::text
