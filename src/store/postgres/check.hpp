// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/maintain.hpp"

namespace meridian::store::postgres {

/// store::check for a store in a database: all of it in one REPEATABLE READ transaction, table by
/// table in ranges of rids, keys or positions, so that its memory does not grow with the store. A
/// problem of the database itself says so at database_option.
Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options);

}  // namespace meridian::store::postgres
