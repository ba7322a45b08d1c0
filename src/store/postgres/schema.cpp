// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/schema.hpp"

#include <fmt/format.h>

#include <string_view>

namespace meridian::store::postgres {

namespace {

/// A table whose rows lie in shards where the layout has any. Neither partitions nor Citus allow a
/// unique key without the shard key, so a primary key gets it as its last column there.
struct ShardedTable {
    std::string_view name;
    std::string_view columns;
    std::string_view shard_key;
    /// Without the shard key; empty where rows are a set although no key says so: a plain index is
    /// cheaper to fill.
    std::string_view primary_key;
    bool keeps_bodies = false;
};

constexpr ShardedTable sharded_tables[] = {
    // The newest version of each resource, a deletion (verb 3, empty body) included. Its position
    // is batch.base + ordinal. patient: the home patient, 0 = none. forward: what a current version
    // contributes to the index tables, packed (store/engine/forward.hpp).
    {"resource",
     "rid bigint NOT NULL, patient bigint NOT NULL, batch bigint NOT NULL, ordinal integer NOT "
     "NULL, type integer NOT NULL, version integer NOT NULL, organisation integer NOT NULL, "
     "sensitivity smallint NOT NULL DEFAULT 0, verb smallint NOT NULL, id text COLLATE \"C\" NOT "
     "NULL, body bytea NOT NULL, forward bytea NOT NULL",
     "patient", "rid", true},
    // Versions that are no longer the newest.
    {"history",
     "rid bigint NOT NULL, patient bigint NOT NULL, batch bigint NOT NULL, ordinal integer NOT "
     "NULL, version integer NOT NULL, verb smallint NOT NULL, body bytea NOT NULL",
     "patient", "rid, version", true},
    {"idx_token",
     "value bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL",
     "patient", ""},
    {"idx_string",
     "rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, folded text COLLATE "
     "\"C\" NOT NULL, exact text COLLATE \"C\" NOT NULL",
     "patient", ""},
    // span 0: hi - lo is at most 32 days; span 1: longer or open. A range scan on lo can so bound
    // how far back it must look.
    {"idx_date",
     "lo bigint NOT NULL, hi bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param "
     "integer NOT NULL, span integer NOT NULL",
     "patient", ""},
    {"idx_number",
     "lo double precision NOT NULL, hi double precision NOT NULL, rid bigint NOT NULL, patient "
     "bigint NOT NULL, param integer NOT NULL",
     "patient", ""},
    {"idx_quantity",
     "lo double precision NOT NULL, hi double precision NOT NULL, rid bigint NOT NULL, patient "
     "bigint NOT NULL, param integer NOT NULL, unit integer NOT NULL",
     "patient", ""},
    {"idx_reference",
     "target bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT "
     "NULL",
     "patient", ""},
    {"idx_uri",
     "rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, uri text COLLATE "
     "\"C\" NOT NULL",
     "patient", ""},
    {"idx_composite",
     "key bigint NOT NULL, second bigint NOT NULL, lo double precision NOT NULL, hi double "
     "precision NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, "
     "folded text COLLATE \"C\" NOT NULL",
     "patient", ""},
    // Clinical access path: patient, type, code (0 = the resource itself), date; one range scan
    // answers a chart. patient is who the resource concerns, home where it lies.
    {"idx_patient",
     "patient bigint NOT NULL, code bigint NOT NULL, date bigint NOT NULL, rid bigint NOT NULL, "
     "home bigint NOT NULL, type integer NOT NULL",
     "home", ""},
    {"idx_text",
     "rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, field integer NOT "
     "NULL, words tsvector NOT NULL",
     "patient", ""},
    {"view_row",
     "view integer NOT NULL, key bytea NOT NULL, rid bigint NOT NULL, value bytea NOT NULL, "
     "patient bigint NOT NULL DEFAULT 0",
     "patient", "view, key, rid"},
    // Whom a resource concerns. It lies with that patient and not with the resource: where else a
    // patient's resources are is so asked in one place.
    {"compartment", "patient bigint NOT NULL, rid bigint NOT NULL, home bigint NOT NULL", "patient",
     ""},
    // Every identity that was written or only mentioned. Type 0: an absolute URL. home: where what
    // was written lies; kept in sharded layouts only.
    {"directory", "type integer, key bytea NOT NULL, rid bigint NOT NULL, home bigint", "key",
     "type"},
    {"unique_key", "key bytea NOT NULL, rid bigint NOT NULL", "key", ""},
};

/// Tables that are one in every layout. A Citus cluster keeps `batch` on every node, because
/// versions are joined with it, and the rest at its coordinator.
constexpr std::string_view other_tables = R"sql(
CREATE TABLE setting(key text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE name(kind smallint, id integer, hash bytea NOT NULL, text text NOT NULL, PRIMARY KEY(kind, id), UNIQUE(kind, hash));
-- Small documents beside the record (store.hpp, PrivateRow).
CREATE TABLE private_row(
  space text COLLATE "C", key text COLLATE "C", version bigint NOT NULL, expires bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY(space, key));
CREATE INDEX private_row_expires ON private_row(expires);
-- How far a following view has come, which server follows it, and when that was last alive.
CREATE TABLE cursor(view text PRIMARY KEY, next bigint NOT NULL, owner bigint NOT NULL, beat timestamptz NOT NULL);
CREATE TABLE type_count(type integer, server bigint, resources bigint NOT NULL, PRIMARY KEY(type, server));

-- Every server that was ever started has a number; rids are handed out in blocks.
CREATE SEQUENCE server_number;
CREATE SEQUENCE rid_block;
-- Taken when a group holds all its locks: what depends on another group has the higher number.
CREATE SEQUENCE batch_number;

-- A group of changes that was committed together. base: position of the first of them, given by the sequencer.
CREATE TABLE batch(id bigint PRIMARY KEY, base bigint UNIQUE, entries integer NOT NULL, at bigint NOT NULL);
CREATE INDEX batch_waiting ON batch(id) WHERE base IS NULL;
CREATE INDEX batch_at ON batch(at, base);

-- The log in order, and entries of committed batches that have no position yet. patient: where the version was written.
CREATE TABLE log(
  position bigint PRIMARY KEY, at bigint NOT NULL, rid bigint NOT NULL, kind smallint NOT NULL, verb smallint NOT NULL, type integer NOT NULL,
  version integer NOT NULL, actor integer NOT NULL, organisation integer NOT NULL, id text COLLATE "C" NOT NULL, salt bytea NOT NULL,
  body_hash bytea NOT NULL, patient bigint NOT NULL DEFAULT 0);
CREATE INDEX log_type ON log(type, position);
CREATE TABLE log_waiting(
  batch bigint, ordinal integer, rid bigint NOT NULL, kind smallint NOT NULL, verb smallint NOT NULL, type integer NOT NULL,
  version integer NOT NULL, actor integer NOT NULL, organisation integer NOT NULL, id text COLLATE "C" NOT NULL, salt bytea NOT NULL,
  body_hash bytea NOT NULL, patient bigint NOT NULL DEFAULT 0, PRIMARY KEY(batch, ordinal));
-- Who gives positions, and when it was last alive. published: the last position that every node of a Citus cluster shows.
CREATE TABLE sequencer(
  one boolean PRIMARY KEY DEFAULT true CHECK (one), server bigint NOT NULL, process integer NOT NULL, beat timestamptz NOT NULL,
  published bigint NOT NULL DEFAULT -1);
)sql";

}  // namespace

const std::string_view audit_tables = R"sql(
-- What entries of kind 1 say, and those of batches that have no position yet.
CREATE TABLE meridian.audit(position bigint PRIMARY KEY, actor integer NOT NULL, patients bigint[] NOT NULL, bytes bytea NOT NULL);
CREATE INDEX audit_actor ON meridian.audit(actor, position);
CREATE TABLE meridian.audit_patient(patient bigint, position bigint, PRIMARY KEY(patient, position));
CREATE TABLE meridian.audit_waiting(
  batch bigint, ordinal integer, actor integer NOT NULL, patients bigint[] NOT NULL, bytes bytea NOT NULL, PRIMARY KEY(batch, ordinal));
)sql";

