// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/body_cipher.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/hash.hpp"
#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "store/testing.hpp"
#include "trust/keys/key_ring.hpp"
#include "trust/limits.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

/// A record with its keys.
class KeysTest : public ::testing::Test {
 protected:
    std::shared_ptr<KeyRing> ring(KeyRing::Options options = {}) {
        return must(KeyRing::open(key_rows_of(*store_), file_keks(folder_.path()), options));
    }
    std::unique_ptr<fhir::Repository> repository(std::shared_ptr<KeyRing> of) {
        fhir::Repository::Options options;
        options.cipher = body_cipher(std::move(of));
        return must(fhir::Repository::open(*store_, options));
    }
    static void write(fhir::Repository& repository, std::string_view json) {
        must(repository.commit(caller_, testing::one_update(json)));
    }
    store::Identity identity(std::string_view type, std::string id) {
        return {store_->names().intern(store::NameKind::type, type), std::move(id)};
    }
    store::Stored stored(std::string_view type, std::string id) {
        return *must(must(store_->snapshot())->find(identity(type, std::move(id))));
    }

    /// Tried again while the database is slow.
    static bool is_read_at_once(fhir::Repository& repository, std::string_view type,
                                std::string_view id) {
        for (int tries = 0; tries < 100; ++tries) {
            if (const auto read = repository.read_at_once(caller_, type, id))
                return read->outcome.has_value();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }

    static inline const fhir::Caller caller_ = fhir::Caller::system("test");
    Folder folder_;
    std::unique_ptr<store::Store> store_ =
        must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
};

constexpr std::string_view li =
    R"({"resourceType":"Patient","id":"li","name":[{"family":"Unmistakable"}]})";

TEST_F(KeysTest, BodiesLieSealedAndAreReadAsTheyWereWritten) {
    const auto record = repository(ring({.background = true}));
    write(*record, li);
    write(*record, R"({"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},)"
                   R"("subject":{"reference":"Patient/li"},"valueString":"Unmistakable"})");
    for (const auto& body : {stored("Patient", "li").body, stored("Observation", "o").body}) {
        EXPECT_TRUE(is_sealed(body));
        EXPECT_EQ(body.find("Unmistakable"), std::string::npos);
    }
    EXPECT_EQ(key_id_of(stored("Patient", "li").body), key_id_of(stored("Observation", "o").body))
        << "what concerns a patient lies under the patient's key";
    EXPECT_NE(must(record->read(caller_, "Observation", "o")).json.find("Unmistakable"),
              std::string::npos);
    EXPECT_TRUE(is_read_at_once(*record, "Observation", "o")) << "its key is at hand";
    // Another server finds the key.
    const auto other = repository(ring({.background = true}));
    EXPECT_FALSE(other->read_at_once(caller_, "Patient", "li")) << "it would have to wait";
    EXPECT_NE(must(other->read(caller_, "Patient", "li")).json.find("Unmistakable"),
              std::string::npos);
    EXPECT_TRUE(is_read_at_once(*other, "Patient", "li"));
}

TEST_F(KeysTest, WhatWasWrittenBeforeIsReadableBesideIt) {
    {
        const auto plain = must(fhir::Repository::open(*store_, {}));
        write(*plain, li);
    }
    const auto record = repository(ring({.background = true}));
    EXPECT_FALSE(is_sealed(stored("Patient", "li").body));
    EXPECT_NE(must(record->read(caller_, "Patient", "li")).json.find("Unmistakable"),
              std::string::npos);
    EXPECT_TRUE(is_read_at_once(*record, "Patient", "li"));
    write(*record, li);
    EXPECT_TRUE(is_sealed(stored("Patient", "li").body));
    const auto page = must(record->history(caller_, {.type = "Patient", .id = "li"}));
    EXPECT_EQ(page.entries.size(), 2u);
}

