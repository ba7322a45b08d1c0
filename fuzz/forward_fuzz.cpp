// SPDX-License-Identifier: Apache-2.0
// Packed index rows: any bytes are rows or a fault, and rows that were read are written back to a
// form that reads the same.
#include "store/engine/forward.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace meridian::store;
    const auto rows = unpack({reinterpret_cast<const char*>(data), size});
    if (!rows) return 0;
    const std::string packed = pack(*rows);
    const auto again = unpack(packed);
    if (!again || pack(*again) != packed) __builtin_trap();
    return 0;
}
