// SPDX-License-Identifier: Apache-2.0
#include "rest/basic_operations.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "fhir/search/parameters.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;
using subscriptions::testing::write;

/// Sees what is active, and no other patients.
class OnlyActive : public fhir::AccessFilter {
 public:
    explicit OnlyActive(fhir::Repository& repository) : repository_(repository) {}
    store::Condition visible(store::Name type) const override {
        const auto parameters = repository_.parameters();
        if (parameters->type_text(type) != "Patient") return store::Everything{};
        auto& names = repository_.store().names();
        const std::string system = "http://hl7.org/fhir/special-values";
        std::vector<std::int64_t> values{store::token_value(names, 0, {}, "true")};
        if (const store::Name name = names.find(store::NameKind::system, system); name != 0)
            values.push_back(store::token_value(names, name, system, "true"));
        return store::HasToken{parameters->find("Patient", "active")->name, values};
    }
    bool sees_everything() const override { return false; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return {};
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }

 private:
    fhir::Repository& repository_;
};

TEST(MetaInUse, TellsOnlyWhatTheCallerMaySee) {
    const Folder folder;
    const auto store = must_open(folder.path());
    const auto repository = must(fhir::Repository::open(*store, {}));
    write(*repository, R"({"resourceType":"Patient","id":"a","active":true,"meta":{)"
                       R"("tag":[{"system":"urn:t","code":"open"}]}})");
    write(*repository, R"({"resourceType":"Patient","id":"b","active":false,"meta":{)"
                       R"("profile":["http://example.org/hidden"],)"
                       R"("tag":[{"system":"urn:t","code":"hidden"}]}})");
    // The same tag on what is hidden and on what is not.
    write(*repository,
          R"({"resourceType":"Patient","id":"c","active":false,"meta":{)"
          R"("tag":[{"system":"urn:t","code":"open"},{"system":"urn:t","code":"also-hidden"}]}})");
    Service service(*repository, {.gate = trust::open_gate()});
    add_basic_operations(service);
    Exchange exchange;
    exchange.path = {"Patient", "$meta"};
    const Answer all = must(service.dispatch(exchange));
    for (const char* word : {"open", "hidden", "also-hidden", "example.org"})
        EXPECT_NE(all.json.find(word), std::string::npos) << word;
    exchange.caller.access = std::make_shared<OnlyActive>(*repository);
    for (const std::vector<std::string>& path :
         {std::vector<std::string>{"Patient", "$meta"}, std::vector<std::string>{"$meta"}}) {
        exchange.path = path;
        const Answer some = must(service.dispatch(exchange));
        EXPECT_NE(some.json.find("open"), std::string::npos) << some.json;
        EXPECT_EQ(some.json.find("hidden"), std::string::npos) << some.json;
    }
}

}  // namespace
}  // namespace meridian::rest