TEST_F(KeysTest, ABodyIsNobodyElses) {
    const auto keys = ring();
    const auto cipher = body_cipher(keys);
    const auto record = repository(keys);
    write(*record, li);
    write(*record, R"({"resourceType":"Patient","id":"wang","name":[{"family":"Other"}]})");
    // Between patients, between resources of one patient, and under another id.
    store::Stored swapped = stored("Patient", "wang");
    swapped.body = stored("Patient", "li").body;
    EXPECT_EQ(cipher->open(swapped).error().category, Category::fault);
    store::Stored moved = stored("Patient", "li");
    moved.type = identity("Observation", "x").type;
    EXPECT_EQ(cipher->open(moved).error().category, Category::fault);
    store::Stored renamed = stored("Patient", "li");
    renamed.id = "li2";
    EXPECT_EQ(cipher->open(renamed).error().category, Category::fault);
    // Somebody with access to the database gives one patient the key of the other.
    auto row = *must(store_->private_row(
        store::space_of_keys, KeyRing::row_key_of(key_id_of(stored("Patient", "li").body))));
    auto target = *must(store_->private_row(
        store::space_of_keys, KeyRing::row_key_of(key_id_of(stored("Patient", "wang").body))));
    target.value = row.value;
    ASSERT_TRUE(must(store_->save_private({target})));
    EXPECT_EQ(body_cipher(ring())->open(stored("Patient", "wang")).error().category,
              Category::fault);
}

TEST_F(KeysTest, EveryFlippedBitAndEveryCutOfABodyIsNoticed) {
    const auto keys = ring();
    const auto cipher = body_cipher(keys);
    const auto record = repository(keys);
    write(*record, li);
    const store::Stored right = stored("Patient", "li");
    ASSERT_TRUE(cipher->open(right));
    for (std::size_t bit = 0; bit < 8 * right.body.size(); ++bit) {
        store::Stored flipped = right;
        flipped.body[bit / 8] = static_cast<char>(flipped.body[bit / 8] ^ (1 << (bit % 8)));
        const auto opened = cipher->open(flipped);
        // Without its first mark it counts as plain, and is no stored form then.
        ASSERT_TRUE(!opened || *opened == flipped.body) << "bit " << bit;
        ASSERT_TRUE(!opened || !record->decode(flipped)) << "bit " << bit;
    }
    for (std::size_t length = 1; length < right.body.size(); ++length) {
        store::Stored cut = right;
        cut.body.resize(length);
        ASSERT_FALSE(cipher->open(cut)) << length;
    }
}

TEST_F(KeysTest, TwoServersThatMakeOneKeyAgree) {
    const auto first = ring(), second = ring();
    const auto one = body_cipher(first), two = body_cipher(second);
    const auto change_by = [&](const fhir::Cipher& cipher, std::string id) {
        store::Change change;
        change.identity = identity("Observation", std::move(id));
        change.body = must(cipher.seal({"Patient/li", "Organization/1"}, change.identity, "text"));
        return change;
    };
    store::Commit left, right;
    left.changes.push_back(change_by(*one, "a"));
    right.changes.push_back(change_by(*two, "b"));
    ASSERT_TRUE(must(one->add_keys(left)));
    ASSERT_TRUE(must(two->add_keys(right)));
    const auto keys = right.private_rows;
    EXPECT_FALSE(must(store_->commit(std::move(left))).stale);
    EXPECT_TRUE(must(store_->commit(std::move(right))).stale) << "the other was first";
    two->settle(keys, false);
    // Decided again, it finds the key of the other.
    store::Commit again;
    again.changes.push_back(change_by(*two, "b"));
    ASSERT_TRUE(must(two->add_keys(again)));
    EXPECT_TRUE(again.private_rows.empty());
    EXPECT_FALSE(must(store_->commit(std::move(again))).stale);
    EXPECT_EQ(must(one->open(stored("Observation", "b"))), "text");
    EXPECT_EQ(must(two->open(stored("Observation", "a"))), "text");
}

TEST_F(KeysTest, WhatABulkLoadSealedIsSealedAgainUnderTheKeyThatWon) {
    const auto one = body_cipher(ring()), two = body_cipher(ring());
    std::vector<store::Change> load;
    for (int i = 0; i < 100; ++i) {
        store::Change change;
        change.identity = identity("Observation", fmt::format("o{}", i));
        change.body = must(two->seal({fmt::format("Patient/{}", i % 10), {}}, change.identity,
                                     fmt::format("text {}", i)));
        load.push_back(std::move(change));
    }
    store::Commit faster;
    faster.changes.emplace_back().identity = identity("Patient", "3");
    faster.changes[0].body = must(one->seal({"Patient/3", {}}, identity("Patient", "3"), "li"));
    ASSERT_TRUE(must(one->add_keys(faster)));
    ASSERT_FALSE(must(store_->commit(std::move(faster))).stale);
    must(two->keep_keys(load));
    store::Commit commit;
    commit.changes = std::move(load);
    ASSERT_FALSE(must(store_->commit(std::move(commit))).stale);
    const auto reader = body_cipher(ring());
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(must(reader->open(stored("Observation", fmt::format("o{}", i)))),
                  fmt::format("text {}", i));
    }
}

