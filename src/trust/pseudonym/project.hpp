// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/policy/policy.hpp"
#include "trust/seal.hpp"
#include "trust/subject.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::pseudonym {

/// A task for which some people see some patients without learning who they are.
struct Project {
    std::string id{};  ///< [a-z0-9-], chosen by who made it
    std::string title{};
    std::string cohort{};  ///< reference of the Group whose members are the patients
    /// What a Consent may name as the actor whom it permits or denies; the cohort when nothing else
    /// was said, e.g. "ResearchStudy/7".
    std::string actor{};
    std::string purpose = "HRESCH";  ///< code of v3-ActReason
    policy::ConsentRule consent = policy::ConsentRule::opt_in;
    /// Names of sensitivity labels that are shown all the same: what carries another that the
    /// policy knows is not.
    std::vector<std::string> labels{};
    std::vector<std::string> members{};  ///< names of accounts
    std::string reference_day{};         ///< ages are counted to it
    Instant created{};
    SecretKey secret{};        ///< pseudonyms and shifts come from it; leaves the vault never
    int generation = 1;        ///< of the folder that holds the view: another after an erasure
    std::int64_t version = 0;  ///< in the vault
};

/// Whether an account of this role may be a member: whoever also sees records by their names could
/// lay both side by side.
bool may_be_member(Role role);
/// Errors: `incorrect` for what is no id of a project.
Result<std::string> project_id(std::string_view text);

/// All projects, sealed in the vault. Thread-safe.
class ProjectList {
 public:
    /// `vault` must outlive it.
    explicit ProjectList(Vault& vault) : vault_(vault) {}
    /// Makes the project with a new secret. Errors: `incorrect` for a bad id, title or cohort;
    /// `conflict` when there is one of that id; `too_large` beyond limits::projects_max.
    Result<Project> add(Project project);
    /// Errors: `not_found`; the vault's.
    Result<Project> find(std::string_view id);
    Result<std::vector<Project>> all();
    /// Reads the project, changes it, writes it; again when somebody else was faster. Errors:
    /// `not_found`; those of `change`; `busy`.
    Result<Project> change(std::string_view id,
                           const std::function<Result<void>(Project&)>& change);
    /// Takes the project away, and with it the secret: nobody can tell any more whose its
    /// pseudonyms were. Errors: `not_found`; `busy`.
    Result<void> remove(std::string_view id);

 private:
    Vault& vault_;
};

/// The policy by which the record decides what becomes part of the view: `files` are those of the
/// deployment, for groups and labels. Errors: as policy::parse.
Result<std::shared_ptr<const policy::Policy>> policy_of_entry(const Project& project,
                                                              std::vector<policy::File> files);
/// The policy by which a member reads the view. Errors: as policy::parse.
Result<std::shared_ptr<const policy::Policy>> policy_of_reading(const Project& project,
                                                                std::vector<policy::File> files);
/// As whom the view asks the record.
Subject subject_of_entry(const Project& project);

}  // namespace meridian::trust::pseudonym
