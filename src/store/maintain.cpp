// SPDX-License-Identifier: Apache-2.0
#include "store/maintain.hpp"

#include "store/postgres/check.hpp"
#include "store/sqlite/check.hpp"

namespace meridian::store {

Result<CheckReport> check(const std::string& folder, const BodyReader& reader,
                          const CheckOptions& options) {
    if (!options.database.empty()) return postgres::check(folder, reader, options);
    return sqlite::check(folder, reader, options);
}

}  // namespace meridian::store
