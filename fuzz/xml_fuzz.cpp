// SPDX-License-Identifier: Apache-2.0
// FHIR XML: any bytes are a resource or an error, and what was read survives a way through XML and
// through JSON.
#include "base/json.hpp"
#include "fhir/format/xml.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace meridian;
    const auto document = fhir::from_xml({reinterpret_cast<const char*>(data), size});
    if (!document) return 0;
    std::string xml;
    fhir::to_xml(document->root(), xml, size % 2 == 0);
    const auto again = fhir::from_xml(xml);
    if (!again || !equal(again->root(), document->root())) __builtin_trap();
    const auto reparsed = JsonDocument::parse(to_text(document->root()));
    if (!reparsed || !equal(reparsed->root(), document->root())) __builtin_trap();
    return 0;
}
