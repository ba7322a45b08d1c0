// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/postgres_store.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/private_rows.hpp"
#include "store/postgres/snapshot.hpp"

namespace meridian::store::postgres {

namespace {

/// A server that follows a view and gives no sign of life is missed after so long.
constexpr std::string_view silence_of_an_owner = "6 seconds";

/// The server's settings live beside the store's own and cannot be mistaken for them.
std::string setting_name(std::string_view key) {
    return "server/" + std::string(key);
}

Connection::Options connection_options(const OpenOptions& options,
                                       const std::shared_ptr<Line>& line, std::string_view part) {
    return {.url = options.database,
            .application_name = fmt::format("meridian {}", part),
            // What lies in partitions is joined a partition at a time: all keys hold the shard's.
            .setup = "SET jit = off; SET enable_partitionwise_join = on",
            .writes = !options.read_only,
            .line = line};
}

/// A store that is being moved into this database is none before all of it is here.
Result<void> refuse_unfinished(Connection& connection) {
    const Answer mark = TRY(connection.ask("SELECT 1 FROM meridian.setting WHERE key = $1",
                                           std::move(Parameters().text(migration_mark))));
    return mark.empty() ? Result<void>() : unfinished(database_option);
}

}  // namespace

PostgresStore::PostgresStore(OpenOptions options)
    : options_(std::move(options)),
      snapshots_(std::make_unique<Pool>(connection_options(options_, line_, "reader"))),
      questions_(std::make_unique<Pool>(connection_options(options_, line_, "asker"))),
      names_(std::make_unique<Dictionary>(*questions_)) {}

PostgresStore::~PostgresStore() {
    if (!committer_) return;
    line_->watch({}, {});
    committer_.reset();
    if (options_.bulk) look_at_the_load();
    // Others need not wait until this one is missed.
    auto loan = questions_->take();
    if (!loan) return;
    const auto given_up =
        (*loan)->ask("UPDATE meridian.cursor SET beat = '-infinity' WHERE owner = $1",
                     std::move(Parameters().integer(server_)));
    if (!given_up) log::warning("others take this server's views over when they miss it", {});
}

void PostgresStore::look_at_the_load() {
    // Plans are as good as what the planner knows, and after a load it knows nothing yet.
    auto loan = questions_->take();
    if (!loan) return;
    const auto tables = (*loan)->ask(
        "SELECT string_agg('meridian.' || tablename, ', ') FROM pg_tables "
        "WHERE schemaname = 'meridian'");
    if (!tables || tables->empty()) return;
    const auto counted = (*loan)->execute("ANALYZE " + std::string(tables->bytes(0, 0)));
    if (!counted)
        log::warning("searches are slow until the database has analyzed what was loaded",
                     {{"reason", counted.error().message}});
}

Result<std::unique_ptr<Store>> PostgresStore::open(OpenOptions options) {
    std::unique_ptr<PostgresStore> store(new PostgresStore(std::move(options)));
    auto connection = store->connect();
    if (!connection) {
        Error error = connection.error();
        error.where = database_option;
        return std::unexpected(std::move(error));
    }
    TRY(store->start(**connection));
    return store;
}

Result<std::unique_ptr<Connection>> PostgresStore::connect() {
    auto connection = TRY(Connection::open(connection_options(options_, line_, "start")));
    layout_ = TRY(prepare_schema(*connection, options_.create && !options_.read_only));
    if (!options_.unfinished) TRY(refuse_unfinished(*connection));
    TRY(names_->load());
    return connection;
}

Result<void> PostgresStore::start(Connection& connection) {
    const std::string blobs = sqlite::blobs_path(options_.folder);
    if (options_.read_only) {
        blobs_ = TRY(sqlite::Blobs::open({.folder = blobs, .read_only = true}));
        return {};
    }
    std::error_code ignored;
    std::filesystem::create_directories(options_.folder, ignored);
    lock_ = TRY(sqlite::FolderLock::take(options_.folder));
    blobs_ = TRY(sqlite::Blobs::open({.folder = blobs, .faults = options_.faults}));
    server_ = TRY(connection.integer("SELECT nextval('meridian.server_number')", 0));
    auto writer = std::make_unique<Writer>(connection_options(options_, line_, "writer"), *names_,
                                           server_, layout_);
    committer_ = std::make_unique<Committer>(
        std::move(writer), connection_options(options_, line_, "listener"), server_, layout_);
    line_->watch([this](Connection& to) { return examine(to); }, options_.on_history_lost);
    TRY(start_replicas());
    pulse_ = std::make_unique<Pulse>(connection_options(options_, line_, "pulse"),
                                     [this](const Pulse::Sign& sign) { beats_.note(sign); });
    return {};
}

Result<void> PostgresStore::examine(Connection& connection) {
    if (const std::size_t lost = TRY(names_->count_lost(connection)); lost != 0)
        return fail(Category::conflict, fmt::format("{} names are not there", lost));
    // What is later in the log was committed later: where the last entry is, all others are.
    const LogEnd seen = committer_->seen();
    if (seen.position < 0) return {};
    const std::int64_t at =
        TRY(connection.integer("SELECT at FROM meridian.log WHERE position = $1", -1,
                               std::move(Parameters().integer(seen.position))));
    if (at == seen.at.milliseconds) return {};
    return fail(Category::conflict, fmt::format("position {} of the log is {}", seen.position,
                                                at < 0 ? "not there" : "another entry"));
}

Result<void> PostgresStore::start_replicas() {
    for (const std::string& url : options_.replicas) {
        replicas_.push_back(std::make_unique<Replica>(url, layout_, beats_));
        TRY(replicas_.back()->check(names_->token_key()));
    }
    return {};
}

Result<Committer*> PostgresStore::writing() {
    if (committer_) {
        TRY(names_->settle());
        return committer_.get();
    }
    return fail(Category::unavailable, "the store is open for reading only");
}

Result<std::unique_ptr<Snapshot>> PostgresStore::snapshot() {
    return PostgresSnapshot::begin(*snapshots_, *names_, layout_, counts_);
}

Result<std::unique_ptr<Snapshot>> PostgresStore::stale_snapshot(std::chrono::seconds max_stale) {
    max_stale = std::min(max_stale, std::chrono::seconds(limits::database_stale_seconds_max));
    const std::size_t first = next_replica_.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        Replica& replica = *replicas_[(first + i) % replicas_.size()];
        if (!replica.is_within(max_stale)) continue;
        auto taken = replica.snapshot(max_stale, *names_);
        if (taken && *taken) return taken;
    }
    return snapshot();
}

