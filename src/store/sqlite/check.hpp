// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/maintain.hpp"

namespace meridian::store::sqlite {

/// store::check for a store in a folder.
Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options);

}  // namespace meridian::store::sqlite
