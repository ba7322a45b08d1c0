// SPDX-License-Identifier: Apache-2.0
#include "server/persons.hpp"

#include "base/json.hpp"

namespace meridian::server {

namespace {

using trust::Role;

std::string_view type_of(Role role) {
    switch (role) {
        case Role::patient:
            return "Patient";
        case Role::guardian:
            return "RelatedPerson";
        case Role::system_client:
            return "Device";
        case Role::doctor:
        case Role::nurse:
        case Role::pharmacist:
        case Role::follow_up:
        case Role::researcher:
        case Role::data_manager:
            return "Practitioner";
        default:
            return "Person";
    }
}

/// Errors: `incorrect` unless it is Type/id; `not_found` unless that is there.
Result<void> require_there(fhir::Repository& repository, const fhir::Caller& caller,
                           std::string_view type, std::string_view reference,
                           std::string_view option) {
    const std::size_t slash = reference.find('/');
    if (slash == std::string_view::npos || reference.substr(0, slash) != type)
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no reference: expected {}/ID", reference.substr(0, 80), type),
            std::string(option));
    auto found = repository.read(caller, type, reference.substr(slash + 1));
    if (found) return {};
    Error error = std::move(found).error();
    error.where = option;
    return std::unexpected(std::move(error));
}

/// A resource that says who it is and no more: the rest is the hospital's to write.
std::shared_ptr<JsonDocument> description_of(const WantedPerson& wanted, std::string_view type) {
    auto document = std::make_shared<JsonDocument>();
    const std::string& shown = wanted.display.empty() ? wanted.account : wanted.display;
    Json root = document->object();
    document->set(root, "resourceType", document->string(type));
    Json name = document->object();
    if (type == "Device") {
        document->set(name, "name", document->string(shown));
        document->set(name, "type", document->string("user-friendly-name"));
    } else {
        document->set(name, "text", document->string(shown));
    }
    Json names = document->array();
    document->append(names, name);
    if (type == "RelatedPerson") {
        Json patient = document->object();
        document->set(patient, "reference", document->string(wanted.patient));
        document->set(root, "patient", patient);
    }
    if (type != "Device") document->set(root, "active", document->boolean(true));
    document->set(root, type == "Device" ? "deviceName" : "name", names);
    document->set_root(root);
    return document;
}

Result<std::string> make_person(fhir::Repository& repository, const fhir::Caller& caller,
                                const WantedPerson& wanted, std::string_view type) {
    const auto document = description_of(wanted, type);
    fhir::Transaction transaction;
    transaction.want_json = false;
    fhir::Operation& create = transaction.operations.emplace_back();
    create.type = type;
    create.resource = document->root();
    create.document = document;
    const auto made = TRY(repository.commit(caller, std::move(transaction)));
    return fmt::format("{}/{}", type, made.front().resource.id);
}

}  // namespace

Result<std::string> person_for(fhir::Repository& repository, const fhir::Caller& caller,
                               const WantedPerson& wanted) {
    const std::string_view type = type_of(wanted.role);
    if (!wanted.organisation.empty())
        TRY(require_there(repository, caller, "Organization", wanted.organisation,
                          "--organisation"));
    if (!wanted.practitioner.empty()) {
        if (type != "Practitioner")
            return fail(Category::incorrect,
                        fmt::format("an account with the role {} stands for no practitioner",
                                    name_of(wanted.role)),
                        "--practitioner");
        TRY(require_there(repository, caller, "Practitioner", wanted.practitioner,
                          "--practitioner"));
        return wanted.practitioner;
    }
    if (!wanted.patient.empty()) {
        if (type != "Patient" && type != "RelatedPerson")
            return fail(Category::incorrect,
                        fmt::format("an account with the role {} stands for no patient",
                                    name_of(wanted.role)),
                        "--patient");
        TRY(require_there(repository, caller, "Patient", wanted.patient, "--patient"));
        if (type == "Patient") return wanted.patient;
    } else if (type == "RelatedPerson") {
        return fail(Category::incorrect, "whose guardian is it? Name the patient", "--patient");
    }
    return make_person(repository, caller, wanted, type);
}

}  // namespace meridian::server
