// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/migrations.hpp"

#include <thread>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "store/engine/unfinished.hpp"
#include "store/postgres/schema.hpp"

namespace meridian::store::postgres {

namespace {

constexpr std::string_view lock_of_schema = "SELECT pg_advisory_xact_lock(1297240403, 2)";

Result<bool> has_schema(Connection& connection) {
    return TRY(connection.integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'meridian'",
                                  0)) != 0;
}

/// A database of somebody else is left alone.
Result<void> refuse_foreign(Connection& connection) {
    const std::int64_t tables = TRY(connection.integer(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT LIKE 'pg\\_%' "
        "AND n.nspname NOT IN ('information_schema', 'citus', 'citus_internal') "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
        "AND d.objid = c.oid AND d.deptype = 'e')",
        0));
    if (tables == 0) return {};
    return fail(Category::conflict,
                fmt::format("the database holds {} table(s) of something else; name an empty "
                            "database, or one that a store was made in",
                            tables));
}

/// Says what an administrator has to do: of itself the database names no right.
Result<void> require_right_to_create(Connection& connection) {
    const Answer may = TRY(connection.ask(
        "SELECT has_database_privilege(current_database(), 'CREATE'), current_database()::text, "
        "current_user::text"));
    if (may.integer(0, 0) != 0) return {};
    return fail(Category::forbidden,
                fmt::format("the role \"{1}\" lacks a right: GRANT CREATE ON DATABASE \"{0}\" TO "
                            "\"{1}\"",
                            may.bytes(0, 1), may.bytes(0, 2)));
}

/// Shards need somebody to lie at.
Result<void> require_citus(Connection& connection) {
    if (TRY(connection.integer("SELECT count(*) FROM pg_extension WHERE extname = 'citus'", 0)) ==
        0)
        return fail(Category::unsupported,
                    "the database has no extension citus; run CREATE EXTENSION citus in it and on "
                    "each worker, or make the store without --citus");
    const Answer nodes = TRY(connection.ask(
        "SELECT count(*) FILTER (WHERE groupid = 0), count(*) FILTER (WHERE isactive AND "
        "shouldhaveshards) FROM pg_dist_node"));
    if (nodes.integer(0, 1) == 0)
        return fail(Category::unsupported,
                    "the Citus cluster has no workers; name them with "
                    "SELECT citus_add_node('host', port)");
    // What was committed is read from the coordinator's own copy of `batch`.
    if (nodes.integer(0, 0) == 0)
        return fail(Category::unsupported,
                    "the Citus cluster does not know its coordinator; name it with "
                    "SELECT citus_set_coordinator_host('host', port)");
    return {};
}

Result<void> make_schema(Connection& connection, const Layout& layout) {
    TRY(refuse_foreign(connection));
    TRY(require_right_to_create(connection));
    if (layout.is_distributed()) TRY(require_citus(connection));
    TRY(connection.execute(schema_script(layout)));
    constexpr std::size_t token_key_bytes = sizeof(SipKey);
    const std::string layout_text = layout.text();
    TRY(
        connection.ask("INSERT INTO meridian.setting(key, value) "
                       "VALUES('schema_version', int8send($1)), ('token_key', $2), ('layout', $3)",
                       std::move(Parameters()
                                     .integer(schema_version)
                                     .bytes(random_bytes(token_key_bytes))
                                     .bytes(layout_text))));
    return {};
}

Result<std::int64_t> version_of(Connection& connection) {
    const auto found = connection.ask(
        "SELECT ('x' || encode(value, 'hex'))::bit(64)::bigint FROM meridian.setting "
        "WHERE key = 'schema_version'");
    constexpr std::string_view undefined_table = "42P01";
    if (!found && connection.last_state() == undefined_table)
        return fail(Category::conflict,
                    "the database has a schema \"meridian\" that is none of ours: it holds no "
                    "settings");
    if (!found) return std::unexpected(found.error());
    if (found->empty())
        return fail(Category::conflict,
                    "the database has a schema \"meridian\" that is none of ours: it holds no "
                    "schema_version");
    return found->integer(0, 0);
}

/// The step from each version to the next, the first at 1. A step adds columns and tables that
/// servers of the version before need not know: they go on beside it.
const std::string steps[] = {
    // 2: layouts with shards.
    "ALTER TABLE meridian.directory ADD COLUMN home bigint; "
    "ALTER TABLE meridian.log ADD COLUMN patient bigint NOT NULL DEFAULT 0; "
    "ALTER TABLE meridian.log_waiting ADD COLUMN patient bigint NOT NULL DEFAULT 0; "
    "ALTER TABLE meridian.view_row ADD COLUMN patient bigint NOT NULL DEFAULT 0; "
    "ALTER TABLE meridian.sequencer ADD COLUMN published bigint NOT NULL DEFAULT -1; "
    "CREATE STATISTICS meridian.idx_composite_pairs (mcv, ndistinct) ON param, key "
    "FROM meridian.idx_composite; "
    "CREATE STATISTICS meridian.idx_quantity_pairs (mcv) ON param, unit FROM "
    "meridian.idx_quantity; "
    "CREATE STATISTICS meridian.idx_date_pairs (mcv) ON param, span FROM meridian.idx_date; "
    "INSERT INTO meridian.setting(key, value) VALUES('layout', 'whole')",
    // 3: documents beside the record; the audit.
    "CREATE TABLE meridian.private_row(space text COLLATE \"C\", key text COLLATE \"C\", "
    "version bigint NOT NULL, expires bigint NOT NULL, value bytea NOT NULL, "
    "PRIMARY KEY(space, key)); "
    "CREATE INDEX private_row_expires ON meridian.private_row(expires); " +
        std::string(audit_tables),
};
static_assert(std::size(steps) + 1 == schema_version);

Result<void> make_step(Connection& connection, std::int64_t version) {
    TRY(connection.ask("BEGIN"));
    TRY(connection.ask(lock_of_schema));
    // Another server may have made it while this one waited.
    if (TRY(version_of(connection)) == version) {
        // Who waits for a table holds up all that come after him: rather not for long.
        TRY(connection.ask("SET LOCAL lock_timeout = '500ms'"));
        TRY(connection.execute(steps[version - 1]));
        TRY(
            connection.ask("UPDATE meridian.setting SET value = int8send($1) "
                           "WHERE key = 'schema_version'",
                           std::move(Parameters().integer(version + 1))));
        log::info("the store's schema was brought to a newer version", {{"version", version + 1}});
    }
    TRY(connection.ask("COMMIT"));
    return {};
}

Result<void> refuse_newer(std::int64_t version) {
    if (version <= schema_version) return {};
    return fail(Category::unsupported,
                fmt::format("the store has schema version {}, this program knows {}; use a "
                            "newer program",
                            version, schema_version));
}

Result<void> migrate(Connection& connection, std::int64_t version) {
    TRY(refuse_newer(version));
    if (version < 1) {
        return fail(Category::unsupported,
                    fmt::format("the store has schema version {}, and there is no way from it to "
                                "{}",
                                version, schema_version));
    }
    constexpr std::string_view lock_not_available = "55P03";
    constexpr int tries_max = 60;
    for (int tries = 1; version < schema_version;) {
        const auto made = make_step(connection, version);
        if (made) {
            ++version;
            continue;
        }
        const bool was_held_up = connection.last_state() == lock_not_available;
        connection.roll_back();
        if (!was_held_up || ++tries > tries_max) return made;
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    return {};
}

Result<Layout> layout_of(Connection& connection) {
    const Answer found =
        TRY(connection.ask("SELECT value FROM meridian.setting WHERE key = 'layout'"));
    const auto layout = found.empty() ? std::nullopt : Layout::parse(found.bytes(0, 0));
    if (layout) return *layout;
    return fail(Category::fault, "the store's setting \"layout\" is missing or none that is known");
}

}  // namespace

Result<Layout> prepare_schema(Connection& connection, bool create) {
    if (!TRY(has_schema(connection))) {
        if (!create) return fail(Category::not_found, "there is no store in this database");
        TRY(connection.ask("BEGIN"));
        TRY(connection.ask(lock_of_schema));
        // Another server may have made it while this one waited.
        if (!TRY(has_schema(connection))) TRY(make_schema(connection, {}));
        TRY(connection.ask("COMMIT"));
    }
    TRY(migrate(connection, TRY(version_of(connection))));
    return layout_of(connection);
}

Result<void> require_room(Connection& connection) {
    if (!TRY(has_schema(connection))) return refuse_foreign(connection);
    TRY(refuse_newer(TRY(version_of(connection))));
    const Answer mark = TRY(connection.ask("SELECT 1 FROM meridian.setting WHERE key = $1",
                                           std::move(Parameters().text(migration_mark))));
    if (!mark.empty())
        return fail(Category::conflict,
                    "the database holds a store that was not moved or restored there completely; "
                    "name an empty one");
    const std::int64_t rows = TRY(
        connection.integer("SELECT (SELECT count(*) FROM (SELECT FROM meridian.name LIMIT 1) n) + "
                           "(SELECT count(*) FROM (SELECT FROM meridian.log LIMIT 1) l)",
                           0));
    if (rows == 0) return {};
    return fail(Category::conflict, "the database holds a store already; name an empty one");
}

Result<void> make_store(Connection& connection, const Layout& layout) {
    TRY(connection.ask("BEGIN"));
    TRY(connection.ask(lock_of_schema));
    if (TRY(has_schema(connection))) {
        TRY(version_of(connection));  // of a schema that is none of ours it says so
        return fail(Category::conflict, "the database holds a store already");
    }
    TRY(make_schema(connection, layout));
    TRY(connection.ask("COMMIT"));
    return {};
}

}  // namespace meridian::store::postgres