Result<std::optional<Stored>> PostgresStore::find(const Identity& identity) {
    // Whoever asks must not wait: for a connection, for one that is lost, for a slow answer.
    auto loan = questions_->take_idle();
    if (!loan) return fail(Category::unavailable, "no connection to the database is idle");
    (*loan)->set_patience(std::chrono::milliseconds(limits::database_at_once_milliseconds));
    auto found = newest_version(**loan, identity, layout_);
    (*loan)->set_patience(std::chrono::seconds(limits::database_silence_seconds));
    return found;
}

Result<Receipt> PostgresStore::commit(Commit commit) {
    Committer* committer = TRY(writing());
    return committer->queue().submit_and_wait(std::move(commit));
}

void PostgresStore::commit_later(Commit commit, std::function<void(Result<Receipt>)> done) {
    auto committer = writing();
    if (!committer) {
        done(std::unexpected(committer.error()));
        return;
    }
    auto task = std::make_shared<Task>();
    task->commit = std::move(commit);
    task->done = std::move(done);
    (*committer)->queue().submit(task);
}

void PostgresStore::on_commit(std::function<void(Position)> listener) {
    if (committer_) committer_->on_commit(std::move(listener));
}

Result<void> PostgresStore::reindex(Rid rid, Version version, std::span<const Name> params,
                                    Rows rows) {
    Committer* committer = TRY(writing());
    TRY(committer->queue().take_deferred_error());
    std::vector<Identity> mentions;
    mentions.reserve(rows.references.size() + rows.patients.size() + rows.compartments.size());
    for (const auto& row : rows.references) mentions.push_back(row.target);
    for (const auto& row : rows.patients) mentions.push_back(row.patient);
    for (const Identity& patient : rows.compartments) mentions.push_back(patient);
    // The group may be tried again, so the rows are kept.
    committer->run_later(
        [rid, version, params = std::vector<Name>(params.begin(), params.end()),
         rows = std::make_shared<const Rows>(std::move(rows))](Writer& writer) {
            return writer.reindex(rid, version, params, *rows);
        },
        std::move(mentions));
    return {};
}

