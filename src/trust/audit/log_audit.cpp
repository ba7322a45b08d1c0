// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/log_audit.hpp"

#include "base/metrics.hpp"
#include "base/utf8.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::audit {

namespace {

/// At most `bytes_max` of what is UTF-8 at the beginning of `text`.
std::string bounded(std::string_view text, std::size_t bytes_max = limits::audit_text_bytes_max) {
    text = text.substr(0, valid_utf8_length(text.substr(0, bytes_max)));
    return std::string(text);
}

/// Without the port.
std::string_view host_of(std::string_view peer) {
    const std::size_t colon = peer.rfind(':');
    return colon == std::string_view::npos ? peer : peer.substr(0, colon);
}

/// Whether AuditRecord::query holds what a client asked of the record, and not the server's words.
bool asks(fhir::Interaction interaction) {
    using enum fhir::Interaction;
    return interaction != request && interaction != sign_in && interaction != sign_out &&
           interaction != token && interaction != security && interaction != job;
}

metrics::Counter& lost() {
    static metrics::Counter& counter = metrics::counter(
        "meridian_audit_refusals_lost_total",
        "refused requests that could not be audited because the store did not take them");
    return counter;
}

}  // namespace

Entry entry_of(const fhir::Caller& caller, const fhir::AuditRecord& record) {
    Entry entry;
    entry.interaction = record.interaction;
    entry.outcome = record.outcome;
    entry.actor = bounded(caller.actor);
    entry.organisation = bounded(caller.organisation);
    entry.on_behalf_of = bounded(caller.on_behalf_of);
    entry.type = bounded(record.type);
    entry.id = bounded(record.id);
    entry.version = std::max<store::Version>(record.version, 0);
    entry.query = bounded(record.query, limits::audit_query_bytes_max);
    entry.is_query_cut = entry.query.size() != record.query.size();
    entry.resources = std::max<std::int64_t>(record.resources, 0);
    entry.address = bounded(caller.address);
    entry.request_id = bounded(caller.request_id);
    entry.purpose = bounded(caller.purpose);
    if (const fhir::Origin* origin = caller.origin.get()) {
        entry.account = bounded(origin->account);
        entry.role = bounded(origin->role);
        entry.client = bounded(origin->client);
        entry.session = bounded(origin->session);
        entry.policy_version = bounded(origin->policy_version);
        entry.clause = bounded(origin->clause);
    }
    return entry;
}

Result<std::vector<store::AuditEntry>> LogAudit::entries(const fhir::Caller& caller,
                                                         const fhir::AuditRecord& record) {
    Entry entry = entry_of(caller, record);
    if (asks(record.interaction)) {
        entry.query = covered_query(record.query, hash_);
        entry.is_query_cut = entry.query.size() > limits::audit_query_bytes_max;
        entry.query = bounded(entry.query, limits::audit_query_bytes_max);
    }
    std::vector<std::string> patients = record.patients;
    // An import tells of all, in as many entries as that takes; whoever asks, of a bounded number.
    const bool is_in_parts = patients.size() > limits::audit_entry_patients_max;
    if (record.interaction != fhir::Interaction::bulk_import &&
        patients.size() > limits::audit_request_patients_max)
        patients.resize(limits::audit_request_patients_max);
    std::sort(patients.begin(), patients.end());

    store::AuditEntry made;
    if (!caller.actor.empty()) made.actor = actor_name(caller.actor);
    if (!caller.organisation.empty()) made.organisation = actor_name(caller.organisation);
    const store::Name type =
        patients.empty() ? 0 : store_.names().intern(store::NameKind::type, "Patient");
    std::vector<store::AuditEntry> all;
    for (std::size_t at = 0; at == 0 || at < patients.size();
         at += limits::audit_entry_patients_max) {
        const std::size_t end = std::min(at + limits::audit_entry_patients_max, patients.size());
        entry.patients.assign(patients.begin() + static_cast<std::ptrdiff_t>(at),
                              patients.begin() + static_cast<std::ptrdiff_t>(end));
        entry.has_more_patients = is_in_parts;
        made.bytes = encode(entry);
        made.patients.clear();
        for (const std::string& patient : entry.patients) made.patients.push_back({type, patient});
        all.push_back(made);
    }
    return all;
}

Result<void> LogAudit::record(const fhir::Caller& caller, std::vector<fhir::AuditRecord> records) {
    std::vector<store::AuditEntry> all;
    for (const fhir::AuditRecord& record : records) {
        auto some = TRY(entries(caller, record));
        std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return store_.record(std::move(all));
}

bool LogAudit::records_at_once(const fhir::Caller& caller) const {
    const std::shared_lock lock(actors_mutex_);
    const auto is_known = [this](const std::string& actor) {
        return actor.empty() || actors_.contains(actor);
    };
    return is_known(caller.actor) && is_known(caller.organisation);
}

void LogAudit::record_later(const fhir::Caller& caller, fhir::AuditRecord record,
                            std::function<void(Result<void>)> done) {
    auto made = store::with_names([&] { return entries(caller, record); });
    if (!made) return done(std::unexpected(std::move(made).error()));
    store_.record_later(*std::move(made), std::move(done));
}

/// The store's name of an actor or an organisation.
store::Name LogAudit::actor_name(const std::string& actor) {
    {
        const std::shared_lock lock(actors_mutex_);
        if (const auto found = actors_.find(actor); found != actors_.end()) return found->second;
    }
    const store::Name name = store_.names().intern(store::NameKind::actor, actor);
    const std::unique_lock lock(actors_mutex_);
    if (actors_.size() >= limits::audit_actors_remembered_max) actors_.clear();
    actors_.emplace(actor, name);
    return name;
}

void LogAudit::note_refused(const net::Request& request, const Error& error) {
    fhir::AuditRecord record;
    record.query = fmt::format("{} {}", request.method_text, request.path());
    record.outcome =
        error.category == Category::unauthenticated || error.category == Category::forbidden
            ? fhir::AuditOutcome::refused
            : fhir::AuditOutcome::minor_failure;
    {
        const std::lock_guard lock(mutex_);
        const std::int64_t second = now().milliseconds / 1'000;
        if (second != std::exchange(second_, second)) told_ = 0;
        if (told_ == limits::audit_refusals_a_second) {
            ++left_out_;
            return;
        }
        ++told_;
        record.resources = std::exchange(left_out_, 0);
    }
    fhir::Caller nobody;
    nobody.purpose.clear();
    nobody.request_id = request.id;
    nobody.address = host_of(request.peer);
    auto made = entries(nobody, record);
    if (!made) return lost().add();
    store_.record_later(std::move(*made), [](Result<void> kept) {
        if (!kept) lost().add();
    });
}

}  // namespace meridian::trust::audit
