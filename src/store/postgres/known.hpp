// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>

#include "store/plan.hpp"
#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// Identities that a plan mentions, and their rids; those that nobody has mentioned are missing.
using Rids = std::map<std::pair<Name, std::string>, Rid>;

/// What has to be asked before a statement can be written.
struct Known {
    Rids rids{};
    Position log_end = 0;  ///< behind the last entry; only for plans that look at the log
};

/// Asks it: two statements at most. Errors: as Connection.
Result<Known> ask_known(Connection& connection, const Plan& plan);

}  // namespace meridian::store::postgres
