// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace meridian::net {

/// Until when the first certificate of a PEM file is good (RFC 5280 §4.1.2.5). Errors: of the file;
/// `incorrect` when it holds no certificate. Blocking: disk.
Result<Instant> certificate_end(const std::string& file);

}  // namespace meridian::net
