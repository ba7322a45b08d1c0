// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search_order.hpp"

#include "base/limits.hpp"
#include "store/sqlite/search_node.hpp"

namespace meridian::store::sqlite {

namespace {

/// The first in the order's direction of the values that `read` takes from rows of the parameter.
template <class Walker, class Read>
SortKey first_of(Candidate& candidate, Walker walker, const Order& order, Read read) {
    SortKey first;
    const auto see = [&](auto& row) {
        SortKey key = read(row);
        if (first.index() == 0 || (order.descending ? first < key : key < first))
            first = std::move(key);
        return false;
    };
    any_row(candidate, walker, order.param, see);
    for (const Name param : order.also) any_row(candidate, walker, param, see);
    return first;
}

SortKey main_date(Candidate& candidate, bool descending) {
    constexpr std::int64_t no_date = std::numeric_limits<std::int64_t>::min();
    SortKey first;
    PatientWalker row = candidate.rows().patients();
    while (row.next()) {
        if (row.date == no_date) continue;
        const SortKey key = row.date;
        if (first.index() == 0 || (descending ? first < key : key < first)) first = key;
    }
    if (row.in.damaged()) note_damage(candidate.run(), candidate.rid());
    return first;
}

SortKey id_of(Candidate& candidate) {
    Cursor cursor(candidate.run(), Sql::id_of);
    cursor.open(candidate.rid());
    return cursor.next() ? SortKey(std::string(cursor.text(0))) : SortKey();
}

}  // namespace

SortKey key_of(Candidate& candidate, const Order& order) {
    switch (order.kind) {
        case SortKind::token:
            return first_of(candidate, candidate.rows().tokens(), order,
                            [](auto& row) { return SortKey(row.value); });
        case SortKind::string:
            return first_of(candidate, candidate.rows().strings(), order,
                            [](auto& row) { return SortKey(std::string(row.folded)); });
        case SortKind::date:
            return first_of(candidate, candidate.rows().dates(), order,
                            [](auto& row) { return SortKey(row.lo); });
        case SortKind::number:
            return first_of(candidate, candidate.rows().numbers(), order,
                            [](auto& row) { return SortKey(row.lo); });
        case SortKind::quantity:
            return first_of(candidate, candidate.rows().quantities(), order,
                            [](auto& row) { return SortKey(row.lo); });
        case SortKind::reference:
            return first_of(candidate, candidate.rows().references(), order,
                            [](auto& row) { return SortKey(row.target); });
        case SortKind::uri:
            return first_of(candidate, candidate.rows().uris(), order,
                            [](auto& row) { return SortKey(std::string(row.uri)); });
        case SortKind::id:
            return id_of(candidate);
        case SortKind::updated:
            // Later positions were written later, so they order as the times of writing do.
            return candidate.facts().position;
        case SortKind::patient_date:
            return main_date(candidate, order.descending);
    }
    return {};
}

bool comes_before(const Sortable& a, const Sortable& b, const std::vector<Order>& orders) {
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const SortKey& x = a.keys[i];
        const SortKey& y = b.keys[i];
        if (x == y) continue;
        if (x.index() == 0 || y.index() == 0) return y.index() == 0;
        return orders[i].descending ? y < x : x < y;
    }
    return a.rid < b.rid;
}

namespace {

/// Merges cursors that give (rid, key) in the order of the key, and sorts the rids within each key:
/// for tables in which something stands between the key and the rid.
template <class Value>
class MergeWalk final : public Walk {
 public:
    MergeWalk(std::vector<std::unique_ptr<Cursor>> cursors, bool descending)
        : cursors_(std::move(cursors)), heads_(cursors_.size()), descending_(descending) {
        for (std::size_t i = 0; i < cursors_.size(); ++i) advance(i);
    }
    Rid next() override {
        if (at_ == group_rids_.size() && !fill()) return no_rid;
        return group_rids_[at_++];
    }

