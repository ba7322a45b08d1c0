// SPDX-License-Identifier: Apache-2.0
#include "trust/approvals/approvals.hpp"

#include "base/hash.hpp"
#include "trust/approvals/limits.hpp"

namespace meridian::trust::approvals {

namespace {

constexpr std::string_view space = "approval";
constexpr std::size_t target_hash_bytes = 12;  ///< brings those of a target together in the vault
constexpr std::size_t random_id_bytes = 16;

bool holds(const std::vector<Role>& roles, Role role) {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
}

Party party_of(const Subject& who) {
    return {who.account, std::string(trust::name_of(who.role)), who.person, who.organisation};
}

/// One person may have several accounts: neither may be the other's second.
bool is_same_person(const Party& party, const Subject& who) {
    return party.account == who.account || (!who.person.empty() && party.person == who.person);
}

/// What all ids of a kind's requests for one target begin with.
std::string prefix_of(std::string_view kind, std::string_view target) {
    const std::string hash = to_hex(sha256(target));
    return fmt::format("{}.{}.", kind, std::string_view(hash).substr(0, 2 * target_hash_bytes));
}

std::size_t characters_in(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80 && c != ' ';
    }));
}

Instant later(Instant from, std::chrono::milliseconds by) {
    return {from.milliseconds + by.count()};
}

std::unexpected<Error> no_such_request() {
    return fail(Category::not_found, "there is no such request that you could decide");
}

Result<void> check_request(const Kind& kind, const Approvals::Request& request) {
    if (request.target.empty())
        return fail(Category::incorrect, "an approval is asked for a target", "target");
    if (request.target.size() > limits::approval_target_bytes_max ||
        request.detail.size() > limits::approval_target_bytes_max)
        return fail(Category::too_large,
                    fmt::format("target or detail are longer than {} bytes",
                                limits::approval_target_bytes_max),
                    "target");
    if (request.patients.size() > limits::approval_patients_max)
        return fail(Category::too_large, fmt::format("one request concerns at most {} patients",
                                                     limits::approval_patients_max));
    if (request.reason.size() > limits::approval_text_bytes_max)
        return fail(
            Category::too_large,
            fmt::format("the reason is longer than {} bytes", limits::approval_text_bytes_max),
            "reason");
    if (characters_in(request.reason) < kind.reason_characters_min)
        return fail(Category::incorrect,
                    fmt::format("a request needs a reason of at least {} characters",
                                kind.reason_characters_min),
                    "reason");
    return {};
}

}  // namespace

Approvals::Approvals(Vault& vault, Options options) : vault_(vault), options_(std::move(options)) {}

Result<Approval> Approvals::ask(const Subject& who, const fhir::Caller& caller, Request request) {
    const auto kind = options_.kind(request.kind);
    if (!kind)
        return fail(Category::incorrect, fmt::format("there is no approval of the kind \"{}\"",
                                                     std::string_view(request.kind).substr(0, 60)));
    if (!holds(kind->ask, who.role))
        return fail(Category::forbidden, "your role may not ask for this approval");
    TRY(check_request(*kind, request));
    if (TRY(of_target(request.kind, request.target)).size() >= limits::approvals_per_target_max ||
        TRY(count_open(who.account)) >= limits::approvals_open_per_account_max)
        return fail(Category::conflict, "too many requests wait already: have them decided first");
    Approval made;
    made.id = prefix_of(request.kind, request.target) + to_hex(random_bytes(random_id_bytes));
    made.kind = std::move(request.kind);
    made.target = std::move(request.target);
    made.detail = std::move(request.detail);
    made.reason = std::move(request.reason);
    made.patients = std::move(request.patients);
    made.asked_by = party_of(who);
    made.asked_at = options_.clock();
    made.decide_by = later(made.asked_at, kind->decide_within);
    TRY(note(caller, "asked", made));
    TRY(keep(caller, made));
    ++made.version;
    return made;
}

