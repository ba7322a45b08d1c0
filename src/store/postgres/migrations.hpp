// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"

namespace meridian::store::postgres {

/// Makes the schema in an empty database when `create` holds (tables that are whole), looks whether
/// the one that is there is ours, and brings an older one to this program's version. The layout
/// that it has. Several servers may do so at once.
///
/// A step to a newer version only adds, in moments, so servers of the version before go on writing
/// while it is made and after it. Errors: `not_found` when there is no store and none may be made;
/// `conflict` for a database that belongs to something else; `unsupported` for a newer schema, or
/// an older one without a step; as Connection.
Result<Layout> prepare_schema(Connection& connection, bool create);

/// Makes a store with this layout in an empty database. Errors: `conflict` when the database holds
/// a store or anything else; `unsupported` when it lacks the extension citus, or workers, for a
/// distributed layout; as Connection.
Result<void> make_store(Connection& connection, const Layout& layout);

/// Looks, and changes nothing, whether a store may be moved into this database: it is empty, or
/// holds a store without a record. Errors: `conflict` for anything else, a store that is being
/// moved there among it; `unsupported` for a newer schema; as Connection.
Result<void> require_room(Connection& connection);

}  // namespace meridian::store::postgres
