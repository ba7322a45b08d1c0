// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fhir/repository.hpp"
#include "rest/bulk/sources.hpp"

/// Bulk Data import: NDJSON files that the server fetches and loads while it serves.
/// Source: https://github.com/smart-on-fhir/bulk-import (import-manifest.md)
namespace meridian::rest {

/// One file of an import, and how far it has come. What stands here is durable.
struct ImportInput {
    std::string type{};  ///< every line is of this type; empty = any
    std::string url{};
    std::string manifest_url{};  ///< of the submitted manifest that lists it; may be empty
    bool is_deletions = false;   ///< each line is a transaction bundle of DELETE entries

    std::int64_t line = 0;         ///< everything up to here is in the record or rejected
    std::int64_t resources = 0;    ///< taken over
    std::int64_t rejected = 0;     ///< lines
    std::int64_t error_bytes = 0;  ///< of its error file, one OperationOutcome for each of them
    bool is_finished = false;
    std::string failure{};  ///< why it could not be read to its end; a sentence
};

/// What all files of one import share.
struct ImportContext {
    std::string id;              ///< of the job: decides the ids of resources that come without one
    std::string source{};        ///< meta.source of resources that have none
    std::string foreign_base{};  ///< the FHIR base that the resources come from, when it is known
    fhir::Caller caller{};
    FetchHeaders headers{};
    std::string folder{};           ///< for error files
    bool resumed = false;           ///< lines behind `line` may have been written already
    std::int64_t rejects_told = 0;  ///< by files before, for limits::import_rejects_max
};

/// Fetches and loads one file from behind `input.line` on, in small commits, so that other writers
/// come in between.
///
/// A faulty line becomes an OperationOutcome in the error file; a source that gives no file becomes
/// `input.failure`. `on_progress` is called when more has become durable and about once a second
/// while waiting; its error ends the work and is returned. Errors: those, and the store's.
/// Blocking: long. Memory: does not grow with the file.
Result<void> import_input(fhir::Repository& repository, const ImportSources& sources,
                          const ImportContext& context, ImportInput& input,
                          const std::string& error_file,
                          const std::function<Result<void>(const ImportInput&)>& on_progress);

/// An OperationOutcome line that says why a whole file (or manifest) is missing.
std::string failure_line(std::string_view url, std::string_view reason);

/// The files that a bulk data manifest lists, its `link`ed pages included: `output` and `deleted`.
/// Errors: as ImportSources::fetch; `incorrect` for what is no manifest; `too_large` beyond
/// limits::import_inputs_max files; those of `on_wait`, which is called while waiting.
Result<std::vector<ImportInput>> read_manifest(const ImportSources& sources, const std::string& url,
                                               const FetchHeaders& headers,
                                               const std::function<Result<void>()>& on_wait);

}  // namespace meridian::rest
