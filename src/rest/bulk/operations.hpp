// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "rest/service.hpp"

namespace meridian::rest {

/// The export jobs of one server: started by $export, asked for by $export-status, read by
/// $export-file. Finished jobs survive a restart; their files lie below `folder`.
class ExportJobs {
 public:
    ExportJobs(fhir::Repository& repository, std::string folder);
    /// Stops jobs in work and waits for them.
    ~ExportJobs();
    /// Adds $export, $export-status and $export-file to the service. Must outlive it.
    void add_operations(Service& service);

    struct State;  ///< private to operations.cpp

 private:
    std::shared_ptr<State> state_;
};

}  // namespace meridian::rest
