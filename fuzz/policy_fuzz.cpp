// SPDX-License-Identifier: Apache-2.0
// Policy files, SMART scopes: what is read can be shown; what is not is refused with a sentence.
#include <cstdint>
#include <cstdlib>

#include "trust/policy/policy.hpp"
#include "trust/scope.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace meridian::trust::policy;
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto policy = parse({{"input", text}});
    if (policy ? document_of(**policy).empty() : policy.error().message.empty()) std::abort();
    const auto scope = meridian::trust::Scope::parse(text);
    if (scope && (scope->word.empty() == (scope->operations == 0) ||
                  *meridian::trust::Scope::parse(scope->to_text()) != *scope))
        std::abort();
    return 0;
}