 private:
    void advance(std::size_t i) {
        heads_[i].reset();
        if (!cursors_[i]->next()) return;
        if constexpr (std::is_same_v<Value, double>) {
            heads_[i] = cursors_[i]->real(1);
        } else {
            heads_[i] = cursors_[i]->integer(1);
        }
    }
    bool fill() {
        std::optional<Value> key;
        for (const auto& head : heads_) {
            if (head && (!key || (descending_ ? *key < *head : *head < *key))) key = head;
        }
        if (!key) return false;
        group_rids_.clear();
        at_ = 0;
        ++group_;
        for (std::size_t i = 0; i < cursors_.size(); ++i) {
            for (; heads_[i] == key; advance(i)) group_rids_.push_back(cursors_[i]->integer(0));
        }
        sort_unique(group_rids_);
        return true;
    }

    std::vector<std::unique_ptr<Cursor>> cursors_;
    std::vector<std::optional<Value>> heads_;
    bool descending_;
    std::vector<Rid> group_rids_;
    std::size_t at_ = 0;
};

/// Walks a table clustered by (param, key, rid): from key to key, and the rids of each.
class IntegerKeyWalk final : public Walk {
 public:
    IntegerKeyWalk(Run& run, Sql next_key, Sql at_key, Name param, bool descending)
        : next_key_(run, next_key),
          rids_(run, at_key, param, 0),
          param_(param),
          descending_(descending),
          from_(descending ? last : first) {}
    Rid next() override {
        while (!ended_) {
            if (inside_) {
                const Rid rid = rids_.seek(at_);
                if (rid != no_rid) {
                    at_ = rid + 1;
                    return rid;
                }
                inside_ = false;
                if (from_ == (descending_ ? first : last)) break;
                from_ += descending_ ? -1 : 1;
            }
            next_key_.open(param_, from_);
            if (!next_key_.next()) break;
            from_ = next_key_.integer(0);
            rids_.aim(from_);
            at_ = 1;
            inside_ = true;
            ++group_;
        }
        ended_ = true;
        return no_rid;
    }

 private:
    static constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    Cursor next_key_;
    KeyStream rids_;
    Name param_;
    bool descending_;
    std::int64_t from_;
    Rid at_ = 1;
    bool inside_ = false;
    bool ended_ = false;
};

/// The same for a text key.
class TextKeyWalk final : public Walk {
 public:
    TextKeyWalk(Run& run, Sql next_key, Sql at_key, Name param, bool descending)
        : run_(run),
          next_key_(run, next_key),
          at_key_(at_key),
          param_(param),
          descending_(descending),
          from_(descending ? "\xff" : "") {}
    Rid next() override {
        while (!ended_) {
            if (rids_) {
                const Rid rid = rids_->seek(at_);
                if (rid != no_rid) {
                    at_ = rid + 1;
                    return rid;
                }
                rids_.reset();
                // Downwards the bound is exclusive; upwards it is inclusive, and the text that
                // comes right after has one more NUL.
                if (!descending_) from_.push_back('\0');
            }
            next_key_.open(param_, from_);
            if (!next_key_.next()) break;
            from_ = std::string(next_key_.text(0));
            rids_.emplace(run_, at_key_, param_, from_);
            at_ = 1;
            ++group_;
        }
        ended_ = true;
        return no_rid;
    }

 private:
    Run& run_;
    Cursor next_key_;
    Sql at_key_;
    Name param_;
    bool descending_;
    std::string from_;
    std::optional<KeyStream> rids_;
    Rid at_ = 1;
    bool ended_ = false;
};

/// By logical id; every id is a key of its own.
class IdWalk final : public Walk {
 public:
    IdWalk(Run& run, Name type, bool descending)
        : run_(run), cursor_(run, descending ? Sql::directory_down : Sql::directory_up) {
        cursor_.open(type);
    }
    Rid next() override {
        while (cursor_.next()) {
            const Rid rid = cursor_.integer(0);
            if (!facts_of(run_, rid).live) continue;  // only mentioned, or deleted
            ++group_;
            return rid;
        }
        return no_rid;
    }

 private:
    Run& run_;
    Cursor cursor_;
};

/// By time of writing: the log, less the versions that are not current any more.
class LogWalk final : public Walk {
 public:
    LogWalk(Run& run, Name type, bool descending)
        : run_(run), cursor_(run, descending ? Sql::log_type_down : Sql::log_type_up) {
        cursor_.open(type);
    }
    Rid next() override {
        while (cursor_.next()) {
            const Rid rid = cursor_.integer(0);
            const ResourceFacts facts = facts_of(run_, rid);
            if (!facts.live || facts.position != cursor_.integer(1)) continue;
            ++group_;
            return rid;
        }
        return no_rid;
    }

