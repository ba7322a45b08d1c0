// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search.hpp"

#include "store/engine/visits.hpp"
#include "store/sqlite/search_admitted.hpp"
#include "store/sqlite/search_join.hpp"
#include "store/sqlite/search_order.hpp"

namespace meridian::store::sqlite {

namespace {

bool is_excluded(const Plan& plan, Rid rid) {
    return plan.exclude != nullptr && plan.exclude->contains(rid);
}

Matches by_rid(Run& run, const Plan& plan) {
    Matches matches;
    auto root = prepare(run, plan.where, plan.type);
    Join join(run, *root);
    join.expect(plan.limit + 1);
    for (Rid rid = join.seek(plan.after + 1); rid != no_rid; rid = join.seek(rid + 1)) {
        if (is_excluded(plan, rid)) continue;
        if (matches.rids.size() == plan.limit) {
            matches.more = true;
            break;
        }
        matches.rids.push_back(rid);
    }
    return matches;
}

/// The first column of the only row that `sql` gives for these values; 0 when there is none.
std::int64_t single_value(Run& run, Sql sql, auto... values) {
    Cursor cursor(run, sql);
    cursor.open(values...);
    return cursor.next() ? cursor.integer(0) : 0;
}

/// Keeps the first `limit` + 1 of what it is given.
class Best {
 public:
    explicit Best(const Plan& plan) : plan_(plan) {}

    void offer(Candidate& candidate) {
        Sortable match{candidate.rid(), {}};
        for (const Order& order : plan_.order) match.keys.push_back(key_of(candidate, order));
        offer(std::move(match));
    }
    void offer(Sortable match) {
        if (heap_.size() == plan_.limit + 1) {
            if (!before_(match, heap_.front())) return;
            std::pop_heap(heap_.begin(), heap_.end(), before_);
            heap_.back() = std::move(match);
        } else {
            heap_.push_back(std::move(match));
        }
        std::push_heap(heap_.begin(), heap_.end(), before_);
    }
    /// In order; empties this.
    std::vector<Sortable> take() {
        std::sort_heap(heap_.begin(), heap_.end(), before_);
        return std::exchange(heap_, {});
    }

 private:
    struct Before {
        const Plan* plan;
        bool operator()(const Sortable& a, const Sortable& b) const {
            return comes_before(a, b, plan->order);
        }
    };
    const Plan& plan_;
    Before before_{&plan_};
    std::vector<Sortable> heap_;  ///< the last in order on top
};

/// The page of a plan whose matches are all known.
Matches page_of(Run& run, const Plan& plan, const std::vector<Rid>& rids) {
    Matches matches;
    Best best(plan);
    for (const Rid rid : rids) {
        if (is_excluded(plan, rid)) continue;
        if (!plan.order.empty()) {
            Candidate candidate(run, rid);
            best.offer(candidate);
        } else if (rid > plan.after && matches.rids.size() <= plan.limit) {
            matches.rids.push_back(rid);
        }
    }
    for (const Sortable& match : best.take()) matches.rids.push_back(match.rid);
    matches.more = matches.rids.size() > plan.limit;
    if (matches.more) matches.rids.resize(plan.limit);
    return matches;
}

/// A sorted search. Two ways lead to its page, and neither is known to be short: to collect all
/// matches and sort them, or to walk the index of the sort key and test what comes. They take turns
/// with growing allowances until one has arrived.
class SortedSearch {
 public:
    SortedSearch(Run& run, const Plan& plan)
        : run_(run),
          plan_(plan),
          root_(prepare(run, plan.where, plan.type)),
          join_(run, *root_),
          collected_(plan),
          group_best_(plan),
          walk_(make_walk(run, plan.order.front(), plan.type, of_patient())) {}