namespace {

constexpr std::string_view indexes = R"sql(
CREATE INDEX resource_type ON resource(type, rid);
CREATE INDEX idx_token_key ON idx_token(param, value, rid);
CREATE INDEX idx_token_rid ON idx_token(rid);
CREATE INDEX idx_string_key ON idx_string(param, folded, rid);
CREATE INDEX idx_string_rid ON idx_string(rid);
CREATE INDEX idx_date_key ON idx_date(param, span, lo, hi, rid);
CREATE INDEX idx_date_rid ON idx_date(rid);
CREATE INDEX idx_number_key ON idx_number(param, lo, hi, rid);
CREATE INDEX idx_number_rid ON idx_number(rid);
CREATE INDEX idx_quantity_key ON idx_quantity(param, unit, lo, hi, rid);
CREATE INDEX idx_quantity_rid ON idx_quantity(rid);
CREATE INDEX idx_reference_key ON idx_reference(param, target, rid);
CREATE INDEX idx_reference_rid ON idx_reference(rid);
CREATE INDEX idx_uri_key ON idx_uri(param, uri, rid);
CREATE INDEX idx_uri_rid ON idx_uri(rid);
CREATE INDEX idx_composite_key ON idx_composite(param, key, second, lo, hi, rid);
CREATE INDEX idx_composite_rid ON idx_composite(rid);
CREATE INDEX idx_patient_key ON idx_patient(patient, type, code, date, rid);
CREATE INDEX idx_patient_rid ON idx_patient(rid);
-- A population by its main date.
CREATE INDEX idx_patient_date ON idx_patient(type, date, rid) WHERE code = 0;
CREATE INDEX compartment_key ON compartment(patient, rid);
CREATE INDEX compartment_rid ON compartment(rid);
CREATE INDEX idx_text_key ON idx_text USING gin(words);
CREATE INDEX idx_text_rid ON idx_text(rid, field);
-- How often a pair of parameter and value occurs cannot be told from how often each of them does.
CREATE STATISTICS idx_token_pairs (mcv, ndistinct) ON param, value FROM idx_token;
CREATE STATISTICS idx_reference_pairs (ndistinct) ON param, target FROM idx_reference;
CREATE STATISTICS idx_patient_pairs (mcv, ndistinct) ON type, code FROM idx_patient;
CREATE STATISTICS idx_composite_pairs (mcv, ndistinct) ON param, key FROM idx_composite;
CREATE STATISTICS idx_quantity_pairs (mcv) ON param, unit FROM idx_quantity;
CREATE STATISTICS idx_date_pairs (mcv) ON param, span FROM idx_date;
)sql";

