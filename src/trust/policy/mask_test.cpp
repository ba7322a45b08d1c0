// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/mask.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "store/testing.hpp"

namespace meridian::trust::policy {
namespace {

using meridian::testing::must;

TEST(FreeTextMask, TakesWhatPeopleWroteInTheirOwnWords) {
    const Mask mask({}, true);
    for (
        const char* json : {
            R"({"resourceType":"Observation","text":{"status":"additional","div":"<div>secret</div>"},"status":"final","code":{"text":"Weight"},"valueString":"secret","_valueString":{"extension":[{"url":"u","valueString":"secret"}]},"note":[{"text":"secret"}],"component":[{"code":{"text":"Part"},"valueString":"secret"}]})",
            R"({"resourceType":"DocumentReference","status":"current","description":"secret","content":[{"attachment":{"contentType":"text/plain","data":"c2VjcmV0","title":"secret","url":"Binary/secret"}}]})",
            R"({"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"Aspirin"},"subject":{"reference":"Patient/p"},"dosageInstruction":[{"text":"secret","patientInstruction":"secret","timing":{"code":{"text":"BID"}}}]})",
            R"({"resourceType":"Communication","status":"completed","payload":[{"contentString":"secret"},{"contentAttachment":{"title":"secret"}}]})",
            R"({"resourceType":"Condition","subject":{"reference":"Patient/p"},"extension":[{"url":"u","extension":[{"url":"v","valueMarkdown":"secret"}]}],"onsetString":"secret","stage":[{"summary":{"text":"II","extension":[{"url":"u","valueString":"secret"}]}}]})",
            R"({"resourceType":"QuestionnaireResponse","status":"completed","item":[{"linkId":"1","text":"secret","answer":[{"valueString":"secret","item":[{"linkId":"1.1","answer":[{"valueAttachment":{"data":"secret"}}]}]}]}]})",
            R"({"resourceType":"Procedure","status":"completed","subject":{"reference":"Patient/p"},"contained":[{"resourceType":"Organization","id":"o","name":"secret","alias":["secret"]}]})",
        }) {
        const std::string masked = must(mask.apply(json));
        EXPECT_EQ(masked.find("secret"), std::string::npos) << masked;
        EXPECT_EQ(masked.find("c2VjcmV0"), std::string::npos) << masked;
        EXPECT_NE(masked.find("SUBSETTED"), std::string::npos) << masked;
    }
}

TEST(FreeTextMask, LeavesCodesNumbersNamesAndWhatIsAboutNobody) {
    const Mask mask({}, true);
    for (
        const char* json : {
            R"({"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"c","display":"Weight"}],"text":"Weight"},"subject":{"reference":"Patient/p","display":"Li"},"valueQuantity":{"value":71.50,"unit":"kg"}})",
            R"({"resourceType":"QuestionnaireResponse","status":"completed","item":[{"linkId":"1","answer":[{"valueBoolean":true}]}]})",
            R"({"resourceType":"Patient","name":[{"family":"Li"}],"address":[{"city":"Xi'an"}]})",
            R"({"resourceType":"Organization","name":"Ward 7","alias":["W7"]})",
        })
        EXPECT_EQ(must(mask.apply(json)), json);
}

TEST(FreeTextMask, WhatR4DemandsIsSaidToBeMasked) {
    const std::string masked = must(Mask({}, true).apply(
        R"({"resourceType":"Composition","status":"final","type":{"text":"Letter"},"date":"2020","author":[{"reference":"Practitioner/d"}],"title":"secret","section":[{"title":"secret"}]})"));
    EXPECT_EQ(masked.find("secret"), std::string::npos) << masked;
    EXPECT_NE(
        masked.find(
            R"("_title":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]})"),
        std::string::npos)
        << masked;
}

TEST(FreeTextMask, ParametersThatReadItAreCovered) {
    meridian::testing::Folder folder;
    const auto store =
        must(store::open_for_test({.folder = folder.path(), .cache_bytes = 16 << 20}));
    const auto repository = must(fhir::Repository::open(*store, {}));
    const auto parameters = repository->parameters();
    const Mask mask({}, true);
    for (const auto& [type, code] :
         {std::pair{"Observation", "value-string"}, std::pair{"Observation", "code-value-string"},
          std::pair{"Observation", "_text"}, std::pair{"Observation", "_content"},
          std::pair{"Patient", "_content"}, std::pair{"DocumentReference", "description"},
          std::pair{"DocumentReference", "location"}, std::pair{"Composition", "title"},
          std::pair{"Condition", "onset-info"}, std::pair{"Immunization", "lot-number"}})
        EXPECT_TRUE(mask.covers(*parameters, type, code)) << type << "." << code;
    for (const auto& [type, code] :
         {std::pair{"Observation", "code"}, std::pair{"Observation", "value-quantity"},
          std::pair{"Observation", "value-concept"},
          std::pair{"Observation", "code-value-quantity"}, std::pair{"Observation", "subject"},
          std::pair{"Patient", "family"}, std::pair{"Patient", "address-city"},
          std::pair{"Organization", "name"}, std::pair{"Observation", "_id"},
          std::pair{"DocumentReference", "contenttype"}, std::pair{"Condition", "onset-date"}})
        EXPECT_FALSE(mask.covers(*parameters, type, code)) << type << "." << code;
}

}  // namespace
}  // namespace meridian::trust::policy
