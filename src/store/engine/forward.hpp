// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/rows.hpp"

namespace meridian::store {

struct ResolvedReference {
    Name param;
    Rid target;
};
struct ResolvedPatient {
    Rid patient;
    std::int64_t code;
    std::int64_t date;
};

/// The rows of one version with identities resolved to rids: exactly what stands in the index
/// tables for it. Text rows keep only their param (the words stand in idx_text).
struct ResolvedRows {
    std::vector<TokenRow> tokens;
    std::vector<StringRow> strings;
    std::vector<DateRow> dates;
    std::vector<NumberRow> numbers;
    std::vector<QuantityRow> quantities;
    std::vector<ResolvedReference> references;
    std::vector<UriRow> uris;
    std::vector<CompositeRow> composites;
    std::vector<Name> texts;
    std::vector<ResolvedPatient> patients;
    std::vector<Rid> compartments;
    std::vector<ViewRow> views;  ///< without value
    std::vector<std::string> unique_keys;
};

/// The packed form that stands in `forward.rows` (layout: store/engine/forward_view.hpp). Each kind
/// of row is taken as a set: the same rows in any order, or some of them twice, give the same
/// bytes. Compartments keep their order, views lose their value.
std::string pack(const ResolvedRows& rows);
/// Errors: `fault` when the bytes are damaged.
Result<ResolvedRows> unpack(std::string_view bytes);

}  // namespace meridian::store
