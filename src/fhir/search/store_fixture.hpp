// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/query_string.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/run.hpp"
#include "fhir/search/test_support.hpp"
#include "store/testing.hpp"

/// For tests of search: whole searches on the embedded store in a folder of its own.
namespace meridian::fhir::search::testing {

using Ids = std::vector<std::string>;

/// Sees all but the resources with one logical id.
class AllBut : public AccessFilter {
 public:
    explicit AllBut(std::string hidden) : hidden_(std::move(hidden)) {}
    store::Condition visible(store::Name type) const override {
        store::Conditions parts;
        parts.push_back(store::HasId{type, {hidden_}});
        return store::NoneOf{std::move(parts)};
    }
    bool sees_everything() const override { return false; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return {};
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }

 private:
    std::string hidden_;
};

/// Hides one type.
class AllButType : public AllBut {
 public:
    explicit AllButType(store::Name hidden) : AllBut(""), hidden_type_(hidden) {}
    store::Condition visible(store::Name type) const override {
        if (type == hidden_type_) return store::Nothing{};
        return store::Everything{};
    }

 private:
    store::Name hidden_type_;
};

class StoreFixture : public ::testing::Test {
 protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
                  fmt::format("meridian_search_{}_{}", getpid(), counter_++);
        auto opened = store::open_for_test({.folder = folder_.string()});
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        store_ = *std::move(opened);
        parameters_ = Parameters::make(definitions(), store_->names());
    }
    void TearDown() override {
        store_.reset();
        std::filesystem::remove_all(folder_);
    }

    void put(std::string_view json) { put_all({std::string(json)}); }
    /// Several in one commit.
    void put_all(const std::vector<std::string>& texts) {
        store::Commit commit;
        for (const std::string& json : texts) {
            const auto document = JsonDocument::parse(json);
            ASSERT_TRUE(document.has_value()) << json;
            const std::string type(document->root().string_at("resourceType"));
            store::Change change;
            change.identity = {parameters_->type_name(type),
                               std::string(document->root().string_at("id"))};
            change.body = json;
            change.rows = extract(*parameters_, type, document->root(), store_->names(),
                                  {"http://here/fhir"});
            commit.changes.push_back(std::move(change));
        }
        const auto receipt = store_->commit(std::move(commit));
        ASSERT_TRUE(receipt.has_value()) << receipt.error().message;
    }
    void remove(std::string_view type, std::string_view id) {
        store::Commit commit;
        store::Change change;
        change.verb = store::Verb::remove;
        change.identity = {parameters_->type_name(type), std::string(id)};
        commit.changes.push_back(std::move(change));
        ASSERT_TRUE(store_->commit(std::move(commit)).has_value());
    }

    static Result<std::string> read(const store::Stored& stored) { return stored.body; }
    Result<Answer> answer(std::string_view type, std::string_view text,
                          std::shared_ptr<const AccessFilter> access = permit_all()) {
        auto snapshot = TRY(store_->snapshot());
        const SnapshotTimeline timeline(*snapshot);
        ParseOptions options = options_;
        options.base_url = "http://here/fhir";
        options.now = now();
        options.timeline = &timeline;
        options.access = std::move(access);
        const SnapshotCanonicals canonicals(*snapshot, read);
        options.canonicals = &canonicals;
        auto query =
            TRY(parse(*parameters_, store_->names(), type, TRY(parse_query_string(text)), options));
        return search::run({*snapshot, *parameters_, &cursors_, "me", now(), read, &store_->names(),
                            "http://here/fhir"},
                           std::make_shared<const Query>(std::move(query)));
    }
    Result<Answer> page(std::string_view token, const std::string& actor = "me",
                        std::shared_ptr<const AccessFilter> access = permit_all()) {
        auto snapshot = TRY(store_->snapshot());
        return run_page({*snapshot, *parameters_, &cursors_, actor, now(), read, &store_->names(),
                         "http://here/fhir"},
                        token, *access);
    }
    Ids ids_of(const Result<Answer>& answer,
               Page::Entry::Mode mode = Page::Entry::Mode::match) const {
        if (!answer) return {"error: " + answer.error().message};
        Ids ids;
        for (const auto& entry : answer->entries) {
            if (entry.mode == mode) ids.push_back(entry.stored.id);
        }
        return ids;
    }
    /// Ids of the matches, sorted unless the search sorts.
    Ids find(std::string_view type, std::string_view text,
             std::shared_ptr<const AccessFilter> access = permit_all()) {
        Ids ids = ids_of(answer(type, text, std::move(access)));
        if (text.find("_sort") == std::string_view::npos) std::sort(ids.begin(), ids.end());
        return ids;
    }
    Ids included_by(std::string_view type, std::string_view text) {
        Ids ids = ids_of(answer(type, text), Page::Entry::Mode::include);
        std::sort(ids.begin(), ids.end());
        return ids;
    }

    std::filesystem::path folder_;
    std::unique_ptr<store::Store> store_;
    std::shared_ptr<const Parameters> parameters_;
    Cursors cursors_;
    ParseOptions options_;
    static inline int counter_ = 0;
};

}  // namespace meridian::fhir::search::testing
