// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "server/application.hpp"
#include "server/doctor/disk_encryption.hpp"

namespace meridian::server {

enum class Judgement : unsigned char {
    good,
    advice,       ///< works, and could be safer
    mend,         ///< is to be mended before people's data lie here
    cannot_tell,  ///< what would tell is not on this machine, or not to be read
};
std::string_view name_of(Judgement judgement);

/// One thing that was looked at, and what was seen, in one sentence for the operator.
struct HostFinding {
    std::string about;  ///< "disk-encryption"
    Judgement judgement = Judgement::cannot_tell;
    std::string sentence;
};

/// The clock as adjtimex(2) tells of it.
struct ClockState {
    bool is_readable = false;
    bool is_synchronised = false;
    std::int64_t error_milliseconds = 0;  ///< the kernel's estimate of the most
};
ClockState clock_state();

struct DoctorOptions {
    /// Folder, database, address, TLS and proxies, as `serve` would be told.
    ApplicationOptions serving;
    /// The operator says that what lies below the disk encrypts it: a hypervisor, or the disk.
    bool is_encrypted_below = false;
    KernelRoots roots{};
    ClockState clock = clock_state();
};

/// Looks at the host of a record: the disk under it and under swap, who may read folder and keys,
/// the clock, free space, limits of the process that serves (or of this one), certificate, the
/// proof's newest checkpoint, the store's schema, and how the record would be reached. Changes
/// nothing; runs beside a server.
///
/// Errors: `not_found` when there is no such folder; `unavailable` when it cannot be read.
/// Blocking: disk; opens the store to read.
Result<std::vector<HostFinding>> examine_host(const DoctorOptions& options);

}  // namespace meridian::server