    Matches run() {
        if (walk_ == nullptr) {
            collect(Allowance::unbounded);
        } else if (plan_.order.front().kind == SortKind::patient_date) {
            // A patient's rows in their order are the shortest way there is: try them first.
            take_turns({.collecting = false, .allowance = run_.allowances().sorted});
        } else if (constexpr std::uint64_t parts = 4;
                   !collect(run_.work() + run_.allowances().sorted / parts)) {
            take_turns(forecast());
        }
        Matches matches;
        matches.more = page_.size() > plan_.limit;
        if (matches.more) page_.resize(plan_.limit);
        matches.rids = std::move(page_);
        return matches;
    }

 private:
    struct Turn {
        bool collecting;
        std::uint64_t allowance;
    };

    void take_turns(Turn turn) {
        while (!run_.failed()) {
            const std::uint64_t limit = run_.work() + turn.allowance;
            if (turn.collecting ? collect(limit) : walk(limit)) return;
            constexpr std::uint64_t growth = 2;
            turn = {!turn.collecting, turn.allowance * growth};
        }
    }

    /// Which way looks shorter after a first part of the collecting, if matches go on to come as
    /// they did. Only speed depends on it.
    Turn forecast() {
        Turn turn{.collecting = false, .allowance = run_.allowances().sorted};
        if (collected_count_ == 0) return turn;
        const double ahead = static_cast<double>(
            std::max<Rid>(single_value(run_, Sql::resource_last) - next_match_, 0));
        const double behind = static_cast<double>(next_match_ - first_match_);
        const double matches = static_cast<double>(collected_count_) * (1 + ahead / behind);
        const double all = static_cast<double>(single_value(run_, Sql::type_total, plan_.type));
        constexpr double work_of_a_test = 10;
        const double to_collect = static_cast<double>(run_.work()) * ahead / behind;
        const double to_walk =
            work_of_a_test * static_cast<double>(plan_.limit + 1) * all / matches;
        turn.collecting = to_collect < to_walk;
        const double shorter = std::min({to_collect, to_walk, 1e15});
        turn.allowance = std::max(turn.allowance, 2 * static_cast<std::uint64_t>(shorter));
        return turn;
    }

    const OfPatient* of_patient() const {
        if (const auto* single = std::get_if<OfPatient>(&plan_.where.as_variant())) return single;
        const auto* all = std::get_if<AllOf>(&plan_.where.as_variant());
        if (all == nullptr) return nullptr;
        for (const Condition& part : all->parts) {
            if (const auto* found = std::get_if<OfPatient>(&part.as_variant())) return found;
        }
        return nullptr;
    }

    /// True when all matches were seen; the page is complete then.
    bool collect(std::uint64_t work_limit) {
        while (true) {
            const auto rid = join_.seek_within(next_match_, work_limit);
            if (!rid) return false;
            if (*rid == no_rid) break;
            next_match_ = *rid + 1;
            if (collected_count_++ == 0) first_match_ = *rid;
            if (is_excluded(plan_, *rid)) continue;
            Candidate candidate(run_, *rid);
            collected_.offer(candidate);
        }
        page_.clear();
        for (const Sortable& match : collected_.take()) page_.push_back(match.rid);
        return true;
    }

    /// True when the page is complete.
    bool walk(std::uint64_t work_limit) {
        while (page_.size() <= plan_.limit) {
            if (run_.work() > work_limit) return false;
            const Rid rid = walk_->next();
            if (walk_->group() != group_ || rid == no_rid) finish_group();
            group_ = walk_->group();
            if (run_.failed()) return true;
            if (rid == no_rid) {
                if (page_.size() <= plan_.limit) add_without_key();
                return true;
            }
            if (is_excluded(plan_, rid) || walked_.contains(rid)) continue;
            Candidate candidate(run_, rid);
            if (!root_->test(candidate)) continue;
            walked_.insert(rid);
            if (plan_.order.size() == 1) {
                page_.push_back(rid);
            } else {
                group_best_.offer(candidate);
            }
        }
        return true;
    }

