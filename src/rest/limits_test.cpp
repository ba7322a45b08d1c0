// SPDX-License-Identifier: Apache-2.0
// Bounds that a caller meets only on a large record or beside busy writers, made small here.
#include "base/limits.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "rest/basic_operations.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;
using subscriptions::testing::write;

net::Response get(Service& service, std::string target) {
    net::Request request;
    request.method = net::Method::get;
    request.method_text = "GET";
    request.target = std::move(target);
    request.headers.add("Host", "record.test");
    return service.handle(request);
}

/// The target of a bundle's next link; empty on the last page.
std::string next_of(const net::Response& page) {
    const JsonDocument bundle = must(JsonDocument::parse(page.body));
    for (const Json& link : bundle.root()["link"].items()) {
        const std::string_view url = link.string_at("url");
        if (link.string_at("relation") == "next") return std::string(url.substr(url.find("/fhir")));
    }
    return {};
}

std::size_t entries_of(const net::Response& page) {
    return must(JsonDocument::parse(page.body)).root()["entry"].size();
}

TEST(RestLimits, ASortedWalkEndsWithASentence) {
    const Folder folder;
    const auto store = must_open(folder.path());
    fhir::Repository::Options options;
    EXPECT_EQ(options.walk_results_max, limits::page_walk_ids_max);
    options.walk_results_max = 4;
    const auto repository = must(fhir::Repository::open(*store, options));
    for (int i = 0; i < 6; ++i) {
        write(*repository,
              fmt::format(R"({{"resourceType":"Patient","id":"p{}","active":true}})", i));
        write(*repository,
              fmt::format(R"({{"resourceType":"Basic","id":"b{}","code":{{"text":"x"}}}})", i));
    }
    Service service(*repository, {.gate = trust::open_gate()});
    for (const char* search : {"/fhir/Patient?_sort=_id&_count=2",
                               "/fhir?_type=Patient,Basic&_sort=_lastUpdated&_count=2"}) {
        net::Response page = get(service, search);
        ASSERT_EQ(page.status, 200) << page.body;
        page = get(service, next_of(page));
        ASSERT_EQ(page.status, 200) << page.body;
        EXPECT_EQ(entries_of(page), 2u);
        const net::Response refused = get(service, next_of(page));
        EXPECT_EQ(refused.status, 413) << refused.body;
        EXPECT_NE(refused.body.find("a sorted search gives at most 4 results: narrow it"),
                  std::string::npos)
            << refused.body;
    }
    // Without an order nothing is remembered, and nothing is bounded.
    std::size_t seen = 0;
    for (std::string target = "/fhir/Patient?active=true&_count=2"; !target.empty();) {
        const net::Response page = get(service, target);
        ASSERT_EQ(page.status, 200) << page.body;
        seen += entries_of(page);
        target = next_of(page);
    }
    EXPECT_EQ(seen, 6u);
}

TEST(RestLimits, LastNLooksThroughSoMany) {
    const Folder folder;
    const auto store = must_open(folder.path());
    const auto repository = must(fhir::Repository::open(*store, {}));
    for (int i = 0; i < 4; ++i) {
        write(*repository, fmt::format(R"({{"resourceType":"Observation","id":"o{}",)"
                                       R"("status":"final","code":{{"text":"x"}},)"
                                       R"("subject":{{"reference":"Patient/{}"}}}})",
                                       i, i < 3 ? "a" : "b"));
    }
    ServiceOptions options{.gate = trust::open_gate()};
    EXPECT_EQ(options.everything_resources_max, limits::everything_resources_max);
    options.everything_resources_max = 2;
    Service service(*repository, options);
    add_basic_operations(service);
    EXPECT_EQ(get(service, "/fhir/Observation/$lastn?patient=b").status, 200);
    const net::Response refused = get(service, "/fhir/Observation/$lastn?patient=a");
    EXPECT_EQ(refused.status, 413) << refused.body;
    EXPECT_NE(refused.body.find("too many observations for $lastn: narrow it by code"),
              std::string::npos)
        << refused.body;
}

