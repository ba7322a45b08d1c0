// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
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

/// Of lists of codes in a plan, by their address, those that occur. A code without a system stands
/// for that code in each system of the store, and nearly all of these are nowhere.
using Occurring = std::unordered_map<const std::vector<std::int64_t>*, std::vector<std::int64_t>>;

/// A table of index rows, and the column that its index has behind the parameter.
struct ParameterTable {
    std::string_view name;
    std::string_view column;
};
inline constexpr std::array<ParameterTable, 8> parameter_tables{{{"idx_token", "value"},
                                                                 {"idx_string", "folded"},
                                                                 {"idx_date", "span"},
                                                                 {"idx_number", "lo"},
                                                                 {"idx_quantity", "unit"},
                                                                 {"idx_reference", "target"},
                                                                 {"idx_uri", "uri"},
                                                                 {"idx_composite", "key"}}};
/// Which of parameter_tables hold rows of a parameter: it is of one kind, and a plan does not say
/// of which.
using TablesOfParameter = std::map<Name, std::vector<bool>>;

/// What has to be asked before a statement can be written.
struct Known {
    Places places{};
    Occurring occurring{};       ///< lists that were not asked about are missing
    TablesOfParameter tables{};  ///< of parameters in HasAny; not asked in sharded layouts
    Position log_end = 0;        ///< behind the last entry; only for plans that look at the log
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

/// Asks it, in four round trips at most. Errors: as Connection.
Result<Known> ask_known(Connection& connection, const Plan& plan, const Layout& layout);

}  // namespace meridian::store::postgres