/// What concerns a patient and lies elsewhere: asked before each search of a chart.
constexpr std::string_view indexes_of_shards =
    "CREATE INDEX compartment_elsewhere ON compartment(patient, home) WHERE home <> patient;\n";

/// Bodies are compressed already, and small enough to stay beside their row.
std::string storage_of(const ShardedTable& table) {
    if (!table.keeps_bodies) return {};
    return table.name == "resource" ? " WITH (toast_tuple_target = 8160, fillfactor = 90)"
                                    : " WITH (toast_tuple_target = 8160)";
}

std::string primary_key_of(const ShardedTable& table, const Layout& layout) {
    if (table.shard_key == "key") {  // it stands in the key in every layout
        return table.primary_key.empty() ? ", PRIMARY KEY(key)"
                                         : fmt::format(", PRIMARY KEY({}, key)", table.primary_key);
    }
    if (table.primary_key.empty()) return {};
    if (!layout.is_sharded()) return fmt::format(", PRIMARY KEY({})", table.primary_key);
    return fmt::format(", PRIMARY KEY({}, {})", table.primary_key, table.shard_key);
}

std::string create_table(const ShardedTable& table, const Layout& layout) {
    const bool is_partitioned = layout.kind == Layout::Kind::partitioned;
    std::string sql = fmt::format("CREATE TABLE {}({}{})", table.name, table.columns,
                                  primary_key_of(table, layout));
    sql += is_partitioned ? fmt::format(" PARTITION BY HASH ({})", table.shard_key)
                          : storage_of(table);
    sql += ";\n";
    if (table.keeps_bodies)
        sql += fmt::format("ALTER TABLE {} ALTER body SET STORAGE EXTERNAL;\n", table.name);
    if (table.name == "resource")
        sql += "ALTER TABLE resource ALTER forward SET STORAGE EXTERNAL;\n";
    if (!is_partitioned) return sql;
    for (int shard = 0; shard < layout.shards; ++shard) {
        sql += fmt::format(
            "CREATE TABLE {0}_{1} PARTITION OF {0} FOR VALUES WITH (MODULUS {2}, REMAINDER {1}){3};"
            "\n",
            table.name, shard, layout.shards, storage_of(table));
    }
    return sql;
}

std::string distribute(const Layout& layout) {
    std::string sql = "SELECT create_reference_table('meridian.batch');\n";
    for (const ShardedTable& table : sharded_tables) {
        const bool is_first = table.name == "resource";
        const bool has_own_shards = table.shard_key == "key";
        sql += fmt::format(
            "SELECT create_distributed_table('meridian.{}', '{}', {});\n", table.name,
            table.shard_key,
            is_first || has_own_shards
                ? fmt::format("colocate_with => 'none', shard_count => {}", layout.shards)
                : std::string("colocate_with => 'meridian.resource'"));
    }
    return sql;
}

}  // namespace

std::string schema_script(const Layout& layout) {
    std::string sql =
        "CREATE SCHEMA meridian;\nSET LOCAL search_path = meridian, public, pg_catalog;\n";
    sql += other_tables;
    sql += audit_tables;
    for (const ShardedTable& table : sharded_tables) sql += create_table(table, layout);
    sql += indexes;
    if (layout.is_sharded()) sql += indexes_of_shards;
    if (layout.is_distributed()) sql += distribute(layout);
    return sql;
}

}  // namespace meridian::store::postgres
