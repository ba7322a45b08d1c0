// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace meridian::cli {

/// Exit codes of the `meridian` command (docs/operations.md lists them). The one place.
enum ExitCode : int {
    done = 0,
    failed = 1,       ///< the input is wrong, or the answer is no (invalid resource, damaged store)
    usage = 2,        ///< the command line is wrong
    unavailable = 3,  ///< a file, folder, port or disk cannot be used now
    fault = 4,        ///< a defect of ours
    outdated = 5,     ///< the database lacks what this server has seen there: start it again
};

inline int exit_code_of(Category category) {
    switch (category) {
        case Category::unavailable:
        case Category::busy:
        case Category::storage_full:
            return unavailable;
        case Category::fault:
            return fault;
        default:
            return failed;
    }
}

}  // namespace meridian::cli
