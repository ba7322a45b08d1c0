// SPDX-License-Identifier: Apache-2.0
// Somebody has write access to the database (or to the tree's files), but not the signing key.
#include "trust/merkle/verify.hpp"

#include <atomic>
#include <thread>

#include "base/file.hpp"
#include "trust/merkle/leaf.hpp"
#include "trust/merkle/tree_test_support.hpp"

namespace meridian::trust::merkle {
namespace {

class MerkleVerify : public TreeTest {
 protected:
    static constexpr std::size_t entries_made = 600;
    void SetUp() override {
        if (store::shows_node_by_node()) GTEST_SKIP() << "the attacks are made on one database";
        make_log(entries_made);
    }
    /// Moves the entries from `first` on by `by` positions.
    void renumber(std::int64_t first, std::int64_t by) {
        attack(
            fmt::format("UPDATE log SET position = -position - 1000 WHERE position >= {0};"
                        "UPDATE log SET position = -position - 1000 + {1} WHERE position < -999;",
                        first, by));
    }
    void swap(int left, int right) {
        attack(
            fmt::format("UPDATE log SET position = -5 WHERE position = {0};"
                        "UPDATE log SET position = {0} WHERE position = {1};"
                        "UPDATE log SET position = {1} WHERE position = -5;",
                        left, right));
    }
};

TEST_F(MerkleVerify, ALogThatNobodyTouchedIsClean) {
    const VerifyReport report = verify_now();
    EXPECT_TRUE(report.clean()) << report.findings.front().sentence;
    EXPECT_EQ(report.tree_size, entries_made);
    EXPECT_EQ(report.entries, static_cast<std::int64_t>(entries_made));
    EXPECT_EQ(report.contents, static_cast<std::int64_t>(entries_made));
    EXPECT_EQ(report.checkpoints, 4);
    EXPECT_EQ(report.tiles, 4) << "three of level 0, one of level 1";
    EXPECT_EQ(report.not_signed, 0);
}

TEST_F(MerkleVerify, NamesAnAlteredEntry) {
    attack(
        "UPDATE log SET salt = BLOB(00112233445566778899aabbccddeeff) WHERE position = 300;"
        "UPDATE log SET salt = BLOB(00112233445566778899aabbccddeeff) WHERE position = 310");
    expect_first(Damage::altered, 300);
}

TEST_F(MerkleVerify, SaysWhichFieldWasAltered) {
    attack("UPDATE log SET at = at - 86400000 WHERE position = 7");
    expect_first(Damage::altered, 7, "its time");
}

TEST_F(MerkleVerify, AnotherActorIsFound) {
    attack("UPDATE log SET actor = 0 WHERE position = 599");
    expect_first(Damage::altered, 599, "its actor");
}

TEST_F(MerkleVerify, ARenamedActorIsFound) {
    attack("UPDATE name SET text = 'Practitioner/8' WHERE text = 'Practitioner/7'");
    const VerifyReport report = verify_now();
    ASSERT_FALSE(report.clean());
    EXPECT_EQ(report.findings.front().position, 0);
}

TEST_F(MerkleVerify, AnAlteredHashIsToldFromAnAlteredBody) {
    attack(
        "UPDATE log SET body_hash = "
        "BLOB(00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff) "
        "WHERE position = 300");
    expect_first(Damage::altered, 300, "its body's hash");
}

TEST_F(MerkleVerify, ABodyOfAnotherResourceIsFound) {
    // The current versions of the last resources; their bodies have the same length.
    const auto rid = [](int position) {
        return fmt::format("(SELECT rid FROM log WHERE position = {})", position);
    };
    attack("CREATE TABLE kept AS SELECT body FROM resource WHERE rid = " + rid(596) +
           ";UPDATE resource SET body = (SELECT body FROM resource WHERE rid = " + rid(597) +
           ") WHERE rid = " + rid(596) + ";UPDATE resource SET body = (SELECT body FROM kept) " +
           "WHERE rid = " + rid(597) + ";DROP TABLE kept");
    expect_first(Damage::content, 596, "another hash");
    EXPECT_EQ(verify_now().findings.size(), 2u);
}

TEST_F(MerkleVerify, AFlippedByteOfABodyIsFound) {
    if (on_postgres()) {
        attack(
            "UPDATE resource SET body = set_byte(body, length(body) - 1, "
            "get_byte(body, length(body) - 1) # 1) "
            "WHERE rid = (SELECT rid FROM log WHERE position = 596)");
    } else {
        const auto edited = must(store::sqlite::Database::open(database(), {}));
        std::string body;
        {
            auto row =
                must(edited->prepare("SELECT body FROM resource r JOIN log l ON l.rid = r.rid "
                                     "WHERE l.position = 596"));
            ASSERT_TRUE(must(row.step()));
            body = row.blob(0);
        }
        body.back() ^= 1;
        auto change = must(edited->prepare(
            "UPDATE resource SET body = ? WHERE rid = (SELECT rid FROM log WHERE position = 596)"));
        change.bind_blob(1, body);
        must(change.run());
    }
    expect_first(Damage::content, 596);
}

TEST_F(MerkleVerify, AVersionThatIsGoneFromTheHistoryIsFound) {
    attack(
        "DELETE FROM history WHERE version = 1 AND rid = "
        "(SELECT rid FROM log WHERE position = 2)");
    expect_first(Damage::content, 2, "no longer in the record");
}

TEST_F(MerkleVerify, AVersionWithoutAnEntryIsFound) {
    if (on_postgres()) {
        attack(
            "UPDATE resource SET id = 'forged' WHERE rid = "
            "(SELECT rid FROM log WHERE position = 596)");
        const VerifyReport report = verify_now();
        EXPECT_TRUE(std::any_of(report.findings.begin(), report.findings.end(),
                                [](const auto& each) { return each.damage == Damage::stray; }));
        return;
    }
    attack(
        "INSERT INTO resource SELECT 999999, type, 'forged', 1, 596, updated, verb, patient, "
        "organisation, sensitivity, body FROM resource WHERE position = 596");
    expect_first(Damage::stray, 596, "Basic/forged version 1");
}

TEST_F(MerkleVerify, NamesADroppedEntry) {
    attack("DELETE FROM log WHERE position = 300");
    expect_first(Damage::dropped, 300, "no entry at position 300");
}

TEST_F(MerkleVerify, NamesADroppedEntryThoughTheOthersMovedUp) {
    attack("DELETE FROM log WHERE position = 300");
    renumber(301, -1);
    expect_first(Damage::dropped, 300, "1 signed entries were dropped");
}

TEST_F(MerkleVerify, NamesSeveralDroppedEntriesThoughTheOthersMovedUp) {
    attack("DELETE FROM log WHERE position BETWEEN 300 AND 309");
    renumber(310, -10);
    expect_first(Damage::dropped, 300, "10 signed entries were dropped");
}

TEST_F(MerkleVerify, NamesSwappedNeighbours) {
    swap(300, 301);
    expect_first(Damage::swapped, 300, "300 and 301");
}

TEST_F(MerkleVerify, NamesSwappedEntriesFarApart) {
    swap(20, 580);
    expect_first(Damage::swapped, 20, "20 and 580");
}

TEST_F(MerkleVerify, NamesSwappedEntriesWhereverTheyAre) {
    open_store();
    open_keeper();
    write(3'000);
    must(keeper_->sign_now());
    close_store();
    swap(20, 3'500);
    expect_first(Damage::swapped, 20, "20 and 3500");
}

TEST_F(MerkleVerify, NamesAnInsertedEntry) {
    renumber(300, 1);
    const std::string id = on_postgres() ? ", id, patient" : "";
    attack(
        "INSERT INTO log(position, at, kind, rid, type, version, verb, actor, organisation, salt, "
        "body_hash" +
        id +
        ") SELECT 300, at, kind, rid, type, version, verb, actor, "
        "organisation, salt, body_hash" +
        id + " FROM log WHERE position = 299");
    expect_first(Damage::inserted, 300, "1 entries that were not signed");
}

TEST_F(MerkleVerify, NamesAnEntryThatIsACopyOfAnother) {
    attack("DELETE FROM log WHERE position = 300");
    const std::string id = on_postgres() ? ", id, patient" : "";
    attack(
        "INSERT INTO log(position, at, kind, rid, type, version, verb, actor, organisation, salt, "
        "body_hash" +
        id +
        ") SELECT 300, at, kind, rid, type, version, verb, actor, "
        "organisation, salt, body_hash" +
        id + " FROM log WHERE position = 310");
    expect_first(Damage::altered, 300, "a copy of entry 310");
}

TEST_F(MerkleVerify, NamesATruncatedLog) {
    attack("DELETE FROM log WHERE position >= 590");
    expect_first(Damage::truncated, 590, "10 signed entries are missing, though the record still");
}

TEST_F(MerkleVerify, SaysThatAnOlderCopyWasPutInPlace) {
    if (on_postgres()) GTEST_SKIP() << "a file is copied";
    std::filesystem::copy_file(database(), database() + ".old");
    open_store();
    open_keeper();
    write(50);
    must(keeper_->sign_now());
    close_store();
    expect_clean();
    std::filesystem::rename(database() + ".old", database());
    expect_first(Damage::truncated, 600, "an older copy");

    // A server says so too, and signs nothing.
    open_store();
    open_keeper();
    const auto refused = keeper_->sign_now();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::conflict);
    EXPECT_NE(refused.error().message.find("the log has 600 entries and the signed tree 650"),
              std::string::npos)
        << refused.error().message;
    // Nor when so much was written since that the log is longer than the tree.
    write(60);
    const auto again = keeper_->sign_now();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().category, Category::conflict);
    EXPECT_EQ(keeper_->newest()->checkpoint.size, 650u);
    close_store();
    expect_first(Damage::rewritten, 600, "an older copy");
}

TEST_F(MerkleVerify, ATileIsToldFromTheLog) {
    flip(tile({0, 1, 256}), 44 * sizeof(Hash) + 3);
    expect_first(Damage::tile, 300, "the log is right");
    EXPECT_EQ(verify_now().findings.size(), 1u);
}

TEST_F(MerkleVerify, AMissingTileIsFoundAndMadeAgain) {
    std::filesystem::remove(tile({0, 1, 256}));
    expect_first(Damage::tile, 256, "missing");
    open_store();
    open_keeper();
    close_store();
    expect_clean();
}

TEST_F(MerkleVerify, AnUpperTileIsVerifiedToo) {
    flip(tile({1, 0, 2}), 40);
    expect_first(Damage::tile, 256, "tile/1/000.p/2");
}

TEST_F(MerkleVerify, LogAndTileAlteredTogetherAreFoundByTheCheckpoint) {
    attack("UPDATE log SET at = at - 1 WHERE position = 200");
    // The attacker makes the tile's hash that of the altered entry.
    {
        auto store = must(
            store::open_for_test({.folder = folder_.path(), .create = false, .read_only = true}));
        LeafMaker leaves(store->names());
        const Hash leaf = leaves.leaf(must(must(store->snapshot())->log(200, 1)).front());
        auto hashes = must(TileReader(tree_folder(folder_.path())).read({0, 0, 256}));
        hashes[200] = leaf;
        must(TileWriter::rewrite(tree_folder(folder_.path()), {0, 0, 256}, hashes));
    }
    const VerifyReport report = verify_now();
    ASSERT_FALSE(report.clean());
    const bool names_the_range =
        std::any_of(report.findings.begin(), report.findings.end(), [](const Finding& each) {
            return each.damage == Damage::altered &&
                   each.sentence.find("at one of the positions 150 to 255") != std::string::npos;
        });
    EXPECT_TRUE(names_the_range) << report.findings.front().sentence;
}

TEST_F(MerkleVerify, ARangeIsReadAlone) {
    attack("UPDATE log SET at = at - 1 WHERE position = 300");
    expect_clean({.data_folder = "", .from = 301});
    expect_clean({.data_folder = "", .from = 0, .to = 299});
    expect_first(Damage::altered, 300, "", {.data_folder = "", .from = 300, .to = 300});
    auto store =
        must(store::open_for_test({.folder = folder_.path(), .create = false, .read_only = true}));
    for (const VerifyOptions& wrong :
         {VerifyOptions{.data_folder = folder_.path(), .from = 5, .to = 4},
          VerifyOptions{.data_folder = folder_.path(), .to = 600},
          VerifyOptions{.data_folder = folder_.path(), .from = 600}})
        EXPECT_EQ(verify_log(*store, wrong).error().category, Category::incorrect);
}

TEST_F(MerkleVerify, AForgedCheckpointIsFound) {
    const std::string path = checkpoints_path(folder_.path());
    std::string list = must(read_file(path));
    const auto second = list.find("\n300\n");
    ASSERT_NE(second, std::string::npos);
    list.replace(second, 5, "\n301\n");
    must(write_file_atomically(path, list));
    expect_first(Damage::checkpoint, -1, "checkpoint number 2: the signature");
}

TEST_F(MerkleVerify, ACheckpointOfAnotherKeyIsFound) {
    const SigningKey other = SigningKey::make(must(LogKeys::read_public(folder_.path()))[0].name());
    Checkpoint forged{other.verifier().name(), 601, leaf_hash("forged")};
    Note note{forged.to_text(), {other.sign(forged.to_text())}};
    std::ofstream(checkpoints_path(folder_.path()), std::ios::app) << note.to_text() << "\n";
    expect_first(Damage::checkpoint, -1, "signed by no key");
    open_store();
    EXPECT_EQ(Keeper::open(*store_, {.data_folder = folder_.path()}).error().category,
              Category::conflict);
}

TEST_F(MerkleVerify, AKeptCheckpointFindsThatAllWasPutBack) {
    if (on_postgres()) GTEST_SKIP() << "files are copied";
    const std::string kept_folder = folder_.path() + ".old";
    std::filesystem::copy(folder_.path(), kept_folder, std::filesystem::copy_options::recursive);
    open_store();
    open_keeper();
    write(10);
    const std::string kept = must(keeper_->sign_now())->note.to_text();
    close_store();
    expect_clean({.data_folder = "", .kept_checkpoint = kept});
    std::filesystem::remove_all(folder_.path());
    std::filesystem::rename(kept_folder, folder_.path());
    expect_clean();
    expect_first(Damage::truncated, 600, "put back to an older state",
                 {.data_folder = "", .kept_checkpoint = kept});
}

TEST_F(MerkleVerify, AKeptCheckpointFindsThatAllWasSignedAnew) {
    const std::string kept = [&] {
        open_store();
        open_keeper();
        const std::string text = keeper_->newest()->note.to_text();
        close_store();
        return text;
    }();
    expect_clean({.data_folder = "", .kept_checkpoint = kept});
    // Who may write everything makes a new tree over a log that was altered.
    attack("UPDATE log SET at = at - 1 WHERE position = 300");
    std::filesystem::remove_all(tree_folder(folder_.path()));
    std::filesystem::remove_all(folder_.path() + "/keys");
    open_store();
    open_keeper(must(SignedCheckpoint::parse(kept)).checkpoint.origin);
    must(keeper_->sign_now());
    close_store();
    expect_first(Damage::checkpoint, -1, "its keys were replaced",
                 {.data_folder = "", .kept_checkpoint = kept});
    // With the stolen key too, what was kept is still another tree.
}

TEST_F(MerkleVerify, WorksWhileAServerWrites) {
    open_store();
    open_keeper();
    std::atomic<bool> stop = false;
    std::thread server([&] {
        while (!stop) {
            write(3);
            must(keeper_->sign_now());
        }
    });
    for (int round = 0; round < 5; ++round) expect_clean();
    stop = true;
    server.join();
    close_store();
    expect_clean();
}

TEST_F(MerkleVerify, WhatIsNotSignedYetIsSaid) {
    open_store();
    write(5);
    store_.reset();
    const VerifyReport report = verify_now();
    EXPECT_TRUE(report.clean());
    EXPECT_EQ(report.not_signed, 5);
    attack("DELETE FROM log WHERE position = 602");
    expect_first(Damage::dropped, 602);
}

TEST_F(MerkleVerify, WithoutATreeThereIsNothingToVerify) {
    std::filesystem::remove_all(folder_.path() + "/keys");
    auto store =
        must(store::open_for_test({.folder = folder_.path(), .create = false, .read_only = true}));
    EXPECT_EQ(verify_log(*store, {.data_folder = folder_.path()}).error().category,
              Category::not_found);
}

}  // namespace
}  // namespace meridian::trust::merkle
