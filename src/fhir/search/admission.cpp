// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fhir/search/run.hpp"

namespace meridian::fhir::search {

store::Condition admitted_by(store::Condition access, store::Condition where) {
    if (std::holds_alternative<store::Everything>(access.as_variant())) return where;
    if (std::holds_alternative<store::Everything>(where.as_variant()) &&
        std::holds_alternative<store::Nothing>(access.as_variant()))
        return access;
    // Also before a condition that nothing satisfies: whether a system is known, for one, depends
    // on what others wrote, and the work may not tell.
    store::AllOf both;
    both.first_admits = true;
    both.parts.push_back(std::move(access));
    if (!std::holds_alternative<store::Everything>(where.as_variant()))
        both.parts.push_back(std::move(where));
    return both;
}

namespace {

struct OfNamed {
    bool operator()(const store::Nothing&) const { return true; }
    bool operator()(const store::HasId&) const { return true; }
    bool operator()(const store::HasReference&) const { return true; }
    bool operator()(const store::OfPatient&) const { return true; }
    bool operator()(const store::InCompartment&) const { return true; }
    bool operator()(const store::AllOf& all) const {
        return std::any_of(all.parts.begin(), all.parts.end(), is_of_named);
    }
    bool operator()(const store::AnyOf& any) const {
        return std::all_of(any.parts.begin(), any.parts.end(), is_of_named);
    }
    template <class Other>
    bool operator()(const Other&) const {
        return false;
    }
};

}  // namespace

bool is_of_named(const store::Condition& access) {
    return std::visit(OfNamed(), access.as_variant());
}

}  // namespace meridian::fhir::search
