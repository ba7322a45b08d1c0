// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>

#include "base/limits.hpp"
#include "fhir/definitions/embedded.hpp"

// CMake names the folder data/r4 and rebuilds this file when one of its files changes.
#ifndef MERIDIAN_R4_DATA_DIR
#error "MERIDIAN_R4_DATA_DIR must name the folder data/r4"
#endif

// The assembler copies the files in as they are: g++ 12 has no #embed, and an array of numbers
// would take it minutes.
// clang-format off
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".global meridian_definitions_begin\n"
    "meridian_definitions_begin:\n"
    ".incbin \"" MERIDIAN_R4_DATA_DIR "/definitions.zst\"\n"
    ".global meridian_definitions_end\n"
    "meridian_definitions_end:\n"
    ".balign 16\n"
    ".global meridian_terminology_begin\n"
    "meridian_terminology_begin:\n"
    ".incbin \"" MERIDIAN_R4_DATA_DIR "/terminology.zst\"\n"
    ".global meridian_terminology_end\n"
    "meridian_terminology_end:\n"
    ".byte 0\n"
    ".previous\n");
// clang-format on

extern "C" {
extern const char meridian_definitions_begin[];
extern const char meridian_definitions_end[];
extern const char meridian_terminology_begin[];
extern const char meridian_terminology_end[];
}

namespace meridian::fhir::detail {

std::string_view embedded_definitions() {
    return {meridian_definitions_begin,
            static_cast<std::size_t>(meridian_definitions_end - meridian_definitions_begin)};
}

std::string_view embedded_terminology() {
    return {meridian_terminology_begin,
            static_cast<std::size_t>(meridian_terminology_end - meridian_terminology_begin)};
}

std::size_t unpacked_size(std::string_view frame) {
    const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
    return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR
               ? 0
               : static_cast<std::size_t>(size);
}

Result<std::string> unpack(std::string_view frame, std::size_t size) {
    if (size > limits::definitions_frame_bytes_max) {
        return fail(
            Category::fault,
            "A frame of the embedded definitions is larger than its limit: rebuild data/r4.");
    }
    std::string text(size, '\0');
    const std::size_t written =
        ZSTD_decompress(text.data(), text.size(), frame.data(), frame.size());
    if (ZSTD_isError(written) || written != size) {
        return fail(Category::fault,
                    "The embedded definitions are damaged: build the program again from an intact "
                    "data/r4.");
    }
    return text;
}

}  // namespace meridian::fhir::detail
