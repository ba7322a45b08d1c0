// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// Makes the schema in an empty database when `create` holds; looks whether the one that is there
/// is ours and of this program's version. Several servers may do so at once. Errors: `not_found`
/// when there is no store and none may be made; `conflict` for a database that belongs to something
/// else; `unsupported` for a newer schema, or an older one without a step; as Connection.
Result<void> prepare_schema(Connection& connection, bool create);

}  // namespace meridian::store::postgres
