// SPDX-License-Identifier: Apache-2.0
// Lines of an imported file, plain or gzip: however the bytes come in pieces, the same lines come
// out, and damage is an error.
#include <cstdlib>
#include <string>
#include <vector>

#include "rest/bulk/lines.hpp"

namespace {

struct Outcome {
    std::vector<std::string> lines;
    bool is_whole = false;
};

Outcome cut(std::string_view bytes, std::size_t size) {
    constexpr std::size_t bytes_max = 1u << 20;  // a bomb goes on for ever, the fuzzer does not
    Outcome outcome;
    std::size_t total = 0;
    meridian::rest::Lines lines(
        [&](std::string line, std::int64_t) -> meridian::Result<void> {
            total += line.size() + 1;
            outcome.lines.push_back(std::move(line));
            if (total > bytes_max) return meridian::fail(meridian::Category::too_large, "enough");
            return {};
        },
        [](std::string_view, std::int64_t, const meridian::Error& reason)
            -> meridian::Result<void> { return std::unexpected(reason); });
    meridian::Result<void> result;
    while (!bytes.empty() && result) {
        result = lines.put(bytes.substr(0, size));
        bytes.remove_prefix(std::min(size, bytes.size()));
    }
    outcome.is_whole = result && lines.finish();
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const Outcome whole = cut(bytes, bytes.size() + 1);
    const Outcome pieces = cut(bytes, 3);
    if (whole.is_whole != pieces.is_whole) std::abort();
    if (whole.is_whole && whole.lines != pieces.lines) std::abort();
    return 0;
}
