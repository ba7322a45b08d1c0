// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/writer.hpp"

#include <thread>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/engine/relevance.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/private_rows.hpp"
#include "store/postgres/search.hpp"

namespace meridian::store::postgres {

namespace {

/// A condition that was decided upon so many entries ago is looked at again without asking which
/// types they were of.
constexpr int changes_looked_through_max = 10'000;
constexpr Position no_position = std::numeric_limits<Position>::max();
constexpr std::int32_t lock_of_conditions = 0x4d43;
constexpr std::int32_t lock_of_rows = 0x4d52;
/// A database has room for some thousands of locks.
constexpr std::int32_t row_lock_buckets = 1'024;

/// Calls `visit` with each identity of a change.
template <class Visit>
void each_mention(const Change& change, Visit visit) {
    for (const auto& row : change.rows.references) visit(row.target);
    for (const auto& row : change.rows.patients) visit(row.patient);
    for (const Identity& patient : change.rows.compartments) visit(patient);
}

std::optional<Error> beyond_limits(const Change& change) {
    if (change.body.size() > limits::resource_bytes_max)
        return Error{Category::too_large, "a stored body exceeds limits::resource_bytes_max"};
    if (change.rows.size() > limits::index_rows_per_resource_max)
        return Error{Category::too_large,
                     "a resource has more index rows than limits::index_rows_per_resource_max"};
    return std::nullopt;
}

}  // namespace

Writer::Writer(Connection::Options options, Dictionary& names, std::int64_t server, Layout layout)
    : options_(std::move(options)),
      names_(names),
      server_(server),
      layout_(layout),
      sequencer_(server, layout),
      directory_(limits::directory_cache_identities, layout),
      index_(layout) {}

Result<void> Writer::connect() {
    if (connection_ && !connection_->lost()) return {};
    sequencer_.resign();
    // The next one may lead to another machine, which lacks what was remembered of this one.
    directory_.forget();
    connection_.reset();
    Connection::Options options = options_;
    // A name of its own for each connection: by it the process of a lost one is found.
    connection_name_ = fmt::format("meridian writer {}.{}", server_, ++connections_);
    options.application_name = connection_name_;
    options.setup = fmt::format(
        "SET application_name = '{}'; SET synchronous_commit = on; SET jit = off; "
        "SET idle_in_transaction_session_timeout = '{}s'; {}",
        connection_name_, limits::database_idle_transaction_seconds,
        // Citus plans for values only, and a node commits what came by one connection at once.
        layout_.is_distributed() ? "SET plan_cache_mode = force_custom_plan; "
                                   "SET citus.multi_shard_modify_mode = 'sequential'"
                                 : "SET plan_cache_mode = force_generic_plan");
    connection_ = TRY(Connection::open(options));
    return {};
}

// --- groups ---

Writer::Written Writer::write_group(const Group& group) {
    const auto fail_all = [&](const Error& error) {
        directory_.finish(false);
        clear();
        for (const auto& task : group) task->outcome = std::unexpected(error);
        return Written{};
    };
    for (unsigned tries = 0;; ++tries) {
        const auto written = try_once(group, tries == 0);
        if (written) {
            sequencer_.finish(true);
            directory_.finish(true);
            clear();
            return *written;
        }
        sequencer_.finish(false);
        if (committing_ && connection_->lost()) {
            // Whether it was committed is asked when the database is back. Identities that this
            // group has added are looked up again: perhaps nobody has them.
            const Written doubtful{
                .batch = batch_, .has_positions = gives_positions_, .doubt = connection_name_};
            directory_.finish(false);
            clear();
            return doubtful;
        }
        if (connection_) connection_->roll_back();
        const bool collided = written.error().category == Category::busy;
        if (!collided || tries >= limits::database_retries_max) return fail_all(written.error());
        // Who was rolled back because of another gives that one time, and not all the same.
        std::this_thread::sleep_for(
            std::chrono::milliseconds(1 + (static_cast<unsigned>(server_) * 7 + tries * 5) % 20));
    }
}

Result<void> Writer::prepare(const Group& group) {
    prepared_.clear();
    for (const auto& task : group) {
        for (const Change& change : task->commit.changes) {
            if (change.fresh) directory_.want_new(change.identity);
        }
    }
    for (const auto& task : group) {
        for (const Identity& each : task->mentions) directory_.want(each);
        for (const Change& change : task->commit.changes) {
            directory_.want(change.identity);
            each_mention(change, [this](const Identity& each) { directory_.want(each); });
        }
        for (const AuditEntry& entry : task->commit.audit) {
            for (const Identity& patient : entry.patients) directory_.ask(patient);
        }
    }
    TRY(directory_.prefetch(*connection_));
    for (const auto& task : group) {
        PreparedCommit& commit = prepared_.emplace_back();
        for (Change& change : task->commit.changes) {
            Prepared& prepared = commit.emplace_back(
                Prepared{.change = &change, .rid = directory_.rid_of(change.identity)});
            prepared.refused = beyond_limits(change);
            if (change.verb == Verb::remove || prepared.refused) continue;
            prepared.resolved = TRY(resolve_rows(
                std::move(change.rows),
                [this](const Identity& identity) {
                    return Result<Rid>(directory_.rid_of(identity));
                },
                [this](Name param) { return text_field(param); }));
            prepared.packed = pack(prepared.resolved.rows);
        }
    }
    return {};
}

void Writer::clear() {
    committing_ = false;
    states_.clear();
    keys_.clear();
    keys_stored_.clear();
    private_.clear();
    private_changes_.clear();
    changed_.clear();
    changed_here_.clear();
    all_changed_ = false;
    inserts_.clear();
    updates_.clear();
    to_history_.clear();
    moves_.clear();
    directory_.forget_homes();
    touched_.clear();
    entries_.clear();
    audits_.clear();
    left_now_ = nullptr;
    count_changes_.clear();
    index_.clear();
}

Result<Writer::Written> Writer::try_once(const Group& group, bool is_first) {
    // What was prepared is of the connection of the first try.
    if (!is_first && connection_->lost())
        return fail(Category::unavailable, "the connection to the database was lost");
    TRY(connect());
    if (is_first || prepared_.empty()) TRY(prepare(group));
    clear();
    TRY(begin(group));
    for (std::size_t i = 0; i < group.size(); ++i) TRY(write_task(*group[i], prepared_[i]));
    return finish(group);
}

Writer::Looks Writer::looks_of(const Group& group) const {
    Looks looks;
    for (std::size_t i = 0; i < group.size(); ++i) {
        const Commit& commit = group[i]->commit;
        for (const PrivateRow& row : commit.private_rows)
            looks.private_keys[row.space].insert(row.key);
        for (const Prepared& change : prepared_[i]) {
            const Identity& identity = change.change->identity;
            if (!change.change->fresh) looks.resources.emplace(change.rid, &identity);
            for (const auto& key : change.resolved.rows.unique_keys)
                looks.keys.push_back(byte_key_of(key));
            if (!commit.expectations.empty()) looks.types.insert(identity.type);
        }
        for (const Expectation& expectation : commit.expectations) {
            looks.has_conditions = true;
            looks.seen = std::min(looks.seen, commit.seen);
            if (const auto types = types_looked_at(*expectation.plan)) {
                looks.types.insert(types->begin(), types->end());
            } else {
                looks.types.insert(0);
            }
        }
    }
    std::sort(looks.keys.begin(), looks.keys.end());
    looks.keys.erase(std::unique(looks.keys.begin(), looks.keys.end()), looks.keys.end());
    return looks;
}

void Writer::send_condition_locks(const Looks& looks) {
    // A condition on all types (0) excludes every other one; the rest exclude one another type by
    // type. Always in ascending order.
    Connection& db = *connection_;
    if (looks.types.contains(0)) {
        db.send("SELECT pg_advisory_xact_lock($1, 0)",
                std::move(Parameters().small(lock_of_conditions)));
        return;
    }
    const std::vector<Name> types(looks.types.begin(), looks.types.end());
    db.send(
        "SELECT pg_advisory_xact_lock_shared($1, 0) UNION ALL "
        "SELECT pg_advisory_xact_lock($1, type) FROM unnest($2::integer[]) AS t(type)",
        std::move(Parameters().small(lock_of_conditions).smalls(types)));
}

void Writer::ask_states(const Looks& looks) {
    std::vector<Rid> rids;
    rids.reserve(looks.resources.size());
    for (const auto& [rid, identity] : looks.resources) rids.push_back(rid);
    connection_->send(
        "SELECT rid, patient, version, verb, forward FROM meridian.resource "
        "WHERE rid = ANY($1::bigint[]) ORDER BY rid FOR UPDATE",
        std::move(Parameters().integers(rids)));
    connection_->send(
        "SELECT key, rid FROM meridian.unique_key WHERE key = ANY($1::bytea[]) ORDER BY key FOR "
        "UPDATE",
        std::move(Parameters().column(
            looks.keys, [](const std::string& key) { return Parameters::Bytes{key}; })));
}

Result<void> Writer::lock_rows(const std::vector<Rid>& rids, const std::vector<std::string>& keys) {
    std::vector<std::int32_t> buckets;
    buckets.reserve(rids.size() + keys.size());
    for (const Rid rid : rids) buckets.push_back(static_cast<std::int32_t>(rid % row_lock_buckets));
    for (const std::string& key : keys) {
        const Sha256 hash = sha256(key);
        buckets.push_back(row_lock_buckets + (hash[0] * 256 + hash[1]) % row_lock_buckets);
    }
    std::sort(buckets.begin(), buckets.end());
    buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
    if (buckets.empty()) return {};
    TRY(connection_->ask(
        "SELECT pg_advisory_xact_lock($1, bucket) FROM unnest($2::integer[]) AS b(bucket)",
        std::move(Parameters().small(lock_of_rows).smalls(buckets))));
    return {};
}

Result<void> Writer::ask_sharded_states(const Looks& looks) {
    std::vector<const Identity*> identities;
    std::vector<Rid> rids;
    for (const auto& [rid, identity] : looks.resources) {
        rids.push_back(rid);
        identities.push_back(identity);
    }
    TRY(lock_rows(rids, looks.keys));
    const auto homes = TRY(directory_.homes(*connection_, identities));
    std::vector<Rid> written;
    std::vector<Rid> where;
    for (std::size_t i = 0; i < homes.size(); ++i) {
        if (!homes[i]) continue;
        written.push_back(rids[i]);
        where.push_back(*homes[i]);
    }
    // Nothing is asked of nobody: an empty list would be a question to all shards.
    constexpr std::string_view no_rows = "SELECT WHERE false";
    if (written.empty()) {
        connection_->send(no_rows);
    } else {
        connection_->send(
            fmt::format("SELECT i.rid, i.patient, i.version, i.verb, i.forward "
                        "FROM unnest($1::bigint[], $2::bigint[]) AS u(rid, home) "
                        "JOIN meridian.resource i ON i.rid = u.rid AND i.patient = u.home{}",
                        layout_.is_distributed() ? " AND i.patient = ANY($2::bigint[])" : ""),
            std::move(Parameters().integers(written).integers(where)));
    }
    if (looks.keys.empty()) {
        connection_->send(no_rows);
    } else {
        connection_->send("SELECT key, rid FROM meridian.unique_key WHERE key = ANY($1::bytea[])",
                          std::move(Parameters().column(looks.keys, [](const std::string& key) {
                              return Parameters::Bytes{key};
                          })));
    }
    return {};
}

Result<void> Writer::begin(const Group& group) {
    const Looks looks = looks_of(group);
    Connection& db = *connection_;
    db.send("BEGIN");
    if (looks.has_conditions) send_condition_locks(looks);
    std::size_t at = looks.has_conditions ? 2 : 1;
    if (layout_.is_sharded()) {
        TRY(db.flush());
        at = 0;
        TRY(ask_sharded_states(looks));
    } else {
        ask_states(looks);
    }
    for (const auto& [space, keys] : looks.private_keys)
        ask_private_rows(db, space, {keys.begin(), keys.end()}, now());
    // Taken when all locks are held: what depends on another group has the higher number.
    db.send("SELECT nextval('meridian.batch_number')");
    gives_positions_ = sequencer_.is_elected();
    if (gives_positions_) db.send(Sequencer::waiting_sql);
    if (looks.has_conditions) {
        db.send(
            "SELECT type, max(position), sum(count(*)) OVER () FROM ("
            "SELECT type, position FROM meridian.log WHERE position > $1 ORDER BY position LIMIT "
            "$2) AS newer GROUP BY type "
            "UNION ALL SELECT type, 9223372036854775807, 0 FROM meridian.log_waiting "
            "WHERE kind = 0 GROUP BY type "
            "UNION ALL SELECT 0, 9223372036854775807, 0 FROM meridian.setting "
            "WHERE key = 'index_changed' AND value > int8send($1)",
            std::move(Parameters().integer(looks.seen).integer(changes_looked_through_max)));
    }
    const auto answers = TRY(db.flush());
    // Now that the locks are held: a plan that could not know a system looks in the wrong place.
    if (looks.has_conditions) TRY(names_.refresh());
    const Answer& states = answers[at++];
    for (int row = 0; row < states.size(); ++row) {
        states_[states.integer(row, 0)] = State{.home = states.integer(row, 1),
                                                .version = states.integer(row, 2),
                                                .verb = static_cast<Verb>(states.integer(row, 3)),
                                                .forward = std::string(states.bytes(row, 4))};
    }
    const Answer& holders = answers[at++];
    for (const std::string& key : looks.keys) keys_stored_[key] = 0;
    for (int row = 0; row < holders.size(); ++row)
        keys_stored_[std::string(holders.bytes(row, 0))] = holders.integer(row, 1);
    keys_ = keys_stored_;
    for (std::size_t i = 0; i < looks.private_keys.size(); ++i) {
        for (PrivateRow& row : rows_of_answer(answers[at++]))
            private_.emplace(std::pair(row.space, row.key), std::move(row));
    }
    batch_ = answers[at++].integer(0, 0);
    at_ = gives_positions_ ? sequencer_.time() : now();
    if (gives_positions_) {
        const auto waiting = Sequencer::read_waiting(answers[at++]);
        if (!waiting.empty()) sequencer_.send_positions(db, waiting);
        at_ = sequencer_.time();
    }
    if (looks.has_conditions) {
        const Answer& changed = answers[at++];
        for (int row = 0; row < changed.size(); ++row) {
            const auto type = static_cast<Name>(changed.integer(row, 0));
            const bool is_many = changed.integer(row, 2) >= changes_looked_through_max;
            if (type == 0) {
                // Entries of the audit, or a reindex, which changes whatever it changes from now
                // on.
                const bool is_reindex = changed.integer(row, 1) == no_position;
                if (is_many || is_reindex) all_changed_ = true;
                continue;
            }
            if (is_many) all_changed_ = true;
            Position& last = changed_[type];
            last = std::max(last, changed.integer(row, 1));
        }
    }
    return {};
}

Result<Writer::Written> Writer::finish(const Group&) {
    Connection& db = *connection_;
    if (entries_.empty()) {
        // Jobs may have written, and what waited may have got its positions.
        send_rows();
        send_private();
        directory_.send_changes(db);
        db.send("COMMIT");
        TRY(db.flush());
        return Written{.batch = 0, .has_positions = true, .last = sequencer_.end()};
    }
    send_rows();
    directory_.send_changes(db);
    send_unique_keys();
    send_counts();
    send_private();
    send_entries();
    db.send("COMMIT");
    committing_ = true;
    TRY(db.flush());
    committing_ = false;
    publish();
    return Written{.batch = batch_,
                   .has_positions = gives_positions_,
                   .last = gives_positions_ ? sequencer_.end() : LogEnd{}};
}

void Writer::publish() {
    // Elsewhere a commit shows at once, and tells the others itself.
    if (!layout_.is_distributed()) return;
    if (sequencer_.is_elected()) sequencer_.send_published(*connection_);
    connection_->send("SELECT pg_notify('meridian', $1::text)",
                      std::move(Parameters().text(std::to_string(server_))));
    if (const auto told = connection_->flush(); !told)
        log::warning("what was committed is told later", {{"reason", told.error().message}});
}

Result<std::optional<bool>> Writer::was_committed(const Written& doubtful) {
    TRY(connect());
    // While the process of the lost connection lives, the commit may still happen.
    const Answer alive =
        TRY(connection_->ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE application_name = $1::text",
                             std::move(Parameters().text(doubtful.doubt))));
    if (!alive.empty()) return std::optional<bool>();
    const std::int64_t found =
        TRY(connection_->integer("SELECT count(*) FROM meridian.batch WHERE id = $1", 0,
                                 std::move(Parameters().integer(doubtful.batch))));
    // A commit that was ended while it waited for a standby can be read here and is not there: one
    // that comes after it waits for both.
    if (found != 0)
        TRY(connection_->ask("SELECT pg_logical_emit_message(true, 'meridian', 'settled')"));
    return std::optional(found != 0);
}

