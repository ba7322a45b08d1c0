// SPDX-License-Identifier: Apache-2.0
// Index rows of a current version, made anew.
#include "store/postgres/writer.hpp"

namespace meridian::store::postgres {

namespace {

/// A reindex leaves no entry in the log, so what was counted before it is told by a number of its
/// own; and conditions that were decided before it have to be looked at again.
constexpr std::string_view note_index_change =
    "INSERT INTO meridian.setting(key, value) VALUES('index_generation', int8send(1)), "
    "('index_changed', int8send((SELECT coalesce(max(position), 0) + 1 FROM meridian.log))) "
    "ON CONFLICT(key) DO UPDATE SET value = CASE WHEN setting.key = 'index_changed' THEN "
    "excluded.value ELSE int8send(('x' || encode(setting.value, 'hex'))::bit(64)::bigint + 1) END";

}  // namespace

Result<void> Writer::reindex(Rid rid, Version version, std::span<const Name> params, Rows rows) {
    if (layout_.is_sharded()) TRY(lock_rows({rid}, {}));
    const Answer found =
        TRY(connection_->ask(fmt::format("SELECT type, version, verb, patient, forward, id "
                                         "FROM meridian.resource WHERE rid = $1{}",
                                         layout_.is_sharded() ? "" : " FOR UPDATE"),
                             std::move(Parameters().integer(rid))));
    if (found.empty() || found.integer(0, 1) != version ||
        found.integer(0, 2) == static_cast<int>(Verb::remove))
        return {};
    const auto type = static_cast<Name>(found.integer(0, 0));
    const Rid home_before = found.integer(0, 3);
    ResolvedRows old = TRY(unpack(found.bytes(0, 4)));
    Resolved fresh = TRY(resolve_rows(
        std::move(rows),
        [this](const Identity& identity) { return Result<Rid>(directory_.rid_of(identity)); },
        [this](Name param) { return text_field(param); }));
    std::vector<int> fields;
    for (const Name param : old.texts) {
        if (params.empty() || std::find(params.begin(), params.end(), param) != params.end())
            fields.push_back(text_field(param));
    }
    const bool is_whole = params.empty();
    const Rid home = is_whole ? fresh.patient : home_before;
    std::vector<Name> fresh_texts = fresh.rows.texts;
    const std::vector<std::string> keys_before = old.unique_keys;
    ResolvedRows merged =
        is_whole ? std::move(fresh.rows) : with_params_replaced(old, params, std::move(fresh.rows));
    std::string packed = pack(merged);
    if (layout_.is_sharded() && home != home_before) {
        moves_.push_back({rid, home_before, home});
        directory_.set_home({type, std::string(found.bytes(0, 5))}, home);
        send_moves(*connection_, layout_, moves_);
        moves_.clear();
    }
    connection_->send(
        layout_.is_sharded()
            ? "UPDATE meridian.resource SET forward = $2 WHERE rid = $1 AND patient = $3"
            : "UPDATE meridian.resource SET forward = $2, patient = $3 WHERE rid = $1",
        std::move(Parameters().integer(rid).bytes(packed).integer(home)));
    if (is_whole) {
        change_unique_keys(rid, keys_before, merged.unique_keys);
    } else {
        // They stay, and the values of views are not known here.
        old.views.clear();
        merged.views.clear();
    }
    index_.remove({rid, home_before, type}, old, fields);
    merged.texts = std::move(fresh_texts);  // those whose words are here
    index_.add({rid, home, type}, merged, fresh.texts);
    connection_->send(note_index_change);
    changed_here_.insert(type);
    TRY(flush());
    if (const auto state = states_.find(rid); state != states_.end()) {
        state->second.home = home;
        state->second.forward = std::move(packed);
    }
    return {};
}

}  // namespace meridian::store::postgres
