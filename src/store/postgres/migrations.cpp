// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/migrations.hpp"

#include "base/hash.hpp"
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

Result<void> make_schema(Connection& connection) {
    TRY(refuse_foreign(connection));
    TRY(connection.execute(schema));
    constexpr std::size_t token_key_bytes = sizeof(SipKey);
    TRY(connection.ask(
        "INSERT INTO meridian.setting(key, value) "
        "VALUES('schema_version', int8send($1)), ('token_key', $2)",
        std::move(Parameters().integer(schema_version).bytes(random_bytes(token_key_bytes)))));
    return {};
}

Result<void> require_version(Connection& connection) {
    const Answer found = TRY(connection.ask(
        "SELECT ('x' || encode(value, 'hex'))::bit(64)::bigint FROM meridian.setting "
        "WHERE key = 'schema_version'"));
    if (found.empty())
        return fail(Category::conflict,
                    "the database has a schema \"meridian\" that is none of ours: it holds no "
                    "schema_version");
    const std::int64_t version = found.integer(0, 0);
    if (version > schema_version) {
        return fail(Category::unsupported,
                    fmt::format("the store has schema version {}, this program knows {}; use a "
                                "newer program",
                                version, schema_version));
    }
    if (version < schema_version) {
        return fail(Category::unsupported,
                    fmt::format("the store has schema version {}, and there is no way from it to "
                                "{}",
                                version, schema_version));
    }
    return {};
}

}  // namespace

Result<void> prepare_schema(Connection& connection, bool create) {
    if (!TRY(has_schema(connection))) {
        if (!create) return fail(Category::not_found, "there is no store in this database");
        TRY(connection.ask("BEGIN"));
        TRY(connection.ask(lock_of_schema));
        // Another server may have made it while this one waited.
        if (!TRY(has_schema(connection))) TRY(make_schema(connection));
        TRY(connection.ask("COMMIT"));
    }
    auto version = require_version(connection);
    if (!version && connection.last_state() == "42P01")
        return fail(Category::conflict,
                    "the database has a schema \"meridian\" that is none of ours: it holds no "
                    "settings");
    return version;
}

}  // namespace meridian::store::postgres
