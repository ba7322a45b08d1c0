// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fhir/repository.hpp"
#include "trust/consent/register.hpp"
#include "trust/policy/decisions.hpp"
#include "trust/pseudonym/project.hpp"
#include "trust/pseudonym/transform.hpp"

/// What a project shows, kept in a record of its own that follows the real one.
namespace meridian::trust::pseudonym {

/// Follows the log of the record and writes the pseudonymous copies of one project into `view`.
/// What becomes part of it the project's policy decides, by the one decision of trust/policy, with
/// each patient's consents as they are now. Everything that is written depends on the record as it
/// is alone, so writing it twice changes nothing; the cursor is saved in `view` behind what was
/// written. For one thread, but for followed(), stop() and patient_of().
class View {
 public:
    /// Both repositories must outlive it. `view` holds nothing but what this class writes.
    View(fhir::Repository& record, fhir::Repository& view, Project project,
         std::shared_ptr<const policy::Policy> policy);
    ~View();

    /// Builds the view when it is new, then takes a step along the log. True when there is more to
    /// do at once. Errors: those of both stores; `too_large` for a cohort beyond
    /// limits::project_patients_max. Blocking: long when it builds.
    Result<bool> advance();
    /// Up to where the record is in the view; -1 while it is being built.
    store::Position followed() const { return followed_.load(std::memory_order_acquire); }
    /// Somebody who was shown was erased, or the record was put back to an earlier time: what the
    /// view's own store still keeps has to go with the store.
    bool is_to_be_made_anew() const { return is_to_be_made_anew_; }
    /// Makes an advance() that is under way end soon, with `unavailable`. From any thread.
    void stop() { is_stopping_.store(true, std::memory_order_relaxed); }
    /// The logical id of the cohort's patient with this pseudonym. Errors: `not_found`; the
    /// store's. Blocking: reads the cohort.
    Result<std::string> patient_of(std::string_view pseudonym) const;

 private:
    struct Pending;
    using Cohort = std::set<std::string, std::less<>>;
    /// What consents say to the project.
    struct Said {
        std::map<std::string, std::string> shapes{};  ///< by patient, equal when they say the same
        Instant changes_at{std::numeric_limits<std::int64_t>::max()};
    };

    Result<void> begin();
    Result<void> build();
    Result<bool> follow(store::Snapshot& snapshot);
    Result<bool> was_ever_shown(const std::string& id);
    Result<void> follow_entry(store::Snapshot& snapshot, const std::string& type,
                              const std::string& id, Pending& pending);
    Result<Cohort> read_cohort(store::Snapshot& snapshot) const;
    Result<void> take_cohort();
    Result<void> look_at_consents(store::Snapshot& snapshot);
    Said said_by(const consent::Standing& standing) const;
    std::string terms_with(const Said& said) const;
    Result<void> take_consents(const consent::Standing& standing, Said said);
    Result<void> build_patient(const std::string& id);
    Result<void> remove_patient(const std::string& pseudonym);
    Result<void> remove_all_but(const std::string& pseudonym,
                                const std::set<std::pair<std::string, std::string>>& kept);
    Result<void> copy_definitions(std::string_view type);
    Result<std::optional<Person>> person(store::Snapshot& snapshot, const std::string& id);
    Result<fhir::Caller> entry_caller();
    std::string home_of(const std::string& type, const Json& resource);
    Result<void> tell_patient(std::string_view what, const std::string& id);
    Result<void> save_cursor();

    fhir::Repository& record_;
    fhir::Repository& view_;
    const Project project_;
    const Transformation transformation_;
    const std::string policy_hash_;
    policy::Decisions decisions_;
    consent::Register consents_;

    bool has_begun_ = false;
    bool is_to_be_made_anew_ = false;
    store::Position next_ = 0;  ///< of the record's log
    store::Position saved_ = -1;
    Cohort cohort_;
    std::shared_ptr<const consent::Consents> known_consents_{};
    Said said_;
    // Of one step:
    std::optional<fhir::Caller> step_caller_{};
    std::map<std::string, std::optional<Person>> step_persons_{};
    std::atomic<store::Position> followed_{-1};
    std::atomic<bool> is_stopping_{false};
};

}  // namespace meridian::trust::pseudonym
