// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "base/limits.hpp"
#include "store/copy/index_states.hpp"
#include "store/copy/postgres_reading.hpp"
#include "store/copy/sides.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/dictionary.hpp"
#include "store/postgres/frozen_names.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/log_rows.hpp"
#include "store/postgres/migrations.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::copy {

namespace {

using postgres::Answer;
using postgres::Connection;
using postgres::Parameters;

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
    Result<std::vector<KnownName>> all_names() override { return read_names(*connection_); }
    Result<Rid> last_rid() override { return read_last_rid(*connection_); }
    Result<void> identities(
        Rid above, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) override;
    Result<Belongings> belongings() override { return read_belongings(*connection_); }
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

Result<std::vector<Carried>> PostgresSource::read_entries(Position from, Position below,
                                                          std::size_t count) {
    auto batch = TRY(read_log(*connection_, from, below, count));
    TRY(read_audits(*connection_, batch));
    TRY(read_newest_bodies(batch));
    TRY(read_history_bodies(batch));
    TRY(complete(batch));
    return batch;
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
    if (TRY(read_bodies(*connection_, "history", past)).empty()) return {};
    return fail(Category::fault,
                "the log tells of versions that are not there; run `meridian check`");
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
        const Answer rows =
            TRY(connection_->ask("SELECT " MERIDIAN_LOG_COLUMNS
                                 " FROM meridian.log WHERE position IN (SELECT b.base + r.ordinal "
                                 "FROM meridian.resource r JOIN meridian.batch b ON b.id = r.batch "
                                 "WHERE r.rid = ANY($1::bigint[]))",
                                 std::move(Parameters().integers(rids))));
        std::vector<Carried> batch(static_cast<std::size_t>(rows.size()));
        for (int row = 0; row < rows.size(); ++row)
            batch[static_cast<std::size_t>(row)].entry = postgres::read_log_entry(rows, row);
        TRY(read_newest_bodies(batch));
        TRY(complete(batch));
        return batch;
    });
}

// --- what is not in the log ---

Result<void> PostgresSource::identities(
    Rid, const std::function<Result<void>(std::vector<KnownIdentity>)>& take) {
    // Several servers give rids out of blocks of their own, so that a low one may be new: all of
    // them are looked through.
    return read_identities(*connection_, [&](std::vector<KnownIdentity> part) -> Result<void> {
        TRY(restore_cut(part));
        return take(std::move(part));
    });
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

}  // namespace

Result<std::unique_ptr<Source>> postgres_source(const std::string& url, const std::string& folder,
                                                const BodyReader& reader) {
    return PostgresSource::make(url, folder, reader);
}

}  // namespace meridian::store::copy