Result<void> Writer::write_task(Task& task, const PreparedCommit& changes) {
    if (task.job) {
        TRY(flush());  // a job may read any table
        TRY(task.job());
        task.outcome = Receipt{};
        return {};
    }
    const Verdict verdict = TRY(verify(task.commit, changes));
    if (verdict.refused) {
        task.outcome = std::unexpected(*verdict.refused);
    } else if (verdict.stale) {
        task.outcome = Receipt{.stale = true, .position = -1, .at = at_, .written = {}};
    } else {
        task.outcome = TRY(apply(task.commit, changes));
    }
    return {};
}

// --- conditions ---

Result<Writer::Verdict> Writer::verify(const Commit& commit, const PreparedCommit& changes) {
    for (const Prepared& change : changes) {
        if (change.refused) return Verdict{.refused = change.refused};
    }
    if (auto beyond = beyond_audit_limits(commit.audit))
        return Verdict{.refused = std::move(*beyond)};
    Verdict verdict = verify_versions(commit, changes);
    if (verdict.passes()) verdict = TRY(verify_expectations(commit));
    if (verdict.passes()) verdict = verify_unique_keys(changes);
    if (verdict.passes()) verdict = verify_private_rows(commit);
    return verdict;
}

const PrivateRow* Writer::private_row_now(const PrivateRow& row) const {
    const auto found = private_.find({row.space, row.key});
    return found == private_.end() || found->second.removed ? nullptr : &found->second;
}

