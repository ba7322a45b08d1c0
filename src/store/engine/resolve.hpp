// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "store/engine/forward.hpp"
#include "store/names.hpp"

namespace meridian::store {

/// Words of one full-text row, with the field that they belong to.
struct ResolvedText {
    int field;  ///< 0 = _text, 1 = _content
    std::string words;
};

/// Rows with rids instead of identities, as they go into the tables.
struct Resolved {
    ResolvedRows rows;
    std::vector<ResolvedText> texts;  ///< one per field, for rows.texts
    Rid patient = 0;                  ///< home patient, 0 = none
};

/// Turns extracted rows into table rows; takes them. `rid_of` answers identities (and may give new
/// rids).
Result<Resolved> resolve_rows(Rows rows, const std::function<Result<Rid>(const Identity&)>& rid_of,
                              const std::function<int(Name)>& text_field);

/// `old` with the rows of `params` taken from `fresh` instead; views and unique keys stay as they
/// are.
ResolvedRows with_params_replaced(const ResolvedRows& old, std::span<const Name> params,
                                  ResolvedRows fresh);

/// Field of a full-text parameter's rows: 1 for `_content`, 0 for `_text`.
int text_field_of(const Names& names, Name param);

}  // namespace meridian::store