bool Approvals::may_decide(const Subject& who, const Approval& approval) const {
    const auto kind = options_.kind(approval.kind);
    if (!kind || !holds(kind->decide, who.role)) return false;
    return !kind->within_organisation || approval.asked_by.organisation.empty() ||
           approval.asked_by.organisation == who.organisation;
}

Result<Approval> Approvals::decide(const Subject& who, const fhir::Caller& caller,
                                   std::string_view id, bool approve, std::string_view reason) {
    if (id.size() > limits::approval_target_bytes_max) return no_such_request();
    const auto entry = TRY(vault_.get(space, id));
    if (!entry) return no_such_request();
    Approval approval = TRY(approval_of(id, entry->value));
    approval.version = entry->version;
    const bool is_own = is_same_person(approval.asked_by, who);
    if (!is_own && !may_decide(who, approval)) return no_such_request();
    if (is_own)
        return fail(Category::forbidden,
                    "nobody decides over their own request: another person has to");
    // A decision is a person's, not that of an app they gave some of their rights to.
    if (!who.scopes.empty()) return fail(Category::forbidden, "an app may not decide for its user");
    const Instant at = options_.clock();
    if (const State state = approval.state_at(at); state != State::asked)
        return fail(Category::conflict, fmt::format("this request is {} already", name_of(state)));
    if (reason.size() > limits::approval_text_bytes_max || (!approve && reason.empty()))
        return fail(Category::incorrect,
                    fmt::format("the reason is a text of at most {} bytes, and a refusal has one",
                                limits::approval_text_bytes_max),
                    "reason");
    approval.state = approve ? State::approved : State::refused;
    approval.decided_by = party_of(who);
    approval.decided_at = at;
    approval.decision_reason = reason;
    if (approve) approval.usable_until = later(at, options_.kind(approval.kind)->use_within);
    TRY(note(caller, name_of(approval.state), approval));
    TRY(keep(caller, approval));
    ++approval.version;
    return approval;
}

Result<std::vector<Approval>> Approvals::list(const Subject& who, bool only_open) {
    std::vector<Approval> found;
    const Instant at = options_.clock();
    TRY(walk([&](Approval approval) {
        approval.state = approval.state_at(at);
        const bool is_open = approval.state == State::asked;
        const bool is_theirs = approval.asked_by.account == who.account ||
                               (approval.decided_by && approval.decided_by->account == who.account);
        if ((is_open || !only_open) && (is_theirs || (is_open && may_decide(who, approval))))
            found.push_back(std::move(approval));
        return true;
    }));
    std::sort(found.begin(), found.end(), [](const Approval& a, const Approval& b) {
        return std::pair(b.asked_at.milliseconds, std::string_view(a.id)) <
               std::pair(a.asked_at.milliseconds, std::string_view(b.id));
    });
    if (found.size() > limits::approvals_listed_max) found.resize(limits::approvals_listed_max);
    return found;
}

Result<std::vector<Approval>> Approvals::standing(std::string_view kind_name,
                                                  std::string_view target,
                                                  std::string_view account) {
    const auto kind = options_.kind(kind_name);
    std::vector<Approval> found;
    if (!kind) return found;
    const Instant at = options_.clock();
    for (Approval& approval : TRY(of_target(kind_name, target))) {
        if (approval.state_at(at) != State::approved) continue;
        if (kind->only_asker && approval.asked_by.account != account) continue;
        found.push_back(std::move(approval));
    }
    return found;
}

Result<Approval> Approvals::use(const Subject& who, const fhir::Caller& caller,
                                std::string_view kind_name, std::string_view target,
                                std::string_view detail) {
    const auto stand = TRY(standing(kind_name, target, who.account));
    const auto found = std::find_if(stand.begin(), stand.end(), [&](const Approval& approval) {
        return detail.empty() || approval.detail == detail;
    });
    if (found == stand.end())
        return fail(Category::forbidden,
                    "this needs the approval of a second person, and none stands");
    Approval approval = *found;
    const auto kind = options_.kind(kind_name);
    const bool is_first = approval.used_by.empty();
    if (is_first) {
        approval.used_by = who.account;
        approval.used_at = options_.clock();
    }
    if (!kind || kind->once) approval.state = State::used;
    TRY(note(caller, "used", approval));
    if (is_first || approval.state == State::used) {
        TRY(keep(caller, approval));
        ++approval.version;
    }
    return approval;
}

