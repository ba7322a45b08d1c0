// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace meridian::server {

/// Where the kernel tells of mounts and devices; tests give trees of other machines.
struct KernelRoots {
    std::string proc = "/proc";
    std::string sys = "/sys";
};

enum class Encryption : unsigned char {
    on,           ///< every device below is under dm-crypt
    off,          ///< some device below is a plain one, as far as this machine can see
    in_memory,    ///< nothing of it lies on a disk
    cannot_tell,  ///< the file system or the device is of a kind that says nothing of it
};

/// What lies under a folder or a swap area, and in one sentence why that is known.
struct EncryptionReport {
    Encryption encryption = Encryption::cannot_tell;
    std::string sentence;
};

/// Whether the disk under `folder` (absolute, without links) is encrypted: from the mount in
/// /proc/self/mountinfo (proc(5)) to its block device, and from there down over partitions, logical
/// volumes, RAID and loop files (/sys/class/block/*/{partition,slaves,loop}) to device-mapper
/// targets whose UUID begins with CRYPT- (cryptsetup's naming). A plain device may still be
/// encrypted by a hypervisor or by itself, which cannot be seen from here.
///
/// Errors: `unavailable` when mountinfo cannot be read or no mount holds the folder. Blocking:
/// reads of /proc and /sys.
Result<EncryptionReport> encryption_under(const std::string& folder, const KernelRoots& roots = {});

/// The same of each swap area in /proc/swaps; empty when there is none. Errors: as above.
Result<std::vector<EncryptionReport>> encryption_of_swap(const KernelRoots& roots = {});

}  // namespace meridian::server
