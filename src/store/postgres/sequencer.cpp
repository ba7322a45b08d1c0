// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/sequencer.hpp"

#include "base/log.hpp"

namespace meridian::store::postgres {

namespace {

// A holder is missed after six seconds and replaced within ten.
constexpr std::chrono::milliseconds stand_pause{500};
constexpr std::chrono::milliseconds beat_pause{1'000};
constexpr std::string_view silence_of_a_holder = "6 seconds";
constexpr std::string_view office = "1297240403, 1";  // "MRDS" as a number

}  // namespace

std::string last_entry_sql(const Layout& layout) {
    return fmt::format("SELECT position, at FROM meridian.log WHERE position = ({})",
                       last_position_sql(layout));
}

Result<void> Sequencer::stand(Connection& connection) {
    const auto time = std::chrono::steady_clock::now();
    if (elected_ || time - stood_ < stand_pause) return {};
    stood_ = time;
    const Answer got = TRY(connection.ask(fmt::format("SELECT pg_try_advisory_lock({})", office)));
    if (got.integer(0, 0) != 0) return take_office(connection);
    return end_silent_holder(connection);
}

Result<void> Sequencer::take_office(Connection& connection) {
    connection.send(
        "INSERT INTO meridian.sequencer(server, process, beat) "
        "VALUES($1, pg_backend_pid(), clock_timestamp()) "
        "ON CONFLICT (one) DO UPDATE SET server = excluded.server, process = excluded.process, "
        "beat = excluded.beat",
        std::move(Parameters().integer(server_)));
    // A new statement, so it sees all that the holder before has committed.
    connection.send("SELECT position, at FROM meridian.log ORDER BY position DESC LIMIT 1");
    const auto answers = TRY(connection.flush());
    const Answer& last = answers.back();
    next_ = last.empty() ? 0 : last.integer(0, 0) + 1;
    at_.milliseconds = last.empty() ? 0 : last.integer(0, 1);
    next_before_ = next_;
    at_before_ = at_;
    TRY(place_audits_left(connection));
    elected_ = true;
    if (layout_.is_distributed()) TRY(publish_what_was_left(connection));
    beaten_ = std::chrono::steady_clock::now();
    log::info("this server gives the positions of the log now", {{"next", next_}});
    return {};
}

Result<void> Sequencer::publish_what_was_left(Connection& connection) {
    // The holder before may have gone between the coordinator's commit and those of the workers.
    TRY(connection.ask("SELECT recover_prepared_transactions()"));
    send_published(connection);
    TRY(connection.flush());
    return {};
}

void Sequencer::send_published(Connection& connection) {
    // No fsync of its own: who takes the office next says it again.
    connection.send("BEGIN");
    connection.send("SET LOCAL synchronous_commit = off");
    connection.send("UPDATE meridian.sequencer SET published = $1 WHERE published < $1",
                    std::move(Parameters().integer(next_ - 1)));
    connection.send("COMMIT");
}

Result<void> Sequencer::end_silent_holder(Connection& connection) {
    // The process must still be the one that holds the lock: a number may have been given anew.
    const Answer ended = TRY(connection.ask(
        fmt::format("SELECT pg_terminate_backend(s.process) FROM meridian.sequencer s "
                    "JOIN pg_locks l ON l.pid = s.process AND l.locktype = 'advisory' "
                    "AND l.classid = 1297240403 AND l.objid = 1 AND l.granted "
                    "WHERE s.beat < clock_timestamp() - interval '{}'",
                    silence_of_a_holder)));
    if (!ended.empty())
        log::warning("the server that gave the log's positions was silent and has lost the office",
                     {});
    return {};
}

Result<void> Sequencer::beat(Connection& connection) {
    const auto time = std::chrono::steady_clock::now();
    if (!elected_ || time - beaten_ < beat_pause) return {};
    beaten_ = time;
    TRY(connection.ask("UPDATE meridian.sequencer SET beat = clock_timestamp() WHERE server = $1",
                       std::move(Parameters().integer(server_))));
    return {};
}

std::vector<Sequencer::Waiting> Sequencer::read_waiting(const Answer& rows) {
    std::vector<Waiting> waiting;
    waiting.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row)
        waiting.push_back(
            {rows.integer(row, 0), rows.integer(row, 1), Instant{rows.integer(row, 2)}});
    return waiting;
}

void Sequencer::send_positions(Connection& connection, const std::vector<Waiting>& waiting) {
    struct Given {
        std::int64_t batch;
        Position base;
        std::int64_t at;
    };
    std::vector<Given> given;
    for (const Waiting& batch : waiting) {
        const Instant at = std::max(at_, batch.at);
        given.push_back({batch.batch, next_, at.milliseconds});
        take(batch.entries, at);
    }
    const auto columns = [&] {
        Parameters parameters;
        parameters.column(given, [](const Given& g) { return g.batch; })
            .column(given, [](const Given& g) { return g.base; })
            .column(given, [](const Given& g) { return g.at; });
        return parameters;
    };
    connection.send(
        "UPDATE meridian.batch b SET base = g.base, at = g.at "
        "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS g(id, base, at) "
        "WHERE b.id = g.id",
        columns());
    connection.send(
        "INSERT INTO meridian.log(position, at, rid, kind, verb, type, version, actor, "
        "organisation, id, salt, body_hash, patient) "
        "SELECT g.base + w.ordinal, g.at, w.rid, w.kind, w.verb, w.type, w.version, w.actor, "
        "w.organisation, w.id, w.salt, w.body_hash, w.patient "
        "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS g(id, base, at) "
        "JOIN meridian.log_waiting w ON w.batch = g.id",
        columns());
    std::vector<Placed> placed;
    for (const Given& batch : given) placed.push_back({batch.batch, batch.base});
    send_audits(connection, placed);
    connection.send("DELETE FROM meridian.log_waiting WHERE batch = ANY($1::bigint[])",
                    std::move(Parameters().column(given, [](const Given& g) { return g.batch; })));
}

Result<void> Sequencer::place_audits_left(Connection& connection) {
    const Answer left =
        TRY(connection.ask("SELECT DISTINCT w.batch, b.base FROM meridian.audit_waiting w "
                           "JOIN meridian.batch b ON b.id = w.batch WHERE b.base IS NOT NULL"));
    if (left.empty()) return {};
    std::vector<Placed> placed;
    for (int row = 0; row < left.size(); ++row)
        placed.push_back({left.integer(row, 0), left.integer(row, 1)});
    send_audits(connection, placed);
    TRY(connection.flush());
    return {};
}

void Sequencer::send_audits(Connection& connection, const std::vector<Placed>& batches) {
    connection.send(
        "WITH placed AS (DELETE FROM meridian.audit_waiting w "
        "USING unnest($1::bigint[], $2::bigint[]) AS g(id, base) WHERE w.batch = g.id "
        "RETURNING g.base + w.ordinal AS position, w.actor, w.patients, w.bytes), "
        "patients AS (INSERT INTO meridian.audit_patient(patient, position) "
        "SELECT patient, position FROM placed, unnest(patients) AS p(patient)) "
        "INSERT INTO meridian.audit(position, actor, patients, bytes) "
        "SELECT position, actor, patients, bytes FROM placed",
        std::move(Parameters()
                      .column(batches, [](const Placed& p) { return p.batch; })
                      .column(batches, [](const Placed& p) { return p.base; })));
}

void Sequencer::finish(bool committed) {
    if (committed) {
        next_before_ = next_;
        at_before_ = at_;
    } else {
        next_ = next_before_;
        at_ = at_before_;
    }
}

}  // namespace meridian::store::postgres
