// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace meridian::limits {

// --- server: the doctor ---
inline constexpr std::size_t doctor_file_bytes_max = 4u << 20;  ///< of one file of /proc or /sys
inline constexpr unsigned doctor_devices_deep_max = 16;  ///< block devices one below the other
inline constexpr unsigned doctor_devices_max = 1'000;    ///< looked at for one question
inline constexpr std::size_t doctor_key_files_max = 1'000;
inline constexpr unsigned doctor_free_percent_min = 10;  ///< of the disk under the record
inline constexpr std::int64_t doctor_free_bytes_min = std::int64_t{5} << 30;
inline constexpr std::uint64_t doctor_open_files_min = 16'384;  ///< 8,192 connections and the store
inline constexpr int doctor_certificate_days_min = 21;
/// A server signs each minute; what is behind for longer is not being signed.
inline constexpr int doctor_checkpoint_seconds_max = 300;
inline constexpr int doctor_clock_error_milliseconds_max = 1'000;

}  // namespace meridian::limits
