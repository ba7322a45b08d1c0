// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/conditional.hpp"

#include "base/query_string.hpp"
#include "fhir/search/run.hpp"

namespace meridian::fhir::search {

Result<std::shared_ptr<const store::Plan>> conditional_plan(
    const Parameters& parameters, const store::Names& names, std::string_view type,
    const QueryParameters& query, ParseOptions options, std::size_t limit) {
    options.conditional = true;
    options.lenient =
        false;  // a condition that is not understood must never be taken for a weaker one
    Query parsed = TRY(parse(parameters, names, type, query, options));
    if (parsed.types.size() != 1 || parsed.types.front().name == 0) {
        return fail(Category::incorrect, "a condition is about one resource type");
    }
    if (parsed.self.empty()) {
        return fail(Category::incorrect,
                    "a condition needs at least one search parameter with a value: it would select "
                    "every resource");
    }
    auto plan = std::make_shared<store::Plan>();
    plan->type = parsed.types.front().name;
    plan->where = std::move(parsed.types.front().where);
    plan->limit = limit;
    return plan;
}

Result<std::vector<store::Rid>> conditional_matches(store::Snapshot& snapshot,
                                                    const store::Plan& plan) {
    auto matches = TRY(snapshot.search(plan));
    std::sort(matches.rids.begin(), matches.rids.end());
    return std::move(matches.rids);
}

Result<std::optional<ConditionalReference>> parse_conditional_reference(
    std::string_view reference) {
    const std::size_t question = reference.find('?');
    if (question == std::string_view::npos || question == 0) return std::nullopt;
    const std::string_view type = reference.substr(0, question);
    if (definitions().resource(type) == nullptr) return std::nullopt;
    ConditionalReference parsed;
    parsed.type = type;
    parsed.query = TRY(parse_query_string(reference.substr(question + 1)));
    return parsed;
}

}  // namespace meridian::fhir::search
