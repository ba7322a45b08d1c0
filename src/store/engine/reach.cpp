// SPDX-License-Identifier: Apache-2.0
#include "store/engine/reach.hpp"

#include <algorithm>

namespace meridian::store {

void add_conjuncts(const Condition& condition, Conjuncts& into) {
    const auto* all = std::get_if<AllOf>(&condition.as_variant());
    if (all == nullptr) {
        into.push_back(&condition);
        return;
    }
    for (const Condition& part : all->parts) add_conjuncts(part, into);
}

namespace {

/// The patients that a caller's rights name.
struct Named {
    std::vector<Identity> patients{};

    void add(const std::vector<Identity>& more) {
        patients.insert(patients.end(), more.begin(), more.end());
    }
    void parts(const Conditions& conditions) {
        for (const Condition& part : conditions) std::visit(*this, part.as_variant());
    }
    void operator()(const AllOf& all) { parts(all.parts); }
    void operator()(const AnyOf& any) { parts(any.parts); }
    void operator()(const HasReference& refers) {
        if (refers.concerns_targets) add(refers.targets);
    }
    void operator()(const OfPatient& chart) { add(chart.patients); }
    template <class Other>
    void operator()(const Other&) {}
};

/// Rights to all that is not withheld: everybody's charts are within reach.
bool is_whole(const Condition& access) {
    if (const auto* all = std::get_if<AllOf>(&access.as_variant()))
        return std::all_of(all->parts.begin(), all->parts.end(), is_whole);
    if (const auto* any = std::get_if<AnyOf>(&access.as_variant()))
        return std::any_of(any->parts.begin(), any->parts.end(), is_whole);
    return std::holds_alternative<NoneOf>(access.as_variant()) ||
           std::holds_alternative<Everything>(access.as_variant());
}

/// The patients that a conjunct asks for; null when it does not.
const std::vector<Identity>* patients_asked(const Condition& part) {
    if (const auto* chart = std::get_if<OfPatient>(&part.as_variant())) {
        // A chart of everyone is kept for what is no resource.
        const bool is_of_patients =
            std::all_of(chart->patients.begin(), chart->patients.end(),
                        [](const Identity& patient) { return patient.type != 0; });
        return is_of_patients ? &chart->patients : nullptr;
    }
    const auto* refers = std::get_if<HasReference>(&part.as_variant());
    return refers != nullptr && refers->concerns_targets ? &refers->targets : nullptr;
}

}  // namespace

const Condition* narrowest(const Condition& access, const Conjuncts& asked) {
    const bool is_everybody = is_whole(access);
    Named named;
    std::visit(named, access.as_variant());
    const auto is_named = [&](const Identity& patient) {
        return std::find(named.patients.begin(), named.patients.end(), patient) !=
               named.patients.end();
    };
    const Condition* best = nullptr;
    for (const Condition* part : asked) {
        const auto* patients = patients_asked(*part);
        if (patients == nullptr ||
            (!is_everybody && !std::all_of(patients->begin(), patients->end(), is_named)))
            continue;
        if (best == nullptr || std::holds_alternative<OfPatient>(part->as_variant())) best = part;
    }
    return best;
}

namespace {

/// What rights name, with a range of their patients' charts in the place of all that refers to
/// them. Of conditions that all have to hold one is enough.
struct InCharts {
    const OfPatient& everybody;
    using Found = std::optional<Condition>;

    Found operator()(const HasReference& refers) const {
        if (!refers.concerns_targets) return refers;
        OfPatient charts = everybody;
        charts.patients = refers.targets;
        return charts;
    }
    Found operator()(const HasId& ids) const { return ids; }
    Found operator()(const OfPatient& charts) const { return charts; }
    Found operator()(const Nothing&) const { return Nothing{}; }
    Found operator()(const AllOf& all) const {
        for (const Condition& part : all.parts) {
            if (auto found = std::visit(*this, part.as_variant())) return found;
        }
        return std::nullopt;
    }
    Found operator()(const AnyOf& any) const {
        AnyOf found;
        for (const Condition& part : any.parts) {
            auto one = std::visit(*this, part.as_variant());
            if (!one) return std::nullopt;
            found.parts.push_back(*std::move(one));
        }
        return found;
    }
    template <class Other>
    Found operator()(const Other&) const {
        return std::nullopt;
    }
};

}  // namespace

std::optional<Condition> in_charts(const Condition& access, const Conjuncts& asked) {
    for (const Condition* part : asked) {
        const auto* chart = std::get_if<OfPatient>(&part->as_variant());
        if (chart == nullptr || patients_asked(*part) != nullptr) continue;
        return std::visit(InCharts{*chart}, access.as_variant());
    }
    return std::nullopt;
}

}  // namespace meridian::store
