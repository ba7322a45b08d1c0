// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <variant>

#include "store/plan.hpp"

namespace meridian::store::postgres {

/// How few resources a condition leaves, as far as its kind tells: the smaller the fewer.
struct Rank {
    static constexpr int worst = 9;
    static int of(const Condition& condition) {
        return std::visit([](const auto& each) { return rank(each); }, condition.as_variant());
    }

 private:
    static int rank(const HasId&) { return 0; }
    static int rank(const OfPatient& condition) {
        // A chart of everyone is kept for what is no resource, and holds as much as a code does.
        const auto is_resource = [](const Identity& patient) { return patient.type != 0; };
        return std::ranges::all_of(condition.patients, is_resource) ? 1 : 3;
    }
    static int rank(const HasReference&) { return 1; }
    static int rank(const InCompartment&) { return 1; }
    static int rank(const HasComposite&) { return 2; }
    static int rank(const HasUri&) { return 2; }
    static int rank(const HasToken&) { return 3; }
    static int rank(const HasText&) { return 3; }
    static int rank(const HasString& condition) {
        return condition.match == StringMatch::starts ? 3 : 6;
    }
    static int rank(const RefersTo&) { return 4; }
    static int rank(const ReferredBy&) { return 4; }
    static int rank(const HasDate&) { return 5; }
    static int rank(const HasNumber&) { return 5; }
    static int rank(const HasQuantity&) { return 5; }
    static int rank(const HasTokenIn&) { return 5; }
    static int rank(const ChangedWithin&) { return 5; }
    static int rank(const HasAny&) { return 6; }
    static int rank(const AllOf& condition) {
        int best = worst;
        for (const Condition& part : condition.parts) best = std::min(best, of(part));
        return best;
    }
    static int rank(const AnyOf& condition) {
        int last = 0;
        for (const Condition& part : condition.parts) last = std::max(last, of(part));
        return last;
    }
    template <class Other>
    static int rank(const Other&) {
        return worst;
    }
};

/// Whether only current resources can satisfy a condition: index rows are those of current
/// versions. Then nobody has to look at the resource itself, and a parameter implies its type.
struct Living {
    static bool implied_by(const Condition& condition) {
        return std::visit([](const auto& each) { return implied(each); }, condition.as_variant());
    }

 private:
    static bool implied(const HasToken&) { return true; }
    static bool implied(const HasTokenIn&) { return true; }
    static bool implied(const HasString&) { return true; }
    static bool implied(const HasDate&) { return true; }
    static bool implied(const HasNumber&) { return true; }
    static bool implied(const HasQuantity&) { return true; }
    static bool implied(const HasUri&) { return true; }
    static bool implied(const HasReference&) { return true; }
    static bool implied(const HasComposite&) { return true; }
    static bool implied(const RefersTo&) { return true; }
    static bool implied(const AllOf& condition) {
        return std::any_of(condition.parts.begin(), condition.parts.end(), implied_by);
    }
    static bool implied(const AnyOf& condition) {
        return !condition.parts.empty() &&
               std::all_of(condition.parts.begin(), condition.parts.end(), implied_by);
    }
    // Full text holds all types, a chart's rows name theirs, the rest may be told of the dead.
    template <class Other>
    static bool implied(const Other&) {
        return false;
    }
};

}  // namespace meridian::store::postgres
