// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "rest/bulk/import_jobs.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

class Submissions;

/// Bulk import over HTTP: $import, and $bulk-submit over the same jobs.
class BulkImport {
 public:
    /// Jobs and submissions are kept below `data_folder`. Errors of make: those of
    /// ImportSources::make.
    static Result<std::unique_ptr<BulkImport>> make(fhir::Repository& repository,
                                                    const std::string& data_folder,
                                                    const std::vector<std::string>& sources);
    ~BulkImport();
    /// Adds $import, $import-status, $import-file, $bulk-submit and $bulk-submit-status.
    void add_operations(Service& service);
    /// Goes on with jobs of the run before. Call it when the server answers: a source may be the
    /// server itself.
    void start() { jobs_->start(); }
    void stop() { jobs_->stop(); }

 private:
    BulkImport();
    std::shared_ptr<ImportJobs> jobs_;
    std::shared_ptr<Submissions> submissions_;
};

}  // namespace meridian::rest
