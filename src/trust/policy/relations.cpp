// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/relations.hpp"

#include "fhir/search/conditional.hpp"
#include "fhir/search/run.hpp"

namespace meridian::trust::policy {

namespace {

using fhir::search::Parameter;
using store::Condition;
using store::Conditions;

/// Parameters by which a resource names the organisation that it belongs to. Who provides an
/// encounter is none of them: whoever may write encounters of their organisation would reach any
/// patient by writing one.
constexpr std::string_view organisation_codes[] = {"organization", "intended-dispenser",
                                                   "managing-entity"};
constexpr std::string_view insurer_codes[] = {"insurer", "payor"};
/// Parameters by which a resource names those who made it or have to do it.
constexpr std::string_view author_codes[] = {
    "author", "recorder", "asserter", "requester", "sender",    "performer", "source",
    "owner",  "enterer",  "agent",    "recipient", "evaluator", "assessor"};

/// A reference parameter of the type that can lead to `target`, or null.
const Parameter* reference_to(const Parameters& parameters, std::string_view type,
                              std::string_view code, std::string_view target) {
    const Parameter* parameter = parameters.find(type, code);
    if (parameter == nullptr || parameter->kind != fhir::SearchType::reference ||
        !parameter->can_lead_to(target))
        return nullptr;
    return parameter;
}

Condition refers_to(const Parameters& parameters, const Parameter& by, std::string_view target,
                    Condition where) {
    if (is_nothing(where)) return store::Nothing{};
    return store::RefersTo{by.name, parameters.type_name(target),
                           std::make_unique<Condition>(std::move(where))};
}

/// Patients whose managing organisation it is, or whom it has treated.
Condition patients_of_organisation(const Parameters& parameters,
                                   const store::Identity& organisation) {
    Conditions any;
    if (const Parameter* managing = parameters.find("Patient", "organization"))
        any.push_back(store::HasReference{managing->name, {organisation}});
    const Parameter* subject = parameters.find("Encounter", "subject");
    const Parameter* provider = parameters.find("Encounter", "service-provider");
    if (subject != nullptr && provider != nullptr) {
        auto served =
            std::make_unique<Condition>(store::HasReference{provider->name, {organisation}});
        any.push_back(
            store::ReferredBy{subject->name, parameters.type_name("Encounter"), std::move(served)});
    }
    return any_of(std::move(any));
}

}  // namespace

std::vector<const Parameter*> patient_paths(const Parameters& parameters, std::string_view type) {
    const auto paths = parameters.patient_paths(type);
    std::vector<const Parameter*> all(paths.begin(), paths.end());
    if (!all.empty()) return all;
    for (const std::string_view code : {"patient", "subject"}) {
        if (const Parameter* parameter = reference_to(parameters, type, code, "Patient"))
            all.push_back(parameter);
    }
    return all;
}

Condition of_patients(const Parameters& parameters, std::string_view type,
                      const std::vector<std::string>& patients) {
    if (patients.empty()) return store::Nothing{};
    const store::Name patient = parameters.type_name("Patient");
    if (type == "Patient") return store::HasId{patient, patients};
    std::vector<store::Identity> targets;
    targets.reserve(patients.size());
    for (const std::string& id : patients) targets.push_back({patient, id});
    Conditions any;
    for (const Parameter* path : patient_paths(parameters, type))
        any.push_back(store::HasReference{path->name, targets, path->in_patient_compartment});
    return any_of(std::move(any));
}

Condition of_organisation(const Parameters& parameters, std::string_view type,
                          std::string_view organisation) {
    const store::Identity identity = identity_of(parameters, organisation);
    if (identity.type == 0) return store::Nothing{};
    if (type == "Patient") return patients_of_organisation(parameters, identity);
    Conditions any;
    if (type == "Organization") any.push_back(store::HasId{identity.type, {identity.id}});
    for (const std::string_view code : organisation_codes) {
        if (const Parameter* named = reference_to(parameters, type, code, "Organization"))
            any.push_back(store::HasReference{named->name, {identity}});
    }
    for (const Parameter* path : patient_paths(parameters, type))
        any.push_back(refers_to(parameters, *path, "Patient",
                                patients_of_organisation(parameters, identity)));
    return any_of(std::move(any));
}

Condition of_insurer(const Parameters& parameters, std::string_view type,
                     std::string_view organisation) {
    const store::Identity identity = identity_of(parameters, organisation);
    if (identity.type == 0) return store::Nothing{};
    Conditions any;
    for (const std::string_view code : insurer_codes) {
        if (const Parameter* named = reference_to(parameters, type, code, "Organization"))
            any.push_back(store::HasReference{named->name, {identity}});
    }
    const Parameter* payor = parameters.find("Coverage", "payor");
    if (payor == nullptr) return any_of(std::move(any));
    if (const Parameter* coverage = reference_to(parameters, type, "coverage", "Coverage"))
        any.push_back(refers_to(parameters, *coverage, "Coverage",
                                store::HasReference{payor->name, {identity}}));
    if (const Parameter* insured = parameters.find("Coverage", "beneficiary");
        type == "Patient" && insured != nullptr) {
        auto paid = std::make_unique<Condition>(store::HasReference{payor->name, {identity}});
        any.push_back(
            store::ReferredBy{insured->name, parameters.type_name("Coverage"), std::move(paid)});
    }
    return any_of(std::move(any));
}

Condition of_author(const Parameters& parameters, std::string_view type,
                    const std::set<std::string, std::less<>>& selves) {
    std::vector<store::Identity> targets;
    Conditions any;
    for (const std::string& self : selves) {
        store::Identity identity = identity_of(parameters, self);
        if (identity.type == 0) continue;
        if (parameters.type_text(identity.type) == type)
            any.push_back(store::HasId{identity.type, {identity.id}});
        targets.push_back(std::move(identity));
    }
    if (targets.empty()) return store::Nothing{};
    for (const std::string_view code : author_codes) {
        const Parameter* parameter = parameters.find(type, code);
        if (parameter != nullptr && parameter->kind == fhir::SearchType::reference)
            any.push_back(store::HasReference{parameter->name, targets});
    }
    return any_of(std::move(any));
}

Result<Condition> with_code(const Parameters& parameters, const store::Names& names,
                            std::string_view type, std::string_view parameter,
                            const std::vector<Coded>& codes) {
    std::string values;
    const auto append = [&](std::string_view text) {
        // FHIR R4 §3.1.1.4.5.2: what separates values is escaped inside them.
        for (const char c : text) {
            if (c == ',' || c == '|' || c == '$' || c == '\\') values += '\\';
            values += c;
        }
    };
    for (const Coded& one : codes) {
        if (!values.empty()) values += ',';
        append(one.system);
        values += '|';
        append(one.code);
    }
    const auto plan = TRY(fhir::search::conditional_plan(parameters, names, type,
                                                         {{std::string(parameter), values}},
                                                         fhir::search::ParseOptions{}, 1));
    return fhir::search::clone(plan->where);
}

store::Identity identity_of(const Parameters& parameters, std::string_view reference) {
    const std::size_t slash = reference.find('/');
    if (slash == std::string_view::npos) return {};
    return {parameters.type_name(reference.substr(0, slash)),
            std::string(reference.substr(slash + 1))};
}

bool is_everything(const Condition& condition) {
    return std::holds_alternative<store::Everything>(condition.as_variant());
}

bool is_nothing(const Condition& condition) {
    return std::holds_alternative<store::Nothing>(condition.as_variant());
}

Condition all_of(Conditions parts) {
    if (std::any_of(parts.begin(), parts.end(), is_nothing)) return store::Nothing{};
    std::erase_if(parts, is_everything);
    if (parts.empty()) return store::Everything{};
    if (parts.size() == 1) return std::move(parts.front());
    return store::AllOf{std::move(parts)};
}

Condition any_of(Conditions parts) {
    if (std::any_of(parts.begin(), parts.end(), is_everything)) return store::Everything{};
    std::erase_if(parts, is_nothing);
    if (parts.empty()) return store::Nothing{};
    if (parts.size() == 1) return std::move(parts.front());
    return store::AnyOf{std::move(parts)};
}

Condition none_of(Conditions parts) {
    if (std::any_of(parts.begin(), parts.end(), is_everything)) return store::Nothing{};
    std::erase_if(parts, is_nothing);
    if (parts.empty()) return store::Everything{};
    return store::NoneOf{std::move(parts)};
}

}  // namespace meridian::trust::policy
