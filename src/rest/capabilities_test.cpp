// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/json.hpp"
#include "base/limits.hpp"
#include "fhir/format/xml.hpp"
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

net::Response ask(Service& service, const std::string& target, const std::string& host,
                  const std::string& accept) {
    net::Request request;
    request.method_text = "GET";
    request.target = target;
    request.headers.add("Host", host);
    request.headers.add("Accept", accept);
    return service.handle(request);
}

TEST_F(Metadata, IsWrittenOnceForEachFormAndNamesTheBaseOfWhoAsks) {
    const auto before = service_.statement();
    const std::string strange = R"(a"b<c>&'d)";  // a Host header is whatever a client writes
    for (const char* target : {"/fhir/metadata", "/fhir/metadata?_pretty=true"}) {
        for (const char* accept : {"application/fhir+json", "application/fhir+xml"}) {
            for (const std::string& host : {std::string("record.test"), strange}) {
                const net::Response response = ask(service_, target, host, accept);
                ASSERT_EQ(response.status, 200);
                EXPECT_TRUE(response.headers.get("Content-Type").starts_with(accept));
                const JsonDocument document = response.body.starts_with('<')
                                                  ? must(fhir::from_xml(response.body))
                                                  : must(JsonDocument::parse(response.body));
                EXPECT_EQ(document.root()["implementation"].string_at("url"),
                          fmt::format("http://{}/fhir", host));
            }
        }
    }
    EXPECT_EQ(ask(service_, "/fhir/metadata", "a", "").headers.get("ETag"),
              ask(service_, "/fhir/metadata", "a", "").headers.get("ETag"));
    EXPECT_NE(ask(service_, "/fhir/metadata", "a", "").headers.get("ETag"),
              ask(service_, "/fhir/metadata", "b", "").headers.get("ETag"));
    EXPECT_TRUE(service_.statement() == before) << "no request makes it anew";
    service_.set_capability("security", R"({"cors":true})");
    EXPECT_FALSE(service_.statement() == before);
    EXPECT_NE(ask(service_, "/fhir/metadata", "a", "").body.find(R"("cors":true)"),
              std::string::npos);
}

TEST_F(Metadata, AsksNothingOfTheStore) {
    // Nobody can look into the record any more: all snapshots that may be open are.
    std::vector<std::unique_ptr<store::Snapshot>> taken;
    while (taken.size() <= limits::snapshots_max) {
        auto snapshot = store_->snapshot();
        if (!snapshot) break;
        taken.push_back(*std::move(snapshot));
    }
    EXPECT_EQ(ask(service_, "/fhir/Patient", "a", "").status, 503);
    for (const char* target : {"/fhir/metadata", "/fhir/metadata?mode=normative",
                               "/fhir/metadata?mode=terminology", "/fhir/metadata?_format=xml"})
        EXPECT_EQ(ask(service_, target, "a", "").status, 200) << target;
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
