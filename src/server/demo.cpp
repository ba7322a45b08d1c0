// SPDX-License-Identifier: Apache-2.0
#include "server/demo.hpp"

#include "base/json.hpp"
#include "server/persons.hpp"
#include "trust/pseudonym/project.hpp"

namespace meridian::server {

namespace {

struct Cast {
    std::string patient{}, doctor{}, hospital{};  ///< references; empty = there is none
};

/// The first patient who has a doctor, and where they are treated.
Result<Cast> cast_of(fhir::Repository& repository, const fhir::Caller& caller) {
    const fhir::Page page =
        TRY(repository.search(caller, "Patient", {{"_sort", "_id"}, {"_count", "1"}}, {}));
    Cast cast;
    if (page.entries.empty()) return cast;
    const JsonDocument document = TRY(JsonDocument::parse(page.entries.front().resource.json));
    cast.patient = "Patient/" + page.entries.front().resource.id;
    cast.hospital = document.root()["managingOrganization"].string_at("reference");
    for (const Json& doctor : document.root()["generalPractitioner"].items()) {
        if (doctor.string_at("reference").starts_with("Practitioner/"))
            cast.doctor = doctor.string_at("reference");
    }
    return cast;
}

}  // namespace

Result<trust::NewAccount> demo_person(fhir::Repository& repository, trust::Role role) {
    const fhir::Caller caller = fhir::Caller::system("demo");
    const Cast cast = TRY(cast_of(repository, caller));
    trust::NewAccount account;
    account.role = role;
    account.display_name = fmt::format("Demo {}", name_of(role));
    const bool is_outside = role == trust::Role::patient || role == trust::Role::guardian ||
                            role == trust::Role::system_client;
    if (!is_outside) account.organisation = cast.hospital;
    WantedPerson wanted{.role = role,
                        .account = account.display_name,
                        .display = account.display_name,
                        .organisation = account.organisation};
    if (role == trust::Role::doctor) wanted.practitioner = cast.doctor;
    if (role == trust::Role::patient || role == trust::Role::guardian)
        wanted.patient = cast.patient;
    // A guardian is somebody's: in an empty record they are a patient's of their own.
    if (role == trust::Role::guardian && wanted.patient.empty())
        wanted.patient = TRY(
            person_for(repository, caller, {.role = trust::Role::patient, .account = "Demo ward"}));
    account.person = TRY(person_for(repository, caller, wanted));
    return account;
}

Result<void> seed_demo_project(fhir::Repository& repository, trust::Vault& vault,
                               const std::vector<trust::DemoAccount>& accounts) {
    trust::pseudonym::Project project{.id = "lung-follow-up",
                                      .title = "Follow-up of lung patients",
                                      .cohort = "Group/cast-lung",
                                      .consent = trust::policy::ConsentRule::opt_out};
    const auto group = repository.read(fhir::Caller::system("demo"), "Group", "cast-lung");
    if (!group && group.error().category == Category::not_found) return {};
    if (!group) return std::unexpected(group.error());
    for (const trust::DemoAccount& account : accounts)
        if (trust::pseudonym::may_be_member(account.role)) project.members.push_back(account.name);
    const auto made = trust::pseudonym::ProjectList(vault).add(std::move(project));
    if (!made && made.error().category != Category::conflict) return std::unexpected(made.error());
    return {};
}

}  // namespace meridian::server
