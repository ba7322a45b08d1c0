// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

/// How many finished exports are kept, and for how long; tests ask for less.
struct ExportKeeping {
    std::size_t finished_max = limits::export_finished_max;
    std::chrono::seconds finished_life{limits::export_finished_seconds};
};

/// The export jobs of one server: started by $export, asked for by $export-status, read by
/// $export-file. Finished jobs survive a restart; their files lie below `folder` until their time
/// is over or newer ones need their place.
class ExportJobs {
 public:
    ExportJobs(fhir::Repository& repository, std::string folder, ExportKeeping keeping = {});
    /// Stops jobs in work and waits for them.
    ~ExportJobs();
    /// Adds $export, $export-status and $export-file to the service. Must outlive it.
    void add_operations(Service& service);

    struct State;  ///< private to operations.cpp

 private:
    std::shared_ptr<State> state_;
};

}  // namespace meridian::rest
