// SPDX-License-Identifier: Apache-2.0
// What a writer sends: one statement a table, with arrays for its rows.
#include "store/postgres/writer.hpp"

#include "base/hash.hpp"
#include "store/postgres/keys.hpp"

namespace meridian::store::postgres {

namespace {

constexpr std::size_t log_salt_bytes = 16;

}  // namespace

void Writer::send_rows() {
    send_moves(*connection_, layout_, moves_);
    moves_.clear();
    send_resources();
    index_.send(*connection_);
    touched_.clear();
}

void Writer::send_resources() {
    Connection& db = *connection_;
    if (!to_history_.empty()) {
        db.send(
            "INSERT INTO meridian.history(rid, patient, batch, ordinal, version, verb, body) "
            "SELECT rid, patient, batch, ordinal, version, verb, body FROM meridian.resource "
            "WHERE rid = ANY($1::bigint[]) AND patient = ANY($2::bigint[])",
            std::move(
                Parameters()
                    .column(to_history_, [](const auto& version) { return version.first; })
                    .column(to_history_, [](const auto& version) { return version.second; })));
        to_history_.clear();
    }
    const auto body = [](const Row& row) {
        return Parameters::Bytes{row.verb == Verb::remove
                                     ? std::string_view()
                                     : std::string_view(row.change->change->body)};
    };
    const auto forward = [](const Row& row) {
        return Parameters::Bytes{row.verb == Verb::remove ? std::string_view()
                                                          : std::string_view(row.change->packed)};
    };
    const auto changing = [&](const std::vector<Row>& rows) {
        Parameters parameters;
        parameters.integer(batch_)
            .column(rows, [](const Row& row) { return row.rid; })
            .column(rows, [](const Row& row) { return row.home; })
            .column(rows, [](const Row& row) { return std::int32_t{row.ordinal}; })
            .column(rows, [](const Row& row) { return static_cast<std::int32_t>(row.version); })
            .column(rows, [](const Row& row) { return row.organisation; })
            .column(rows, [](const Row& row) { return static_cast<std::int32_t>(row.verb); })
            .column(rows, body)
            .column(rows, forward);
        return parameters;
    };
    if (!updates_.empty()) {
        // In shards who changes the home has moved the row before.
        db.send(
            fmt::format(
                "UPDATE meridian.resource i SET {}batch = $1, ordinal = u.ordinal, "
                "version = u.version, organisation = u.organisation, verb = u.verb, body = u.body, "
                "forward = u.forward FROM unnest($2::bigint[], $3::bigint[], $4::integer[], "
                "$5::integer[], $6::integer[], $7::integer[], $8::bytea[], $9::bytea[]) "
                "AS u(rid, patient, ordinal, version, organisation, verb, body, forward) "
                "WHERE i.rid = u.rid{}{}",
                layout_.is_sharded() ? "" : "patient = u.patient, ",
                layout_.is_sharded() ? " AND i.patient = u.patient" : "",
                layout_.is_distributed() ? " AND i.patient = ANY($3::bigint[])" : ""),
            changing(updates_));
        updates_.clear();
    }
    if (!inserts_.empty()) {
        Parameters parameters = changing(inserts_);
        std::vector<std::string> ids;
        ids.reserve(inserts_.size());
        for (const Row& row : inserts_) ids.push_back(text_of(row.change->change->identity.id));
        parameters
            .column(inserts_, [](const Row& row) { return row.change->change->identity.type; })
            .column(ids, [](const std::string& id) { return std::string_view(id); });
        db.send(
            "INSERT INTO meridian.resource(batch, rid, patient, ordinal, version, organisation, "
            "verb, body, forward, type, id) "
            "SELECT $1, u.* FROM unnest($2::bigint[], $3::bigint[], $4::integer[], "
            "$5::integer[], $6::integer[], $7::integer[], $8::bytea[], $9::bytea[], "
            "$10::integer[], $11::text[]) AS u",
            std::move(parameters));
        inserts_.clear();
    }
}

void Writer::send_entries() {
    Connection& db = *connection_;
    const bool has_positions = gives_positions_;
    const auto count = static_cast<std::int64_t>(entries_.size());
    const Position base = sequencer_.next();
    Parameters batch;
    batch.integer(batch_);
    if (has_positions) {
        batch.integer(base);
    } else {
        batch.null();
    }
    batch.small(static_cast<std::int32_t>(count)).integer(at_.milliseconds);
    db.send(
        "INSERT INTO meridian.batch(id, base, entries, at) VALUES($1, $2::bigint, $3::integer, $4)",
        std::move(batch));
    const std::string salts = random_bytes(log_salt_bytes * entries_.size());
    std::vector<std::string> ids;
    std::vector<std::string_view> salt;
    for (const Entry& entry : entries_) {
        ids.push_back(entry.change ? text_of(entry.change->identity.id) : std::string());
        salt.push_back(
            std::string_view(salts).substr(salt.size() * log_salt_bytes, log_salt_bytes));
    }
    Parameters parameters;
    parameters.integer(has_positions ? base : batch_).integer(at_.milliseconds);
    parameters.column(entries_, [](const Entry& entry) { return entry.rid; })
        .column(entries_, [](const Entry& entry) { return static_cast<std::int32_t>(entry.verb); })
        .column(entries_,
                [](const Entry& entry) { return entry.change ? entry.change->identity.type : 0; })
        .column(entries_,
                [](const Entry& entry) { return static_cast<std::int32_t>(entry.version); })
        .column(entries_, [](const Entry& entry) { return entry.actor; })
        .column(entries_, [](const Entry& entry) { return entry.organisation; })
        .column(ids, [](const std::string& id) { return std::string_view(id); })
        .column(salt, [](std::string_view bytes) { return Parameters::Bytes{bytes}; })
        .column(
            entries_,
            [](const Entry& entry) {
                const Sha256& hash = entry.audit ? entry.audit->hash : entry.change->body_hash;
                return Parameters::Bytes{{reinterpret_cast<const char*>(hash.data()), hash.size()}};
            })
        .column(entries_, [](const Entry& entry) { return entry.home; })
        .column(entries_, [](const Entry& entry) {
            return static_cast<std::int32_t>(entry.audit ? EntryKind::audit : EntryKind::version);
        });
    send_audits();
    if (has_positions) {
        db.send(
            "INSERT INTO meridian.log(position, at, rid, kind, verb, type, version, actor, "
            "organisation, id, salt, body_hash, patient) "
            "SELECT $1 + e.place - 1, $2, e.rid, e.kind, e.verb, e.type, e.version, e.actor, "
            "e.organisation, e.id, e.salt, e.body_hash, e.patient "
            "FROM unnest($3::bigint[], $4::integer[], $5::integer[], $6::integer[], "
            "$7::integer[], $8::integer[], $9::text[], $10::bytea[], $11::bytea[], $12::bigint[], "
            "$13::integer[]) "
            "WITH ORDINALITY AS e(rid, verb, type, version, actor, organisation, id, salt, "
            "body_hash, patient, kind, place)",
            std::move(parameters));
        sequencer_.take(count, at_);
    } else {
        db.send(
            "INSERT INTO meridian.log_waiting(batch, ordinal, rid, kind, verb, type, version, "
            "actor, organisation, id, salt, body_hash, patient) "
            "SELECT $1, e.place - 1, e.rid, e.kind + 0 * $2::bigint, e.verb, e.type, e.version, "
            "e.actor, "
            "e.organisation, e.id, e.salt, e.body_hash, e.patient "
            "FROM unnest($3::bigint[], $4::integer[], $5::integer[], $6::integer[], "
            "$7::integer[], $8::integer[], $9::text[], $10::bytea[], $11::bytea[], $12::bigint[], "
            "$13::integer[]) "
            "WITH ORDINALITY AS e(rid, verb, type, version, actor, organisation, id, salt, "
            "body_hash, patient, kind, place)",
            std::move(parameters));
    }
    if (layout_.is_distributed()) return;  // see publish
    db.send("SELECT pg_notify('meridian', $1::text)",
            std::move(Parameters().text(std::to_string(server_))));
}

void Writer::send_audits() {
    if (audits_.empty()) return;
    struct AuditPlace {
        std::int64_t place;  ///< position, or ordinal of the batch
        const AuditRow* audit;
        std::string patients;
    };
    const Position base = gives_positions_ ? sequencer_.next() : 0;
    std::vector<AuditPlace> rows;
    std::vector<std::pair<Rid, Position>> patients;
    for (std::size_t ordinal = 0; ordinal < entries_.size(); ++ordinal) {
        const AuditRow* audit = entries_[ordinal].audit;
        if (audit == nullptr) continue;
        const Position place = base + static_cast<Position>(ordinal);
        rows.push_back({place, audit, "{" + rid_list(audit->patients) + "}"});
        for (const Rid patient : audit->patients) patients.emplace_back(patient, place);
    }
    Parameters parameters;
    parameters.column(rows, [](const AuditPlace& row) { return row.place; })
        .column(rows, [](const AuditPlace& row) { return row.audit->entry->actor; })
        .column(rows, [](const AuditPlace& row) { return std::string_view(row.patients); })
        .column(rows,
                [](const AuditPlace& row) { return Parameters::Bytes{row.audit->entry->bytes}; });
    if (!gives_positions_) {
        parameters.integer(batch_);
        connection_->send(
            "INSERT INTO meridian.audit_waiting(batch, ordinal, actor, patients, bytes) "
            "SELECT $5, u.ordinal, u.actor, u.patients::bigint[], u.bytes "
            "FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bytea[]) "
            "AS u(ordinal, actor, patients, bytes)",
            std::move(parameters));
        return;
    }
    connection_->send(
        "INSERT INTO meridian.audit(position, actor, patients, bytes) "
        "SELECT u.position, u.actor, u.patients::bigint[], u.bytes "
        "FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bytea[]) "
        "AS u(position, actor, patients, bytes)",
        std::move(parameters));
    if (patients.empty()) return;
    connection_->send(
        "INSERT INTO meridian.audit_patient(patient, position) "
        "SELECT * FROM unnest($1::bigint[], $2::bigint[])",
        std::move(Parameters()
                      .column(patients, [](const auto& p) { return p.first; })
                      .column(patients, [](const auto& p) { return p.second; })));
}

void Writer::send_unique_keys() {
    std::vector<std::string> gone;
    std::vector<std::pair<std::string, Rid>> held;
    for (const auto& [key, rid] : keys_) {
        const Rid stored = keys_stored_[key];
        if (stored == rid) continue;
        if (stored != 0) gone.push_back(key);
        if (rid != 0) held.emplace_back(key, rid);
    }
    if (!gone.empty()) {
        connection_->send("DELETE FROM meridian.unique_key WHERE key = ANY($1::bytea[])",
                          std::move(Parameters().column(gone, [](const std::string& key) {
                              return Parameters::Bytes{key};
                          })));
    }
    if (!held.empty()) {
        connection_->send(
            "INSERT INTO meridian.unique_key(key, rid) "
            "SELECT * FROM unnest($1::bytea[], $2::bigint[])",
            std::move(Parameters()
                          .column(held, [](const auto& h) { return Parameters::Bytes{h.first}; })
                          .column(held, [](const auto& h) { return h.second; })));
    }
}

void Writer::send_counts() {
    std::vector<std::pair<Name, std::int64_t>> changes;
    for (const auto& change : count_changes_) {
        if (change.second != 0) changes.emplace_back(change);
    }
    if (changes.empty()) return;
    // Each server counts in rows of its own, so that none waits for another.
    connection_->send(
        "INSERT INTO meridian.type_count(type, server, resources) "
        "SELECT c.type, $1, c.change FROM unnest($2::integer[], $3::bigint[]) AS c(type, change) "
        "ON CONFLICT (type, server) DO UPDATE SET resources = type_count.resources + "
        "excluded.resources",
        std::move(Parameters()
                      .integer(server_)
                      .column(changes, [](const auto& c) { return c.first; })
                      .column(changes, [](const auto& c) { return c.second; })));
}

Result<void> Writer::flush() {
    send_rows();
    if (!connection_->has_queued()) return {};
    TRY(connection_->flush());
    return {};
}

}  // namespace meridian::store::postgres
