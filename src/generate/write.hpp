// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "generate/region.hpp"

namespace meridian::generate {

/// What was written.
struct RegionSummary {
    std::map<std::string, std::uint64_t, std::less<>> resources;  ///< count by type
    std::uint64_t total = 0;                                      ///< resources
    std::uint64_t documents = 0;                                  ///< lines of truth.ndjson
    std::uint64_t bytes = 0;                                      ///< of all files
};

/// Writes a region as one NDJSON file per resource type (`Patient.ndjson`, …) plus `truth.ndjson`,
/// the facts of every document.
///
/// The files are created in `folder`, which is made when absent; files of the same names are
/// replaced. Memory stays constant. `progress`, when given, is called after every patient with the
/// number done so far. Errors: `incorrect` for options outside their bounds; `storage_full` or
/// `unavailable` when a file cannot be written. Blocking: on the file system.
Result<RegionSummary> write_folder(const RegionOptions& options,
                                   const std::filesystem::path& folder,
                                   const std::function<void(std::uint64_t)>& progress = {});

}  // namespace meridian::generate