TEST(RestLimits, AConditionalDeleteOfSeveralIsCapped) {
    const Folder folder;
    const auto store = must_open(folder.path());
    fhir::Repository::Options options;
    options.conditional_delete_many = true;
    const auto repository = must(fhir::Repository::open(*store, options));
    const fhir::Caller caller = fhir::Caller::system("test");
    const auto put = [&](std::size_t from, std::size_t to) {
        std::vector<store::Change> changes;
        for (std::size_t i = from; i < to; ++i) {
            const JsonDocument patient = must(JsonDocument::parse(
                fmt::format(R"({{"resourceType":"Patient","id":"p{}","active":true}})", i)));
            changes.push_back(must(
                repository->prepare(caller, "Patient", fmt::format("p{}", i), patient.root())));
        }
        must(repository->commit_prepared(caller, std::move(changes)));
    };
    Service service(*repository, {.gate = trust::open_gate()});
    Exchange exchange;
    exchange.method = net::Method::delete_;
    exchange.path = {"Patient"};
    exchange.parameters = {{"active", "true"}};
    put(0, limits::conditional_matches_max + 1);
    const auto refused = service.dispatch(exchange);
    ASSERT_FALSE(refused);
    EXPECT_EQ(answer_of(refused.error()).status, 412);
    EXPECT_NE(refused.error().message.find("more than 1000 resources: narrow it"),
              std::string::npos)
        << refused.error().message;
    const auto left = [&] {
        return must(repository->search(caller, "Patient", {{"_summary", "count"}}, {})).total;
    };
    EXPECT_EQ(left(), limits::conditional_matches_max + 1);
    exchange.parameters = {{"_id", "p0"}};
    must(service.dispatch(exchange));
    exchange.parameters = {{"active", "true"}};
    must(service.dispatch(exchange));
    EXPECT_EQ(left(), 0);
}

/// Another writer who is always faster: changes the patient whenever somebody else is about to.
class Rival : public fhir::AccessFilter {
 public:
    explicit Rival(fhir::Repository& repository) : repository_(repository) {}
    store::Condition visible(store::Name) const override { return store::Everything{}; }
    bool sees_everything() const override { return true; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        if (++attempts_ <= losses_)
            write(repository_, fmt::format(R"({{"resourceType":"Patient","id":"p",)"
                                           R"("name":[{{"family":"v{}"}}]}})",
                                           attempts_));
        return {};
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }

    void reset(unsigned losses) {
        attempts_ = 0;
        losses_ = losses;
    }
    unsigned attempts() const { return attempts_; }

 private:
    fhir::Repository& repository_;
    mutable unsigned attempts_ = 0;
    unsigned losses_ = 0;
};

TEST(RestLimits, AWriterThatAlwaysLosesIsToldToTryAgain) {
    const Folder folder;
    const auto store = must_open(folder.path());
    const auto repository = must(fhir::Repository::open(*store, {}));
    write(*repository, R"({"resourceType":"Patient","id":"p"})");
    Service service(*repository, {.gate = trust::open_gate()});
    const auto rival = std::make_shared<Rival>(*repository);
    Exchange exchange;
    exchange.method = net::Method::patch;
    exchange.path = {"Patient", "p"};
    exchange.content_type = "application/json-patch+json";
    exchange.body = R"([{"op":"add","path":"/active","value":true}])";
    exchange.caller.access = rival;

    rival->reset(limits::commit_retries_max);
    const auto refused = service.dispatch(exchange);
    ASSERT_FALSE(refused);
    EXPECT_EQ(rival->attempts(), limits::commit_retries_max);
    const Answer answer = answer_of(refused.error());
    EXPECT_EQ(answer.status, 503);
    EXPECT_NE(answer.json.find("others kept changing the resources that this request depends on"),
              std::string::npos)
        << answer.json;
    EXPECT_TRUE(std::any_of(answer.headers.begin(), answer.headers.end(),
                            [](const auto& header) { return header.first == "Retry-After"; }));

    // One attempt less against it, and the patch is applied to the newest version.
    rival->reset(limits::commit_retries_max - 1);
    must(service.dispatch(exchange));
    const std::string json =
        must(repository->read(fhir::Caller::system("test"), "Patient", "p")).json;
    EXPECT_NE(json.find(R"("active":true)"), std::string::npos) << json;
    EXPECT_NE(json.find(fmt::format(R"("family":"v{}")", limits::commit_retries_max - 1)),
              std::string::npos)
        << json;
}

}  // namespace
}  // namespace meridian::rest