Result<Approvals::Use> Approvals::use_within_commit(const fhir::Caller& caller,
                                                    const Approval& approval) {
    Approval used = approval;
    used.state = State::used;
    used.used_by = caller.origin ? caller.origin->account : caller.actor;
    used.used_at = options_.clock();
    Use use;
    use.row = TRY(vault_.sealed(entry_of(used)));
    use.record = record_of("used", used);
    return use;
}

Result<std::vector<Approval>> Approvals::of_target(std::string_view kind, std::string_view target) {
    const std::string prefix = prefix_of(kind, target);
    std::vector<Approval> found;
    for (const Vault::Entry& entry :
         TRY(vault_.list(space, prefix, 2 * limits::approvals_per_target_max))) {
        if (!entry.key.starts_with(prefix)) break;
        found.push_back(TRY(approval_of(entry.key, entry.value)));
        found.back().version = entry.version;
    }
    return found;
}

Result<std::size_t> Approvals::count_open(std::string_view account) {
    std::size_t open = 0;
    const Instant at = options_.clock();
    TRY(walk([&](const Approval& approval) {
        if (approval.asked_by.account == account && approval.state_at(at) == State::asked) ++open;
        return open < limits::approvals_open_per_account_max;
    }));
    return open;
}

Result<void> Approvals::walk(const std::function<bool(Approval)>& take) {
    std::string after;
    for (std::size_t walked = 0; walked < limits::approvals_walked_max;
         walked += limits::approvals_at_once) {
        const auto part = TRY(vault_.list(space, after, limits::approvals_at_once));
        for (const Vault::Entry& entry : part) {
            Approval approval = TRY(approval_of(entry.key, entry.value));
            approval.version = entry.version;
            if (!take(std::move(approval))) return {};
        }
        if (part.size() < limits::approvals_at_once) return {};
        after = part.back().key;
    }
    return {};
}

Result<void> Approvals::note(const fhir::Caller& caller, std::string_view step,
                             const Approval& approval) {
    return options_.audit(caller, {record_of(step, approval)});
}

Result<void> Approvals::keep(const fhir::Caller& caller, const Approval& approval) {
    auto kept = vault_.put({entry_of(approval)});
    if (kept && *kept) return {};
    // What was told did not come to be.
    fhir::AuditRecord record = record_of(name_of(approval.state), approval);
    record.outcome = fhir::AuditOutcome::minor_failure;
    TRY(options_.audit(caller, {std::move(record)}));
    if (!kept) return std::unexpected(std::move(kept).error());
    return fail(Category::conflict, "somebody else took a step with this request just now");
}

Vault::Entry Approvals::entry_of(const Approval& approval) const {
    const Instant over = approval.state == State::asked
                             ? approval.decide_by
                             : std::max(approval.decided_at, approval.usable_until);
    return {.space = std::string(space),
            .key = approval.id,
            .value = to_json(approval),
            .version = approval.version,
            .expires = later(over, std::chrono::days(limits::approval_kept_days))};
}

fhir::AuditRecord record_of(std::string_view step, const Approval& approval) {
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::security;
    record.query = fmt::format("approval {}: {}{}{}", step, approval.kind,
                               approval.detail.empty() ? "" : " ", approval.detail);
    const std::size_t slash = approval.target.find('/');
    if (slash != std::string::npos) {
        record.type = approval.target.substr(0, slash);
        record.id = approval.target.substr(slash + 1);
    }
    for (const std::string& patient : approval.patients) record.add_patient(patient);
    return record;
}

}  // namespace meridian::trust::approvals
