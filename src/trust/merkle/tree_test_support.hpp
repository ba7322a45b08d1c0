// SPDX-License-Identifier: Apache-2.0
// For tests of this folder: a store with a log, and somebody who can write into its database.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "store/sqlite/database.hpp"
#include "store/store_test_support.hpp"
#include "trust/merkle/keeper.hpp"
#include "trust/merkle/tiles.hpp"
#include "trust/merkle/verify.hpp"

namespace meridian::trust::merkle {

using meridian::testing::must;

/// A folder with a store whose log grows by `write`, and the tree over it.
class TreeTest : public ::testing::Test {
 protected:
    void open_store() { store_ = store::must_open(folder_.path()); }
    void close_store() {
        keeper_.reset();
        store_.reset();
    }
    void open_keeper(std::string origin = "") {
        keeper_ = must(
            Keeper::open(*store_, {.data_folder = folder_.path(), .origin = std::move(origin)}));
    }
    /// Adds `count` entries: new resources, updates, some deletions.
    void write(std::size_t count) {
        store::Commit commit;
        std::set<std::string> ids;
        for (std::size_t i = 0; i < count; ++i, ++written_) {
            store::Change change = next_change();
            if (!ids.insert(change.identity.id).second) {
                commit_all(commit);
                ids = {change.identity.id};
            }
            commit.changes.push_back(std::move(change));
        }
        commit_all(commit);
    }
    /// A log of `entries` that is signed in several steps; the store is closed then.
    void make_log(std::size_t entries) {
        open_store();
        open_keeper();
        for (std::size_t i = 0; i < 4; ++i) {
            write(entries / 4);
            must(keeper_->sign_now());
        }
        close_store();
    }
    std::int64_t entries() { return must(store_->snapshot())->position() + 1; }

    // --- the attacker ---

    static bool on_postgres() { return store::postgres::tests_use_postgres(); }
    std::string database() const { return folder_.path() + "/record.db"; }
    std::string database_url() {
        return store::postgres::TestCluster::instance().database_for(folder_.path());
    }
    /// Runs SQL on the database, which both engines understand. BLOB(hex) stands for bytes.
    void attack(const std::string& script) {
        if (on_postgres()) {
            auto connection = must(store::postgres::Connection::open(
                {.url = database_url(), .application_name = "attacker"}));
            must(connection->execute("SET search_path TO meridian"));
            must(connection->execute(with_bytes(script, "'\\x", "'::bytea")));
            return;
        }
        const auto database_now = must(store::sqlite::Database::open(database(), {}));
        must(database_now->execute(with_bytes(script, "X'", "'")));
    }
    VerifyReport verify_now(VerifyOptions options = {}) {
        auto store = must(
            store::open_for_test({.folder = folder_.path(), .create = false, .read_only = true}));
        options.data_folder = folder_.path();
        options.contents[0] = version_content(store::test_reader());
        return must(verify_log(*store, options));
    }
    void expect_clean(VerifyOptions options = {}) {
        const VerifyReport report = verify_now(std::move(options));
        for (const Finding& finding : report.findings)
            ADD_FAILURE() << name_of(finding.damage) << " at " << finding.position << ": "
                          << finding.sentence;
    }
    /// Expects `damage` at `position` as the first finding, in a sentence with these words.
    void expect_first(Damage damage, store::Position position, const std::string& words = "",
                      VerifyOptions options = {}) {
        const VerifyReport report = verify_now(std::move(options));
        ASSERT_FALSE(report.clean());
        const Finding& first = report.findings.front();
        EXPECT_EQ(name_of(first.damage), name_of(damage)) << first.sentence;
        EXPECT_EQ(first.position, position) << first.sentence;
        EXPECT_NE(first.sentence.find(words), std::string::npos) << first.sentence;
    }
    std::string tile(const TilePlace& place) const {
        return tree_folder(folder_.path()) + "/" + path_of(place);
    }
    static void flip(const std::string& file, std::uint64_t byte) {
        std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
        ASSERT_TRUE(stream) << file;
        stream.seekg(static_cast<std::streamoff>(byte));
        const int was = stream.get();
        stream.seekp(static_cast<std::streamoff>(byte));
        stream.put(static_cast<char>(was ^ 1));
    }

    const store::TestFolder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<Keeper> keeper_;

 private:
    void commit_all(store::Commit& commit) {
        if (commit.changes.empty()) return;
        commit.actor = store_->names().intern(store::NameKind::actor, "Practitioner/7");
        commit.organisation = store_->names().intern(store::NameKind::actor, "Organization/1");
        ASSERT_FALSE(must(store_->commit(std::move(commit))).stale);
        commit = {};
    }
    /// Every one of them makes an entry.
    store::Change next_change() {
        const std::string value = fmt::format("value {}", written_);
        const std::size_t older = living_.empty() ? 0 : written_ / 2 % living_.size();
        if (written_ % 17 == 16) {
            const std::string id = living_[older];
            living_.erase(living_.begin() + static_cast<std::ptrdiff_t>(older));
            return store::make_removal(*store_, "Basic", id);
        }
        if (written_ % 5 != 4) living_.push_back(fmt::format("r{}", written_));
        return store::make_change(*store_, "Basic",
                                  written_ % 5 == 4 ? living_[older] : living_.back(), value);
    }
    static std::string with_bytes(std::string script, const std::string& before,
                                  const std::string& after) {
        for (auto at = script.find("BLOB("); at != std::string::npos; at = script.find("BLOB(")) {
            const auto end = script.find(')', at);
            script.replace(end, 1, after).replace(at, 5, before);
        }
        return script;
    }

    std::size_t written_ = 0;
    std::vector<std::string> living_;
};

}  // namespace meridian::trust::merkle
