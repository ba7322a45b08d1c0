// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/account.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "text/letter_case.hpp"
#include "trust/accounts/one_time_code.hpp"
#include "trust/accounts/password.hpp"
#include "trust/limits.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

constexpr std::string_view good = "lavendel zieht nach westen";

Accounts::Options cheap() {
    // Argon2's least: these tests are about the rules around it.
    return {.argon2_operations = 1, .argon2_memory_bytes = 8192};
}

struct AccountTest : ::testing::Test {
    testing::MemoryVault vault;
    Accounts accounts{vault, cheap()};
    void make(std::string name, Role role = Role::doctor, std::string person = "Practitioner/1") {
        const auto made =
            accounts.add({.name = std::move(name), .role = role, .person = std::move(person)});
        ASSERT_TRUE(made) << made.error().message;
    }
};

Category category_of(const auto& result) {
    return result ? Category::fault : result.error().category;
}

TEST_F(AccountTest, NamesAreFoldedAndChecked) {
    EXPECT_EQ(*account_name("Wang.Wei"), "wang.wei");
    EXPECT_EQ(*account_name("ＷＡＮＧ"), "wang");
    EXPECT_EQ(*account_name("王伟2"), "王伟2");
    EXPECT_EQ(*account_name("a@b.example"), "a@b.example");
    for (const char* bad :
         {"", ".a", "a b", "a/b", "wаng" /* Cyrillic а */, "a\n", "a\xff", "é", "a|b", "<b>"})
        EXPECT_FALSE(account_name(bad)) << bad;
    EXPECT_TRUE(account_name(std::string(128, 'a')));
    EXPECT_FALSE(account_name(std::string(129, 'a')));
    make("Wang.Wei");
    EXPECT_EQ((*accounts.find("WANG.WEI"))->name, "wang.wei");
    EXPECT_EQ(category_of(accounts.add({.name = "wang.WEI", .person = "Practitioner/2"})),
              Category::conflict);
}

TEST_F(AccountTest, TheStoredFormKeepsEverything) {
    Account account{
        .name = "a",
        .role = Role::nurse,
        .person = "Practitioner/1",
        .organisation = "Organization/2",
        .display_name = "李\"娜",
        .disabled = true,
        .created = {1},
        .user_handle = random_bytes(32),
        .password = "$argon2id$…",
        .password_changed = Instant{2},
        .totp = Totp{random_bytes(20), 3, {4}},
        .totp_waiting = Totp{random_bytes(20), 0, {5}},
        .recovery_codes = {"x", "y"},
        .recovery_codes_waiting = {"z"},
        .passkeys = {{random_bytes(64), random_bytes(77), -7, 4294967295u, "key", {6}, Instant{7}}},
        .identities = {{"https://issuer.example", "42"}},
        .devices_known_from = {8}};
    const std::string json = to_json(account);
    const auto read = account_from_json(json);
    ASSERT_TRUE(read) << read.error().message << read.error().where;
    EXPECT_EQ(to_json(*read), json);
    EXPECT_EQ(read->passkeys[0].id, account.passkeys[0].id);
    EXPECT_EQ(read->totp->secret, account.totp->secret);
    std::string later = json;
    later.replace(later.find("\"form\":1"), 8, "\"form\":2");
    EXPECT_FALSE(account_from_json(later));
    for (std::size_t size = 0; size < json.size(); ++size)
        EXPECT_FALSE(account_from_json(json.substr(0, size)));
}

TEST_F(AccountTest, NobodyHoldsTwoAdministratorRoles) {
    make("system", Role::system_admin, "Practitioner/1");
    EXPECT_EQ(category_of(accounts.add(
                  {.name = "audit", .role = Role::audit_admin, .person = "Practitioner/1"})),
              Category::conflict);
    EXPECT_FALSE(*accounts.find("audit"));
    EXPECT_EQ(category_of(accounts.add({.name = "audit", .role = Role::audit_admin})),
              Category::incorrect);
    make("audit", Role::audit_admin, "Practitioner/2");
    make("doctor", Role::doctor, "Practitioner/1");  // another task of the same person
    EXPECT_EQ(category_of(accounts.change_role("system", Role::doctor)), Category::forbidden);
    EXPECT_EQ(category_of(accounts.change_role("doctor", Role::security_admin)),
              Category::forbidden);
    EXPECT_TRUE(accounts.change_role("doctor", Role::researcher));
    EXPECT_EQ((*accounts.find("doctor"))->role, Role::researcher);
    EXPECT_EQ(accounts.list()->size(), 3u);
    EXPECT_TRUE(*accounts.has_administrator());
}

