// SPDX-License-Identifier: Apache-2.0
// Parses any text as FHIRPath, checks it against Patient, and evaluates it on a sample resource
// under the limits.
#include <cstdint>
#include <string_view>

#include "fhir/path/expression.hpp"

namespace {

const meridian::JsonDocument& sample() {
    static const meridian::JsonDocument document = *meridian::JsonDocument::parse(
        R"({"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12-25","_birthDate":{"id":"b","extension":[{"url":"u","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
        "name":[{"use":"official","family":"Chalmers","given":["Peter",null],"_given":[null,{"id":"g"}]},{"given":["Jim"]}],
        "extension":[{"url":"q","valueQuantity":{"value":180.5,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}],
        "contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"},"multipleBirthInteger":2})");
    return document;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 2048) return 0;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)meridian::fhir::path::Expression::compile(text, "Patient");
    auto expression = meridian::fhir::path::Expression::compile(text);
    if (!expression) return 0;
    // Functions that multiply their input are let run only where the input is small; the limits end
    // them, but late.
    for (std::string_view slow : {"repeat", "aggregate", "descendants"}) {
        if (text.find(slow) != std::string_view::npos && size > 64) return 0;
    }
    meridian::fhir::path::Evaluation evaluation;
    evaluation.resource = &sample().root();
    auto result = expression->evaluate(evaluation);
    if (!result) return 0;
    for (const auto& item : *result) {
        meridian::JsonDocument document;
        (void)to_text(item.to_json(document));
        (void)item.to_text();
    }
    return 0;
}
