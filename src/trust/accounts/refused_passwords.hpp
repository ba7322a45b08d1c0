// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::trust {

/// An operator's own list of passwords that nobody may choose: breached ones, and words of the
/// house (NIST SP 800-63B-4 §3.1.1.2; ASVS 5.0 V6.1.2, V6.2.12). Immutable; safe to share.
///
/// A text file, one password a line, in any letter case. A line of 40 hexadecimal digits, also with
/// ":" and a number behind, is a password's SHA-1, as lists of breached passwords are published.
/// Empty lines and those that begin with "#" say nothing. Kept are 8 bytes of a hash for each line,
/// not the passwords; so one in some 10^12 others is refused for nothing.
class RefusedPasswords {
 public:
    /// Reads the file line by line. Errors: `not_found`, `unavailable`; `incorrect` with file and
    /// line for one that is no UTF-8 or too long; `too_large` beyond limits::refused_passwords_max
    /// lines. Messages never hold a line's text. Blocking: disk.
    static Result<std::shared_ptr<const RefusedPasswords>> read(const std::string& path);

    /// Whether a password, in the form of normal_password(), is listed.
    bool contains(std::string_view normal_password) const;
    std::size_t size() const { return hashes_.size(); }

 private:
    std::vector<std::uint64_t> hashes_;  ///< sorted, each once
};

}  // namespace meridian::trust
