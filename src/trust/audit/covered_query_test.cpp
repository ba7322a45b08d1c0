// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/covered_query.hpp"

#include <gtest/gtest.h>

#include "base/hash.hpp"

namespace meridian::trust::audit {
namespace {

std::string hash(std::string_view text) {
    const Sha256 made = sha256(text);
    return {reinterpret_cast<const char*>(made.data()), made.size()};
}

TEST(CoveredQuery, KeepsWhatSaysNothingOfWhoSomebodyIs) {
    for (const char* query :
         {"status=final&_count=1",
          "patient=Patient%2F7&date=ge2024&code=http%3A%2F%2Floinc.org%7C1",
          "_has:Observation:patient:code=1", "subject:Patient.gender=male", "$everything",
          "GET /fhir/Patient/1", "", "_include=Patient:link&_sort=-date"})
        EXPECT_EQ(covered_query(query, hash), query);
}

TEST(CoveredQuery, CoversEveryValueThatMaySayIt) {
    const std::string secret = "110101199003070011";
    for (const char* name :
         {"identifier", "name", "name:exact", "phone", "email", "telecom", "address", "birthdate",
          "family", "_text", "_content", "_filter", "subject:Patient.identifier",
          "patient.birthdate", "_has:Observation:patient:patient.name", "subject:identifier",
          "code:text", "of-its-own", "_has:Observation:patient"}) {
        const std::string covered =
            covered_query(fmt::format("status=final&{}={}", name, secret), hash);
        EXPECT_EQ(covered.find(secret), std::string::npos) << covered;
        EXPECT_TRUE(covered.starts_with("status=final&")) << covered;
    }
    EXPECT_EQ(covered_query("name=Li&name=Li", hash).substr(0, 22),
              covered_query("name=Li", hash).substr(0, 22));
    EXPECT_NE(covered_query("name=Li", hash), covered_query("name=Lu", hash));
    EXPECT_EQ(covered_query("name=Li", {}), "name=~");
    const std::string exported = covered_query(
        "http://h/fhir/$export?_since=2024-01-01T00:00:00Z&_typeFilter=Patient%3Fname%3DLi", hash);
    EXPECT_EQ(exported.find("Li"), std::string::npos) << exported;
    EXPECT_TRUE(exported.starts_with("http://h/fhir/$export?_since=")) << exported;
    EXPECT_EQ(covered_query("name=%zz&status=Li", hash).find("Li"), std::string::npos)
        << "what cannot be understood is covered whole";
}

}  // namespace
}  // namespace meridian::trust::audit
