// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "trust/accounts/account.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// Knows browsers again that signed in before, so that the slow path for strangers is none for them
/// (throttle.hpp). The browser keeps a sealed cookie (trust/seal.hpp; the key lies in the vault,
/// space "device-key") that names up to limits::device_cookie_accounts_max accounts, since a ward
/// has one computer for many. It proves nothing else: whoever has it still needs the password.
/// Thread-safe.
class Devices {
 public:
    explicit Devices(Vault& vault, std::function<Instant()> clock = now)
        : vault_(vault), clock_(std::move(clock)) {}

    /// The device's number for this account; empty for a stranger, a cookie that was altered, is
    /// older than limits::device_cookie_days, or is from before `known_from`.
    Result<std::string> known(const net::Request& request, std::string_view account,
                              Instant known_from);
    /// The Set-Cookie header by which the browser is known from now on, besides the accounts that
    /// it is known to already.
    Result<std::string> remember(const net::Request& request, std::string_view account);

 private:
    struct Entry;
    Result<std::string> key();
    Result<std::vector<Entry>> entries(const net::Request& request);

    Vault& vault_;
    std::function<Instant()> clock_;
    std::mutex mutex_;
    std::string key_;
};

}  // namespace meridian::trust
