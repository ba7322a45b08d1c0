// SPDX-License-Identifier: Apache-2.0
#include "net/http.hpp"

#include <gtest/gtest.h>

namespace meridian::net {
namespace {

TEST(Url, TakesAnAddressApartAndPutsItTogether) {
    const auto url = Url::parse("HTTP://Example.ORG:8080/a/b?x=1&y=%20#part");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->scheme, "http");
    EXPECT_EQ(url->host, "example.org");
    EXPECT_EQ(url->port, 8080);
    EXPECT_EQ(url->path, "/a/b");
    EXPECT_EQ(url->query, "x=1&y=%20");
    EXPECT_EQ(url->to_text(), "http://example.org:8080/a/b?x=1&y=%20");
    EXPECT_EQ(Url::parse("https://h")->to_text(), "https://h/");
    EXPECT_EQ(Url::parse("http://h?x")->target(), "/?x");
    EXPECT_EQ(Url::parse("http://[::1]:90/")->host, "::1");
    EXPECT_EQ(Url::parse("http://[::1]:90/")->to_text(), "http://[::1]:90/");
}

TEST(Url, RefusesWhatCouldMeanSomethingElse) {
    for (const char* text :
         {"", "/path", "ftp://h/", "http://", "http:///x", "http://user@h/", "http://h:0/",
          "http://h:70000/", "http://h:x/", "http://h /", "http://h/\n", "http://[::1/",
          "http://[x]/", "http://[::1]x/", "http://h\"/"}) {
        const auto url = Url::parse(text);
        ASSERT_FALSE(url.has_value()) << text;
        EXPECT_EQ(url.error().category, Category::incorrect);
    }
}

TEST(Path, SegmentsAreDecodedOneByOne) {
    EXPECT_EQ(*parse_path("/fhir//Patient/a%2Fb/"),
              (std::vector<std::string>{"fhir", "Patient", "a/b"}));
    EXPECT_TRUE(parse_path("/")->empty());
    for (const char* text : {"", "fhir", "/a/../b", "/%2e%2E/b", "/./", "/%zz", "/%00", "/%ff"}) {
        EXPECT_FALSE(parse_path(text).has_value()) << text;
    }
}

TEST(Headers, CompareWithoutCaseAndCannotBeForged) {
    Headers headers{{"Content-Type", "a/b"}, {"If-Match", "W/\"1\""}, {"if-match", "W/\"2\""}};
    EXPECT_EQ(headers.get("content-TYPE"), "a/b");
    EXPECT_EQ(headers.joined("If-Match"), "W/\"1\", W/\"2\"");
    EXPECT_FALSE(headers.has("Content"));
    headers.set("IF-MATCH", "x\r\nEvil: 1");
    EXPECT_EQ(headers.size(), 2u);
    EXPECT_EQ(headers.get("If-Match"), "x  Evil: 1");
    headers.remove("content-type");
    EXPECT_EQ(headers.get("Content-Type", "none"), "none");
}

TEST(Request, QueryAndForm) {
    Request request;
    request.target = "/Patient?name=a%20b&name=c+d&flag&=x";
    EXPECT_EQ(request.path(), "/Patient");
    EXPECT_EQ(*request.parameters(),
              (Parameters{{"name", "a b"}, {"name", "c d"}, {"flag", ""}, {"", "x"}}));
    request.body = "identifier=urn%3Amrn%7C7";
    EXPECT_EQ(request.form().error().category, Category::unsupported_media);
    request.headers.set("Content-Type", "Application/x-www-form-urlencoded; charset=utf-8");
    EXPECT_EQ(*request.form(), (Parameters{{"identifier", "urn:mrn|7"}}));
    request.target = "/Patient?name=%e4%b8";
    EXPECT_EQ(request.parameters().error().category, Category::incorrect);
}

TEST(MediaType, ParametersAreReadAndQuotesTakenOff) {
    const auto type =
        parse_media_type("Application/FHIR+json; fhirVersion=4.0;charset=\"ut\\f-8\"");
    ASSERT_TRUE(type.has_value());
    EXPECT_EQ(type->type, "application/fhir+json");
    EXPECT_EQ(type->parameter("fhirversion"), "4.0");
    EXPECT_EQ(type->parameter("charset"), "utf-8");
    for (const char* text : {"", "json", "a/", "/b", "a/b;c", "a b/c", "a/b; =c"})
        EXPECT_FALSE(parse_media_type(text).has_value()) << text;
}

TEST(Negotiation, FollowsQualityThenSpecificityThenOrder) {
    const std::string_view offered[] = {"application/fhir+json", "application/fhir+xml"};
    EXPECT_EQ(negotiate("", offered), 0u);
    EXPECT_EQ(negotiate("*/*", offered), 0u);
    EXPECT_EQ(negotiate("application/fhir+xml", offered), 1u);
    EXPECT_EQ(negotiate("application/fhir+json;q=0.5, application/fhir+xml", offered), 1u);
    EXPECT_EQ(negotiate("application/*;q=0.9, application/fhir+json;q=0.1", offered), 1u);
    EXPECT_EQ(negotiate("application/fhir+json;q=0, */*", offered), 1u);
    EXPECT_EQ(negotiate("application/fhir+xml, application/fhir+json", offered), 1u);
    EXPECT_EQ(negotiate("text/html", offered), std::nullopt);
    EXPECT_EQ(negotiate("application/fhir+json;q=0", offered), std::nullopt);
    EXPECT_EQ(negotiate("nonsense, application/fhir+xml", offered), 1u);
}

TEST(Negotiation, Encodings) {
    EXPECT_EQ(negotiate_encoding(""), Encoding::identity);
    EXPECT_EQ(negotiate_encoding("gzip, deflate, br"), Encoding::gzip);
    EXPECT_EQ(negotiate_encoding("gzip, zstd"), Encoding::zstd);
    EXPECT_EQ(negotiate_encoding("gzip;q=1, zstd;q=0.5"), Encoding::gzip);
    EXPECT_EQ(negotiate_encoding("GZIP;q=0.5, identity;q=1"), Encoding::identity);
    EXPECT_EQ(negotiate_encoding("gzip;q=0, *"), Encoding::zstd);
    EXPECT_EQ(negotiate_encoding("identity;q=0, *;q=0"), Encoding::identity);
    EXPECT_EQ(negotiate_encoding("br"), Encoding::identity);
}

TEST(Prefer, EntriesMayStandInSeveralHeaders) {
    Request request;
    request.headers.add("Prefer", "return=minimal; foo=bar, respond-async");
    request.headers.add("prefer", "handling=\"lenient\"");
    EXPECT_EQ(preference(request, "return"), "minimal");
    EXPECT_EQ(preference(request, "Respond-Async"), "");
    EXPECT_EQ(preference(request, "handling"), "lenient");
    EXPECT_EQ(preference(request, "wait"), std::nullopt);
}

TEST(Conditions, EntityTags) {
    EXPECT_TRUE(parse_entity_tag(" W/\"3\" ")->weak);
    EXPECT_EQ(parse_entity_tag("\"3\"")->value, "3");
    for (const char* text : {"", "3", "W/3", "\"3", "W/\"3\"x", "\"a\"b\"", "\""})
        EXPECT_FALSE(parse_entity_tag(text).has_value()) << text;
    EXPECT_TRUE(parse_tag_list("*")->contains("9"));
    EXPECT_TRUE(parse_tag_list("W/\"1\", \"2\"")->contains("2"));
    EXPECT_FALSE(parse_tag_list("W/\"1\"")->contains("2"));
    EXPECT_FALSE(parse_tag_list("").has_value());
    EXPECT_EQ(parse_entity_tag(weak_tag("7"))->value, "7");
}

TEST(Conditions, NotModified) {
    Request request;
    request.method = Method::get;
    const Instant changed = *parse_http_date("Wed, 01 May 2024 08:30:00 GMT");
    EXPECT_FALSE(is_not_modified(request, "3", changed));
    request.headers.set("If-Modified-Since", "Wed, 01 May 2024 08:30:00 GMT");
    EXPECT_TRUE(is_not_modified(request, "3", Instant{changed.milliseconds + 999}));
    EXPECT_FALSE(is_not_modified(request, "3", Instant{changed.milliseconds + 1000}));
    // If-None-Match decides alone.
    request.headers.set("If-None-Match", "W/\"2\"");
    EXPECT_FALSE(is_not_modified(request, "3", changed));
    request.headers.set("If-None-Match", "W/\"2\", W/\"3\"");
    EXPECT_TRUE(is_not_modified(request, "3", std::nullopt));
    request.method = Method::put;
    EXPECT_FALSE(is_not_modified(request, "3", changed));
}

TEST(Statuses, HaveTheirPhrases) {
    EXPECT_EQ(reason_phrase(100), "Continue");
    EXPECT_EQ(reason_phrase(200), "OK");
    EXPECT_EQ(reason_phrase(412), "Precondition Failed");
    EXPECT_EQ(reason_phrase(507), "Insufficient Storage");
    EXPECT_EQ(reason_phrase(299), "Unknown");
    EXPECT_EQ(reason_phrase(999), "Unknown");
}

TEST(Methods, AreCaseSensitive) {
    EXPECT_EQ(method_of("DELETE"), Method::delete_);
    EXPECT_EQ(method_of("delete"), Method::other);
    EXPECT_EQ(name_of(Method::patch), "PATCH");
}

}  // namespace
}  // namespace meridian::net
