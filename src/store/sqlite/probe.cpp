// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/probe.hpp"

namespace meridian::store::sqlite {

void note_damage(Run& run, Rid rid) {
    run.note(Error{Category::fault,
                   "the packed index rows of a resource are damaged; run `meridian check`, then "
                   "`meridian reindex`",
                   fmt::format("forward row {}", rid), nullptr});
}

const ForwardView& Candidate::rows() {
    if (cursor_) return view_;
    cursor_.emplace(run_, Sql::forward_of);
    cursor_->open(rid_);
    if (!cursor_->next()) return view_;
    view_ = ForwardView(cursor_->blob(0));
    if (view_.damaged()) {
        note_damage(run_, rid_);
        view_ = ForwardView();
    }
    return view_;
}

const ResourceFacts& Candidate::facts() {
    if (!facts_) facts_ = facts_of(run_, rid_);
    return *facts_;
}

ResourceFacts facts_of(Run& run, Rid rid) {
    constexpr std::int64_t deletion = 3;
    ResourceFacts facts;
    Cursor cursor(run, Sql::resource_of);
    cursor.open(rid);
    if (cursor.next()) {
        facts.type = static_cast<Name>(cursor.integer(0));
        facts.position = cursor.integer(1);
        facts.live = cursor.integer(2) != deletion;
    }
    return facts;
}

bool has_row(Candidate& candidate, Name param) {
    const ForwardView& rows = candidate.rows();
    const auto any = [](const auto&) { return true; };
    return any_row(candidate, rows.tokens(), param, any) ||
           any_row(candidate, rows.strings(), param, any) ||
           any_row(candidate, rows.dates(), param, any) ||
           any_row(candidate, rows.numbers(), param, any) ||
           any_row(candidate, rows.quantities(), param, any) ||
           any_row(candidate, rows.references(), param, any) ||
           any_row(candidate, rows.uris(), param, any) ||
           any_row(candidate, rows.composites(), param, any) ||
           any_row(candidate, rows.texts(), param, any);
}

}  // namespace meridian::store::sqlite
