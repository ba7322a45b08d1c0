// SPDX-License-Identifier: Apache-2.0
#include "store/engine/log_hash.hpp"

#include <gtest/gtest.h>

namespace meridian::store {
namespace {

LogEntry entry_of_test() {
    LogEntry entry;
    entry.position = 3;
    entry.at.milliseconds = 1'700'000'000'000;
    entry.id = "p1";
    entry.version = 2;
    entry.verb = Verb::update;
    for (unsigned i = 0; i < entry.salt.size(); ++i) entry.salt[i] = static_cast<unsigned char>(i);
    entry.body_hash.fill(7);
    return entry;
}

std::string hash_of(const LogEntry& entry, std::string_view type = "Patient",
                    std::string_view actor = "Practitioner/a", std::string_view organisation = {}) {
    LogHash hash;
    hash.add(entry, type, actor, organisation);
    return to_hex(hash.finish());
}

TEST(LogHash, IsThatOfTheBytesThatItsDescriptionTells) {
    // Made by another program from the description in log_hash.hpp.
    EXPECT_EQ(hash_of(entry_of_test()),
              "19545e328fa38c801ab862d7baa4d00b21f26f8170c20fbbee9127807bb8690d");
}

TEST(LogHash, DependsOnEveryPartOfAnEntryThatEnginesShare) {
    std::set<std::string> hashes{hash_of(entry_of_test())};
    const auto changed = [&](auto change) {
        LogEntry entry = entry_of_test();
        change(entry);
        return hashes.insert(hash_of(entry)).second;
    };
    EXPECT_TRUE(changed([](LogEntry& e) { e.position = 4; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.at.milliseconds += 1; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.kind = 1; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.id = "p2"; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.version = 3; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.verb = Verb::remove; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.salt[15] = 0; }));
    EXPECT_TRUE(changed([](LogEntry& e) { e.body_hash[31] = 0; }));
    EXPECT_TRUE(hashes.insert(hash_of(entry_of_test(), "Group")).second);
    EXPECT_TRUE(hashes.insert(hash_of(entry_of_test(), "Patient", "b")).second);
    EXPECT_TRUE(hashes.insert(hash_of(entry_of_test(), "Patient", "", "Practitioner/a")).second);
    // Ids of names and rids are each engine's own.
    EXPECT_FALSE(changed([](LogEntry& e) { e.rid = e.type = e.actor = e.organisation = 9; }));
}

}  // namespace
}  // namespace meridian::store
