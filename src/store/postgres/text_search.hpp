// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "store/plan.hpp"

namespace meridian::store::postgres {

/// Words separated by single spaces as the text form of a tsvector with positions: the words stay
/// as they were split, no parser or dictionary of PostgreSQL looks at them. A word's position ends
/// at 16,383, the largest that a tsvector holds (PostgreSQL 15, 8.11.1): a phrase beyond it is
/// found by its words only.
std::string text_vector(std::string_view words);
/// The text form of the tsquery for a condition; empty when it has no word.
std::string text_query(const HasText& condition);

}  // namespace meridian::store::postgres