namespace {

/// Several commits may bring the same new row: the first of them writes it.
bool is_there_already(const PrivateRow* there, const PrivateRow& row) {
    return there != nullptr && row.version == 0 && !row.removed && there->value == row.value;
}

}  // namespace

Writer::Verdict Writer::verify_private_rows(const Commit& commit) const {
    for (const PrivateRow& row : commit.private_rows) {
        const PrivateRow* const there = private_row_now(row);
        if ((there == nullptr ? 0 : there->version) == row.version) continue;
        if (!is_there_already(there, row)) return Verdict{.stale = true, .refused = {}};
    }
    return {};
}

void Writer::change_private_rows(const Commit& commit) {
    for (const PrivateRow& row : commit.private_rows) {
        if (is_there_already(private_row_now(row), row)) continue;
        private_changes_.push_back(row);
        PrivateRow& now_there = private_[{row.space, row.key}] = row;
        ++now_there.version;
    }
}

void Writer::send_private() {
    // In one order everywhere, so that two servers never wait for one another.
    std::stable_sort(private_changes_.begin(), private_changes_.end(),
                     [](const PrivateRow& left, const PrivateRow& right) {
                         return std::tie(left.space, left.key) < std::tie(right.space, right.key);
                     });
    send_private_changes(*connection_, private_changes_, now());
    private_changes_.clear();
}

