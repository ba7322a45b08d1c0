// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "rest/answer.hpp"

/// The NDJSON files that jobs leave and take.
namespace meridian::rest {

/// Streams an NDJSON file in chunks: memory does not grow with its size. Errors: `not_found`.
Result<Answer> file_answer(const std::string& path);

/// Errors: `incorrect` for anything but the three names of NDJSON; `where` is the parameter.
Result<void> check_ndjson(std::string_view format, std::string_view where);

}  // namespace meridian::rest