TEST_F(KeysTest, AKeyThatWasShreddedStaysSo) {
    const auto here = ring();
    const auto there = ring({.background = true});
    const auto record = repository(here);
    write(*record, li);
    const auto other = repository(there);
    ASSERT_TRUE(other->read(caller_, "Patient", "li"));
    must(here->shred({here->id_of("Patient/li")}));
    EXPECT_EQ(record->read(caller_, "Patient", "li").error().category, Category::gone);
    std::this_thread::sleep_for(std::chrono::milliseconds(limits::key_standing_milliseconds + 100));
    EXPECT_EQ(other->read(caller_, "Patient", "li").error().category, Category::gone);
    const auto at_once = other->read_at_once(caller_, "Patient", "li");
    EXPECT_FALSE(at_once && at_once->outcome);
    EXPECT_EQ(here->key_for("Patient/li", {}).error().category, Category::gone)
        << "no second key for the same person";
    EXPECT_EQ(repository(ring())->read(caller_, "Patient", "li").error().category, Category::gone);
}

TEST_F(KeysTest, AWrongKeyEncryptionKeyIsTold) {
    (void)ring();
    const Folder elsewhere;
    must(file_keks(elsewhere.path())->make(1));
    const auto wrong = KeyRing::open(key_rows_of(*store_), file_keks(elsewhere.path()), {});
    EXPECT_EQ(wrong.error().category, Category::fault);
    const Folder empty;
    const auto none = KeyRing::open(key_rows_of(*store_), file_keks(empty.path()), {});
    EXPECT_EQ(none.error().category, Category::conflict);
    EXPECT_EQ(none.error().where, kek_path(empty.path(), 1));
    std::filesystem::permissions(kek_path(folder_.path(), 1), std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    EXPECT_EQ(KeyRing::open(key_rows_of(*store_), file_keks(folder_.path()), {}).error().category,
              Category::forbidden);
}

TEST_F(KeysTest, ARotationThatIsKilledGoesOn) {
    constexpr int patients = 1'200;
    {
        const auto cipher = body_cipher(ring());
        store::Commit commit;
        for (int i = 0; i < patients; ++i) {
            store::Change change;
            change.identity = identity("Patient", fmt::format("p{}", i));
            change.body = must(cipher->seal({fmt::format("Patient/p{}", i), {}}, change.identity,
                                            fmt::format("text {}", i)));
            commit.changes.push_back(std::move(change));
        }
        must(cipher->keep_keys(commit.changes));
        ASSERT_FALSE(must(store_->commit(std::move(commit))).stale);
    }
    const auto serving = ring({.background = false});
    {
        const auto killed = ring();
        EXPECT_FALSE(killed->rotate([](std::int64_t) { return false; }));
    }
    const auto half = must(ring()->status());
    EXPECT_TRUE(half.is_rotating);
    EXPECT_EQ(half.kek, 2u);
    EXPECT_EQ(half.keys, patients);
    EXPECT_GT(half.old, 0);
    EXPECT_LT(half.old, patients);
    // In between all is readable and writable, also by a server that began before.
    const auto cipher = body_cipher(serving);
    for (const int i : {0, 1, patients / 2, patients - 1}) {
        EXPECT_EQ(must(cipher->open(stored("Patient", fmt::format("p{}", i)))),
                  fmt::format("text {}", i));
    }
    must(ring()->rotate([](std::int64_t) { return true; }));
    const auto whole = must(ring()->status());
    EXPECT_FALSE(whole.is_rotating);
    EXPECT_EQ(whole.kek, 2u) << "it went on and began no third";
    EXPECT_EQ(whole.old, 0);
    // The old key is not needed any more.
    must(file_keks(folder_.path())->destroy(1));
    const auto after = body_cipher(ring());
    for (int i = 0; i < patients; i += 100) {
        EXPECT_EQ(must(after->open(stored("Patient", fmt::format("p{}", i)))),
                  fmt::format("text {}", i));
    }
}

TEST_F(KeysTest, RotationsThatAreKilledWhileOthersWriteLoseNothing) {
    const auto serving = ring({.background = false});
    const auto record = repository(serving);
    std::atomic<bool> is_over = false;
    std::atomic<int> written = 0;
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 3; ++writer) {
        writers.emplace_back([&, writer] {
            for (int i = 0; !is_over; ++i) {
                const std::string id = fmt::format("w{}-{}", writer, i);
                write(*record, fmt::format(R"({{"resourceType":"Patient","id":"{}"}})", id));
                // Another one whose key is there already.
                write(*record,
                      fmt::format(R"({{"resourceType":"Patient","id":"w{}-{}","active":true}})",
                                  writer, i / 2));
                ++written;
            }
        });
    }
    const auto wait_for = [&](int count) {
        for (const int from = written; written < from + count;)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    for (int round = 0; round < 3; ++round) {
        wait_for(30);
        EXPECT_FALSE(ring()->rotate([](std::int64_t) { return false; })) << "killed half-way";
        EXPECT_TRUE(must(ring()->status()).is_rotating);
        wait_for(30);
        must(ring()->rotate([](std::int64_t) { return true; }));
    }
    wait_for(30);
    is_over = true;
    for (std::thread& writer : writers) writer.join();
    const auto status = must(ring()->status());
    EXPECT_EQ(status.kek, 4u);
    EXPECT_FALSE(status.is_rotating);
    for (const unsigned number : {1u, 2u, 3u}) must(file_keks(folder_.path())->destroy(number));
    // Nothing of what was acknowledged lies under a key that went.
    const auto other = repository(ring());
    int read = 0;
    for (int writer = 0; writer < 3; ++writer) {
        for (int i = 0; must(store_->find(identity("Patient", fmt::format("w{}-{}", writer, i))));
             ++i, ++read)
            ASSERT_TRUE(other->read(caller_, "Patient", fmt::format("w{}-{}", writer, i)));
    }
    EXPECT_EQ(read, written.load());
}

TEST_F(KeysTest, AKeyFileThatIsPutThereStartsARotation) {
    const auto serving = ring({.background = true});
    const auto record = repository(serving);
    write(*record, li);
    must(file_keks(folder_.path())->make(2));
    for (int i = 0;
         i < 100 && (must(serving->status()).kek != 2 || must(serving->status()).is_rotating); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(must(serving->status()).kek, 2u);
    EXPECT_EQ(must(serving->status()).old, 0);
    EXPECT_TRUE(record->read(caller_, "Patient", "li"));
}

TEST_F(KeysTest, AStoreMayWriteWithSm4) {
    const auto record = repository(ring({.suite = Suite::sm}));
    write(*record, li);
    EXPECT_EQ(static_cast<unsigned char>(stored("Patient", "li").body.front()), 0xE2);
    const auto other = repository(ring({.suite = Suite::aes}));
    EXPECT_NE(must(other->read(caller_, "Patient", "li")).json.find("Unmistakable"),
              std::string::npos)
        << "a ring keeps the suite that it was made with";
}

TEST_F(KeysTest, WithFewKeysInMemoryAllAreReadable) {
    const auto record = repository(ring({.keys_max = 16}));
    for (int i = 0; i < 200; ++i)
        write(*record, fmt::format(R"({{"resourceType":"Patient","id":"p{}"}})", i));
    for (int i = 0; i < 200; ++i)
        EXPECT_TRUE(record->read(caller_, "Patient", fmt::format("p{}", i))) << i;
}

TEST_F(KeysTest, ManyWritersOfOnePatientShareOneKey) {
    const auto record = repository(ring());
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20; ++i)
                write(
                    *record,
                    fmt::format(R"({{"resourceType":"Observation","id":"o{}-{}","status":"final",)"
                                R"("code":{{"text":"c"}},"subject":{{"reference":"Patient/{}"}}}})",
                                t, i, i));
        });
    }
    for (std::thread& thread : threads) thread.join();
    const auto other = repository(ring());
    for (int t = 0; t < 8; ++t) {
        for (int i = 0; i < 20; ++i)
            EXPECT_TRUE(other->read(caller_, "Observation", fmt::format("o{}-{}", t, i)));
    }
}

}  // namespace
}  // namespace meridian::trust