Result<Position> PostgresStore::cursor(std::string_view view) {
    if (options_.read_only) {
        return questions_->read([&](Connection& connection) {
            return connection.integer("SELECT next FROM meridian.cursor WHERE view = $1", 0,
                                      std::move(Parameters().text(view)));
        });
    }
    // Who asks wants to follow. It may when nobody does, or when who did is silent.
    auto loan = TRY(questions_->take());
    const Answer mine = TRY(
        loan->ask(fmt::format("INSERT INTO meridian.cursor AS c(view, next, owner, beat) "
                              "VALUES($1, 0, $2, clock_timestamp()) ON CONFLICT (view) DO UPDATE "
                              "SET owner = excluded.owner, beat = excluded.beat "
                              "WHERE c.owner = $2 OR c.beat < clock_timestamp() - interval '{}' "
                              "RETURNING next",
                              silence_of_an_owner),
                  std::move(Parameters().text(view).integer(server_))));
    if (mine.empty())
        return fail(Category::busy, fmt::format("another server follows the view {}", view));
    return mine.integer(0, 0);
}

Result<void> PostgresStore::save_cursor(std::string_view view, Position next) {
    Committer* committer = TRY(writing());
    TRY(committer->queue().run_and_wait([] { return Result<void>(); }));  // what was queued before
    auto loan = TRY(questions_->take());
    const Answer saved = TRY(loan->ask(
        fmt::format("INSERT INTO meridian.cursor AS c(view, next, owner, beat) "
                    "VALUES($1, $3, $2, clock_timestamp()) ON CONFLICT (view) DO UPDATE "
                    "SET next = excluded.next, owner = excluded.owner, beat = excluded.beat "
                    "WHERE c.owner = $2 OR c.beat < clock_timestamp() - interval '{}'",
                    silence_of_an_owner),
        std::move(Parameters().text(view).integer(server_).integer(next))));
    if (saved.changed() == 0)
        return fail(Category::busy, fmt::format("another server follows the view {} now", view));
    return committer->queue().take_deferred_error();
}

Result<std::optional<std::string>> PostgresStore::setting(std::string_view key) {
    return questions_->read([&](Connection& connection) -> Result<std::optional<std::string>> {
        const Answer found = TRY(connection.ask("SELECT value FROM meridian.setting WHERE key = $1",
                                                std::move(Parameters().text(setting_name(key)))));
        if (found.empty()) return std::optional<std::string>();
        return std::optional<std::string>(found.bytes(0, 0));
    });
}

Result<void> PostgresStore::save_setting(std::string_view key, std::string_view value) {
    Committer* committer = TRY(writing());
    TRY(committer->queue().run_and_wait([] { return Result<void>(); }));
    auto loan = TRY(questions_->take());
    TRY(
        loan->ask("INSERT INTO meridian.setting(key, value) VALUES($1, $2) "
                  "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                  std::move(Parameters().text(setting_name(key)).bytes(value))));
    return committer->queue().take_deferred_error();
}

Result<std::optional<PrivateRow>> PostgresStore::private_row(std::string_view space,
                                                             std::string_view key) {
    return questions_->read([&](Connection& connection) {
        return postgres::private_row(connection, space, key, now());
    });
}

Result<std::vector<PrivateRow>> PostgresStore::private_rows(std::string_view space,
                                                            std::string_view after,
                                                            std::size_t limit) {
    return questions_->read([&](Connection& connection) {
        return postgres::private_rows(connection, space, after, limit, now());
    });
}

Result<void> PostgresStore::exchange_bodies(std::vector<BodyExchange> bodies) {
    TRY(writing());
    // In one order everywhere, so that two servers never wait for one another.
    std::sort(bodies.begin(), bodies.end(),
              [](const BodyExchange& left, const BodyExchange& right) {
                  return std::tie(left.rid, left.version) < std::tie(right.rid, right.version);
              });
    auto loan = TRY(questions_->take());
    loan->send("BEGIN");
    for (const BodyExchange& each : bodies) {
        // A version that a writer moves meanwhile is found in the second table: its row was locked.
        for (const std::string_view sql :
             {"UPDATE meridian.resource SET body = $1 WHERE rid = $2 AND version = $3 AND body = "
              "$4",
              "UPDATE meridian.history SET body = $1 WHERE rid = $2 AND version = $3 AND body = "
              "$4"}) {
            loan->send(sql, std::move(Parameters()
                                          .bytes(each.after)
                                          .integer(each.rid)
                                          .small(static_cast<std::int32_t>(each.version))
                                          .bytes(each.before)));
        }
    }
    loan->send("COMMIT");
    const auto committed = loan->flush();
    if (committed) return {};
    loan->roll_back();
    return std::unexpected(committed.error());
}

Result<bool> PostgresStore::save_private(std::vector<PrivateRow> rows) {
    TRY(writing());
    auto loan = TRY(questions_->take());
    return postgres::save_private(*loan, std::move(rows), now());
}

}  // namespace meridian::store::postgres
