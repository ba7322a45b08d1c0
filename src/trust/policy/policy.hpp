// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "trust/approvals/approval.hpp"
#include "trust/role.hpp"

/// Policy files, understood: which role may do what with which resources, and why.
namespace meridian::trust::policy {

/// What must tie a caller to a resource. One of a rule's relations is enough.
enum class Relation : unsigned char {
    region,        ///< nothing: everything that this deployment holds
    organisation,  ///< it, or its patient, belongs to the caller's organisation
    insurer,       ///< it names the caller's organisation as insurer or payor
    care_team,     ///< its patient's active care team, or general practitioner, is the caller
    assignment,    ///< a Task, Appointment or Encounter of its patient is the caller's
    compartment,   ///< it is in the caller's own patient record
    guardian,      ///< it is in the record of a patient whom the caller stands for
    own            ///< the caller wrote it, or is it
};
/// What a rule asks of its patient's Consent resources.
enum class ConsentRule : unsigned char {
    not_asked,  ///< nothing: e.g. a patient's own record
    opt_out,    ///< allowed unless a consent denies
    opt_in      ///< denied unless a consent permits, and none denies
};
inline constexpr std::size_t interactions = 8;  ///< of fhir::Right
using Interactions = std::array<bool, interactions>;

std::string_view name_of(Relation relation);
std::string_view name_of(ConsentRule rule);
std::string_view name_of(fhir::Right interaction);

/// One allowance: what it does not name it does not allow.
struct Rule {
    std::string clause{};                      ///< its name, unique in the role: told to the audit
    std::vector<std::string> written_types{};  ///< as in the file: names of groups and types
    std::set<std::string, std::less<>> types{};
    bool all_types = false;  ///< "*"
    Interactions may{};
    std::vector<Relation> relations{};
    bool only_own_organisation = false;   ///< and the patient belongs to the caller's organisation
    std::vector<std::string> purposes{};  ///< codes of v3-ActReason; "*" = any
    ConsentRule consent = ConsentRule::opt_out;
    std::vector<std::string> withheld{};  ///< names of sensitivity labels

    bool covers(std::string_view type) const { return all_types || types.contains(type); }
    bool allows(fhir::Right interaction) const {
        return may[static_cast<std::size_t>(interaction)];
    }
};

/// Access in an emergency to one patient, for a time, with a reason: beyond relation, consent and
/// label.
struct BreakGlass {
    std::chrono::minutes lasts{60};
    std::chrono::hours review_within{72};
    std::size_t reason_characters_min = 10;
    Rule rule{};  ///< types and interactions
};

struct RolePolicy {
    std::string summary{};
    std::vector<Rule> rules{};
    std::vector<std::string> masked{};  ///< "Patient.address", "Patient.name.family"
    bool masks_free_text = false;       ///< narratives, notes, comments, attachments
    std::optional<BreakGlass> break_glass{};
    std::string default_purpose = "TREAT";  ///< for sign-in, when a client states none
    bool reviews_break_glass = false;       ///< may close the review of an emergency access
};

/// How fresh a person's proof of who they are has to be for what does most harm in wrong hands
/// (ASVS 5.0 V7.5.3). Systems have none to give, and are not asked.
struct FreshProof {
    std::chrono::minutes bulk_export{5};
    std::chrono::minutes break_glass{5};
    std::chrono::minutes prescription{15};  ///< to write a MedicationRequest
};

/// All policy files together. Immutable; safe to share between threads.
struct Policy {
    std::string name{};              ///< of all files: "meridian default 1 + st-anne 4"
    std::string hash{};              ///< SHA-256 of their texts, hexadecimal
    int assignment_days_after = 30;  ///< how long an assignment lasts after its end
    int minor_below_years = 18;
    std::vector<std::string> legal_guardians{};  ///< codes of RelatedPerson.relationship
    std::map<std::string, std::vector<std::string>, std::less<>> groups{};  ///< of types
    /// Sensitivity labels by name: "system|code".
    std::map<std::string, std::vector<std::string>, std::less<>> labels{};
    /// What gets a label by its codes: "system|code", or "system|co*" for all that begin so.
    std::map<std::string, std::vector<std::string>, std::less<>> label_codes{};
    /// What takes two people, by name.
    std::map<std::string, approvals::Kind, std::less<>> two_people{};
    std::map<Role, RolePolicy> roles{};
    FreshProof fresh_proof{};

    /// The role's part; one that allows nothing for a role that no file names.
    const RolePolicy& of(Role role) const;
    /// What the audit notes: "meridian default 1 #0123abcd".
    std::string version() const;
};

/// One file.
struct File {
    std::string name{};  ///< for messages
    std::string text{};
};

/// Reads policy files in their order: a later one adds labels and groups, and replaces a role that
/// it names as a whole. Errors: `incorrect` with file, line and what was expected, for anything
/// that is not understood: a misspelt word must not allow less or more than was meant. Blocking:
/// never.
Result<std::shared_ptr<const Policy>> parse(const std::vector<File>& files);
/// The files that a server with this data folder decides by: the one that is shipped, then
/// `data_folder`/policy/*.toml in the order of their names. Errors: as parse; those of read_file.
Result<std::vector<File>> files_of(File shipped, const std::string& data_folder);

/// Whether resources of the type are part of a patient's record (the Patient compartment of R4).
bool is_about_patients(std::string_view type);

/// The roles' tables as docs/policy.md shows them.
std::string document_of(const Policy& policy);

}  // namespace meridian::trust::policy
