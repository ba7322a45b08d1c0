// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search_admitted.hpp"

#include <algorithm>

#include "store/engine/reach.hpp"
#include "store/sqlite/search_node.hpp"

namespace meridian::store::sqlite {

namespace {

class Even {
 public:
    explicit Even(Run& run) : run_(run), was_(run.is_even()) { run.set_even(true); }
    ~Even() { run_.set_even(was_); }
    Even(const Even&) = delete;
    Even& operator=(const Even&) = delete;

 private:
    Run& run_;
    bool was_;
};

class Admission {
 public:
    Admission(Run& run, const AllOf& all, Name type)
        : run_(run),
          all_(all),
          type_(type),
          begun_at_(run.work()),
          withheld_before_(run.withheld()),
          access_(prepare_node(run, all.parts.front(), type)) {
        for (std::size_t i = 1; i < all.parts.size(); ++i) add_conjuncts(all.parts[i], asked_);
    }

    std::optional<std::vector<Rid>> matches() {
        if (access_->constant() == false) return std::vector<Rid>();
        run_.note_by_rights();
        for (auto part = asked_.begin(); part != asked_.end(); ++part) {
            const auto* ids = std::get_if<HasId>(&(*part)->as_variant());
            if (ids == nullptr || ids->type != type_) continue;
            asked_.erase(part);
            return of_ids(*ids);
        }
        if (!find_candidates()) {
            run_.note_open();
            return std::nullopt;
        }
        return of_candidates();
    }

 private:
    bool find_candidates() {
        const Condition* narrow = narrowest(all_.parts.front(), asked_);
        const std::optional<Condition> charts =
            narrow == nullptr ? in_charts(all_.parts.front(), asked_) : std::nullopt;
        if (charts) narrow = &*charts;
        std::unique_ptr<Node> asked;
        if (narrow != nullptr) asked = prepare_node(run_, *narrow, type_);
        Node& from = asked != nullptr && asked->reach_keys() > 0 ? *asked : *access_;
        const std::uint64_t keys = from.reach_keys();
        const Allowance allowance(run_, run_.allowances().reach);
        return keys > 0 && keys * Cursor::look_up_work <= allowance.left() &&
               from.reach(candidates_, allowance);
    }

    /// The price of one id is the same whether it is admitted, hidden, deleted or unknown. Where
    /// none is admitted the whole was for nothing that the caller sees.
    std::vector<Rid> of_ids(const HasId& ids) {
        make_rest();
        std::vector<Rid> found;
        std::uint64_t withheld = 0;
        std::size_t admitted = 0;
        for (const std::string& id : ids.ids) {
            const std::uint64_t before = run_.work();
            Candidate candidate(run_, rid_of(run_, Identity{ids.type, id}));
            const bool is_live = candidate.facts().live;
            candidate.rows();
            if (!is_live || !access_->test(candidate)) {
                withheld += run_.work() - before;
                continue;
            }
            ++admitted;
            if (rest_->test(candidate)) found.push_back(candidate.rid());
        }
        // What a link led through is told already.
        const std::uint64_t inside = run_.withheld() - withheld_before_;
        run_.withhold(admitted == 0 ? run_.work() - begun_at_ - inside : withheld);
        if (!found.empty()) sort_unique(found);
        return found;
    }

    std::vector<Rid> of_candidates() {
        make_rest();
        const bool proves_type = access_->test_proves_type() || rest_->test_proves_type();
        std::sort(candidates_.begin(), candidates_.end());
        std::vector<Rid> found;
        for (auto at = candidates_.begin(); at != candidates_.end() && !run_.failed();) {
            const auto next = std::upper_bound(at, candidates_.end(), *at);
            const std::uint64_t before = run_.work();
            Candidate candidate(run_, *at);
            candidate.rows();
            if (!access_->test(candidate) || (!proves_type && !candidate.is(type_))) {
                run_.withhold(run_.work() - before + static_cast<std::uint64_t>(next - at));
            } else if (rest_->test(candidate)) {
                found.push_back(*at);
            }
            at = next;
        }
        return found;
    }

    void make_rest() {
        Nodes nodes;
        for (const Condition* part : asked_) nodes.push_back(prepare_node(run_, *part, type_));
        rest_ = std::make_unique<AllNode>(run_, type_, std::move(nodes));
    }

    Run& run_;
    const AllOf& all_;
    Name type_;
    std::uint64_t begun_at_;
    std::uint64_t withheld_before_;
    std::unique_ptr<Node> access_;
    Conjuncts asked_;
    std::vector<Rid> candidates_;
    std::unique_ptr<AllNode> rest_;
};

/// What the keys of a condition without rights lead to, that satisfies it.
std::optional<std::vector<Rid>> matches_by_keys(Run& run, const Condition& condition, Name type) {
    const auto node = prepare(run, condition, type);
    const std::uint64_t keys = node->reach_keys();
    if (keys == 0) return std::nullopt;
    const Allowance allowance(run, run.allowances().link_reach);
    std::vector<Rid> candidates;
    if (keys * Cursor::look_up_work > allowance.left() || !node->reach(candidates, allowance)) {
        run.note_open();
        return std::nullopt;
    }
    if (!candidates.empty()) sort_unique(candidates);
    std::erase_if(candidates, [&](Rid rid) {
        Candidate candidate(run, rid);
        return !node->test(candidate) || (!node->test_proves_type() && !candidate.is(type));
    });
    return candidates;
}

}  // namespace

std::optional<std::vector<Rid>> admitted_matches(Run& run, const AllOf& all, Name type) {
    const Even even(run);
    return Admission(run, all, type).matches();
}

std::optional<std::vector<Rid>> linked_matches(Run& run, const Condition& inner, Name type) {
    const auto* all = std::get_if<AllOf>(&inner.as_variant());
    if (all != nullptr && all->first_admits) return admitted_matches(run, *all, type);
    if (!run.is_even()) return std::nullopt;
    return matches_by_keys(run, inner, type);
}

}  // namespace meridian::store::sqlite
