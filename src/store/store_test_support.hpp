// SPDX-License-Identifier: Apache-2.0
// For tests of this room: folders that vanish, and small resources without FHIR.
#pragma once

#include <string>

#include "base/testing.hpp"
#include "store/codec.hpp"
#include "store/maintain.hpp"
#include "store/testing.hpp"

namespace meridian::store {

using meridian::testing::must;
using TestFolder = meridian::testing::Folder;

/// `audit_index_batch`: small, so that a few entries are as many as some days' are elsewhere.
inline std::unique_ptr<Store> must_open(const std::string& folder,
                                        std::size_t audit_index_batch = 5) {
    OpenOptions options;
    options.folder = folder;
    options.cache_bytes = 16 << 20;
    options.audit_index_batch = audit_index_batch;
    return must(open_for_test(options));
}

inline std::string plain_json(const std::string& type, const std::string& id,
                              const std::string& value) {
    return R"({"resourceType":")" + type + R"(","id":")" + id + R"(","meta":{},"value":")" + value +
           R"("})";
}
inline std::size_t stamp_place(const std::string& json) {
    return json.find(R"("meta":{)") + 8;
}

/// The rows of a test resource: its value as a token, as words and as a reference to Patient/p, in
/// whose chart it is the code.
inline Rows rows_of(Names& names, const std::string& type, const std::string& value) {
    Rows rows;
    rows.tokens.push_back(
        {names.intern(NameKind::parameter, type + ".value"), token_value(names, 0, {}, value)});
    rows.strings.push_back({names.intern(NameKind::parameter, type + ".name"), value, value + "!"});
    rows.texts.push_back({names.intern(NameKind::parameter, type + "._content"), "value " + value});
    const Identity patient{names.intern(NameKind::type, "Patient"), "p"};
    rows.references.push_back({names.intern(NameKind::parameter, type + ".subject"), patient});
    rows.patients.push_back({patient, 0, 5});
    rows.patients.push_back({patient, token_value(names, 0, {}, value), 5});
    rows.compartments.push_back(patient);
    rows.views.push_back({names.intern(NameKind::view, "test"), "key", value});
    return rows;
}

/// Reads the bodies that make_change writes.
inline BodyReader test_reader() {
    BodyReader reader;
    reader.hash = [](const Stored& stored) -> Result<Sha256> {
        return sha256(TRY(decode(stored.body)).json);
    };
    reader.rows = [](const Stored& stored, Names& names) -> Result<Rows> {
        const std::string json = TRY(decode(stored.body)).json;
        const std::size_t from = json.rfind(R"("value":")") + 9;
        return rows_of(names, names.text(NameKind::type, stored.type),
                       json.substr(from, json.size() - 2 - from));
    };
    return reader;
}

inline void expect_clean(const std::string& folder) {
    CheckOptions options;
    if (postgres::tests_use_postgres())
        options.database = postgres::TestCluster::instance().database_for(folder);
    const CheckReport report = must(check(folder, test_reader(), options));
    EXPECT_EQ(report.problems, 0) << report.first_problem;
}

/// A change that writes `type/id` with the rows of rows_of.
inline Change make_change(Store& store, const std::string& type, const std::string& id,
                          const std::string& value) {
    Change change;
    change.identity = {store.names().intern(NameKind::type, type), id};
    const std::string json = plain_json(type, id, value);
    change.body = encode(type, json, stamp_place(json));
    change.body_hash = sha256(json);
    change.rows = rows_of(store.names(), type, value);
    return change;
}

inline Change make_removal(Store& store, const std::string& type, const std::string& id) {
    Change change;
    change.verb = Verb::remove;
    change.identity = {store.names().intern(NameKind::type, type), id};
    return change;
}

inline Commit make_commit(Change change) {
    Commit commit;
    commit.changes.push_back(std::move(change));
    return commit;
}

/// Resources of `type` whose token row says `value`.
inline Plan token_plan(Store& store, const std::string& type, const std::string& value,
                       std::size_t limit = 20) {
    Plan plan;
    plan.type = store.names().intern(NameKind::type, type);
    plan.where = HasToken{store.names().intern(NameKind::parameter, type + ".value"),
                          {token_value(store.names(), 0, {}, value)}};
    plan.limit = limit;
    return plan;
}

}  // namespace meridian::store
