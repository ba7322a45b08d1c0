// SPDX-License-Identifier: Apache-2.0
// What is recorded of reads that a replica may answer.
#include <gtest/gtest.h>

#include <thread>

#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "store/open.hpp"
#include "store/postgres/test_cluster.hpp"

namespace meridian::fhir {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

class Recording final : public AuditSink {
 public:
    bool is_quiet() const override { return false; }
    Result<void> record(const Caller&, std::vector<AuditRecord> records) override {
        for (const AuditRecord& record : records)
            all.push_back(fmt::format("{} {} {} {}", static_cast<int>(record.interaction),
                                      record.type, record.id, static_cast<int>(record.outcome)));
        return {};
    }
    Result<std::vector<store::AuditEntry>> entries(const Caller&, const AuditRecord&) override {
        return std::vector<store::AuditEntry>();
    }
    /// What was recorded since the last call.
    std::vector<std::string> take() { return std::exchange(all, {}); }

 private:
    std::vector<std::string> all;
};

/// A record whose database is named as its own replica: always fresh, and asked as one.
class StaleRead : public ::testing::Test {
 protected:
    void SetUp() override {
        caller_.max_stale = std::chrono::seconds(60);
        Resource made;
        Transaction transaction;
        Operation operation;
        operation.kind = Operation::Kind::update;
        operation.type = "Basic";
        operation.id = "here";
        operation.document = std::make_shared<JsonDocument>(must(
            JsonDocument::parse(R"({"resourceType":"Basic","id":"here","code":{"text":"x"}})")));
        operation.resource = operation.document->root();
        transaction.operations.push_back(std::move(operation));
        must(repository_->commit(Caller::system("test"), std::move(transaction)));
        // A replica counts when its beat has been seen to come.
        for (int i = 0; i < 600 && !must(repository_->read(caller_, "Basic", "here")).age; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        audit_->take();
    }
    std::unique_ptr<store::Store> open() {
        const std::string url =
            store::postgres::TestCluster::instance().database_for(folder_.path());
        return must(store::open({.folder = folder_.path(), .database = url, .replicas = {url}}));
    }
    static Repository::Options with(std::shared_ptr<AuditSink> audit) {
        Repository::Options options;
        options.audit = std::move(audit);
        return options;
    }

    Folder folder_;
    std::shared_ptr<Recording> audit_ = std::make_shared<Recording>();
    std::unique_ptr<store::Store> store_ = open();
    std::unique_ptr<Repository> repository_ = must(Repository::open(*store_, with(audit_)));
    Caller caller_{.actor = "Practitioner/1"};
};

using Records = std::vector<std::string>;

TEST_F(StaleRead, IsRecordedOnceWhoeverAnswersIt) {
    EXPECT_TRUE(must(repository_->read(caller_, "Basic", "here")).age) << "of the replica";
    EXPECT_EQ(audit_->take(), Records{"1 Basic here 0"});
    // What it does not have is asked again of the record itself.
    EXPECT_FALSE(repository_->read(caller_, "Basic", "elsewhere"));
    EXPECT_EQ(audit_->take(), Records{"1 Basic elsewhere 4"});
    EXPECT_FALSE(repository_->read_version(caller_, "Basic", "here", 7));
    EXPECT_EQ(audit_->take(), Records{"2 Basic here 4"});
    const QueryParameters code{{"code:text", "x"}};
    EXPECT_TRUE(must(repository_->search(caller_, "Basic", code, {})).age);
    EXPECT_EQ(audit_->take().size(), 1u);
}

}  // namespace
}  // namespace meridian::fhir