Writer::Verdict Writer::verify_versions(const Commit& commit, const PreparedCommit& changes) {
    for (std::size_t index = 0; index < changes.size(); ++index) {
        const Change& change = commit.changes[index];
        if (!change.if_version) continue;
        const auto state = states_.find(changes[index].rid);
        Version version = state == states_.end() ? 0 : state->second.version;
        bool current = state != states_.end() && state->second.current();
        // The same resource earlier in this commit: count its changes as if they were written.
        for (std::size_t earlier = 0; earlier < index; ++earlier) {
            if (changes[earlier].rid != changes[index].rid) continue;
            const bool removes = commit.changes[earlier].verb == Verb::remove;
            if (!removes || current) ++version;
            current = !removes;
        }
        if (*change.if_version != (current ? version : 0))
            return Verdict{.stale = true, .refused = {}};
    }
    return {};
}

Writer::Verdict Writer::verify_unique_keys(const PreparedCommit& changes) {
    std::unordered_map<std::string, Rid> claimed;
    for (const Prepared& change : changes) {
        for (const std::string& text : change.resolved.rows.unique_keys) {
            const std::string key = byte_key_of(text);
            const auto [place, first] = claimed.emplace(key, change.rid);
            bool taken = !first && place->second != change.rid;
            const Rid holder = keys_[key];
            if (!taken && holder != 0 && holder != change.rid) {
                // Unless the holder lets it go in this very commit.
                taken = std::none_of(changes.begin(), changes.end(),
                                     [holder](const auto& other) { return other.rid == holder; });
            }
            if (!taken) continue;
            const Identity& identity = change.change->identity;
            return Verdict{
                .stale = false,
                .refused =
                    Error{Category::conflict,
                          fmt::format("another resource already holds the unique key \"{}\"", text),
                          names_.text(NameKind::type, identity.type) + "/" + identity.id}};
        }
    }
    return {};
}

