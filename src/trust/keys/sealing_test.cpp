// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/sealing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing.hpp"
#include "fhir/body_reader.hpp"
#include "store/maintain.hpp"
#include "store/testing.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/key_backup.hpp"
#include "trust/keys/key_ring.hpp"
#include "trust/limits.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

const fhir::Caller caller = fhir::Caller::system("test");
constexpr int patients = 450;  // more than two batches, with two versions each

void write(fhir::Repository& repository, int patient, int version) {
    must(repository.commit(
        caller, testing::one_update(fmt::format(
                    R"({{"resourceType":"Patient","id":"p{}","name":[{{"family":"Zxqopen {}"}}]}})",
                    patient, version))));
}

bool is_in_a_file(const std::string& folder, const std::string& text) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string content((std::istreambuf_iterator<char>(file)), {});
        if (content.find(text) != std::string::npos) return true;
    }
    return false;
}

class SealingTest : public ::testing::Test {
 protected:
    void SetUp() override {
        const auto plain = must(fhir::Repository::open(*store_, {}));
        // Two versions of each, the older one in the history.
        for (const int version : {1, 2}) {
            for (int i = 0; i < patients; ++i) write(*plain, i, version);
        }
        must(plain->commit(caller, removal("p7")));
    }
    static fhir::Transaction removal(const std::string& id) {
        fhir::Transaction transaction;
        fhir::Operation& operation = transaction.operations.emplace_back();
        operation.kind = fhir::Operation::Kind::remove;
        operation.type = "Patient";
        operation.id = id;
        return transaction;
    }
    std::shared_ptr<KeyRing> ring() {
        return must(KeyRing::open(key_rows_of(*store_), file_keks(folder_.path()), {}));
    }
    std::unique_ptr<fhir::Repository> repository(const std::shared_ptr<const fhir::Cipher>& with) {
        fhir::Repository::Options options;
        options.cipher = with;
        return must(fhir::Repository::open(*store_, options));
    }
    store::Identity identity(std::string id) const {
        return {store_->names().intern(store::NameKind::type, "Patient"), std::move(id)};
    }
    /// Versions that lie open.
    int open_versions() {
        const auto snapshot = must(store_->snapshot());
        store::HistoryScope scope;
        scope.limit = 100'000;
        int open = 0;
        for (const auto& version : must(snapshot->history(scope)))
            open += !version.deleted() && !is_sealed(version.body) ? 1 : 0;
        return open;
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_ =
        must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
};

TEST_F(SealingTest, BodiesFromBeforeAreSealedInTheirPlaces) {
    ASSERT_EQ(open_versions(), 2 * patients);
    const auto cipher = body_cipher(ring());
    const auto record = repository(cipher);
    const std::string lay_open =
        must(must(store_->snapshot())->find_version(identity("p9"), 1))->body;
    if (!store::postgres::tests_use_postgres()) {
        ASSERT_TRUE(is_in_a_file(folder_.path(), lay_open)) << "the search itself finds things";
    }
    const std::string before = must(record->read(caller, "Patient", "p3")).json;
    // Somebody writes meanwhile.
    std::atomic<bool> is_over = false;
    std::thread writer([&] {
        for (int version = 3; !is_over; ++version) write(*record, 5, version);
    });
    SealingProgress progress;
    std::int64_t sealed = 0, looked_at = 0;
    do {
        progress = must(seal_some(*record, *cipher, std::chrono::milliseconds(0)));
        sealed += progress.sealed;
        EXPECT_GE(progress.looked_at, looked_at);
        looked_at = progress.looked_at;
    } while (!progress.is_done);
    is_over = true;
    writer.join();
    EXPECT_EQ(sealed, 2 * patients);
    EXPECT_EQ(open_versions(), 0);
    EXPECT_EQ(must(record->read(caller, "Patient", "p3")).json, before) << "it says the same";
    EXPECT_EQ(must(record->read_version(caller, "Patient", "p3", 1)).version, 1);
    EXPECT_NE(must(record->read_version(caller, "Patient", "p7", 1)).json.find("Zxqopen 1"),
              std::string::npos)
        << "what was deleted since, too";
    // Each lies under its patient's key.
    must(must(KeyRing::open(key_rows_of(*store_), file_keks(folder_.path()), {}))
             ->shred({ring()->id_of("Patient/p3")}));
    const auto other = repository(body_cipher(ring()));
    EXPECT_EQ(other->read(caller, "Patient", "p3").error().category, Category::gone);
    EXPECT_EQ(other->read_version(caller, "Patient", "p3", 1).error().category, Category::gone);
    EXPECT_TRUE(other->read(caller, "Patient", "p4"));
    if (store::postgres::tests_use_postgres()) return;
    EXPECT_FALSE(is_in_a_file(folder_.path(), lay_open)) << "nor in a free page";
}

TEST_F(SealingTest, OneThatIsStoppedGoesOn) {
    const auto cipher = body_cipher(ring());
    {
        const auto record = repository(cipher);
        const auto first = must(seal_some(*record, *cipher, std::chrono::milliseconds(0)));
        EXPECT_FALSE(first.is_done);
        EXPECT_GT(first.sealed, 0);
    }
    const int left = open_versions();
    EXPECT_LT(left, 2 * patients);
    // In between a server without protection writes.
    {
        const auto plain = repository(fhir::plain_cipher());
        write(*plain, 10'000, 1);
    }
    const auto record = repository(cipher);
    std::int64_t sealed = 0;
    for (SealingProgress progress; !progress.is_done;) {
        progress = must(seal_some(*record, *cipher, std::chrono::milliseconds(0)));
        sealed += progress.sealed;
    }
    EXPECT_EQ(sealed, left + 1);
    EXPECT_EQ(open_versions(), 0);
    EXPECT_EQ(must(seal_some(*record, *cipher, std::chrono::hours(1))).sealed, 0);
}

}  // namespace
}  // namespace meridian::trust
