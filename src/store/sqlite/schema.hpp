// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace meridian::store::sqlite {

/// Version of the schema below; a store with an older one is migrated forward when it is opened, a
/// newer one is refused.
inline constexpr int schema_version = 3;

/// What entries of kind 1 say (docs/adr/0027). number: how many audit entries lie before it, by
/// which those between two positions are counted without reading them. patients: rids, "4,17".
#define MERIDIAN_AUDIT_TABLES                                                                  \
    "CREATE TABLE audit(position INTEGER PRIMARY KEY, number INTEGER NOT NULL, actor INTEGER " \
    "NOT NULL, patients TEXT NOT NULL, bytes BLOB NOT NULL);"                                  \
    "CREATE INDEX audit_actor ON audit(actor, position);"                                      \
    "CREATE TABLE audit_patient(patient INTEGER, position INTEGER, PRIMARY KEY(patient, "      \
    "position)) WITHOUT ROWID;"

/// The logical schema on SQLite. All keys are integers through `name` (types, parameters, systems,
/// units) and `directory` (resources). Index rows are those of current versions only and are
/// clustered by their key.
inline constexpr const char* schema = R"sql(
CREATE TABLE setting(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE name(kind INTEGER, id INTEGER, text TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
-- Small documents beside the record (store.hpp, PrivateRow).
CREATE TABLE private_row(
  space TEXT, key TEXT, version INTEGER NOT NULL, expires INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY(space, key)) WITHOUT ROWID;
CREATE INDEX private_row_expires ON private_row(expires);
CREATE TABLE cursor(view TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE type_count(type INTEGER PRIMARY KEY, resources INTEGER NOT NULL);

-- Every identity that was written or only mentioned. Type 0: an absolute URL.
CREATE TABLE directory(type INTEGER, id TEXT, rid INTEGER NOT NULL, PRIMARY KEY(type, id)) WITHOUT ROWID;
-- The newest version of each resource, a deletion (verb 3, empty body) included.
CREATE TABLE resource(
  rid INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, position INTEGER NOT NULL,
  updated INTEGER NOT NULL, verb INTEGER NOT NULL, patient INTEGER NOT NULL, organisation INTEGER NOT NULL,
  sensitivity INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX resource_type ON resource(type) WHERE verb <> 3;
-- for the walk of an export: resources deleted since may have been current then
CREATE INDEX resource_deleted ON resource(type) WHERE verb = 3;
-- Versions that are no longer the newest.
CREATE TABLE history(
  rid INTEGER, version INTEGER, position INTEGER NOT NULL, updated INTEGER NOT NULL, verb INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY(rid, version)) WITHOUT ROWID;
CREATE TABLE log(
  position INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, rid INTEGER NOT NULL, type INTEGER NOT NULL,
  version INTEGER NOT NULL, verb INTEGER NOT NULL, actor INTEGER NOT NULL, organisation INTEGER NOT NULL,
  salt BLOB NOT NULL, body_hash BLOB NOT NULL);
CREATE INDEX log_type ON log(type, position);

-- What a current version contributed to the tables below, packed (store/engine/forward.hpp): read to remove old rows, to sort,
-- and to test one candidate against any condition with a single look-up.
CREATE TABLE forward(rid INTEGER PRIMARY KEY, rows BLOB NOT NULL);

CREATE TABLE idx_token(param INTEGER, value INTEGER, rid INTEGER, PRIMARY KEY(param, value, rid)) WITHOUT ROWID;
-- exact is '' when it equals folded (a key column of a table WITHOUT ROWID cannot be NULL)
CREATE TABLE idx_string(param INTEGER, folded TEXT, rid INTEGER, exact TEXT, PRIMARY KEY(param, folded, rid, exact)) WITHOUT ROWID;
-- span 0: hi - lo is at most 32 days; span 1: longer or open. A range scan on lo can so bound how far back it must look.
CREATE TABLE idx_date(param INTEGER, span INTEGER, lo INTEGER, hi INTEGER, rid INTEGER, PRIMARY KEY(param, span, lo, hi, rid)) WITHOUT ROWID;
CREATE TABLE idx_number(param INTEGER, lo REAL, hi REAL, rid INTEGER, PRIMARY KEY(param, lo, hi, rid)) WITHOUT ROWID;
CREATE TABLE idx_quantity(param INTEGER, unit INTEGER, lo REAL, hi REAL, rid INTEGER, PRIMARY KEY(param, unit, lo, hi, rid)) WITHOUT ROWID;
CREATE TABLE idx_reference(param INTEGER, target INTEGER, rid INTEGER, PRIMARY KEY(param, target, rid)) WITHOUT ROWID;
CREATE TABLE idx_uri(param INTEGER, uri TEXT, rid INTEGER, PRIMARY KEY(param, uri, rid)) WITHOUT ROWID;
CREATE TABLE idx_composite(
  param INTEGER, key INTEGER, second INTEGER, lo REAL, hi REAL, folded TEXT, rid INTEGER,
  PRIMARY KEY(param, key, second, lo, hi, folded, rid)) WITHOUT ROWID;
-- Clinical access path: patient, type, code (0 = the resource itself), date; one range scan answers a chart.
CREATE TABLE idx_patient(
  patient INTEGER, type INTEGER, code INTEGER, date INTEGER, rid INTEGER,
  PRIMARY KEY(patient, type, code, date, rid)) WITHOUT ROWID;
-- Who has rows of a type and code there: one row however many those are (docs/adr/0018).
CREATE TABLE idx_patient_code(type INTEGER, code INTEGER, patient INTEGER, PRIMARY KEY(type, code, patient)) WITHOUT ROWID;
CREATE TABLE compartment(patient INTEGER, rid INTEGER, PRIMARY KEY(patient, rid)) WITHOUT ROWID;
CREATE TABLE unique_key(key TEXT PRIMARY KEY, rid INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE view_row(view INTEGER, key TEXT, rid INTEGER, value BLOB NOT NULL, PRIMARY KEY(view, key, rid)) WITHOUT ROWID;
-- rowid = rid * 2 + field (0 = _text, 1 = _content)
CREATE VIRTUAL TABLE idx_text USING fts5(words, tokenize = "unicode61 remove_diacritics 0", detail = full);
)sql" MERIDIAN_AUDIT_TABLES;

}  // namespace meridian::store::sqlite