bool Writer::unchanged_since(const Plan& plan, Position seen) const {
    if (all_changed_) return false;
    const auto types = types_looked_at(plan);
    if (!types) {
        return changed_here_.empty() &&
               std::all_of(changed_.begin(), changed_.end(),
                           [seen](const auto& change) { return seen >= change.second; });
    }
    return std::all_of(types->begin(), types->end(), [&](Name type) {
        if (changed_here_.contains(type)) return false;
        const auto found = changed_.find(type);
        return found == changed_.end() || seen >= found->second;
    });
}

Result<Writer::Verdict> Writer::verify_expectations(const Commit& commit) {
    if (!commit.expectations.empty() && commit.codings_seen != names_.coding_count())
        return Verdict{.stale = true, .refused = {}};
    for (const Expectation& expectation : commit.expectations) {
        if (unchanged_since(*expectation.plan, commit.seen)) continue;
        TRY(flush());  // earlier commits of the group count
        Matches matches = TRY(search(*connection_, *expectation.plan, names_, layout_)).matches;
        std::sort(matches.rids.begin(), matches.rids.end());
        if (matches.more || matches.rids != expectation.expected)
            return Verdict{.stale = true, .refused = {}};
    }
    return Verdict{};
}

// --- writing ---

Result<Receipt> Writer::apply(const Commit& commit, const PreparedCommit& changes) {
    Receipt receipt;
    receipt.at = at_;
    receipt.written.reserve(changes.size());
    left_.clear();
    for (const AuditEntry& entry : commit.audit) {
        if (entry.change) left_[*entry.change];
    }
    for (const Prepared& change : changes) {
        const auto left = left_.find(receipt.written.size());
        left_now_ = left == left_.end() ? nullptr : &left->second;
        receipt.written.push_back(change.change->verb == Verb::remove
                                      ? TRY(apply_remove(commit, change))
                                      : TRY(apply_write(commit, change)));
        if (receipt.written.back().position >= 0)
            changed_here_.insert(change.change->identity.type);
    }
    TRY(apply_audit(commit, receipt.written));
    change_private_rows(commit);
    // Ordinals of the batch until its base is known.
    receipt.position = static_cast<Position>(entries_.size()) - 1;
    if (gives_positions_) {
        receipt.position += sequencer_.next();
        for (auto& written : receipt.written) {
            if (written.position >= 0) written.position += sequencer_.next();
        }
    }
    return receipt;
}

