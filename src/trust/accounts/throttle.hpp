// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// What an attempt to prove who one is proves it with.
enum class Proof : unsigned char {
    password,
    code,       ///< one-time or recovery code, behind the password
    challenge,  ///< asking for a passkey challenge: nothing can be guessed, only the vault filled
};

/// Who tries, as far as one knows before the proof.
struct Attempt {
    Proof proof = Proof::password;
    std::string_view account{};  ///< folded name, whether or not it exists; may be empty
    std::string_view network{};  ///< network_of() the client's address
    /// The number of a device that signed in to this account before (accounts/device.hpp); empty
    /// for a stranger.
    std::string_view device{};
};

/// Slows guessing without letting anybody lock out the account's owner.
///
/// A stranger's attempts are counted three times: for this account from this network, for this
/// network, and for this account from everywhere. Beyond some free ones each adds a delay that
/// doubles up to a longest. A device that signed in to the account before is counted for itself
/// alone ("device cookies" of OWASP), so whatever strangers do, it may sign in; and what it could
/// guess, were it stolen, is bounded likewise. While a delay lasts an attempt is refused unheard,
/// and neither counts nor prolongs it.
///
/// Figures (throttle_test.cpp measures them): strangers all over the world together have fewer
/// than 30 guesses at one account's password in any hour and fewer than 140 in a day; a known
/// device fewer than 30 in an hour; one network fewer than 120 in an hour at all accounts together.
///
/// Counters lie in the vault (space "throttle"), so all servers share them, in
/// limits::throttle_places places for each kind, chosen by a keyed hash: memory is bounded whatever
/// names and networks are tried, and nobody can aim at the place of somebody else. Thread-safe.
class Throttle {
 public:
    explicit Throttle(Vault& vault, std::function<Instant()> clock = now)
        : vault_(vault), clock_(std::move(clock)) {}

    /// Counts an attempt as failed, before it is looked at, so that many at once are no way around.
    /// Errors: `busy` when it must wait: Error::where is the number of seconds; those of the vault.
    /// Blocking: a few look-ups and a commit.
    Result<void> begin(const Attempt& attempt);
    /// It was right after all: its device, and the account from its network, start anew; what it
    /// added to the others is taken back.
    Result<void> succeeded(const Attempt& attempt);
    /// All counters of an account start anew, from everywhere: an administrator knows that its
    /// owner was slowed. Those of networks stay. Errors: those of the vault; `conflict` when others
    /// do it at the same time. Blocking: a commit.
    Result<void> unlock(std::string_view account);

 private:
    struct Counter;
    struct Rule;
    /// How often the account was unlocked, for the places of its counters; empty: never.
    Result<std::string> unlocked(std::string_view account);
    static std::vector<Counter> counters_of(const Attempt& attempt, std::string_view unlocked,
                                            const SipKey& key);
    Result<SipKey> key();
    Result<bool> count(std::vector<Counter>& counters, Instant at);

    Vault& vault_;
    std::function<Instant()> clock_;
    std::mutex mutex_;
    std::optional<SipKey> key_;
};

/// What counts as one place in the network: an IPv4 address, or the 64 bits of an IPv6 address that
/// one customer has. `peer` is an address, also with a port ("127.0.0.1:52814", "[::1]:8080").
/// Other text is one network of its own.
std::string network_of(std::string_view peer);

}  // namespace meridian::trust
