// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/migrations.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "store/engine/unfinished.hpp"
#include "store/sqlite/schema.hpp"

namespace meridian::store::sqlite {

namespace {

/// "Mrdn" in ASCII: tells the file from other SQLite databases.
constexpr std::int64_t application_id = 0x4d72646e;

Result<void> make_schema(Database& database, int target) {
    TRY(database.execute(schema));
    const std::string key = random_bytes(sizeof(SipKey));
    auto insert = TRY(database.prepare("INSERT INTO setting(key, value) VALUES('token_key', ?)"));
    TRY(insert.bind_blob(1, key).run());
    return database.execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", application_id, target));
}

Result<void> in_transaction(Database& database, const std::function<Result<void>()>& work) {
    TRY(database.run("BEGIN IMMEDIATE"));
    auto done = work();
    if (done) done = database.run("COMMIT");
    if (!done && !database.in_autocommit()) TRY(database.run("ROLLBACK"));
    return done;
}

Result<void> refuse_foreign(Database& database) {
    const std::int64_t id = TRY(database.integer("PRAGMA application_id", 0));
    if (id == application_id) return {};
    return fail(Category::fault,
                "record.db is a database of another program; use another --data folder");
}

}  // namespace

std::span<const Migration> migrations() {
    // A step is added here with every change of schema.hpp, together with a test that makes the old
    // form.
    static const std::vector<Migration> steps{
        {1,
         [](Database& database) {
             return database.execute(
                 "CREATE TABLE idx_patient_code(type INTEGER, code INTEGER, patient INTEGER, "
                 "PRIMARY KEY(type, code, patient)) WITHOUT ROWID;"
                 "INSERT INTO idx_patient_code SELECT DISTINCT type, code, patient FROM "
                 "idx_patient WHERE code <> 0 ORDER BY type, code, patient;");
         }},
        {2, [](Database& database) {
             return database.execute(
                 "CREATE TABLE private_row(space TEXT, key TEXT, version INTEGER NOT NULL, "
                 "expires INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY(space, key)) "
                 "WITHOUT ROWID;"
                 "CREATE INDEX private_row_expires ON private_row(expires);" MERIDIAN_AUDIT_TABLES);
         }}};
    return steps;
}

Result<void> prepare_schema(Database& database, int target, std::span<const Migration> steps) {
    const std::int64_t tables = TRY(database.integer("SELECT count(*) FROM sqlite_schema", 0));
    if (tables == 0) return in_transaction(database, [&] { return make_schema(database, target); });
    TRY(refuse_foreign(database));
    auto version = static_cast<int>(TRY(database.integer("PRAGMA user_version", 0)));
    if (version > target) {
        return fail(Category::unsupported,
                    fmt::format("the store has schema version {}, this program knows only up to "
                                "{}; use a newer release",
                                version, target));
    }
    while (version < target) {
        const auto step =
            std::find_if(steps.begin(), steps.end(),
                         [version](const Migration& each) { return each.from == version; });
        if (step == steps.end()) {
            return fail(Category::unsupported,
                        fmt::format("the store has schema version {}, which is too old for this "
                                    "program; open it with an older "
                                    "release first",
                                    version));
        }
        log::info("migrating the store", {{"from", version}, {"to", version + 1}});
        TRY(in_transaction(database, [&]() -> Result<void> {
            TRY(step->run(database));
            return database.execute(fmt::format("PRAGMA user_version={};", version + 1));
        }));
        ++version;
    }
    return {};
}

Result<void> require_schema(Database& database) {
    TRY(refuse_foreign(database));
    const std::int64_t version = TRY(database.integer("PRAGMA user_version", 0));
    if (version == schema_version) return {};
    return fail(
        Category::unsupported,
        fmt::format(
            "the store has schema version {}, this program needs {}; open it for writing once to "
            "migrate it",
            version, schema_version));
}

Result<void> refuse_unfinished(Database& database) {
    auto mark = TRY(database.prepare("SELECT 1 FROM setting WHERE key = ?"));
    mark.bind_text(1, migration_mark);
    if (!TRY(mark.step())) return {};
    return unfinished(folder_option);
}

}  // namespace meridian::store::sqlite