Result<void> Writer::apply_audit(const Commit& commit, const std::vector<store::Written>& written) {
    for (const AuditEntry& entry : commit.audit) {
        std::vector<Rid> patients;
        for (const Identity& patient : entry.patients) patients.push_back(directory_.find(patient));
        if (entry.change) {
            const std::vector<Rid>& left = left_[*entry.change];
            patients.insert(patients.end(), left.begin(), left.end());
        }
        const AuditRow& row =
            audits_.emplace_back(TRY(audit_row(entry, std::move(patients), written)));
        entries_.push_back({.rid = 0,
                            .home = 0,
                            .version = row.version,
                            .verb = Verb{},
                            .actor = entry.actor,
                            .organisation = entry.organisation,
                            .change = nullptr,
                            .audit = &row});
    }
    return {};
}

Result<Writer::State*> Writer::state_to_write(Rid rid) {
    // Rows of this resource wait: they must be in the tables before they can be replaced.
    if (!touched_.insert(rid).second) {
        TRY(flush());
        touched_.insert(rid);
    }
    return &states_[rid];
}

Result<void> Writer::drop_rows(Rid rid, const State& state, Name type,
                               std::vector<std::string>* keys_before) {
    ResolvedRows rows = TRY(unpack(state.forward));
    std::vector<int> fields;
    fields.reserve(rows.texts.size());
    for (const Name param : rows.texts) fields.push_back(text_field(param));
    if (keys_before != nullptr) *keys_before = rows.unique_keys;
    if (left_now_ != nullptr) *left_now_ = rows.compartments;
    index_.remove({rid, state.home, type}, rows, fields);
    return {};
}

