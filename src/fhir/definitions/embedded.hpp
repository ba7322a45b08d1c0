// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

/// The files of data/r4 as they lie in the program (private to definitions/).
namespace meridian::fhir::detail {

std::string_view embedded_definitions();  ///< data/r4/definitions.zst: one zstd frame
std::string_view
embedded_terminology();  ///< data/r4/terminology.zst: many zstd frames, indexed by the definitions

/// The length that a frame's header states; 0 when it states none.
std::size_t unpacked_size(std::string_view frame);
/// The text of one zstd frame of `size` bytes when unpacked. Errors: `fault` when the frame is
/// damaged.
Result<std::string> unpack(std::string_view frame, std::size_t size);

}  // namespace meridian::fhir::detail
