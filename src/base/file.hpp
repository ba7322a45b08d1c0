// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/result.hpp"

namespace meridian {

/// The whole content of a file. Errors: `not_found`; `too_large` beyond `bytes_max`; `unavailable`
/// when it cannot be read (a folder, no permission, a failing disk). Blocking: disk.
Result<std::string> read_file(const std::string& path,
                              std::size_t bytes_max = limits::file_bytes_max);

/// Writes a file so that after a crash at any moment either its old or its whole new content is
/// there: a temporary file beside it, fsync, rename, fsync of the folder. Errors: `not_found` when
/// the folder is not there; `storage_full`; `unavailable` for everything else; the old file is
/// untouched after an error. Blocking: disk, with two fsyncs.
Result<void> write_file_atomically(const std::string& path, std::string_view content);

}  // namespace meridian
