// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "fhir/repository.hpp"

/// Bulk Data export: versions that were current at one position of the log, as NDJSON files.
/// Source: FHIR Bulk Data Access 2.0, https://hl7.org/fhir/uv/bulkdata/export.html
namespace meridian::rest {

struct ExportRequest {
    enum class Scope : unsigned char { system, patient, group } scope = Scope::system;
    std::string group_id{};
    std::vector<std::string> types{};  ///< empty = all types of the scope
    std::optional<Instant> since{};
    std::optional<Instant> until{};  ///< the state just before this time, instead of the newest
    std::vector<std::string> elements{};  ///< "id" or "Patient.id"; empty = all
    std::vector<std::string>
        type_filters{};                   ///< "Observation?code=…"; several of one type are ORed
    std::vector<std::string> patients{};  ///< ids; empty = all of the scope
    std::string base_url{};
};

struct ExportFile {
    std::string type;
    std::string name;  ///< within the folder, e.g. "Patient-1.ndjson"
    std::int64_t count = 0;
};

struct ExportResult {
    Instant transaction_time;
    store::Position position = -1;
    std::vector<ExportFile> output;
    std::vector<ExportFile> deleted;  ///< bundles of deletions since `since`
    std::int64_t resources = 0;
};

struct ExportProgress {
    std::int64_t done = 0;
    std::int64_t total = 0;
    std::string type{};
};

/// Checks the request and gives the types it means. Errors: `incorrect` for unknown types or
/// filters, `not_found` for the group.
Result<std::vector<std::string>> export_types(fhir::Repository& repository,
                                              const fhir::Caller& caller,
                                              const ExportRequest& request);

/// Writes the files into `folder` (made when needed). What others write meanwhile is not seen: the
/// walk shows the versions that were current when it began. Memory does not grow with the store.
/// `go_on` is asked several times a second; false stops. Errors: as export_types; `storage_full`,
/// `unavailable` when files cannot be written. Blocking: long.
Result<ExportResult> export_to_folder(fhir::Repository& repository, const fhir::Caller& caller,
                                      const ExportRequest& request, const std::string& folder,
                                      const std::function<bool(const ExportProgress&)>& go_on);

}  // namespace meridian::rest
