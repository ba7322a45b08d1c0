// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/caller.hpp"
#include "trust/approvals/approval.hpp"
#include "trust/subject.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::approvals {

/// Requests that a second person decides over. They lie sealed in the vault; each step is audited
/// before it is taken, so that none goes untold. Thread-safe; shared by all servers on one store.
class Approvals {
 public:
    struct Options {
        /// The terms of a kind by its name, asked anew at each step; nothing for an unknown one.
        std::function<std::optional<Kind>(std::string_view)> kind{};
        /// Keeps audit records, durable when it returns: Repository::note.
        std::function<Result<void>(const fhir::Caller&, std::vector<fhir::AuditRecord>)> audit{};
        std::function<Instant()> clock = now;
    };
    /// What somebody asks for.
    struct Request {
        std::string kind{}, target{}, detail{}, reason{};
        std::vector<std::string> patients{};  ///< ids of those whose records it is about
    };
    /// What is written together with a change of the record, so that the approval is used exactly
    /// when the change is made.
    struct Use {
        store::PrivateRow row{};
        fhir::AuditRecord record{};
    };

    /// `vault` must outlive it.
    Approvals(Vault& vault, Options options);

    /// Asks. `who` and `caller` are the same person, as sign-in and as the policy know them.
    /// Errors: `forbidden` for a role that may not ask; `incorrect` for an unknown kind or a reason
    /// that is too short; `too_large`; `conflict` when too many wait already. Blocking: look-ups,
    /// one commit for the audit and one for the request.
    Result<Approval> ask(const Subject& who, const fhir::Caller& caller, Request request);

    /// Agrees or refuses. Errors: `not_found` for what is not there or not theirs to decide;
    /// `forbidden` for the person who asked, and for apps; `incorrect` for a refusal without a
    /// reason; `conflict` when it is decided or lapsed. Blocking: as ask.
    Result<Approval> decide(const Subject& who, const fhir::Caller& caller, std::string_view id,
                            bool approve, std::string_view reason);

    /// What the person asked for or decided, and what waits for a decision that they may take;
    /// newest first, at most limits::approvals_listed_max. `only_open`: what waits only. Errors:
    /// the vault's. Blocking: reads the vault.
    Result<std::vector<Approval>> list(const Subject& who, bool only_open);

    /// Approvals of a kind that stand for a target now: approved, within their time, not used up,
    /// and usable by this account. Errors: the vault's. Blocking: one look-up.
    Result<std::vector<Approval>> standing(std::string_view kind, std::string_view target,
                                           std::string_view account);

    /// Uses what stands for the target: used up when its kind says once. `detail` empty = any.
    /// Errors: `forbidden` when nothing stands; `conflict` when it was used up just now. Blocking:
    /// as ask.
    Result<Approval> use(const Subject& who, const fhir::Caller& caller, std::string_view kind,
                         std::string_view target, std::string_view detail = {});

    /// The same for an approval out of `standing` whose use is a change of the record: what has to
    /// be in that change's own commit. A commit with a row of an approval that was used meanwhile
    /// is stale. Errors: of the vault. Blocking: never.
    Result<Use> use_within_commit(const fhir::Caller& caller, const Approval& approval);

 private:
    bool may_decide(const Subject& who, const Approval& approval) const;
    Result<std::vector<Approval>> of_target(std::string_view kind, std::string_view target);
    Result<std::size_t> count_open(std::string_view account);
    Result<void> walk(const std::function<bool(Approval)>& take);
    Result<void> note(const fhir::Caller& caller, std::string_view step, const Approval& approval);
    Result<void> keep(const fhir::Caller& caller, const Approval& approval);
    Vault::Entry entry_of(const Approval& approval) const;

    Vault& vault_;
    Options options_;
};

/// What the audit says of one step: "approval asked: lower-label psychiatry", of the target.
fhir::AuditRecord record_of(std::string_view step, const Approval& approval);

}  // namespace meridian::trust::approvals
