// SPDX-License-Identifier: Apache-2.0
// Applies any JSON as a JSON Patch (an array) or a FHIRPath Patch (an object) to a sample resource.
#include <cstdint>
#include <string_view>

#include "fhir/patch/fhirpath_patch.hpp"
#include "fhir/patch/json_patch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 4096) return 0;
    auto patch = meridian::JsonDocument::parse({reinterpret_cast<const char*>(data), size});
    if (!patch) return 0;
    auto target = *meridian::JsonDocument::parse(
        R"({"resourceType":"Patient","id":"p","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}],"birthDate":"1920-01-01",
        "contact":[{"gender":"male"}],"deceasedBoolean":false,"contained":[{"resourceType":"Organization","id":"o"}]})");
    auto result = patch->root().is_array()
                      ? meridian::fhir::patch::apply_json_patch(target, patch->root())
                      : meridian::fhir::patch::apply_fhirpath_patch(target, patch->root());
    if (!result) return 0;
    // What was patched is a document that can be written and read again.
    std::string text = to_text(target.root());
    if (!meridian::JsonDocument::parse(text)) __builtin_trap();
    return 0;
}
