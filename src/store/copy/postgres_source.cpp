// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "base/limits.hpp"
#include "store/copy/index_states.hpp"
#include "store/copy/sides.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/frozen_names.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/migrations.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::copy {

namespace {

using postgres::Answer;
using postgres::Connection;
using postgres::Parameters;

template <class Array>
void copy_bytes(std::string_view from, Array& to) {
    std::memcpy(to.data(), from.data(), std::min(from.size(), to.size()));
}

class PostgresSource final : public Source {
 public:
    static Result<std::unique_ptr<Source>> make(const std::string& url, const std::string& folder,
                                                const BodyReader& reader);

    const Names& names() const override { return names_; }
    Result<bool> is_at_rest() override;
    Result<Position> end() override {
        return TRY(connection_->integer("SELECT max(position) FROM meridian.log", -1)) + 1;
    }
    Result<std::vector<Carried>> read(Position from, Position below, std::size_t count) override {
        return in_snapshot([&] { return read_entries(from, below, count); });
    }
    Result<std::vector<Carried>> read_newest(const std::vector<Rid>& rids) override;
    Result<std::vector<IndexState>> index_states(Rid after) override {
        return copy::index_states(*connection_, after);
    }
    Result<std::vector<KnownName>> all_names() override;
    Result<Rid> last_rid() override;
    Result<void> identities(
        Rid above, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) override;
    Result<Belongings> belongings() override;
    std::string blobs_folder() const override { return sqlite::blobs_path(folder_); }
    Result<std::unique_ptr<Store>> open() override {
        return store::open(
            {.folder = folder_, .database = url_, .create = false, .read_only = true});
    }

 private:
    PostgresSource(const std::string& url, std::string folder, const BodyReader& reader)
        : url_(url),
          folder_(std::move(folder)),
          reader_(reader),
          pool_({.url = url, .application_name = "meridian migrate", .setup = "SET jit = off"}),
          names_(pool_),
          frozen_(names_) {}

