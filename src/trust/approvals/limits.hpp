// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace meridian::limits {

inline constexpr std::size_t approval_text_bytes_max = 2'000;  ///< of a reason
inline constexpr std::size_t approval_target_bytes_max = 400;  ///< of a target, and of a detail
inline constexpr std::size_t approval_patients_max = 100;      ///< that one request concerns
inline constexpr std::size_t approvals_per_target_max = 20;    ///< of one kind, decided or not
inline constexpr std::size_t approvals_open_per_account_max = 50;
inline constexpr std::size_t approvals_listed_max = 500;  ///< in one answer
/// Entries that one list looks through; beyond it the list says that there are more.
inline constexpr std::size_t approvals_walked_max = 20'000;
inline constexpr std::size_t approvals_at_once = 200;  ///< read from the vault for that
inline constexpr int approval_kept_days = 30;          ///< after it is over, to be listed

}  // namespace meridian::limits
