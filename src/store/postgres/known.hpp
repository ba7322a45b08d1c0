// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/plan.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/layout.hpp"

namespace meridian::store::postgres {

/// Where a resource stands: its row id, and where its rows lie.
struct Place {
    Rid rid = 0;
    std::optional<Rid> home{};  ///< not known in layouts without shards, and of what nobody wrote
};

/// Identities that a plan mentions, and their places; those that nobody has mentioned are missing.
using Places = std::map<std::pair<Name, std::string>, Place>;

/// What has to be asked before a statement can be written.
struct Known {
    Places places{};
    Position log_end = 0;  ///< behind the last entry; only for plans that look at the log
    /// Of the conditions that the plan joins by "and" the one that few resources satisfy; null when
    /// there is none, or it was not looked for.
    const Condition* rarest = nullptr;
    /// Links of the plan that are asked about one resource after the other, because so much leads
    /// there that collecting it would take longer.
    std::vector<const Condition*> frequent{};
    /// Where all that the plan can match lies, when it asks about some patients only, in a sharded
    /// layout.
    std::optional<std::vector<Rid>> homes{};
};

/// Asks it: three statements at most. Errors: as Connection.
Result<Known> ask_known(Connection& connection, const Plan& plan, const Layout& layout);

}  // namespace meridian::store::postgres
