// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/token_hashes.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "fhir/body_reader.hpp"
#include "fhir/repository.hpp"
#include "store/maintain.hpp"
#include "store/testing.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/key_backup.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

const fhir::Caller caller = fhir::Caller::system("test");
constexpr int patients = 1'100;  // more than two batches

class TokenHashes : public ::testing::Test {
 protected:
    void open_store() {
        store_.reset();
        store_ = must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
    }
    static std::unique_ptr<fhir::Repository> repository(
        store::Store& store, const std::shared_ptr<const fhir::Cipher>& cipher) {
        fhir::Repository::Options options;
        options.cipher = cipher;
        return must(fhir::Repository::open(store, options));
    }
    static void fill(fhir::Repository& record, int count) {
        for (int i = 0; i < count; ++i) {
            must(record.commit(caller, testing::one_update(fmt::format(
                                           R"({{"resourceType":"Patient","id":"p{}","identifier":[)"
                                           R"({{"system":"urn:id","value":"number {}"}}]}})",
                                           i, i))));
        }
        must(record.commit(
            caller,
            testing::one_update(
                R"({"resourceType":"Observation","id":"o","status":"final","code":{"coding":[)"
                R"({"system":"urn:c","code":"seen"}]},"subject":{"reference":"Patient/p0"}})")));
    }
    static std::size_t found(fhir::Repository& record, std::string_view type,
                             const fhir::QueryParameters& query) {
        return must(record.search(caller, type, query, {})).entries.size();
    }
    /// What somebody finds who has the database and the key that lies in it, and no other.
    std::size_t found_by_the_stores_key(const std::string& value) {
        store::Plan plan;
        store::Names& names = store_->names();
        plan.type = names.find(store::NameKind::type, "Patient");
        plan.where = store::HasToken{
            names.find(store::NameKind::parameter, "Patient.identifier"),
            {store::token_value(names, names.find(store::NameKind::system, "urn:id"), "urn:id",
                                value)}};
        plan.limit = 10;
        return must(must(store_->snapshot())->search(plan)).rids.size();
    }
    std::shared_ptr<KeyRing> ring(KeyRing::Options options = {}) {
        return must(open_keys(*store_, folder_.path(), options));
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
};

TEST_F(TokenHashes, OfANewRecordLieUnderItsKeysAndNotTheStores) {
    open_store();
    {
        const auto record = repository(*store_, body_cipher(ring()));
        fill(*record, 3);
        EXPECT_EQ(found(*record, "Patient", {{"identifier", "urn:id|number 1"}}), 1u);
        EXPECT_EQ(found_by_the_stores_key("number 1"), 1u) << "with the key in use";
    }
    open_store();
    EXPECT_EQ(found_by_the_stores_key("number 1"), 0u) << "with the key of the database";
    {
        const auto record = repository(*store_, body_cipher(ring()));
        EXPECT_EQ(found(*record, "Patient", {{"identifier", "urn:id|number 1"}}), 1u);
        EXPECT_EQ(found(*record, "Observation", {{"patient", "p0"}, {"code", "urn:c|seen"}}), 1u);
    }
    // A rotation does not change them.
    must(ring()->rotate([](std::int64_t) { return true; }));
    EXPECT_EQ(found(*repository(*store_, body_cipher(ring())), "Patient",
                    {{"identifier", "urn:id|number 1"}}),
              1u);
    if (store::postgres::tests_use_postgres()) return;
    store_.reset();
    const auto store = std::shared_ptr(
        must(store::open({.folder = folder_.path(), .create = false, .read_only = true})));
    const auto report = must(
        store::check(folder_.path(), fhir::body_reader(must(cipher_of(store, folder_.path())))));
    EXPECT_TRUE(report.clean()) << report.first_problem;
}

TEST_F(TokenHashes, OfAnOlderRecordAreMovedAndAMoveThatWasStoppedGoesOn) {
    open_store();
    {
        // As a version before made it.
        const std::shared_ptr<KeyRing> older =
            must(KeyRing::open(key_rows_of(*store_), file_keks(folder_.path()), {}));
        fill(*repository(*store_, body_cipher(older)), patients);
    }
    EXPECT_EQ(found_by_the_stores_key("number 7"), 1u);
    EXPECT_FALSE(move_token_hashes(*store_, ring({.moves_tokens = true}),
                                   [](std::int64_t) { return false; }));
    const auto refused = open_keys(*store_, folder_.path(), {});
    ASSERT_FALSE(refused) << "half of the rows are under one key, half under the other";
    EXPECT_EQ(refused.error().category, Category::conflict);
    const auto moved = must(move_token_hashes(*store_, ring({.moves_tokens = true}),
                                              [](std::int64_t) { return true; }));
    EXPECT_GT(moved, 0);
    EXPECT_LT(moved, patients + 1) << "it went on where it was";
    open_store();
    EXPECT_EQ(found_by_the_stores_key("number 7"), 0u);
    const auto record = repository(*store_, body_cipher(ring()));
    for (int i = 0; i < patients; i += 50)
        EXPECT_EQ(found(*record, "Patient", {{"identifier", fmt::format("urn:id|number {}", i)}}),
                  1u)
            << i;
    EXPECT_EQ(found(*record, "Observation", {{"patient", "p0"}, {"code", "urn:c|seen"}}), 1u)
        << "the patients' charts too";
    EXPECT_EQ(must(move_token_hashes(*store_, ring(), [](std::int64_t) { return true; })), 0);
}

}  // namespace
}  // namespace meridian::trust
