// SPDX-License-Identifier: Apache-2.0
#include "store/engine/relevance.hpp"

namespace meridian::store {

namespace {

struct Collector {
    std::vector<Name> types{};
    bool any = false;

    void add(Name type) {
        if (type == 0)
            any = true;
        else
            types.push_back(type);
    }
    void parts(const Conditions& conditions) {
        for (const Condition& part : conditions) visit(part);
    }
    void operator()(const AllOf& condition) { parts(condition.parts); }
    void operator()(const AnyOf& condition) { parts(condition.parts); }
    void operator()(const NoneOf& condition) { parts(condition.parts); }
    void operator()(const HasId& condition) { add(condition.type); }
    void operator()(const OfPatient& condition) { add(condition.type); }
    void operator()(const RefersTo& condition) {
        add(condition.target_type);
        if (condition.target) visit(*condition.target);
    }
    void operator()(const ReferredBy& condition) {
        add(condition.source_type);
        if (condition.source) visit(*condition.source);
    }
    /// Everything else looks at rows of the plan's own resources only.
    template <class Other>
    void operator()(const Other&) {}

    void visit(const Condition& condition) { std::visit(*this, condition.as_variant()); }
};

}  // namespace

std::optional<std::vector<Name>> types_looked_at(const Plan& plan) {
    Collector collector;
    collector.add(plan.type);
    collector.visit(plan.where);
    if (collector.any) return std::nullopt;
    return std::move(collector.types);
}

}  // namespace meridian::store