TEST_F(AccountTest, OnlyTheRightPasswordOfAnEnabledAccount) {
    make("wang");
    ASSERT_TRUE(accounts.set_password("wang", good));
    EXPECT_TRUE(accounts.verify_password("WANG", good));
    for (const auto& [name, password] :
         {std::pair<std::string, std::string>{"wang", "lavendel zieht nach osten"},
          {"wang", std::string(good) + " "},
          {"wang", ""},
          {"wang", std::string(1001, 'x')},
          {"nobody", std::string(good)},
          {"no/body", std::string(good)}}) {
        const auto refused = accounts.verify_password(name, password);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().category, Category::unauthenticated);
        EXPECT_EQ(refused.error().message, "name or password is wrong");
    }
    ASSERT_TRUE(accounts.set_disabled("wang", true));
    EXPECT_EQ(accounts.verify_password("wang", good).error().message, "name or password is wrong");
    ASSERT_TRUE(accounts.set_disabled("wang", false));
    EXPECT_TRUE(accounts.verify_password("wang", good));
    make("none");  // has no password: nothing fits
    EXPECT_FALSE(accounts.verify_password("none", ""));
    // Typed in full width, it is the same text.
    EXPECT_TRUE(accounts.verify_password("wang", "ｌavendel zieht nach westen"));
}

TEST_F(AccountTest, AHashIsMadeAnewWhenItsCostChanged) {
    make("wang");
    ASSERT_TRUE(accounts.set_password("wang", good));
    const std::string before = (*accounts.find("wang"))->password;
    EXPECT_TRUE(before.starts_with("$argon2id$v=19$m=8,t=1,p=1$")) << before;
    Accounts dearer(vault, {.argon2_operations = 2, .argon2_memory_bytes = 16384});
    ASSERT_TRUE(dearer.verify_password("wang", good));
    EXPECT_TRUE((*accounts.find("wang"))->password.starts_with("$argon2id$v=19$m=16,t=2,p=1$"));
    EXPECT_TRUE(dearer.verify_password("wang", good));
    EXPECT_FALSE(dearer.verify_password("wang", "something else entirely"));
}

TEST_F(AccountTest, OneTimeCodes) {
    Instant at = now();
    Accounts clocked(
        vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192, .clock = [&] { return at; }});
    make("wang");
    const auto enrolment = clocked.begin_totp("wang");
    ASSERT_TRUE(enrolment);
    EXPECT_TRUE(
        enrolment->uri.starts_with("otpauth://totp/Meridian:wang?secret=" + enrolment->secret));
    EXPECT_FALSE((*clocked.find("wang"))->has_second_factor());
    const std::string secret = (*clocked.find("wang"))->totp_waiting->secret;
    const auto code = [&] {
        return one_time_code(secret, static_cast<std::uint64_t>(totp_step(at)), 6);
    };
    EXPECT_EQ(category_of(clocked.verify_totp("wang", code())), Category::unauthenticated);
    EXPECT_EQ(category_of(clocked.confirm_totp("wang", code() == "000000" ? "000001" : "000000")),
              Category::unauthenticated);
    ASSERT_TRUE(clocked.confirm_totp("wang", code()));
    EXPECT_FALSE(clocked.verify_totp("wang", code())) << "the code that confirmed is used up";
    at.milliseconds += 30'000;
    const std::string next = code();
    EXPECT_TRUE(clocked.verify_totp("wang", next));
    EXPECT_FALSE(clocked.verify_totp("wang", next)) << "once";
    EXPECT_EQ(category_of(clocked.confirm_totp("wang", next)), Category::conflict);
}

TEST_F(AccountTest, RecoveryCodesCountOnceAndOnlyAfterOneWasConfirmed) {
    make("wang");
    EXPECT_EQ(category_of(accounts.begin_recovery_codes("wang")), Category::conflict);
    ASSERT_TRUE(accounts.add_passkey("wang", {.id = "k", .public_key = "p"}));
    const auto codes = accounts.begin_recovery_codes("wang");
    ASSERT_TRUE(codes);
    ASSERT_EQ(codes->size(), 10u);
    EXPECT_FALSE(accounts.verify_recovery_code("wang", (*codes)[0]));
    EXPECT_FALSE(accounts.confirm_recovery_codes("wang", "abcd"));
    ASSERT_TRUE(accounts.confirm_recovery_codes("wang", (*codes)[3]));
    EXPECT_TRUE(accounts.verify_recovery_code("wang", (*codes)[0]));
    EXPECT_FALSE(accounts.verify_recovery_code("wang", (*codes)[0]));
    std::string typed = text::to_upper((*codes)[1]);
    std::replace(typed.begin(), typed.end(), '-', ' ');
    EXPECT_TRUE(accounts.verify_recovery_code("wang", typed));
    EXPECT_EQ((*accounts.find("wang"))->recovery_codes.size(), 8u);
    EXPECT_FALSE(accounts.verify_recovery_code("wang", ""));
}

