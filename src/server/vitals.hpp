// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace meridian::server {

/// What is not counted as it happens but looked up when /metrics is asked.
struct Vitals {
    std::string data_folder;
    std::size_t connections = 0;
    std::size_t requests_waiting = 0;
};

/// Puts `vitals` into the metrics, and with them the free space of the data folder's disk and what
/// the kernel knows of this process, under the names that Prometheus' own clients use. What cannot
/// be read keeps its last value. Blocking: three small reads from /proc and one statvfs.
void note_vitals(const Vitals& vitals);

}  // namespace meridian::server
