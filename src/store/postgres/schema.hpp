// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "store/postgres/layout.hpp"

namespace meridian::store::postgres {

/// Version of the schema; an older one is migrated forward when a store is opened, a newer one is
/// refused.
inline constexpr int schema_version = 3;

/// The statements that make the logical schema in an empty database, all of it in the schema
/// `meridian`. As on SQLite all keys are integers, index rows are those of current versions only,
/// and a text that stands in a key is cut (store/postgres/keys.hpp). What differs, and why:
/// docs/adr/0020 and 0023.
std::string schema_script(const Layout& layout);
/// The part of it that keeps what audit entries say; one table each in every layout
/// (docs/adr/0027).
extern const std::string_view audit_tables;

}  // namespace meridian::store::postgres