 private:
    Run& run_;
    Cursor cursor_;
};

using Cursors = std::vector<std::unique_ptr<Cursor>>;

std::unique_ptr<Walk> date_walk(Run& run, const Order& order) {
    Cursors cursors;
    for (const int span : {0, 1}) {
        cursors.push_back(
            std::make_unique<Cursor>(run, order.descending ? Sql::date_down : Sql::date_up));
        cursors.back()->open(order.param, span);
    }
    return std::make_unique<MergeWalk<std::int64_t>>(std::move(cursors), order.descending);
}

std::unique_ptr<Walk> number_walk(Run& run, const Order& order) {
    Cursors cursors;
    cursors.push_back(
        std::make_unique<Cursor>(run, order.descending ? Sql::number_down : Sql::number_up));
    cursors.back()->open(order.param);
    return std::make_unique<MergeWalk<double>>(std::move(cursors), order.descending);
}

std::unique_ptr<Walk> quantity_walk(Run& run, const Order& order) {
    Cursors cursors;
    Cursor next_unit(run, Sql::quantity_unit);
    for (std::int64_t from = 0;;) {
        next_unit.open(order.param, from);
        if (!next_unit.next()) break;
        if (cursors.size() == limits::search_walk_cursors_max) return nullptr;
        const std::int64_t unit = next_unit.integer(0);
        cursors.push_back(std::make_unique<Cursor>(
            run, order.descending ? Sql::quantity_down : Sql::quantity_up));
        cursors.back()->open(order.param, unit);
        from = unit + 1;
    }
    return std::make_unique<MergeWalk<double>>(std::move(cursors), order.descending);
}

/// The dated rows of the patients; those without a date are not part of the walk.
std::unique_ptr<Walk> patient_walk(Run& run, const Order& order, const OfPatient& condition) {
    const auto patients = rids_of(run, condition.patients);
    std::vector<std::int64_t> codes = condition.codes;
    if (codes.empty()) codes.push_back(0);
    if (patients.size() * codes.size() > limits::search_walk_cursors_max) return nullptr;
    const std::int64_t first_date =
        std::max(condition.date_from, std::numeric_limits<std::int64_t>::min() + 1);
    Cursors cursors;
    for (const Rid patient : patients) {
        for (const std::int64_t code : codes) {
            cursors.push_back(std::make_unique<Cursor>(
                run, order.descending ? Sql::patient_down : Sql::patient_up));
            cursors.back()->open(patient, condition.type, code, first_date, condition.date_below);
        }
    }
    return std::make_unique<MergeWalk<std::int64_t>>(std::move(cursors), order.descending);
}

}  // namespace

std::unique_ptr<Walk> make_walk(Run& run, const Order& order, Name type,
                                const OfPatient* of_patient) {
    const bool down = order.descending;
    if (!order.also.empty()) return nullptr;  // no key holds the rows of several in one order
    switch (order.kind) {
        case SortKind::token:
            return std::make_unique<IntegerKeyWalk>(run, down ? Sql::token_down : Sql::token_up,
                                                    Sql::token_at, order.param, down);
        case SortKind::reference:
            return std::make_unique<IntegerKeyWalk>(run,
                                                    down ? Sql::reference_down : Sql::reference_up,
                                                    Sql::reference_at, order.param, down);
        case SortKind::string:
            return std::make_unique<TextKeyWalk>(run, down ? Sql::string_down : Sql::string_up,
                                                 Sql::string_at, order.param, down);
        case SortKind::uri:
            return std::make_unique<TextKeyWalk>(run, down ? Sql::uri_down : Sql::uri_up,
                                                 Sql::uri_at, order.param, down);
        case SortKind::date:
            return date_walk(run, order);
        case SortKind::number:
            return number_walk(run, order);
        case SortKind::quantity:
            return quantity_walk(run, order);
        case SortKind::id:
            return type == 0 ? nullptr : std::make_unique<IdWalk>(run, type, down);
        case SortKind::updated:
            return type == 0 ? nullptr : std::make_unique<LogWalk>(run, type, down);
        case SortKind::patient_date:
            return of_patient == nullptr ? nullptr : patient_walk(run, order, *of_patient);
    }
    return nullptr;
}

}  // namespace meridian::store::sqlite
