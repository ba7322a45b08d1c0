// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/sqlite/forward.hpp"
#include "store/sqlite/index_writer.hpp"

namespace meridian::store::sqlite {

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

/// Field of a full-text parameter's rows in idx_text: 1 for `_content`, 0 for `_text`.
int text_field_of(const Names& names, Name param);

}  // namespace meridian::store::sqlite
