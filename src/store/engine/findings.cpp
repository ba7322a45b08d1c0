// SPDX-License-Identifier: Apache-2.0
#include "store/engine/findings.hpp"

#include "base/limits.hpp"

namespace meridian::store {

// --- findings ---

void Findings::problem(std::string text) {
    if (report_.problems++ == 0) report_.first_problem = std::move(text);
}

bool Findings::enough() const {
    return report_.problems >= static_cast<std::int64_t>(limits::check_problems_max);
}

void Findings::progress(std::string_view part, std::int64_t done, std::int64_t total) {
    constexpr std::int64_t told_every = 10'000;
    if (options_.progress && (done % told_every == 0 || done == total))
        options_.progress(part, done, total);
}

std::string Findings::name_of(Name type, std::string_view id) const {
    return fmt::format("{}/{}", names_.text(NameKind::type, type), id);
}

std::string Findings::version_name(const Stored& stored) const {
    return fmt::format("{} version {}", name_of(stored.type, stored.id), stored.version);
}

// --- the log ---

void LogCheck::entry(const Entry& entry, std::int64_t total) {
    constexpr std::int64_t salt_bytes = 16, hash_bytes = 32;
    if (entry.position != expected_) {
        findings_.problem(fmt::format("log: position {} is missing, the next entry is {}",
                                      expected_, entry.position));
    }
    if (entry.at < at_before_) {
        findings_.problem(fmt::format("log entry {}: its time lies before that of the entry before",
                                      entry.position));
    }
    if (entry.salt_bytes != salt_bytes || entry.hash_bytes != hash_bytes) {
        findings_.problem(
            fmt::format("log entry {}: its salt or hash has a wrong length", entry.position));
    }
    if (entry.kind == static_cast<std::int64_t>(EntryKind::version)) {
        ++versions_;
    } else if (entry.kind == static_cast<std::int64_t>(EntryKind::audit)) {
        ++audits_;
    } else {
        findings_.problem(
            fmt::format("log entry {}: it is of no kind that is known", entry.position));
    }
    at_before_ = entry.at;
    expected_ = entry.position + 1;
    findings_.progress("log", ++findings_.report().log_entries, total);
}

// --- audit ---

void AuditCheck::entry(const Entry& entry) {
    ++entries_;
    patients_ += entry.patients;
    if (!entry.is_in_log) {
        findings_.problem(
            fmt::format("audit entry {}: the log knows none at this position", entry.position));
        return;
    }
    const Sha256 hash = sha256(entry.bytes);
    if (entry.hash != std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()))
        findings_.problem(
            fmt::format("audit entry {}: it is not what the log's hash says", entry.position));
    if (entry.actor != entry.actor_in_log)
        findings_.problem(
            fmt::format("audit entry {}: it is indexed under another actor than the "
                        "log's",
                        entry.position));
    if (entry.patients_found != entry.patients)
        findings_.problem(
            fmt::format("audit entry {}: audit_patient lacks rows of it", entry.position));
}

void AuditCheck::finish(std::int64_t entries_in_log, std::int64_t patient_rows) {
    if (entries_ != entries_in_log)
        findings_.problem(fmt::format("the log tells of {} audit entries, the store has {}",
                                      entries_in_log, entries_));
    if (patient_rows != patients_)
        findings_.problem(fmt::format("audit_patient has {} rows, the audit entries name {}",
                                      patient_rows, patients_));
}

// --- history ---

void HistoryCheck::finish() {
    if (rid_ == 0 || !newest_.exists || expected_ == newest_.version) return;
    findings_.problem(fmt::format("{}: version {} is missing in its history", name_, expected_));
}

void HistoryCheck::begin(const Stored& stored, const Newest& newest) {
    finish();
    rid_ = stored.rid;
    expected_ = 1;
    position_before_ = -1;
    newest_ = newest;
    name_ = newest.exists ? findings_.name_of(stored.type, stored.id)
                          : fmt::format("resource {}", stored.rid);
    if (newest.exists) return;
    findings_.problem(fmt::format(
        "history: versions of the resource {} are there, its newest version is not", stored.rid));
}

void HistoryCheck::version(const Stored& stored, const Newest& newest) {
    if (stored.rid != rid_) begin(stored, newest);
    if (stored.version != expected_)
        findings_.problem(
            fmt::format("{}: version {} is missing in its history", name_, expected_));
    if (stored.position <= position_before_ ||
        (newest.exists && stored.position >= newest.position)) {
        findings_.problem(
            fmt::format("{} version {}: its position {} is not between its "
                        "neighbours'",
                        name_, stored.version, stored.position));
    }
    expected_ = stored.version + 1;
    position_before_ = stored.position;
}

// --- versions ---

bool check_version(Findings& findings, const BodyReader& reader, const Stored& stored,
                   const EntryFacts* entry) {
    ++findings.report().versions;
    const std::string name = findings.version_name(stored);
    if (entry == nullptr) {
        findings.problem(fmt::format("{}: the log has no entry {}", name, stored.position));
        return false;
    }
    if (entry->rid != stored.rid || entry->version != stored.version ||
        entry->verb != stored.verb || entry->at != stored.updated || entry->type != stored.type) {
        findings.problem(
            fmt::format("{}: the log entry {} tells of something else", name, stored.position));
    }
    if (stored.deleted()) {
        if (!stored.body.empty()) findings.problem(fmt::format("{}: a deletion has a body", name));
        return true;
    }
    if (!reader.hash) return true;
    const auto hash = reader.hash(stored);
    if (!hash && hash.error().category == Category::gone) return true;  // its person was erased
    if (!hash) {
        findings.problem(
            fmt::format("{}: its body cannot be read: {}", name, hash.error().message));
    } else if (std::string_view(reinterpret_cast<const char*>(hash->data()), hash->size()) !=
               entry->body_hash) {
        findings.problem(fmt::format("{}: its body has another hash than the log entry {}", name,
                                     stored.position));
    }
    return true;
}

std::optional<ResolvedRows> check_forward(Findings& findings, const Stored& stored, bool is_there,
                                          std::string_view packed) {
    if (is_there != stored.current) {
        findings.problem(fmt::format(
            "{}: {}", findings.version_name(stored),
            is_there ? "a deleted resource has forward rows" : "its forward rows are missing"));
        return std::nullopt;
    }
    if (!is_there) return std::nullopt;
    auto rows = unpack(packed);
    if (rows) return std::move(*rows);
    findings.problem(fmt::format("{}: its forward rows are damaged: {}",
                                 findings.version_name(stored), rows.error().message));
    return std::nullopt;
}

bool check_packed(Findings& findings, const Stored& stored, const Resolved& expected,
                  std::string_view packed) {
    if (pack(expected.rows) == packed) return true;
    findings.problem(
        fmt::format("{}: its index rows are not those of its body; run `meridian reindex`",
                    findings.version_name(stored)));
    return false;
}

void missing_row(Findings& findings, const Stored& stored, std::string_view table) {
    findings.problem(fmt::format("{}: a row of its forward rows is missing in {}",
                                 findings.version_name(stored), table));
}

void wrong_words(Findings& findings, const Stored& stored) {
    findings.problem(
        fmt::format("{}: its words in idx_text are not those of its body; run `meridian reindex`",
                    findings.version_name(stored)));
}

void wrong_count(Findings& findings, Name type, std::int64_t difference) {
    findings.problem(fmt::format("type_count: the number of {} resources is wrong by {}",
                                 findings.names().text(NameKind::type, type), difference));
}

}  // namespace meridian::store
