// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/run.hpp"

namespace meridian::fhir::search {
namespace {

store::Conditions clone_all(const store::Conditions& parts) {
    store::Conditions copies;
    copies.reserve(parts.size());
    for (const auto& part : parts) copies.push_back(clone(part));
    return copies;
}

std::unique_ptr<store::Condition> clone_inner(const std::unique_ptr<store::Condition>& inner) {
    return inner ? std::make_unique<store::Condition>(clone(*inner)) : nullptr;
}

struct Cloner {
    store::Condition operator()(const store::AllOf& c) const {
        return store::AllOf{clone_all(c.parts), c.first_admits};
    }
    store::Condition operator()(const store::AnyOf& c) const {
        return store::AnyOf{clone_all(c.parts)};
    }
    store::Condition operator()(const store::NoneOf& c) const {
        return store::NoneOf{clone_all(c.parts)};
    }
    store::Condition operator()(const store::RefersTo& c) const {
        return store::RefersTo{c.param, c.target_type, clone_inner(c.target), c.chart};
    }
    store::Condition operator()(const store::ReferredBy& c) const {
        return store::ReferredBy{c.param, c.source_type, clone_inner(c.source), c.chart};
    }
    template <class Leaf>
    store::Condition operator()(const Leaf& leaf) const {
        return Leaf(leaf);
    }
};

}  // namespace

store::Condition clone(const store::Condition& condition) {
    return std::visit(Cloner{}, condition.as_variant());
}

}  // namespace meridian::fhir::search
