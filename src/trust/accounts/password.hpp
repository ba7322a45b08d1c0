// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian::trust {

/// What a password must not be equal to.
struct PasswordContext {
    std::string_view name{};
    std::string_view display_name{};
    std::string_view organisation{};
    std::string_view person{};
};

/// The form of a password that is hashed: NFKC (NIST SP 800-63B-4 §3.1.1.2), nothing cut off,
/// nothing trimmed. Errors: `incorrect` for text beyond limits::password_bytes_max or that is no
/// UTF-8.
Result<std::string> normal_password(std::string_view text);

/// normal_password() of one that may be chosen: at least limits::password_characters_min
/// characters, none of the commonly used ones, not the person's own names. There are no rules about
/// kinds of characters and no expiry (NIST SP 800-63B-4 §3.1.1.2, ASVS 5.0 V6.2). Errors:
/// `incorrect`; the message never holds the password.
Result<std::string> chosen_password(std::string_view text, const PasswordContext& context);

/// Whether a password is one of those that data/trust/README.md describes: listed words also with
/// tails and letters replaced, repetitions, runs along the keyboard, dates.
bool is_commonly_used(std::string_view normal_password);

/// Lets a bounded number of threads through at a time, and a bounded number wait.
class Gate {
 public:
    Gate(unsigned at_once_max, unsigned waiting_max) : free_(at_once_max), places_(waiting_max) {}
    /// Errors: `busy` when too many wait, or waited for limits::argon2_wait_seconds_max.
    Result<void> enter();
    void leave();

 private:
    std::mutex mutex_;
    std::condition_variable left_;
    unsigned free_;
    unsigned places_;
};

}  // namespace meridian::trust
