// SPDX-License-Identifier: Apache-2.0
// For tests of this folder: stores on both engines, and what is in them.
#pragma once

#include <string>

#include "store/copy/migrate.hpp"
#include "store/open.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::copy {

inline Place in_folder(const std::string& folder) {
    return {.folder = folder};
}
inline Place in_database(const std::string& folder) {
    return {.folder = folder, .database = postgres::TestCluster::instance().database_for(folder)};
}
inline std::unique_ptr<Store> open_at(const Place& place) {
    return must(
        store::open({.folder = place.folder, .database = place.database, .cache_bytes = 16 << 20}));
}

inline const std::string long_url = "http://example.org/" + std::string(2'000, 'x');

/// Besides what rows_of gives: the holder of the only key, who refers to a long URL, and who is of
/// another patient.
inline Rows more_rows(Names& names, const std::string& type, const std::string& value) {
    Rows rows = rows_of(names, type, value);
    if (value == "holder") rows.unique_keys.push_back("the only one");
    if (value == "second") rows.unique_keys.push_back("another");
    if (value == "long")
        rows.references.push_back(
            {names.intern(NameKind::parameter, type + ".subject"), {0, long_url}});
    if (value.starts_with("of ")) {
        const Identity other{names.intern(NameKind::type, "Patient"), value.substr(3)};
        for (auto& row : rows.patients) row.patient = other;
        rows.compartments = {other};
    }
    return rows;
}

inline BodyReader reader() {
    BodyReader reader = test_reader();
    reader.rows = [](const Stored& stored, Names& names) -> Result<Rows> {
        const std::string json = TRY(decode(stored.body)).json;
        const std::size_t from = json.rfind(R"("value":")") + 9;
        return more_rows(names, names.text(NameKind::type, stored.type),
                         json.substr(from, json.size() - 2 - from));
    };
    return reader;
}

inline Change change_of(Store& store, const std::string& type, const std::string& id,
                        const std::string& value) {
    Change change = make_change(store, type, id, value);
    change.rows = more_rows(store.names(), type, value);
    return change;
}

inline void put(Store& store, const std::string& type, const std::string& id,
                const std::string& value) {
    Commit commit = make_commit(change_of(store, type, id, value));
    commit.actor = store.names().intern(NameKind::actor, "Practitioner/" + id);
    commit.organisation = store.names().intern(NameKind::actor, "Organization/o");
    must(store.commit(std::move(commit)));
}

inline void fill(Store& store, int resources = 20) {
    for (int i = 0; i < resources; ++i) put(store, "Patient", std::to_string(i), "1");
    for (int i = 0; i < resources / 2; ++i) put(store, "Patient", std::to_string(i), "2");
    for (int i = 0; i < resources / 4; ++i)
        must(store.commit(make_commit(make_removal(store, "Patient", std::to_string(i)))));
    put(store, "Patient", "0", "3");
    put(store, "Group", "g", "holder");
    put(store, "Group", "h", "second");
    put(store, "Group", "l", "long");
    Commit many;
    for (int i = 0; i < 9; ++i)
        many.changes.push_back(change_of(store, "Basic", std::to_string(i), "1"));
    must(store.commit(std::move(many)));
    must(store.put_blob("a document"));
    must(store.save_cursor("cohorts", 7));
    must(store.save_setting("a/setting", std::string("with\0zero", 9)));
    PrivateRow key{.space = std::string(space_of_keys), .key = "k", .value = "of a patient"};
    must(store.save_private({{.space = "account", .key = "a", .value = "sealed"}, key}));
}

inline void expect_sound(const Place& place) {
    CheckOptions options;
    options.database = place.database;
    const auto report = must(check(place.folder, reader(), options));
    EXPECT_TRUE(report.clean()) << report.first_problem;
}

}  // namespace meridian::store::copy
