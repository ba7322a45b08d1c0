// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "base/instant.hpp"
#include "fhir/caller.hpp"
#include "net/http.hpp"
#include "store/store.hpp"
#include "trust/audit/covered_query.hpp"
#include "trust/audit/entry.hpp"

namespace meridian::trust::audit {

/// Writes audit records into the store's log. Thread-safe. Entries are kept for ever: nothing takes
/// one away. So what searches ask for is covered where it may say who somebody is (covered_query),
/// by `hash`.
class LogAudit final : public fhir::AuditSink {
 public:
    explicit LogAudit(store::Store& store, TextHash hash = {})
        : store_(store), hash_(std::move(hash)) {}

    bool is_quiet() const override { return false; }
    Result<void> record(const fhir::Caller& caller,
                        std::vector<fhir::AuditRecord> records) override;
    bool records_at_once(const fhir::Caller& caller) const override;
    void record_later(const fhir::Caller& caller, fhir::AuditRecord record,
                      std::function<void(Result<void>)> done) override;
    Result<std::vector<store::AuditEntry>> entries(const fhir::Caller& caller,
                                                   const fhir::AuditRecord& record) override;

    /// Tells of a request that was refused before anybody knew who asks (401, 403): what was asked
    /// for and from where, no secret. Does not wait; whoever floods the server with such requests
    /// gets limits::audit_refusals_a_second entries a second, and one that says how many there were
    /// besides. For GateParts::refused.
    void note_refused(const net::Request& request, const Error& error);

 private:
    store::Name actor_name(const std::string& actor);

    store::Store& store_;
    TextHash hash_;
    /// The names of those who were told of, so that nobody asks a database for them again.
    mutable std::shared_mutex actors_mutex_;
    std::unordered_map<std::string, store::Name> actors_;
    std::mutex mutex_;
    std::int64_t second_ = 0;  ///< in which `told_` were told
    std::size_t told_ = 0;
    std::int64_t left_out_ = 0;  ///< since the last one that was told
};

/// What an entry says of a record. Texts that are no UTF-8 are cut where that begins.
Entry entry_of(const fhir::Caller& caller, const fhir::AuditRecord& record);

}  // namespace meridian::trust::audit
