// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace meridian::limits {

inline constexpr std::size_t projects_max = 100;
inline constexpr std::size_t project_id_bytes_max = 40;
inline constexpr std::size_t project_text_bytes_max = 400;    ///< of a title, and of a reference
inline constexpr std::size_t project_members_max = 500;       ///< accounts
inline constexpr std::size_t project_patients_max = 100'000;  ///< of one cohort
inline constexpr std::size_t project_write_attempts_max = 8;  ///< when others change it meanwhile
inline constexpr int date_shift_days_max = 183;               ///< either way
inline constexpr int age_band_years = 5;
inline constexpr int age_band_top_years = 90;  ///< from then on all are one band
/// Shorter texts of a patient's names, numbers and addresses are no reason to leave a code out.
inline constexpr std::size_t identifying_bytes_min = 4;
inline constexpr std::size_t identifying_digits_min = 7;  ///< of texts that are only digits
inline constexpr std::size_t identifying_in_uri_bytes_min = 6;
inline constexpr std::size_t identifying_words_max = 500;     ///< of one patient
inline constexpr std::size_t pseudonym_code_bytes_max = 64;   ///< of a code that is kept
inline constexpr std::size_t pseudonym_uri_bytes_max = 400;   ///< of a code system that is kept
inline constexpr std::size_t view_log_entries_at_once = 512;  ///< read by one step of a view
inline constexpr std::size_t view_resources_at_once = 200;    ///< written in one commit
inline constexpr unsigned view_look_milliseconds = 400;       ///< between two looks at the log
inline constexpr unsigned view_retry_milliseconds_max = 30'000;
/// How long a request waits until what was written before it is in the view.
inline constexpr unsigned view_wait_milliseconds = 3'000;

}  // namespace meridian::limits
