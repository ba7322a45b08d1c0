// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::text {

/// What a FHIR string search compares: letters in one case and without accents, full-width
/// characters as half-width ones, every run of punctuation, symbols and spaces as one space, none
/// at the ends. "Müller–Lüdenscheidt, Ａｎｎａ " becomes "muller ludenscheidt anna"; Chinese, kana
/// and Hangul stay as they are. Folding twice changes nothing more.
///
/// Bytes that are no UTF-8 count as punctuation. Blocking: never. Source: FHIR R4 search §3.1.1.4.8
/// (string); Unicode normalisation (UAX #15) and full case folding (Unicode 15 §3.13).
std::string fold(std::string_view utf8);

}  // namespace meridian::text