TEST_F(AccountTest, PasskeysBelongToOneAccountAndTheirCounterGrows) {
    make("wang");
    make("li");
    ASSERT_TRUE(
        accounts.add_passkey("wang", {.id = "k", .public_key = "p", .signature_counter = 5}));
    EXPECT_EQ(category_of(accounts.add_passkey("li", {.id = "k"})), Category::conflict);
    EXPECT_EQ((*accounts.find_by_passkey("k"))->name, "wang");
    EXPECT_TRUE(accounts.passkey_used("wang", "k", 6));
    EXPECT_EQ(category_of(accounts.passkey_used("wang", "k", 6)), Category::unauthenticated);
    EXPECT_EQ(category_of(accounts.passkey_used("wang", "k", 0)), Category::unauthenticated);
    ASSERT_TRUE(accounts.add_passkey("wang", {.id = "z"}));
    EXPECT_TRUE(accounts.passkey_used("wang", "z", 0));  // one that does not count
    EXPECT_TRUE(accounts.passkey_used("wang", "z", 0));
    ASSERT_TRUE(accounts.remove_passkey("wang", "k"));
    EXPECT_FALSE(*accounts.find_by_passkey("k"));
    EXPECT_TRUE(accounts.add_passkey("li", {.id = "k"}));
}

TEST_F(AccountTest, IdentitiesOfOtherProviders) {
    make("wang");
    make("li");
    const FederatedIdentity identity{"https://issuer.example", "42"};
    ASSERT_TRUE(accounts.link("wang", identity));
    EXPECT_EQ(category_of(accounts.link("li", identity)), Category::conflict);
    EXPECT_EQ((*accounts.find_by_identity(identity))->name, "wang");
    EXPECT_FALSE(*accounts.find_by_identity({"https://issuer.example4", "2"}));
    ASSERT_TRUE(accounts.unlink("wang", identity));
    EXPECT_FALSE(*accounts.find_by_identity(identity));
}

TEST(Password, Rules) {
    const PasswordContext own{.name = "wang.wei",
                              .display_name = "Wang Wei",
                              .organisation = "Organization/north-hospital"};
    const auto why = [&](std::string_view text) {
        const auto chosen = chosen_password(text, own);
        return chosen ? std::string("good") : chosen.error().where;
    };
    EXPECT_EQ(why("1q3_Xz7"), "short");
    EXPECT_EQ(why("密码密码密码密"), "short");  // seven characters, 21 bytes
    EXPECT_EQ(why("冬天来了春天还会远吗"), "good");
    EXPECT_EQ(why("correct monkeys"), "good");
    EXPECT_EQ(why("lavendel"), "good");  // no rule about kinds of characters
    EXPECT_EQ(why("Wang Wei"), "own");
    EXPECT_EQ(why("WANG.WEI"), "own");
    EXPECT_EQ(why(std::string(1000, 'a') + "b"), "");
    for (const char* common :
         {"password",         "Password1",  "P@ssw0rd",    "passw0rd2024!", "12345678",
          "87654321",         "qwertyuiop", "1qaz2wsx",    "1q2w3e4r",      "woaini1314",
          "5201314520",       "aaaaaaaa",   "abcabcabc",   "19800101",      "31121999",
          "Dragon2024!",      "iloveyou",   "zxcvbnm,",    "hospital1",     "admin123456",
          "ｐａｓｓｗｏｒｄ", "mima1234",   "monkeymonkey"})
        EXPECT_EQ(why(common), "common") << common;
    EXPECT_FALSE(normal_password("a\xff\xff\xff\xff\xff\xff\xff"));
    EXPECT_TRUE(normal_password(std::string(1000, 'x')));
}