    /// Matches with the same first key stand in the order of the others.
    void finish_group() {
        for (const Sortable& match : group_best_.take()) page_.push_back(match.rid);
        if (page_.size() > plan_.limit + 1) page_.resize(plan_.limit + 1);
    }

    /// Matches without a row for the first order come last.
    void add_without_key() {
        const Order& first = plan_.order.front();
        if (first.kind == SortKind::id || first.kind == SortKind::updated) return;
        Join rest(run_, *root_);
        for (Rid rid = rest.seek(1); rid != no_rid; rid = rest.seek(rid + 1)) {
            if (is_excluded(plan_, rid) || walked_.contains(rid)) continue;
            Candidate candidate(run_, rid);
            if (key_of(candidate, first).index() != 0) continue;
            if (plan_.order.size() > 1) {
                group_best_.offer(candidate);
                continue;
            }
            page_.push_back(rid);
            if (page_.size() > plan_.limit) return;
        }
        finish_group();
    }

    Run& run_;
    const Plan& plan_;
    std::unique_ptr<AllNode> root_;
    Join join_;
    Rid first_match_ = 0;
    Rid next_match_ = 1;
    std::size_t collected_count_ = 0;
    Best collected_;
    Best group_best_;
    std::unique_ptr<Walk> walk_;
    std::uint64_t group_ = 0;
    std::unordered_set<Rid>
        walked_;  ///< matches that the walk has met; they come again under their other keys
    std::vector<Rid> page_;
};

/// All matches of a plan in which the caller's rights decide first, where these are no open search.
std::optional<std::vector<Rid>> admitted(Run& run, const Plan& plan) {
    const auto* all = std::get_if<AllOf>(&plan.where.as_variant());
    if (all == nullptr || !all->first_admits) return std::nullopt;
    return admitted_matches(run, *all, plan.type);
}

Matches find_page(Run& run, const Plan& plan) {
    if (const auto rids = admitted(run, plan)) return page_of(run, plan, *rids);
    return plan.order.empty() ? by_rid(run, plan) : SortedSearch(run, plan).run();
}

/// Tells whoever asks what a search has cost.
void note(const Run& run, SearchCost* cost) {
    if (cost != nullptr) *cost = {run.work(), run.is_by_rights()};
    Visits& all = visits();
    all.work += run.work();
    all.withheld += run.withheld();
    all.open += run.open();
}

std::int64_t count_all(Run& run, const Plan& plan) {
    if (const auto rids = admitted(run, plan)) return static_cast<std::int64_t>(rids->size());
    if (const auto* token = std::get_if<HasToken>(&plan.where.as_variant());
        token != nullptr && token->values.size() == 1) {
        return single_value(run, Sql::token_count, token->param, token->values.front());
    }
    auto root = prepare(run, plan.where, plan.type);
    if (root->constant() == false) return 0;
    if (root->constant() == true && plan.type != 0)
        return single_value(run, Sql::type_total, plan.type);
    const bool single = root->parts().size() == 1;
    Join join(run, *root, nullptr, single ? Allowance::unbounded : run.allowances().count);
    std::int64_t matches = 0;
    for (Rid rid = join.seek(1); rid != no_rid; rid = join.seek(rid + 1)) ++matches;
    return matches;
}

}  // namespace

Result<Matches> search(Database& database, const Plan& plan, const Names& names, SearchCost* cost,
                       const SearchAllowances& allowances) {
    Run run(database, names, allowances);
    Matches matches = find_page(run, plan);
    note(run, cost);
    if (run.failed()) return std::unexpected(*run.failure());
    return matches;
}

Result<std::int64_t> count(Database& database, const Plan& plan, const Names& names,
                           SearchCost* cost, const SearchAllowances& allowances) {
    Run run(database, names, allowances);
    const std::int64_t matches = count_all(run, plan);
    note(run, cost);
    if (run.failed()) return std::unexpected(*run.failure());
    return matches;
}

}  // namespace meridian::store::sqlite
