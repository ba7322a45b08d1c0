// SPDX-License-Identifier: Apache-2.0
#include "store/names.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

TEST(Names, AreGivenOncePerKindAndSurviveTheNextCommit) {
    const TestFolder folder;
    Name system = 0;
    {
        auto store = must_open(folder.path());
        Names& names = store->names();
        EXPECT_EQ(names.find(NameKind::system, "http://loinc.org"), 0);
        system = names.intern(NameKind::system, "http://loinc.org");
        EXPECT_NE(system, 0);
        EXPECT_EQ(names.intern(NameKind::system, "http://loinc.org"), system);
        EXPECT_EQ(names.text(NameKind::system, system), "http://loinc.org");
        EXPECT_EQ(names.text(NameKind::system, 999), "");
        EXPECT_EQ(names.find(NameKind::unit, "http://loinc.org"), 0);
        must(store->commit(make_commit(make_change(*store, "Patient", "a", "1"))));
    }
    auto store = must_open(folder.path());
    EXPECT_EQ(store->names().find(NameKind::system, "http://loinc.org"), system);
    EXPECT_EQ(store->names().all(NameKind::system), std::vector<Name>{system});
    EXPECT_NE(store->names().intern(NameKind::system, "http://snomed.info/sct"), system);
}

TEST(Names, SurviveASettingToo) {
    const TestFolder folder;
    Name unit = 0;
    SipKey key{};
    {
        auto store = must_open(folder.path());
        unit = store->names().intern(NameKind::unit, "mg/dL");
        key = store->names().token_key();
        must(store->save_setting("a", "b"));
    }
    auto store = must_open(folder.path());
    EXPECT_EQ(store->names().find(NameKind::unit, "mg/dL"), unit);
    EXPECT_EQ(store->names().token_key(), key);
    EXPECT_EQ(must(store->setting("a")), "b");
    EXPECT_FALSE(must(store->setting("token_key")))
        << "the store's own settings are not the server's";
}

TEST(Names, ThreadsAgree) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    std::vector<std::vector<Name>> given(8);
    std::vector<std::thread> threads;
    for (auto& mine : given) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i)
                mine.push_back(store->names().intern(NameKind::parameter, std::to_string(i)));
        });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& mine : given) EXPECT_EQ(mine, given[0]);
    EXPECT_EQ(std::set<Name>(given[0].begin(), given[0].end()).size(), 500u);
}

TEST(Tokens, LieInTheRangeOfTheirSystem) {
    const TestFolder folder;
    auto store = must_open(folder.path());
    for (const Name system : {0, 1, 32'766, 32'767, 40'000}) {
        const std::int64_t value = token_value(store->names(), system, "urn:s", "8480-6");
        const TokenRange range = token_range(system);
        EXPECT_GE(value, range.first);
        EXPECT_LE(value, range.last);
        EXPECT_GE(value, 0);
    }
    EXPECT_LT(token_range(1).last, token_range(2).first);
    EXPECT_EQ(token_range(32'767).first, token_range(40'000).first);
    // Systems that share the last id are told apart by their text, others by their id.
    EXPECT_NE(token_value(store->names(), 40'000, "urn:a", "x"),
              token_value(store->names(), 40'001, "urn:b", "x"));
    EXPECT_EQ(token_value(store->names(), 5, "urn:a", "x"),
              token_value(store->names(), 5, "", "x"));
}

}  // namespace
}  // namespace meridian::store