TEST(Password, TheCommonestOfThoseThatWereBreachedAreRefused) {
    const std::string list =
        *read_file(MERIDIAN_SOURCE_DIR "/data/trust/breached_passwords.txt", 1 << 20);
    std::size_t seen = 0;
    for (std::size_t begin = 0; begin < list.size();) {
        const std::size_t end = std::min(list.find('\n', begin), list.size());
        const std::string word = list.substr(begin, end - begin);
        begin = end + 1;
        if (word.starts_with('#')) continue;
        ++seen;
        const auto chosen = chosen_password(word, {});
        ASSERT_FALSE(chosen) << word;
        EXPECT_EQ(chosen.error().where, "common") << word;
    }
    EXPECT_EQ(seen, 10'000u);
    EXPECT_FALSE(chosen_password("TrustNo1", {}));
    EXPECT_FALSE(chosen_password("Liverpool77!", {}));
}

TEST(Password, AnErrorNeverHoldsThePassword) {
    for (const char* text : {"short", "password", "wang"}) {
        const auto refused = chosen_password(text, {.name = "wang"});
        ASSERT_FALSE(refused);
        if (std::string_view(text) != "password") {
            EXPECT_EQ(refused.error().message.find(text), std::string::npos);
        }
    }
}

TEST(Password, AGateLetsABoundedNumberThrough) {
    Gate gate(1, 1);
    ASSERT_TRUE(gate.enter());
    std::thread waiting([&] {
        EXPECT_TRUE(gate.enter());
        gate.leave();
    });
    // Either the other waits already, and there is no place; or it is this call that waits.
    Gate full(1, 0);
    ASSERT_TRUE(full.enter());
    const auto refused = full.enter();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::busy);
    gate.leave();
    waiting.join();
    full.leave();
    EXPECT_TRUE(full.enter());
}

TEST(RecoveryCode, AreTooManyToGuessAndNeverTheSame) {
    std::set<std::string> seen;
    std::set<char> letters;
    for (int round = 0; round < 20; ++round) {
        for (std::string code : new_recovery_codes()) {
            std::erase(code, '-');
            // Five bits each (base 32): a plain hash may keep them from 112 bits on.
            EXPECT_GE(5 * code.size(), 112u);
            letters.insert(code.begin(), code.end());
            EXPECT_TRUE(seen.insert(code).second);
        }
    }
    EXPECT_EQ(seen.size(), 20 * limits::recovery_codes);
    EXPECT_EQ(letters.size(), 32u) << "every letter occurs among some thousands";
}

TEST(OneTimeCode, VectorsOfRfc4226) {  // appendix D
    const char* codes[] = {"755224", "287082", "359152", "969429", "338314",
                           "254676", "287922", "162583", "399871", "520489"};
    for (std::uint64_t counter = 0; counter < 10; ++counter)
        EXPECT_EQ(one_time_code("12345678901234567890", counter, 6), codes[counter]);
}

TEST(OneTimeCode, VectorsOfRfc6238) {  // appendix B, SHA-1
    const std::pair<std::int64_t, const char*> vectors[] = {
        {59, "94287082"},         {1111111109, "07081804"}, {1111111111, "14050471"},
        {1234567890, "89005924"}, {2000000000, "69279037"}, {20000000000, "65353130"}};
    for (const auto& [seconds, code] : vectors)
        EXPECT_EQ(one_time_code("12345678901234567890",
                                static_cast<std::uint64_t>(totp_step({seconds * 1000})), 8),
                  code);
}

TEST(OneTimeCode, OneStepEitherSideAndNoneBefore) {
    const std::string secret = "12345678901234567890";
    const auto code = [&](std::int64_t step) {
        return one_time_code(secret, static_cast<std::uint64_t>(step), 6);
    };
    const Instant at{1'000'000'000};
    const std::int64_t step = totp_step(at);
    for (const std::int64_t near : {step - 1, step, step + 1})
        EXPECT_EQ(matching_totp_step(secret, code(near), at, 0), near);
    EXPECT_FALSE(matching_totp_step(secret, code(step - 2), at, 0));
    EXPECT_FALSE(matching_totp_step(secret, code(step + 2), at, 0));
    EXPECT_FALSE(matching_totp_step(secret, code(step), at, step));
    EXPECT_TRUE(matching_totp_step(secret, code(step).insert(3, " "), at, 0));
    EXPECT_FALSE(matching_totp_step(secret, "", at, 0));
    EXPECT_FALSE(matching_totp_step(secret, code(step) + "0", at, 0));
    EXPECT_EQ(base32("12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

}  // namespace
}  // namespace meridian::trust
