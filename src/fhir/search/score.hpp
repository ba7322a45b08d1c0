// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "base/json.hpp"
#include "fhir/search/run.hpp"

/// Relevance of full-text matches: Bundle.entry.search.score and _sort=_score.
namespace meridian::fhir::search {

/// The words that `where` looks for; those under a NOT and those of other resources left out.
std::vector<store::HasText> text_terms(const store::Condition& where);

/// How well a resource's words fit, above 0 to 1: the mean over the terms of tf / (tf + k), where
/// tf counts a term's occurrences and k grows with the length of the text, so that a word of a
/// short note weighs more than one of a long report. (The term weight of Okapi BM25 without the
/// rarity of the word: all matches of one search look for the same words.)
double score_of(const std::vector<store::HasText>& terms, const store::Rows& rows);

/// The scores of `stored` for a query's terms, in their order. Errors: those of reading a body.
Result<std::vector<double>> scores(const RunContext& context,
                                   const std::vector<store::HasText>& terms,
                                   std::span<const store::Stored> stored);

}  // namespace meridian::fhir::search
