// SPDX-License-Identifier: Apache-2.0
// What parses must be written and parsed again to the same content; edits must not damage it.
#include "base/json.hpp"

#include <cstdint>
#include <cstdlib>

using meridian::JsonDocument;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto document = JsonDocument::parse({reinterpret_cast<const char*>(data), size});
    if (!document) return 0;
    for (const bool pretty : {false, true}) {
        const std::string text = meridian::to_text(document->root(), pretty);
        const auto again = JsonDocument::parse(text);
        if (!again || !equal(document->root(), again->root()) ||
            to_text(again->root(), pretty) != text)
            std::abort();
    }
    JsonDocument copy;
    copy.set_root(copy.copy(document->root()));
    if (copy.root().is_object()) {
        const bool had = copy.root().find("\x01") != nullptr;
        copy.set_first(copy.root(), "\x01", copy.number(std::int64_t{1}));
        if (!copy.remove(copy.root(), "\x01") || (!had && !equal(copy.root(), document->root())))
            std::abort();
    } else if (copy.root().is_array()) {
        copy.insert(copy.root(), 0, copy.null());
        copy.erase(copy.root(), 0);
        if (!equal(copy.root(), document->root())) std::abort();
    }
    return 0;
}
