// SPDX-License-Identifier: Apache-2.0
#include "trust/approvals/approvals.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "base/testing.hpp"
#include "store/testing.hpp"
#include "trust/approvals/limits.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/audit/trail.hpp"
#include "trust/master_key.hpp"
#include "trust/store_vault.hpp"
#include "trust/testing/one_update.hpp"

namespace meridian::trust::approvals {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

class ApprovalsTest : public ::testing::Test {
 protected:
    ApprovalsTest() {
        kind_.name = "lower-label";
        kind_.ask = {Role::doctor, Role::nurse};
        kind_.decide = {Role::doctor, Role::data_manager};
        kind_.decide_within = std::chrono::minutes(100);
        kind_.use_within = std::chrono::minutes(10);
        // The audit is indexed by patients that the record knows.
        must(must(fhir::Repository::open(*store_, {}))
                 ->commit(fhir::Caller::system("test"),
                          testing::one_update(R"({"resourceType":"Patient","id":"p1"})")));
    }

    static Subject subject(std::string account, Role role, std::string person,
                           std::string organisation = "Organization/o1") {
        Subject subject;
        subject.account = std::move(account);
        subject.role = role;
        subject.person = std::move(person);
        subject.organisation = std::move(organisation);
        return subject;
    }
    static fhir::Caller caller(const Subject& who) {
        fhir::Caller caller;
        caller.actor = who.person;
        auto origin = std::make_shared<fhir::Origin>();
        origin->account = who.account;
        caller.origin = std::move(origin);
        return caller;
    }
    Result<Approval> ask(const Subject& who, std::string reason = "entered for the wrong person") {
        return approvals_.ask(who, caller(who),
                              {.kind = "lower-label",
                               .target = "Observation/7",
                               .detail = "psychiatry",
                               .reason = std::move(reason),
                               .patients = {"p1"}});
    }
    Result<Approval> decide(const Subject& who, const Approval& approval, bool approve = true,
                            std::string_view reason = "seen") {
        return approvals_.decide(who, caller(who), approval.id, approve, reason);
    }
    std::size_t standing(const Subject& who) {
        return must(approvals_.standing("lower-label", "Observation/7", who.account)).size();
    }
    Result<Approval> use(const Subject& who) {
        return approvals_.use(who, caller(who), "lower-label", "Observation/7");
    }
    void pass(int minutes) { at_.milliseconds += minutes * std::int64_t{60'000}; }
    /// What the audit tells of the patient, oldest first: "li approval asked: …".
    std::vector<std::string> told() {
        std::vector<std::string> all;
        for (const auto& access : must(audit::accesses_of(*store_, "p1", 1'000'000, 100)))
            all.insert(all.begin(),
                       fmt::format("{} {} {}", access.entry.account, access.entry.query,
                                   static_cast<int>(access.entry.outcome)));
        return all;
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_ =
        must(store::open_for_test({.folder = folder_.path(), .cache_bytes = 16 << 20}));
    std::unique_ptr<Vault> vault_ =
        store_vault(*store_, must(open_master_key(*store_, folder_.path())));
    audit::LogAudit audit_{*store_};
    Kind kind_;
    Instant at_ = now();
    bool is_audit_down_ = false;
    Approvals approvals_{
        *vault_,
        {.kind =
             [this](std::string_view name) {
                 return name == kind_.name ? std::optional(kind_) : std::nullopt;
             },
         .audit = [this](const fhir::Caller& who,
                         std::vector<fhir::AuditRecord> records) -> Result<void> {
             if (is_audit_down_) return fail(Category::unavailable, "the disk is full");
             return store::with_names([&] { return audit_.record(who, std::move(records)); });
         },
         .clock = [this] { return at_; }}};
    const Subject li_ = subject("li", Role::doctor, "Practitioner/li");
    const Subject wang_ = subject("wang", Role::doctor, "Practitioner/wang");
    const Subject zhao_ = subject("zhao", Role::data_manager, "Practitioner/zhao");
};

TEST_F(ApprovalsTest, ItTakesASecondPerson) {
    const Approval asked = must(ask(li_));
    EXPECT_EQ(standing(li_), 0u) << "asking alone gives nothing";
    EXPECT_EQ(use(li_).error().category, Category::forbidden);
    EXPECT_EQ(decide(li_, asked).error().category, Category::forbidden);
    // Another account of the same person is no second person.
    EXPECT_EQ(
        decide(subject("li-2", Role::data_manager, "Practitioner/li"), asked).error().category,
        Category::forbidden);
    must(decide(wang_, asked));
    EXPECT_EQ(standing(li_), 1u);
    EXPECT_EQ(standing(wang_), 0u) << "it is for who asked";
    const Approval used = must(use(li_));
    EXPECT_EQ(used.state, State::used);
    EXPECT_EQ(used.decided_by->account, "wang");
    EXPECT_EQ(standing(li_), 0u);
    EXPECT_EQ(use(li_).error().category, Category::forbidden) << "once only";
}

TEST_F(ApprovalsTest, OnlyWhoMayDecidesAndOthersDoNotLearnOfIt) {
    EXPECT_EQ(ask(zhao_).error().category, Category::forbidden);
    const Approval asked = must(ask(li_));
    const Subject nurse = subject("nurse", Role::nurse, "Practitioner/n");
    const Subject stranger =
        subject("stranger", Role::doctor, "Practitioner/s", "Organization/other");
    for (const Subject& who : {nurse, stranger}) {
        EXPECT_EQ(decide(who, asked).error().category, Category::not_found);
        EXPECT_TRUE(must(approvals_.list(who, false)).empty());
    }
    Subject app = wang_;
    app.scopes = {"user/*.cruds"};
    EXPECT_EQ(decide(app, asked).error().category, Category::forbidden);
    Approval never = asked;
    never.id.back() = never.id.back() == '0' ? '1' : '0';
    EXPECT_EQ(decide(wang_, never).error().message, decide(nurse, asked).error().message);
    ASSERT_EQ(must(approvals_.list(wang_, true)).size(), 1u);
    EXPECT_EQ(must(approvals_.list(wang_, true)).front().reason, "entered for the wrong person");
    EXPECT_EQ(must(approvals_.list(li_, true)).size(), 1u);
    must(decide(zhao_, asked));
    EXPECT_TRUE(must(approvals_.list(wang_, true)).empty());
    EXPECT_EQ(must(approvals_.list(li_, false)).front().state, State::approved);
    EXPECT_EQ(must(approvals_.list(zhao_, false)).size(), 1u);
}

TEST_F(ApprovalsTest, ARefusalHasAReasonAndGivesNothing) {
    EXPECT_EQ(ask(li_, "x").error().category, Category::incorrect);
    const Approval asked = must(ask(li_));
    EXPECT_EQ(decide(wang_, asked, false, "").error().category, Category::incorrect);
    must(decide(wang_, asked, false, "the label is right"));
    EXPECT_EQ(standing(li_), 0u);
    EXPECT_EQ(decide(zhao_, asked).error().category, Category::conflict) << "it is decided";
}

TEST_F(ApprovalsTest, TimeRunsOut) {
    const Approval late = must(ask(li_));
    pass(100);
    EXPECT_EQ(decide(wang_, late).error().category, Category::conflict);
    EXPECT_EQ(must(approvals_.list(li_, false)).front().state, State::lapsed);
    const Approval asked = must(ask(li_));
    must(decide(wang_, asked));
    pass(9);
    EXPECT_EQ(standing(li_), 1u);
    pass(1);
    EXPECT_EQ(standing(li_), 0u);
    EXPECT_EQ(use(li_).error().category, Category::forbidden);
}

TEST_F(ApprovalsTest, EachStepIsToldBeforeItIsTaken) {
    const Approval asked = must(ask(li_));
    must(decide(wang_, asked));
    must(use(li_));
    EXPECT_EQ(told(), (std::vector<std::string>{"li approval asked: lower-label psychiatry 0",
                                                "wang approval approved: lower-label psychiatry 0",
                                                "li approval used: lower-label psychiatry 0"}));
    const Approval other = must(ask(li_));
    is_audit_down_ = true;
    EXPECT_EQ(decide(wang_, other).error().category, Category::unavailable);
    EXPECT_EQ(ask(li_).error().category, Category::unavailable);
    is_audit_down_ = false;
    EXPECT_EQ(standing(li_), 0u) << "what could not be told was not done";
    EXPECT_EQ(must(approvals_.list(wang_, true)).size(), 1u);
}

TEST_F(ApprovalsTest, OneOfManyDecisionsCounts) {
    const Approval asked = must(ask(li_));
    std::atomic<int> taken = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&, i] {
                if (decide(i % 2 == 0 ? wang_ : zhao_, asked, i % 2 == 0, "seen")) ++taken;
            });
    }
    EXPECT_EQ(taken, 1);
}

TEST_F(ApprovalsTest, ItLiesSealed) {
    const Approval asked = must(ask(li_, "she was never in the ward"));
    const auto row = must(store_->private_row("approval", asked.id));
    ASSERT_TRUE(row);
    for (const char* word : {"never", "Observation", "psychiatry"})
        EXPECT_EQ((row->key + row->value).find(word), std::string::npos) << word;
}

TEST_F(ApprovalsTest, WhatGoesWithAChangeIsUsedExactlyOnce) {
    kind_.only_asker = false;
    must(decide(wang_, must(ask(li_))));
    const auto stand =
        must(approvals_.standing("lower-label", "Observation/7", "somebody who may write"));
    ASSERT_EQ(stand.size(), 1u);
    const auto use = must(approvals_.use_within_commit(caller(li_), stand.front()));
    for (const bool is_stale : {false, true}) {
        store::Commit commit;
        commit.private_rows = {use.row};
        commit.audit =
            must(store::with_names([&] { return audit_.entries(caller(li_), use.record); }));
        EXPECT_EQ(must(store_->commit(std::move(commit))).stale, is_stale);
        EXPECT_EQ(standing(li_), 0u);
    }
    ASSERT_FALSE(told().empty());
    EXPECT_EQ(told().back(), "li approval used: lower-label psychiatry 0");
}

TEST_F(ApprovalsTest, SoManyWaitAndNoMore) {
    for (std::size_t i = 0; i < limits::approvals_per_target_max; ++i) must(ask(li_));
    EXPECT_EQ(ask(wang_).error().category, Category::conflict);
}

}  // namespace
}  // namespace meridian::trust::approvals
