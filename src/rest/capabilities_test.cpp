// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/json.hpp"
#include "fhir/validate/validator.hpp"
#include "rest/basic_operations.hpp"
#include "rest/subscriptions/testing.hpp"
#include "rest/terminology_operations.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;
using subscriptions::testing::write;

class Metadata : public ::testing::Test {
 protected:
    Metadata()
        : store_(must_open(folder_.path())),
          repository_(must(fhir::Repository::open(*store_, {}))),
          service_(*repository_, {.gate = trust::open_gate()}) {
        add_basic_operations(service_);
        add_terminology_operations(
            service_, std::make_shared<const fhir::terminology::Terminology>(repository_.get()));
    }

    JsonDocument metadata(const std::string& mode) {
        Exchange exchange;
        exchange.path = {"metadata"};
        exchange.base_url = "http://record.test/fhir";
        exchange.parameters = {{"mode", mode}};
        const Answer answer = must(service_.dispatch(exchange));
        exchange.if_none_match = answer.headers.front().second;
        EXPECT_EQ(must(service_.dispatch(exchange)).status, 304);
        JsonDocument document = must(JsonDocument::parse(answer.json));
        std::vector<Issue> issues;
        fhir::validate_structure(document.root(), issues);
        EXPECT_FALSE(fhir::has_errors(issues)) << issues.front().path << issues.front().message;
        return document;
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    Service service_;
};

bool names(const Json& list, std::string_view name) {
    return std::any_of(list.items().begin(), list.items().end(), [&](const Json& item) {
        return item.is_string() ? item.text() == name
                                : item.string_at("name") == name || item.string_at("uri") == name;
    });
}

TEST_F(Metadata, NamesWhatIsOfferedAndNothingElse) {
    const JsonDocument document = metadata("full");
    const Json& rest = document.root()["rest"].items()[0];
    EXPECT_TRUE(names(rest["operation"], "meta"));
    EXPECT_FALSE(names(rest["operation"], "graphql"));
    EXPECT_FALSE(names(rest["operation"], "sql-run"));
    for (const Json& resource : rest["resource"].items()) {
        if (resource.string_at("type") != "Patient") continue;
        EXPECT_TRUE(names(resource["operation"], "everything"));
        EXPECT_FALSE(names(resource["operation"], "match"));
        EXPECT_TRUE(names(resource["searchRevInclude"], "Observation:patient"));
        EXPECT_TRUE(names(resource["searchRevInclude"], "Provenance:target"));
        EXPECT_FALSE(names(resource["searchRevInclude"], "Patient:organization"));
        return;
    }
    ADD_FAILURE() << "no Patient";
}

TEST_F(Metadata, OfTerminologyNamesTheCodeSystems) {
    write(*repository_,
          R"({"resourceType":"CodeSystem","id":"c","url":"urn:own","status":"active",)"
          R"("content":"complete"})");
    const JsonDocument document = metadata("terminology");
    EXPECT_EQ(document.root().string_at("resourceType"), "TerminologyCapabilities");
    EXPECT_TRUE(names(document.root()["codeSystem"], "urn:own"));
    EXPECT_TRUE(names(document.root()["codeSystem"], "http://hl7.org/fhir/administrative-gender"));
    EXPECT_TRUE(names(document.root()["expansion"]["parameter"], "filter"));
}

}  // namespace
}  // namespace meridian::rest