    template <class Work>
    auto in_snapshot(Work work) -> decltype(work()) {
        TRY(connection_->ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
        auto done = work();
        connection_->roll_back();
        return done;
    }
    Result<std::vector<Carried>> read_entries(Position from, Position below, std::size_t count);
    Result<std::vector<Carried>> entries_of(const Answer& rows);
    /// How many of the first entries fit into a batch.
    Result<std::size_t> count_that_fits(const std::vector<Carried>& batch);
    Result<void> read_newest_bodies(std::vector<Carried>& batch);
    Result<void> read_history_bodies(std::vector<Carried>& batch);
    Result<void> complete(std::vector<Carried>& batch);
    Result<void> complete_texts(Carried& carried);
    Result<void> read_views(std::vector<Carried>& batch);
    Result<void> restore_cut(std::vector<KnownIdentity>& part);

    std::string url_, folder_;
    const BodyReader& reader_;
    postgres::Pool pool_;
    postgres::Dictionary names_;
    postgres::FrozenNames frozen_;
    std::unique_ptr<Connection> connection_;
    bool holds_office_ = false;
};

Result<std::unique_ptr<Source>> PostgresSource::make(const std::string& url,
                                                     const std::string& folder,
                                                     const BodyReader& reader) {
    std::unique_ptr<PostgresSource> source(new PostgresSource(url, folder, reader));
    const auto open = [&]() -> Result<void> {
        source->connection_ = TRY(Connection::open(
            {.url = url, .application_name = "meridian migrate", .setup = "SET jit = off"}));
        TRY(postgres::prepare_schema(*source->connection_, false));
        const Answer mark =
            TRY(source->connection_->ask("SELECT 1 FROM meridian.setting WHERE key = $1",
                                         std::move(Parameters().text(migration_mark))));
        if (!mark.empty()) return unfinished(database_option);
        return source->names_.load();
    };
    if (auto opened = open(); !opened) {
        Error error = opened.error();
        error.where = database_option;
        return std::unexpected(std::move(error));
    }
    return source;
}

Result<bool> PostgresSource::is_at_rest() {
    // Whoever gives positions holds this lock; while it is held here nobody else gives any.
    if (!holds_office_) {
        const Answer office = TRY(connection_->ask("SELECT pg_try_advisory_lock(1297240403, 1)"));
        holds_office_ = office.integer(0, 0) != 0;
    }
    if (!holds_office_) return false;
    const std::int64_t writers = TRY(connection_->integer(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name LIKE 'meridian writer %'",
        0));
    if (writers > 0) {
        TRY(connection_->ask("SELECT pg_advisory_unlock(1297240403, 1)"));
        holds_office_ = false;
        return false;
    }
    const std::int64_t waiting =
        TRY(connection_->integer("SELECT count(*) FROM meridian.batch WHERE base IS NULL", 0));
    if (waiting > 0) {
        return fail(Category::conflict,
                    fmt::format("{} group(s) of changes were written by servers that were stopped "
                                "before they got their positions; serve the store for a moment, "
                                "stop the server, then run this again",
                                waiting),
                    "--from");
    }
    return true;
}

// --- batches ---

Result<std::vector<Carried>> PostgresSource::entries_of(const Answer& rows) {
    std::vector<Carried> batch(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row) {
        LogEntry& entry = batch[static_cast<std::size_t>(row)].entry;
        entry.position = rows.integer(row, 0);
        entry.at.milliseconds = rows.integer(row, 1);
        entry.kind = static_cast<unsigned>(rows.integer(row, 2));
        entry.rid = rows.integer(row, 3);
        entry.type = static_cast<Name>(rows.integer(row, 4));
        entry.id = rows.bytes(row, 5);
        entry.version = rows.integer(row, 6);
        entry.verb = static_cast<Verb>(rows.integer(row, 7));
        entry.actor = static_cast<Name>(rows.integer(row, 8));
        entry.organisation = static_cast<Name>(rows.integer(row, 9));
        copy_bytes(rows.bytes(row, 10), entry.salt);
        copy_bytes(rows.bytes(row, 11), entry.body_hash);
    }
    return batch;
}

Result<std::vector<Carried>> PostgresSource::read_entries(Position from, Position below,
                                                          std::size_t count) {
    auto batch = TRY(entries_of(TRY(connection_->ask(
        "SELECT position, at, kind, rid, type, id, version, verb, actor, organisation, salt, "
        "body_hash FROM meridian.log WHERE position >= $1 AND position < $2 ORDER BY position "
        "LIMIT $3",
        std::move(Parameters().integer(from).integer(below).integer(
            static_cast<std::int64_t>(count)))))));
    batch.resize(TRY(count_that_fits(batch)));
    TRY(read_newest_bodies(batch));
    TRY(read_history_bodies(batch));
    TRY(complete(batch));
    return batch;
}

Result<std::size_t> PostgresSource::count_that_fits(const std::vector<Carried>& batch) {
    // A version's body is in one of the two tables; lengths are read without reading bodies.
    const Answer rows = TRY(connection_->ask(
        "SELECT e.place, octet_length(r.body) + octet_length(r.forward) "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.resource r ON r.rid = e.rid AND r.version = e.version UNION ALL "
        "SELECT e.place, octet_length(h.body) "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.history h ON h.rid = e.rid AND h.version = e.version",
        std::move(Parameters()
                      .column(batch, [](const Carried& c) { return c.entry.rid; })
                      .column(batch, [](const Carried& c) {
                          return static_cast<std::int32_t>(c.entry.version);
                      }))));
    std::vector<std::size_t> bytes(batch.size(), 0);
    for (int row = 0; row < rows.size(); ++row)
        bytes[static_cast<std::size_t>(rows.integer(row, 0)) - 1] =
            static_cast<std::size_t>(rows.integer(row, 1));
    std::size_t sum = 0, count = 0;
    while (count < batch.size() && sum < limits::migrate_batch_bytes) sum += bytes[count++];
    return count;
}

Result<void> PostgresSource::read_newest_bodies(std::vector<Carried>& batch) {
    const Answer rows = TRY(connection_->ask(
        "SELECT e.place, r.patient, r.body, r.forward "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.resource r ON r.rid = e.rid AND r.version = e.version",
        std::move(Parameters()
                      .column(batch, [](const Carried& c) { return c.entry.rid; })
                      .column(batch, [](const Carried& c) {
                          return static_cast<std::int32_t>(c.entry.version);
                      }))));
    for (int row = 0; row < rows.size(); ++row) {
        Carried& carried = batch[static_cast<std::size_t>(rows.integer(row, 0)) - 1];
        carried.is_newest = true;
        carried.home = rows.integer(row, 1);
        carried.body = rows.bytes(row, 2);
        carried.forward = rows.bytes(row, 3);
    }
    return {};
}

Result<void> PostgresSource::read_history_bodies(std::vector<Carried>& batch) {
    std::vector<Carried*> past;
    for (Carried& carried : batch) {
        if (!carried.is_newest && carried.entry.kind == 0) past.push_back(&carried);
    }
    if (past.empty()) return {};
    const Answer rows = TRY(connection_->ask(
        "SELECT e.place, h.body "
        "FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS e(rid, version, place) "
        "JOIN meridian.history h ON h.rid = e.rid AND h.version = e.version",
        std::move(Parameters()
                      .column(past, [](const Carried* c) { return c->entry.rid; })
                      .column(past, [](const Carried* c) {
                          return static_cast<std::int32_t>(c->entry.version);
                      }))));
    if (rows.size() != static_cast<int>(past.size())) {
        return fail(Category::fault,
                    "the log tells of versions that are not there; run `meridian check`");
    }
    for (int row = 0; row < rows.size(); ++row)
        past[static_cast<std::size_t>(rows.integer(row, 0)) - 1]->body = rows.bytes(row, 1);
    return {};
}

Result<void> PostgresSource::complete(std::vector<Carried>& batch) {
    for (Carried& carried : batch) {
        if (!carried.is_current()) continue;
        carried.rows = TRY(unpack(carried.forward));
        TRY(complete_texts(carried));
    }
    return read_views(batch);
}

/// The table holds words in PostgreSQL's form only, so they are made from the body again.
Result<void> PostgresSource::complete_texts(Carried& carried) {
    if (carried.rows.texts.empty()) return {};
    Stored stored;
    stored.rid = carried.entry.rid;
    stored.type = carried.entry.type;
    stored.id = carried.entry.id;
    stored.version = carried.entry.version;
    stored.verb = carried.entry.verb;
    stored.current = true;
    stored.body = carried.body;
    auto resolved = TRY(resolve_rows(
        TRY(reader_.rows(stored, frozen_)), [](const Identity&) { return Result<Rid>(0); },
        [this](Name param) { return text_field_of(names_, param); }));
    for (const Name param : carried.rows.texts) {
        const int field = text_field_of(names_, param);
        const auto found =
            std::find_if(resolved.texts.begin(), resolved.texts.end(),
                         [field](const ResolvedText& text) { return text.field == field; });
        carried.texts.push_back(
            {field, found == resolved.texts.end() ? std::string() : found->words});
    }
    return {};
}

Result<void> PostgresSource::read_views(std::vector<Carried>& batch) {
    struct Place {
        ViewRow* row;
        std::string key;
        Rid rid;
    };
    std::vector<Place> views;
    for (Carried& carried : batch) {
        for (ViewRow& row : carried.rows.views)
            views.push_back({&row, postgres::byte_key_of(row.key), carried.entry.rid});
    }
    if (views.empty()) return {};
    const Answer rows = TRY(connection_->ask(
        "SELECT w.place, v.value FROM unnest($1::integer[], $2::bytea[], $3::bigint[]) "
        "WITH ORDINALITY AS w(view, key, rid, place) JOIN meridian.view_row v "
        "ON v.view = w.view AND v.key = w.key AND v.rid = w.rid",
        std::move(Parameters()
                      .column(views, [](const Place& p) { return p.row->view; })
                      .column(views, [](const Place& p) { return Parameters::Bytes{p.key}; })
                      .column(views, [](const Place& p) { return p.rid; }))));
    for (int row = 0; row < rows.size(); ++row)
        views[static_cast<std::size_t>(rows.integer(row, 0)) - 1].row->value = rows.bytes(row, 1);
    return {};
}

Result<std::vector<Carried>> PostgresSource::read_newest(const std::vector<Rid>& rids) {
    return in_snapshot([&]() -> Result<std::vector<Carried>> {
        auto batch = TRY(entries_of(TRY(connection_->ask(
            "SELECT l.position, l.at, l.kind, l.rid, l.type, l.id, l.version, l.verb, l.actor, "
            "l.organisation, l.salt, l.body_hash FROM meridian.resource r "
            "JOIN meridian.batch b ON b.id = r.batch "
            "JOIN meridian.log l ON l.position = b.base + r.ordinal "
            "WHERE r.rid = ANY($1::bigint[])",
            std::move(Parameters().integers(rids))))));
        TRY(read_newest_bodies(batch));
        TRY(complete(batch));
        return batch;
    });
}

// --- what is not in the log ---

Result<std::vector<KnownName>> PostgresSource::all_names() {
    std::vector<KnownName> names;
    for (int kind = 0; kind <= static_cast<int>(NameKind::actor); ++kind) {
        Name after = 0;
        for (bool more = true; more;) {
            const Answer rows = TRY(connection_->ask(
                "SELECT id, text FROM meridian.name WHERE kind = $1::integer AND id > $2 "
                "ORDER BY id LIMIT 10000",
                std::move(Parameters().small(kind).small(after))));
            for (int row = 0; row < rows.size(); ++row) {
                after = static_cast<Name>(rows.integer(row, 0));
                names.push_back(
                    {static_cast<NameKind>(kind), after, std::string(rows.bytes(row, 1))});
            }
            more = !rows.empty();
        }
    }
    return names;
}

Result<Rid> PostgresSource::last_rid() {
    // The end of the last block that was taken.
    return connection_->integer(
        "SELECT (CASE WHEN is_called THEN last_value ELSE last_value - 1 END) * 4096 "
        "FROM meridian.rid_block",
        0);
}

Result<void> PostgresSource::identities(
    Rid, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) {
    // Several servers give rids out of blocks of their own, so that a low one may be new: all of
    // them are looked through.
    Name type = -1;
    std::string key;
    for (;;) {
        const Answer rows = TRY(connection_->ask(
            "SELECT type, key, rid FROM meridian.directory WHERE (type, key) > ($1, $2) "
            "ORDER BY type, key LIMIT $3",
            std::move(Parameters().small(type).bytes(key).integer(
                static_cast<std::int64_t>(limits::migrate_identities_at_once)))));
        if (rows.empty()) return {};
        std::vector<KnownIdentity> part;
        part.reserve(static_cast<std::size_t>(rows.size()));
        for (int row = 0; row < rows.size(); ++row) {
            part.push_back(
                {{static_cast<Name>(rows.integer(row, 0)), std::string(rows.bytes(row, 1))},
                 rows.integer(row, 2)});
        }
        type = part.back().identity.type;
        key = part.back().identity.id;
        TRY(restore_cut(part));
        TRY(take(std::move(part)));
    }
}

/// Long identities stand in the directory cut, with their hash; the whole of each stands in a body
/// that refers to it. One that no current version refers to any more stays cut: nobody asks for it,
/// and whoever mentions it again gets a new rid.
Result<void> PostgresSource::restore_cut(std::vector<KnownIdentity>& part) {
    std::map<Rid, KnownIdentity*> cut;
    for (KnownIdentity& known : part) {
        if (known.identity.id.size() > limits::database_key_bytes_max) cut[known.rid] = &known;
    }
    if (cut.empty()) return {};
    std::vector<Rid> targets;
    for (const auto& [rid, known] : cut) targets.push_back(rid);
    const Answer rows = TRY(connection_->ask(
        "SELECT DISTINCT ON (target) rid FROM meridian.idx_reference "
        "WHERE param = ANY($1::integer[]) AND target = ANY($2::bigint[]) ORDER BY target, rid",
        std::move(Parameters().smalls(names_.all(NameKind::parameter)).integers(targets))));
    std::vector<Rid> mentioning;
    for (int row = 0; row < rows.size(); ++row) mentioning.push_back(rows.integer(row, 0));
    for (const Carried& carried : TRY(read_newest(mentioning))) {
        Stored stored;
        stored.type = carried.entry.type;
        stored.id = carried.entry.id;
        stored.body = carried.body;
        for (const ReferenceRow& row : TRY(reader_.rows(stored, frozen_)).references) {
            for (auto& [rid, known] : cut) {
                if (known->identity.type == row.target.type &&
                    known->identity.id == postgres::byte_key_of(row.target.id))
                    known->identity.id = row.target.id;
            }
        }
    }
    return {};
}

Result<Belongings> PostgresSource::belongings() {
    Belongings all;
    const Answer settings =
        TRY(connection_->ask("SELECT key, value FROM meridian.setting WHERE key LIKE 'server/%'"));
    for (int row = 0; row < settings.size(); ++row)
        all.settings.emplace_back(settings.bytes(row, 0), settings.bytes(row, 1));
    const Answer cursors = TRY(connection_->ask("SELECT view, next FROM meridian.cursor"));
    for (int row = 0; row < cursors.size(); ++row)
        all.cursors.emplace_back(cursors.bytes(row, 0), cursors.integer(row, 1));
    const Answer counts = TRY(connection_->ask(
        "SELECT type, sum(resources)::bigint FROM meridian.type_count GROUP BY type"));
    for (int row = 0; row < counts.size(); ++row)
        all.counts.push_back({static_cast<Name>(counts.integer(row, 0)), counts.integer(row, 1)});
    return all;
}

}  // namespace

Result<std::unique_ptr<Source>> postgres_source(const std::string& url, const std::string& folder,
                                                const BodyReader& reader) {
    return PostgresSource::make(url, folder, reader);
}

}  // namespace meridian::store::copy