Result<store::Written> Writer::apply_write(const Commit& commit, const Prepared& change) {
    State& state = *TRY(state_to_write(change.rid));
    store::Written written;
    written.rid = change.rid;
    written.version = state.version + 1;
    written.created = !state.current();
    const Verb verb = written.created ? Verb::create : Verb::update;
    const Name type = change.change->identity.type;
    const Rid home = change.resolved.patient;
    const int ordinal = append_entry(commit, change, home, written.version, verb);
    written.position = ordinal;
    std::vector<std::string> keys_before;
    const bool lies_elsewhere = state.version == 0 || state.home != home;
    if (layout_.is_sharded() && lies_elsewhere) {
        directory_.set_home(change.change->identity, home);
        if (state.version != 0) moves_.push_back({change.rid, state.home, home});
    }
    if (state.version != 0)
        to_history_.emplace_back(change.rid, layout_.is_sharded() ? home : state.home);
    if (state.current()) TRY(drop_rows(change.rid, state, type, &keys_before));
    (state.version == 0 ? inserts_ : updates_)
        .push_back(
            {change.rid, home, ordinal, written.version, commit.organisation, verb, &change});
    change_unique_keys(change.rid, keys_before, change.resolved.rows.unique_keys);
    index_.add({change.rid, home, type}, change.resolved.rows, change.resolved.texts);
    if (written.created) ++count_changes_[type];
    state = State{.home = home, .version = written.version, .verb = verb, .forward = change.packed};
    return written;
}

Result<store::Written> Writer::apply_remove(const Commit& commit, const Prepared& change) {
    store::Written written;
    const auto found = states_.find(change.rid);
    written.existed = found != states_.end() && found->second.current();
    if (!written.existed) {
        written.rid = found == states_.end() ? 0 : change.rid;
        written.version = found == states_.end() ? 0 : found->second.version;
        return written;
    }
    State& state = *TRY(state_to_write(change.rid));
    const Name type = change.change->identity.type;
    written.rid = change.rid;
    written.version = state.version + 1;
    const int ordinal = append_entry(commit, change, state.home, written.version, Verb::remove);
    written.position = ordinal;
    to_history_.emplace_back(change.rid, state.home);
    std::vector<std::string> keys_before;
    TRY(drop_rows(change.rid, state, type, &keys_before));
    change_unique_keys(change.rid, keys_before, {});
    updates_.push_back({change.rid, state.home, ordinal, written.version, commit.organisation,
                        Verb::remove, &change});
    --count_changes_[type];
    state =
        State{.home = state.home, .version = written.version, .verb = Verb::remove, .forward = {}};
    return written;
}

int Writer::append_entry(const Commit& commit, const Prepared& change, Rid home, Version version,
                         Verb verb) {
    entries_.push_back(
        {change.rid, home, version, verb, commit.actor, commit.organisation, change.change});
    return static_cast<int>(entries_.size()) - 1;
}

void Writer::change_unique_keys(Rid rid, const std::vector<std::string>& before,
                                const std::vector<std::string>& after) {
    for (const std::string& text : before) {
        const std::string key = byte_key_of(text);
        // It stands in the table, or was taken over in this group.
        const auto [place, is_new] = keys_.emplace(key, 0);
        if (is_new) keys_stored_[key] = rid;
        if (place->second == rid) place->second = 0;
    }
    for (const std::string& text : after) keys_[byte_key_of(text)] = rid;
}

int Writer::text_field(Name param) {
    const auto [place, first] = text_fields_.emplace(param, 0);
    if (first) place->second = text_field_of(names_, param);
    return place->second;
}

// --- between groups ---

Result<LogEnd> Writer::tend() {
    TRY(connect());
    TRY(sequencer_.stand(*connection_));
    if (!sequencer_.is_elected()) return LogEnd{};
    TRY(sequencer_.beat(*connection_));
    const auto waiting = Sequencer::read_waiting(TRY(connection_->ask(Sequencer::waiting_sql)));
    if (waiting.empty()) return LogEnd{};
    connection_->send("BEGIN");
    sequencer_.send_positions(*connection_, waiting);
    if (!layout_.is_distributed())
        connection_->send("SELECT pg_notify('meridian', $1::text)",
                          std::move(Parameters().text(std::to_string(server_))));
    connection_->send("COMMIT");
    const auto done = connection_->flush();
    sequencer_.finish(done.has_value());
    if (!done) {
        connection_->roll_back();
        return std::unexpected(done.error());
    }
    publish();
    return sequencer_.end();
}

}  // namespace meridian::store::postgres
