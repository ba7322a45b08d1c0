// SPDX-License-Identifier: Apache-2.0
// Audit entries: any bytes are an entry or a fault, an entry has one form only, and each can be
// shown.
#include "base/json.hpp"
#include "trust/audit/projection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace meridian;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto entry = trust::audit::decode(bytes);
    if (!entry) return 0;
    if (trust::audit::encode(*entry) != bytes) __builtin_trap();
    const auto json = trust::audit::audit_event(*entry, {}, {}, "http://here/fhir");
    if (!JsonDocument::parse(json)) __builtin_trap();
    return 0;
}
