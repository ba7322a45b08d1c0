// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "store/open.hpp"

namespace meridian::store {

/// The setting that stands in a store as long as it is being moved or restored there (store/copy).
inline constexpr std::string_view migration_mark = "migration";

/// The answer to whoever would open such a store at `where`.
inline std::unexpected<Error> unfinished(const char* where) {
    return fail(Category::conflict,
                "the store here is not complete: it is being moved or restored; finish with the "
                "same `meridian migrate`, or restore into an empty one",
                where);
}

}  // namespace meridian::store
