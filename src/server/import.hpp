// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::server {

struct ImportOptions {
    std::vector<std::string> paths;  ///< files or folders: .json, .ndjson, .xml, each also .gz
    std::string rejects_file{};  ///< where rejected resources go, one JSON line each; empty = none
                                 ///< is written
    unsigned threads = 0;        ///< that parse and extract; 0 = one per core
    bool fresh_start = false;    ///< forget where an interrupted import stood
};

struct ImportProgress {
    std::int64_t resources = 0;
    std::int64_t rejected = 0;
    std::int64_t bytes_done = 0;
    std::int64_t bytes_total = 0;
    std::string file{};
};

struct ImportSummary {
    std::int64_t files = 0, files_skipped = 0, resources = 0, rejected = 0, bundles = 0;
    std::string first_reject{};  ///< file, place and reason
};

/// Loads FHIR files into the record.
///
/// - NDJSON, and bundles of type collection, searchset and the like: each resource becomes the
/// current version under its id
///   (a new id is given where it has none); faulty ones are rejected one by one.
/// - Bundles of type transaction and batch run as FHIR asks: a transaction is loaded whole or
/// rejected whole.
/// - Resumable: when the process ends early, the same call goes on behind the last batch that was
/// committed. `report` is called some times a second; false stops. Errors: `not_found` for a path
/// that is not there; those of the store. Blocking: long. Memory: bounded by
/// limits::load_batch_changes.
Result<ImportSummary> import_files(fhir::Repository& repository, const ImportOptions& options,
                                   const std::function<bool(const ImportProgress&)>& report);

}  // namespace meridian::server
