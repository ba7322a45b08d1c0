// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fhir/repository.hpp"
#include "trust/policy/policy.hpp"
#include "trust/subject.hpp"

/// Where requests, exports and subscriptions ask what somebody may see.
namespace meridian::trust::policy {

/// An emergency access that was just opened.
struct EmergencyAccess {
    std::string task{};     ///< reference of the Task for the review
    std::string notice{};   ///< reference of the Communication to the patient
    std::string patient{};  ///< reference
    Instant ends{};
};

/// An emergency access that waits for its review.
struct PendingReview {
    std::string task{};     ///< id of the Task
    std::string patient{};  ///< reference
    std::string person{};   ///< reference of who opened the record
    std::string reason{};   ///< as given by them
    Instant opened{}, ends{};
    Instant review_by{};
};
struct PendingReviews {
    std::vector<PendingReview> reviews{};  ///< whose deadline comes first stands first
    bool has_more = false;                 ///< than limits::break_glass_reviews_listed_max
};

/// What a review found. In Task.businessStatus, as code of verdict_system.
enum class Verdict : unsigned char { justified, not_justified };
inline constexpr std::string_view verdict_system = "urn:meridian:break-glass-verdict";
/// "justified", "not-justified".
std::string_view name_of(Verdict verdict);
std::optional<Verdict> verdict_named(std::string_view name);

/// Makes a fhir::Caller of a Subject. What the record says about somebody is kept as long as
/// nothing that matters to it was written: a withdrawn consent counts from the next request on.
/// Thread-safe; must outlive the callers it made.
class Decisions {
 public:
    Decisions(fhir::Repository& repository, std::shared_ptr<const Policy> policy);
    ~Decisions();
    Decisions(const Decisions&) = delete;
    Decisions& operator=(const Decisions&) = delete;

    /// The caller that stands for the subject. Errors: `incorrect` for a scope that is none; the
    /// store's; `too_large` beyond limits::policy_patients_max. Blocking: one snapshot; reads the
    /// record when something changed.
    Result<fhir::Caller> caller(const Subject& subject);
    /// What the subject may see now. Errors and blocking: as caller().
    Result<std::shared_ptr<const fhir::AccessFilter>> filter(const Subject& subject);

    /// Policy files were changed: from the next request on they decide.
    void set_policy(std::shared_ptr<const Policy> policy);
    std::shared_ptr<const Policy> policy() const;

    /// Opens the record of one patient for a time, writes the Task for the review and the notice
    /// for the patient in one commit. Errors: `forbidden` when the role may not; `incorrect` for a
    /// reason that is too short; `unauthenticated` as require_recent() when the person's proof is
    /// older than Policy::fresh_proof; `not_found` for no such patient. Blocking: one commit.
    Result<EmergencyAccess> break_glass(const Subject& subject, std::string_view patient_id,
                                        std::string_view reason);
    /// The same for the one patient with this identifier. Errors: as above; `not_found` also when
    /// several have it.
    Result<EmergencyAccess> break_glass_by_identifier(const Subject& subject,
                                                      std::string_view system,
                                                      std::string_view value,
                                                      std::string_view reason);
    /// The emergency accesses that nobody has reviewed yet. Errors: `forbidden` when the role does
    /// not review; those of the Repository. Blocking: a search, which is audited as the subject's.
    Result<PendingReviews> pending_reviews(const Subject& subject);
    /// Closes the review of an emergency access with what was found. Errors: `forbidden` when the
    /// role does not review, or reviews itself; `not_found`. Blocking: one commit.
    Result<void> review(const Subject& subject, std::string_view task_id, std::string_view finding,
                        Verdict verdict = Verdict::justified);

 private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace meridian::trust::policy
