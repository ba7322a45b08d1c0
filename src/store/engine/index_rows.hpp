// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace meridian::store {

/// Date rows up to this length lie in the span class 0.
inline constexpr std::int64_t short_span_milliseconds = 32LL * 24 * 3'600 * 1'000;
int date_span(std::int64_t lo, std::int64_t hi);

/// Sorts both sides and drops repetitions and what stands on both.
template <class Row>
void settle(std::vector<Row>& inserts, std::vector<Row>& deletes) {
    const auto tidy = [](std::vector<Row>& rows) {
        std::sort(rows.begin(), rows.end());
        rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    };
    tidy(inserts);
    if (deletes.empty()) return;
    tidy(deletes);
    auto keep_insert = inserts.begin();
    auto keep_delete = deletes.begin();
    auto insert = inserts.begin();
    auto remove = deletes.begin();
    while (insert != inserts.end() && remove != deletes.end()) {
        if (*insert < *remove) {
            if (keep_insert != insert) *keep_insert = std::move(*insert);
            ++keep_insert, ++insert;
        } else if (*remove < *insert) {
            if (keep_delete != remove) *keep_delete = std::move(*remove);
            ++keep_delete, ++remove;
        } else {
            ++insert, ++remove;
        }
    }
    // A move onto itself would empty a string: only shift when there is a gap.
    if (keep_insert != insert)
        keep_insert = std::move(insert, inserts.end(), keep_insert);
    else
        keep_insert = inserts.end();
    if (keep_delete != remove)
        keep_delete = std::move(remove, deletes.end(), keep_delete);
    else
        keep_delete = deletes.end();
    inserts.erase(keep_insert, inserts.end());
    deletes.erase(keep_delete, deletes.end());
}

}  // namespace meridian::store
