// SPDX-License-Identifier: Apache-2.0
// For tests of any room: a store on the engine that this run of the tests is about.
#pragma once

#include "store/open.hpp"
#include "store/postgres/test_cluster.hpp"

namespace meridian::store {

/// Opens the store that a test keeps in options.folder: there, or in a database of its own when the
/// tests run on PostgreSQL.
inline Result<std::unique_ptr<Store>> open_for_test(OpenOptions options) {
    if (postgres::tests_use_postgres())
        options.database = postgres::TestCluster::instance().database_for(options.folder);
    return open(std::move(options));
}

/// Whether the tests' store has no snapshot of all its nodes at one moment (docs/adr/0023).
inline bool shows_node_by_node() {
    return postgres::tests_use_postgres() && postgres::layout_of_tests().is_distributed();
}

}  // namespace meridian::store
