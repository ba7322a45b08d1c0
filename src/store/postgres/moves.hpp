// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"
#include "store/rows.hpp"

namespace meridian::store::postgres {

/// A resource whose home patient has changed: in a sharded layout it and its history go where that
/// one's rows are. Its index rows and its place in the directory are the caller's.
struct Move {
    Rid rid;
    Rid before;
    Rid after;
};

/// Queues the moving of versions, newest and old, into the open transaction.
void send_moves(Connection& connection, const Layout& layout, const std::vector<Move>& moves);

}  // namespace meridian::store::postgres
