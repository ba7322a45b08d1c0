// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace meridian::store::copy {

/// Brings the packs of blobs in `to` to where those in `from` are: packs only grow, so what is
/// there already is left alone. Durable when this returns; Blobs::open makes their index. The bytes
/// copied. Errors: `conflict` when `to` has more than `from`; as AppendFile.
Result<std::int64_t> copy_packs(const std::string& from, const std::string& to);

}  // namespace meridian::store::copy
