// SPDX-License-Identifier: Apache-2.0
#include "rest/validate_operation.hpp"

#include "fhir/validate/profile.hpp"
#include "rest/arguments.hpp"

namespace meridian::rest {

namespace {

Answer outcome_of(std::vector<Issue> issues) {
    Answer answer;
    if (issues.empty()) {
        answer.json = outcome_json(Severity::information, "informational", "the resource is valid");
    } else {
        answer.json = outcome_json(issues);
    }
    return answer;
}

/// mode=delete asks whether the instance could be deleted now: it must exist.
Result<Answer> may_delete(Service& service, const Exchange& exchange) {
    if (exchange.path.size() < 3)
        return fail(Category::incorrect, "mode=delete is asked of an instance: TYPE/ID/$validate",
                    "mode");
    TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    return outcome_of({});
}

Result<Answer> validate(Service& service, const fhir::ProfileValidator& validator,
                        const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange, "resource"));
    TRY(arguments.allow("resource mode profile"));
    const std::string_view mode = arguments.text("mode");
    if (mode == "delete") return may_delete(service, exchange);
    if (!mode.empty() && mode != "create" && mode != "update" && mode != "profile") {
        return fail(Category::incorrect,
                    fmt::format("mode takes create, update, delete or profile, not \"{}\"",
                                mode.substr(0, 40)),
                    "mode");
    }
    const bool on_instance = exchange.path.size() > 2;
    const Json* given = arguments.resource("resource");
    JsonDocument stored;
    if (given == nullptr) {
        if (!on_instance)
            return fail(Category::incorrect,
                        "give the resource to validate: as the body, or as the parameter resource",
                        "resource");
        stored = TRY(JsonDocument::parse(
            TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]))
                .json));
        given = &stored.root();
    }
    std::vector<Issue> issues;
    const std::string_view type = given->string_at("resourceType");
    if (type != exchange.path[0])
        issues.push_back({Severity::error, "invalid",
                          fmt::format("a {} was sent to {}/$validate", type, exchange.path[0]),
                          std::string(type)});
    if (on_instance && mode == "update" && given->string_at("id") != exchange.path[1]) {
        issues.push_back({Severity::error, "invalid",
                          fmt::format("the id must be \"{}\" as in the address", exchange.path[1]),
                          fmt::format("{}.id", type)});
    }
    validator.validate(*given, arguments.texts("profile"), issues);
    return outcome_of(std::move(issues));
}

}  // namespace

void add_validate_operation(Service& service,
                            std::shared_ptr<const fhir::terminology::Terminology> terminology) {
    const auto validator = std::make_shared<const fhir::ProfileValidator>(std::move(terminology));
    service.add_operation(
        {.name = "validate",
         .on_type = true,
         .on_instance = true,
         .definition = "http://hl7.org/fhir/OperationDefinition/Resource-validate",
         .run = [validator](Service& s, const Exchange& e) { return validate(s, *validator, e); }});
}

}  // namespace meridian::rest
