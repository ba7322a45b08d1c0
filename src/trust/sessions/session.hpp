// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "trust/accounts/account.hpp"
#include "trust/subject.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// When a session ends by itself (automatic logoff, HIPAA 164.312(a)(2)(iii)).
struct SessionLimits {
    std::chrono::seconds idle{};      ///< without a request
    std::chrono::seconds absolute{};  ///< since sign-in, whatever happens
};
/// Administrators 15 minutes and 8 hours; those at work 30 minutes and 12 hours (a shift); patients
/// and guardians 30 minutes and 12 hours.
SessionLimits session_limits(Role role);

/// A session as its owner sees it in a list.
struct SessionInfo {
    std::string id{};      ///< public: names the session, does not open it
    std::string device{};  ///< what the browser says it is, shortened
    std::string network{};
    Instant started{};
    Instant used{};  ///< at most limits::session_touch_seconds stale
    std::vector<std::string> methods{};
};

/// Sessions of browsers, in a vault (spaces "session", "session-of"). The cookie holds 256 random
/// bits; the vault knows their hash only. Thread-safe; several servers may share the vault.
class Sessions {
 public:
    struct Options {
        /// Origins that our pages have, e.g. "https://record.example.org". Empty: the one that the
        /// request's Host header names, by http on a loopback name and else by https.
        std::vector<std::string> origins{};
        std::function<SessionLimits(Role)> limits = session_limits;
        /// Where a client is; behind a proxy that is trusted, what the proxy says.
        std::function<std::string(const net::Request&)> client_address =
            [](const net::Request& request) { return request.peer; };
        std::function<Instant()> clock = now;
    };
    Sessions(Vault& vault, Accounts& accounts, Options options)
        : vault_(vault), accounts_(accounts), options_(std::move(options)) {}

    /// Begins a session, always with a new secret: one that the browser brought along ends in the
    /// same commit. `must_enrol`: the person has yet to set up a second factor, and the session is
    /// good for that alone: find() does not see it. `proved`: when the person proved who they are,
    /// if that was not now. The result is the Set-Cookie header. Errors:
    /// `conflict` when the account signs in many times at once; those of the vault. Blocking: one
    /// commit.
    Result<std::string> start(const net::Request& request, const Account& account,
                              std::vector<std::string> methods, bool must_enrol = false,
                              std::optional<Instant> proved = std::nullopt);

    /// Whose session the request's cookie opens. Nothing without one, after it ended or was
    /// revoked, when its account was disabled, for one that must enrol, for an administrator's in
    /// another network than it began in, and when the vault fails (both logged). Role, person and
    /// organisation are as they are now. Blocking: two look-ups, and once in
    /// limits::session_touch_seconds a commit.
    std::optional<Subject> find(const net::Request& request);
    /// As find(), but tells failures, and finds those that must enrol too.
    struct Found {
        Subject subject{};
        Account account{};
        bool must_enrol = false;
    };
    Result<std::optional<Found>> look_up(const net::Request& request);

    /// The person proved again who they are, by `methods`: the session gets a new secret (ASVS 5.0
    /// V7.2.4), and is good for everything once a second factor is set up. The result is the
    /// Set-Cookie header. Errors: `unauthenticated` without a session.
    Result<std::string> renew(const net::Request& request, std::vector<std::string> methods);

    /// Ends the request's own session, if there is one.
    Result<void> end(const net::Request& request);
    /// Newest first.
    Result<std::vector<SessionInfo>> list(std::string_view account);
    /// Errors: `not_found`.
    Result<void> revoke(std::string_view account, std::string_view id);
    /// All of an account but the one called `except`, which may be empty.
    Result<void> revoke_all(std::string_view account, std::string_view except = {});

    /// All of everybody but `except_account`, after a break-in. The result is of how many accounts.
    /// Errors: those of the vault; then some may have ended. Blocking: reads all accounts.
    Result<std::size_t> revoke_everybody(std::string_view except_account = {});

    /// Whether a request that a cookie speaks for may change something: a page of ours must have
    /// made it. GET, HEAD and OPTIONS pass. Others need: Sec-Fetch-Site "same-origin" or "none" and
    /// an Origin of ours, as far as they are sent; and the token of csrf_token(), in the header
    /// X-CSRF-Token or the form field "csrf". Call it whenever a Subject came from find(); a bearer
    /// token needs no such check, no page of others can add one. Errors: `forbidden`. Blocking:
    /// never.
    Result<void> check_csrf(const net::Request& request) const;
    /// The token for the request's session, or for its sign-in when there is no session; empty
    /// without both. It is made of the cookie's secret, so nothing needs to be kept.
    static std::string csrf_token(const net::Request& request);
    /// The token that belongs to a cookie's value.
    static std::string csrf_token_for(std::string_view cookie_value);

    /// As trust::require_recent (sessions/fresh_proof.hpp), by this clock.
    Result<void> require_recent(const Subject& subject, std::chrono::seconds age,
                                std::initializer_list<std::string_view> methods = {}) const;

    /// Whether `origin` is one of ours, as seen by a request.
    bool is_own_origin(const net::Request& request, std::string_view origin) const;
    const Options& options() const { return options_; }

 private:
    struct Stored;
    struct Opened;
    Result<std::optional<Opened>> open(const net::Request& request);
    Result<void> touch(Opened& opened);
    Result<void> remove(const Vault::Entry& index);
    Result<void> tell_grants(std::string_view id);
    /// The oldest sessions end, so that an account's sessions are bounded.
    Result<void> make_room(std::string_view account);
    Result<std::vector<Vault::Entry>> indexes(std::string_view account);

    Vault& vault_;
    Accounts& accounts_;
    Options options_;
};

}  // namespace meridian::trust
