// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "store/engine/forward_view.hpp"
#include "store/sqlite/search_scan.hpp"

namespace meridian::store::sqlite {

/// What the table of resources says about a rid.
struct ResourceFacts {
    bool live = false;  ///< there is a current version that is no deletion
    Name type = 0;
    Position position = -1;
};

/// One resource while conditions are tested on it. Its packed index rows and its facts are read at
/// most once, when first needed.
class Candidate {
 public:
    Candidate(Run& run, Rid rid) : run_(run), rid_(rid) {}
    Candidate(const Candidate&) = delete;
    Candidate& operator=(const Candidate&) = delete;

    Rid rid() const { return rid_; }
    Run& run() const { return run_; }
    /// Empty for a resource without index rows, a deleted one among them. Damaged rows fail the
    /// run.
    const ForwardView& rows();
    bool rows_read() const { return cursor_.has_value(); }
    const ResourceFacts& facts();
    /// It is current and of `type` (0 = any).
    bool is(Name type) { return facts().live && (type == 0 || facts().type == type); }

 private:
    Run& run_;
    Rid rid_;
    std::optional<Cursor> cursor_;  ///< holds the row's bytes in place
    ForwardView view_;
    std::optional<ResourceFacts> facts_;
};

/// Looks `rid` up in the table of resources.
ResourceFacts facts_of(Run& run, Rid rid);
void note_damage(Run& run, Rid rid);

/// True when one row of `param` among the walker's rows satisfies `wanted`. Rows are sorted by
/// param.
template <class Walker, class Wanted>
bool any_row(Candidate& candidate, Walker walker, Name param, Wanted wanted) {
    while (walker.next()) {
        if (walker.param > param) return false;
        if (walker.param == param && wanted(walker)) return true;
    }
    if (walker.in.damaged()) note_damage(candidate.run(), candidate.rid());
    return false;
}

/// True when the resource has any row of `param`, of whatever kind.
bool has_row(Candidate& candidate, Name param);

}  // namespace meridian::store::sqlite
