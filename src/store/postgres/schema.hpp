// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace meridian::store::postgres {

/// Version of the schema below; an older one is migrated forward when a store is opened, a newer
/// one is refused.
inline constexpr int schema_version = 1;

/// The logical schema on PostgreSQL, all of it in the schema `meridian`. As on SQLite all keys are
/// integers, index rows are those of current versions only, and a text that stands in a key is cut
/// (store/postgres/keys.hpp). What differs, and why: docs/adr/0020.
///
/// Nothing here is unique by (param, …, rid) although it is: rows of a version are a set, and a
/// plain index is cheaper to fill.
inline constexpr const char* schema = R"sql(
CREATE SCHEMA meridian;
SET LOCAL search_path = meridian;

CREATE TABLE setting(key text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE name(kind smallint, id integer, hash bytea NOT NULL, text text NOT NULL, PRIMARY KEY(kind, id), UNIQUE(kind, hash));
-- How far a following view has come, which server follows it, and when that was last alive.
CREATE TABLE cursor(view text PRIMARY KEY, next bigint NOT NULL, owner bigint NOT NULL, beat timestamptz NOT NULL);
CREATE TABLE type_count(type integer, server bigint, resources bigint NOT NULL, PRIMARY KEY(type, server));

-- Every server that was ever started has a number; rids are handed out in blocks.
CREATE SEQUENCE server_number;
CREATE SEQUENCE rid_block;
-- Taken when a group holds all its locks: what depends on another group has the higher number.
CREATE SEQUENCE batch_number;

-- Every identity that was written or only mentioned. Type 0: an absolute URL.
CREATE TABLE directory(type integer, key bytea NOT NULL, rid bigint NOT NULL, PRIMARY KEY(type, key));

-- A group of changes that was committed together. base: position of the first of them, given by the sequencer.
CREATE TABLE batch(id bigint PRIMARY KEY, base bigint UNIQUE, entries integer NOT NULL, at bigint NOT NULL);
CREATE INDEX batch_waiting ON batch(id) WHERE base IS NULL;
CREATE INDEX batch_at ON batch(at, base);

-- The newest version of each resource, a deletion (verb 3, empty body) included. Its position is batch.base + ordinal.
-- forward: what a current version contributes to the index tables, packed (store/engine/forward.hpp).
CREATE TABLE resource(
  rid bigint NOT NULL, patient bigint NOT NULL, batch bigint NOT NULL, ordinal integer NOT NULL, type integer NOT NULL,
  version integer NOT NULL, organisation integer NOT NULL, sensitivity smallint NOT NULL DEFAULT 0, verb smallint NOT NULL,
  id text COLLATE "C" NOT NULL, body bytea NOT NULL, forward bytea NOT NULL, PRIMARY KEY(rid))
  WITH (toast_tuple_target = 8160, fillfactor = 90);
ALTER TABLE resource ALTER body SET STORAGE EXTERNAL, ALTER forward SET STORAGE EXTERNAL;
CREATE INDEX resource_type ON resource(type, rid);
-- Versions that are no longer the newest.
CREATE TABLE history(
  rid bigint NOT NULL, patient bigint NOT NULL, batch bigint NOT NULL, ordinal integer NOT NULL, version integer NOT NULL,
  verb smallint NOT NULL, body bytea NOT NULL, PRIMARY KEY(rid, version))
  WITH (toast_tuple_target = 8160);
ALTER TABLE history ALTER body SET STORAGE EXTERNAL;
-- The log in order, and entries of committed batches that have no position yet.
CREATE TABLE log(
  position bigint PRIMARY KEY, at bigint NOT NULL, rid bigint NOT NULL, kind smallint NOT NULL, verb smallint NOT NULL, type integer NOT NULL,
  version integer NOT NULL, actor integer NOT NULL, organisation integer NOT NULL, id text COLLATE "C" NOT NULL, salt bytea NOT NULL,
  body_hash bytea NOT NULL);
CREATE INDEX log_type ON log(type, position);
CREATE TABLE log_waiting(
  batch bigint, ordinal integer, rid bigint NOT NULL, kind smallint NOT NULL, verb smallint NOT NULL, type integer NOT NULL,
  version integer NOT NULL, actor integer NOT NULL, organisation integer NOT NULL, id text COLLATE "C" NOT NULL, salt bytea NOT NULL,
  body_hash bytea NOT NULL, PRIMARY KEY(batch, ordinal));
-- Who gives positions, and when it was last alive.
CREATE TABLE sequencer(one boolean PRIMARY KEY DEFAULT true CHECK (one), server bigint NOT NULL, process integer NOT NULL, beat timestamptz NOT NULL);

CREATE TABLE idx_token(value bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL);
CREATE INDEX idx_token_key ON idx_token(param, value, rid);
CREATE INDEX idx_token_rid ON idx_token(rid);
CREATE TABLE idx_string(rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, folded text COLLATE "C" NOT NULL, exact text COLLATE "C" NOT NULL);
CREATE INDEX idx_string_key ON idx_string(param, folded, rid);
CREATE INDEX idx_string_rid ON idx_string(rid);
CREATE TABLE idx_date(lo bigint NOT NULL, hi bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, span integer NOT NULL);
-- span 0: hi - lo is at most 32 days; span 1: longer or open. A range scan on lo can so bound how far back it must look.
CREATE INDEX idx_date_key ON idx_date(param, span, lo, hi, rid);
CREATE INDEX idx_date_rid ON idx_date(rid);
CREATE TABLE idx_number(lo double precision NOT NULL, hi double precision NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL);
CREATE INDEX idx_number_key ON idx_number(param, lo, hi, rid);
CREATE INDEX idx_number_rid ON idx_number(rid);
CREATE TABLE idx_quantity(lo double precision NOT NULL, hi double precision NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, unit integer NOT NULL);
CREATE INDEX idx_quantity_key ON idx_quantity(param, unit, lo, hi, rid);
CREATE INDEX idx_quantity_rid ON idx_quantity(rid);
CREATE TABLE idx_reference(target bigint NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL);
CREATE INDEX idx_reference_key ON idx_reference(param, target, rid);
CREATE INDEX idx_reference_rid ON idx_reference(rid);
CREATE TABLE idx_uri(rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, uri text COLLATE "C" NOT NULL);
CREATE INDEX idx_uri_key ON idx_uri(param, uri, rid);
CREATE INDEX idx_uri_rid ON idx_uri(rid);
CREATE TABLE idx_composite(
  key bigint NOT NULL, second bigint NOT NULL, lo double precision NOT NULL, hi double precision NOT NULL, rid bigint NOT NULL, patient bigint NOT NULL,
  param integer NOT NULL, folded text COLLATE "C" NOT NULL);
CREATE INDEX idx_composite_key ON idx_composite(param, key, second, lo, hi, rid);
CREATE INDEX idx_composite_rid ON idx_composite(rid);
-- Clinical access path: patient, type, code (0 = the resource itself), date; one range scan answers a chart.
CREATE TABLE idx_patient(patient bigint NOT NULL, code bigint NOT NULL, date bigint NOT NULL, rid bigint NOT NULL, home bigint NOT NULL, type integer NOT NULL);
CREATE INDEX idx_patient_key ON idx_patient(patient, type, code, date, rid);
CREATE INDEX idx_patient_rid ON idx_patient(rid);
-- A population by its main date.
CREATE INDEX idx_patient_date ON idx_patient(type, date, rid) WHERE code = 0;
CREATE TABLE compartment(patient bigint NOT NULL, rid bigint NOT NULL, home bigint NOT NULL);
CREATE INDEX compartment_key ON compartment(patient, rid);
CREATE INDEX compartment_rid ON compartment(rid);
CREATE TABLE idx_text(rid bigint NOT NULL, patient bigint NOT NULL, param integer NOT NULL, field integer NOT NULL, words tsvector NOT NULL);
CREATE INDEX idx_text_key ON idx_text USING gin(words);
CREATE INDEX idx_text_rid ON idx_text(rid, field);
CREATE TABLE unique_key(key bytea PRIMARY KEY, rid bigint NOT NULL);
CREATE TABLE view_row(view integer NOT NULL, key bytea NOT NULL, rid bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY(view, key, rid));
-- How often a pair of parameter and value occurs cannot be told from how often each of them does.
CREATE STATISTICS idx_token_pairs (mcv, ndistinct) ON param, value FROM idx_token;
CREATE STATISTICS idx_reference_pairs (ndistinct) ON param, target FROM idx_reference;
CREATE STATISTICS idx_patient_pairs (mcv, ndistinct) ON type, code FROM idx_patient;
)sql";

}  // namespace meridian::store::postgres
