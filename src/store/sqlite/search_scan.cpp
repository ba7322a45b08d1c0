// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search_scan.hpp"

#include <bit>

#include "base/limits.hpp"

namespace meridian::store::sqlite {

std::string_view sql_text(Sql sql) {
    switch (sql) {
        case Sql::token_at:
            return "SELECT rid FROM idx_token WHERE param=?1 AND value=?2 AND rid>=?3 ORDER BY rid";
        case Sql::token_range:
            return "SELECT rid FROM idx_token WHERE param=?1 AND value>=?2 AND value<=?3";
        case Sql::token_up:
            return "SELECT value FROM idx_token WHERE param=?1 AND value>=?2 ORDER BY value LIMIT "
                   "1";
        case Sql::token_down:
            return "SELECT value FROM idx_token WHERE param=?1 AND value<=?2 ORDER BY value DESC "
                   "LIMIT 1";
        case Sql::string_at:
            return "SELECT rid FROM idx_string WHERE param=?1 AND folded=?2 AND rid>=?3 ORDER BY "
                   "rid";
        case Sql::string_range:
            return "SELECT rid, folded, exact FROM idx_string WHERE param=?1 AND folded>=?2 AND "
                   "folded<?3";
        case Sql::string_up:
            return "SELECT folded FROM idx_string WHERE param=?1 AND folded>=?2 ORDER BY folded "
                   "LIMIT 1";
        case Sql::string_down:
            return "SELECT folded FROM idx_string WHERE param=?1 AND folded<?2 ORDER BY folded "
                   "DESC LIMIT 1";
        case Sql::date_range:
            return "SELECT rid, hi FROM idx_date WHERE param=?1 AND span=?2 AND lo>=?3 AND lo<=?4";
        case Sql::date_up:
            return "SELECT rid, lo FROM idx_date WHERE param=?1 AND span=?2 ORDER BY lo";
        case Sql::date_down:
            return "SELECT rid, lo FROM idx_date WHERE param=?1 AND span=?2 ORDER BY lo DESC";
        case Sql::number_range:
            return "SELECT rid, lo, hi FROM idx_number WHERE param=?1 AND lo>=?2 AND lo<=?3";
        case Sql::number_up:
            return "SELECT rid, lo FROM idx_number WHERE param=?1 ORDER BY lo";
        case Sql::number_down:
            return "SELECT rid, lo FROM idx_number WHERE param=?1 ORDER BY lo DESC";
        case Sql::quantity_range:
            return "SELECT rid, lo, hi FROM idx_quantity WHERE param=?1 AND unit=?2 AND lo>=?3 AND "
                   "lo<=?4";
        case Sql::quantity_unit:
            return "SELECT unit FROM idx_quantity WHERE param=?1 AND unit>=?2 ORDER BY unit LIMIT "
                   "1";
        case Sql::quantity_up:
            return "SELECT rid, lo FROM idx_quantity WHERE param=?1 AND unit=?2 ORDER BY lo";
        case Sql::quantity_down:
            return "SELECT rid, lo FROM idx_quantity WHERE param=?1 AND unit=?2 ORDER BY lo DESC";
        case Sql::reference_at:
            return "SELECT rid FROM idx_reference WHERE param=?1 AND target=?2 AND rid>=?3 ORDER "
                   "BY rid";
        case Sql::reference_up:
            return "SELECT target FROM idx_reference WHERE param=?1 AND target>=?2 ORDER BY target "
                   "LIMIT 1";
        case Sql::reference_down:
            return "SELECT target FROM idx_reference WHERE param=?1 AND target<=?2 ORDER BY target "
                   "DESC LIMIT 1";
        case Sql::uri_at:
            return "SELECT rid FROM idx_uri WHERE param=?1 AND uri=?2 AND rid>=?3 ORDER BY rid";
        case Sql::uri_range:
            return "SELECT rid FROM idx_uri WHERE param=?1 AND uri>=?2 AND uri<?3";
        case Sql::uri_up:
            return "SELECT uri FROM idx_uri WHERE param=?1 AND uri>=?2 ORDER BY uri LIMIT 1";
        case Sql::uri_down:
            return "SELECT uri FROM idx_uri WHERE param=?1 AND uri<?2 ORDER BY uri DESC LIMIT 1";
        case Sql::composite_key:
            return "SELECT rid, second, lo, hi, folded FROM idx_composite WHERE param=?1 AND "
                   "key=?2";
        case Sql::composite_pair:
            return "SELECT rid, second, lo, hi, folded FROM idx_composite"
                   " WHERE param=?1 AND key=?2 AND second=?3 AND lo>=?4 AND lo<=?5";
        case Sql::patient_range:
            return "SELECT rid FROM idx_patient WHERE patient=?1 AND type=?2 AND code=?3 AND "
                   "date>=?4 AND date<?5";
        case Sql::patient_up:
            return "SELECT rid, date FROM idx_patient WHERE patient=?1 AND type=?2 AND code=?3 AND "
                   "date>=?4 AND date<?5"
                   " ORDER BY date";
        case Sql::patient_down:
            return "SELECT rid, date FROM idx_patient WHERE patient=?1 AND type=?2 AND code=?3 AND "
                   "date>=?4 AND date<?5"
                   " ORDER BY date DESC";
        case Sql::patients_of_code:
            return "SELECT patient FROM idx_patient_code WHERE type=?1 AND code=?2 AND patient>=?3 "
                   "ORDER BY patient";
        case Sql::compartment_of:
            return "SELECT rid FROM compartment WHERE patient=?1 AND rid>=?2 ORDER BY rid";
        case Sql::type_scan:
            return "SELECT rid FROM resource INDEXED BY resource_type WHERE type=?1 AND verb<>3 "
                   "AND rid>=?2 ORDER BY rid";
        case Sql::whole_scan:
            return "SELECT rid FROM resource NOT INDEXED WHERE verb<>3 AND rid>=?1 ORDER BY rid";
        case Sql::resource_of:
            return "SELECT type, position, verb FROM resource WHERE rid=?1";
        case Sql::id_of:
            return "SELECT id FROM resource WHERE rid=?1";
        case Sql::forward_of:
            return "SELECT rows FROM forward WHERE rid=?1";
        case Sql::directory_of:
            return "SELECT rid FROM directory WHERE type=?1 AND id=?2";
        case Sql::directory_up:
            return "SELECT rid FROM directory WHERE type=?1 ORDER BY id";
        case Sql::directory_down:
            return "SELECT rid FROM directory WHERE type=?1 ORDER BY id DESC";
        case Sql::text_match:
            return "SELECT rowid FROM idx_text WHERE idx_text MATCH ?1 AND rowid>=?2 ORDER BY "
                   "rowid";
        case Sql::text_here:
            return "SELECT rowid FROM idx_text WHERE idx_text MATCH ?1 AND rowid=?2";
        case Sql::log_range:
            return "SELECT rid, verb FROM log WHERE position>=?1 AND position<?2 AND kind=0 "
                   "ORDER BY position";
        case Sql::log_type_range:
            return "SELECT rid, verb FROM log INDEXED BY log_type WHERE type=?1 AND "
                   "position>=?2 AND position<?3 AND kind=0 ORDER BY position";
        case Sql::log_last:
            return "SELECT max(position) FROM log";
        case Sql::audits_below:
            return "SELECT number + 1 FROM audit WHERE position<?1 ORDER BY position DESC LIMIT 1";
        case Sql::log_type_up:
            return "SELECT rid, position FROM log INDEXED BY log_type WHERE type=?1 AND kind=0 "
                   "ORDER BY position";
        case Sql::log_type_down:
            return "SELECT rid, position FROM log INDEXED BY log_type WHERE type=?1 AND kind=0 "
                   "ORDER BY position DESC";
        case Sql::param_tokens:
            return "SELECT rid FROM idx_token WHERE param=?1";
        case Sql::param_strings:
            return "SELECT rid FROM idx_string WHERE param=?1";
        case Sql::param_dates:
            return "SELECT rid FROM idx_date WHERE param=?1";
        case Sql::param_numbers:
            return "SELECT rid FROM idx_number WHERE param=?1";
        case Sql::param_quantities:
            return "SELECT rid FROM idx_quantity WHERE param=?1";
        case Sql::param_references:
            return "SELECT rid FROM idx_reference WHERE param=?1";
        case Sql::param_uris:
            return "SELECT rid FROM idx_uri WHERE param=?1";
        case Sql::param_composites:
            return "SELECT rid FROM idx_composite WHERE param=?1";
        case Sql::token_count:
            return "SELECT count(*) FROM idx_token WHERE param=?1 AND value=?2";
        case Sql::type_total:
            return "SELECT resources FROM type_count WHERE type=?1";
        case Sql::resource_last:
            return "SELECT max(rid) FROM resource";
        case Sql::last:
            break;
    }
    return {};
}

std::optional<Statement> Run::borrow(Sql sql) {
    const auto kind = static_cast<std::size_t>(sql);
    if (!idle_[kind].empty()) {
        Statement statement = std::move(idle_[kind].back());
        idle_[kind].pop_back();
        return statement;
    }
    // The connection keeps one free statement per text: the second and later ones at the same time
    // differ in a comment.
    const unsigned number = borrowed_[kind]++;
    auto prepared = number == 0 || number > limits::search_statement_copies_max
                        ? database_.prepare(sql_text(sql))
                        : database_.prepare(fmt::format("{} --{}", sql_text(sql), number));
    if (!prepared) {
        note(std::move(prepared).error());
        return std::nullopt;
    }
    return *std::move(prepared);
}

void Run::give_back(Sql sql, Statement statement) {
    statement.reset();
    idle_[static_cast<std::size_t>(sql)].push_back(std::move(statement));
}

bool Cursor::next() {
    if (done_ || run_->failed()) return false;
    run_->spend(1);
    auto row = statement_->step();
    if (!row) {
        run_->note(std::move(row).error());
        done_ = true;
    } else {
        // Stepping a finished statement once more would start it again.
        done_ = !*row;
    }
    return !done_;
}

void KeyStream::open(Rid at_least) {
    switch (form_) {
        case Form::none:
            return cursor_.open(at_least);
        case Form::one:
            return cursor_.open(first_, at_least);
        case Form::two:
            return cursor_.open(first_, second_, at_least);
        case Form::text:
            return cursor_.open(first_, text_, at_least);
    }
}

Rid KeyStream::find(Rid at_least) {
    // A few steps cost less than a new descent of the tree.
    constexpr int steps_before_seek = 6;
    int steps = open_ && last_ < at_least ? steps_before_seek : 0;
    while (true) {
        if (steps-- == 0) {
            open(at_least);
            open_ = true;
        }
        if (!cursor_.next()) {
            open_ = false;
            return no_rid;
        }
        last_ = cursor_.integer(0);
        if (last_ >= at_least) return last_;
    }
}

Rid TextStream::find(Rid at_least) {
    // Starting a full-text query parses it and costs as much as many steps.
    constexpr int steps_before_seek = 100;
    int steps = open_ && last_ < at_least ? steps_before_seek : 0;
    while (true) {
        if (steps-- == 0) {
            cursor_.open(match_, at_least > no_rid / 2 ? no_rid : at_least * 2);
            open_ = true;
        }
        if (!cursor_.next()) break;
        const std::int64_t row = cursor_.integer(0);
        if ((row & 1) != field_) continue;
        last_ = row / 2;
        if (last_ >= at_least) return last_;
    }
    open_ = false;
    return no_rid;
}

Rid SetStream::find(Rid at_least) {
    if (at_ >= rids_.size() || rids_[at_] > at_least) at_ = 0;
    // Gallop: the next wanted rid is mostly near.
    std::size_t step = 1;
    std::size_t from = at_;
    while (from + step < rids_.size() && rids_[from + step] < at_least) {
        from += step;
        step *= 2;
    }
    const auto first = rids_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last =
        rids_.begin() + static_cast<std::ptrdiff_t>(std::min(from + step + 1, rids_.size()));
    const auto place = std::lower_bound(first, last, at_least);
    at_ = static_cast<std::size_t>(place - rids_.begin());
    return place == rids_.end() ? no_rid : *place;
}

void sort_unique(std::vector<Rid>& rids) {
    constexpr std::size_t worth_a_bitmap = 4'096;
    const auto [smallest, largest] = std::minmax_element(rids.begin(), rids.end());
    if (rids.size() < worth_a_bitmap ||
        static_cast<std::uint64_t>(*largest - *smallest) / 64 > rids.size()) {
        std::sort(rids.begin(), rids.end());
        rids.erase(std::unique(rids.begin(), rids.end()), rids.end());
        return;
    }
    const Rid base = *smallest;
    std::vector<std::uint64_t> bitmap(static_cast<std::size_t>(*largest - base) / 64 + 1);
    for (const Rid rid : rids)
        bitmap[static_cast<std::size_t>(rid - base) / 64] |= 1ull << ((rid - base) % 64);
    rids.clear();
    for (std::size_t word = 0; word < bitmap.size(); ++word) {
        for (std::uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1) {
            rids.push_back(base + static_cast<Rid>(word) * 64 + std::countr_zero(bits));
        }
    }
}

}  // namespace meridian::store::sqlite
