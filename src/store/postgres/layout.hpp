// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace meridian::store::postgres {

/// How a store's tables lie in its database: chosen when the store is made, and kept in it.
///
/// In the sharded layouts the rows of a resource lie where its home patient's do, so that what is
/// asked about one patient touches one shard (docs/adr/0023). Nothing above the engine can tell
/// them apart.
struct Layout {
    enum class Kind : unsigned char {
        whole,        ///< each table is one
        partitioned,  ///< hash partitions of one PostgreSQL
        distributed   ///< shards on the workers of a Citus cluster
    };
    Kind kind = Kind::whole;
    int shards = 0;  ///< 0 = whole

    bool is_sharded() const { return kind != Kind::whole; }
    bool is_distributed() const { return kind == Kind::distributed; }
    bool operator==(const Layout&) const = default;

    /// As the store keeps it: `whole`, `partitions 8`, `citus 32`.
    std::string text() const;
    /// Nothing for a text of none of these forms.
    static std::optional<Layout> parse(std::string_view text);
};

}  // namespace meridian::store::postgres
