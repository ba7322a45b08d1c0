// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/http.hpp"
#include "trust/accounts/account.hpp"
#include "trust/accounts/device.hpp"
#include "trust/accounts/throttle.hpp"
#include "trust/federated.hpp"
#include "trust/sessions/session.hpp"
#include "trust/vault.hpp"
#include "trust/webauthn/passkeys.hpp"

namespace meridian::trust {

/// `text` when it is a path of this server that a browser may be sent to after signing in
/// ("/fhir/…", with a query), else "/". Never another host's: no "//", no backslash, no control
/// character.
std::string own_path(std::string_view text);

/// The pages by which people sign in and look after their account: /sign-in, /sign-out, /setup,
/// /setup/account, /step-up, /account, /account/identities. Server-rendered, in Chinese and
/// English; they work without script but for passkeys. Thread-safe.
///
/// Signing in: a passkey, which stands for both factors; or the password, and then a one-time code,
/// a recovery code or a passkey where the account has such. Whoever changes how they sign in must
/// have proved who they are within the last ten minutes.
class SignIn {
 public:
    struct Options {
        /// WebAuthn's relying party: the host name under which the pages are reached, for ever.
        /// Empty: that of the first of Sessions::Options::origins, or of the request.
        std::string relying_party{};
        /// Makes the person of the first administrator (FHIR Practitioner) and says the reference.
        /// Required.
        std::function<Result<std::string>(const NewAccount&)> make_person{};
        /// Roles that get no session before they have set up a second factor.
        std::function<bool(Role)> second_factor_required = is_administrator;
        /// Told every outcome. `account` is empty when no account of that name exists: people type
        /// passwords into the wrong field.
        std::function<void(std::string_view what, std::string_view account, bool ok,
                           const net::Request&)>
            audit = [](std::string_view, std::string_view, bool, const net::Request&) {};
        /// Outside providers to offer. A failure shows none.
        std::function<Result<std::vector<OutsideProvider>>()> providers = [] {
            return std::vector<OutsideProvider>();
        };
        std::function<Instant()> clock = now;
    };
    SignIn(Vault& vault, Accounts& accounts, Sessions& sessions, Options options);

    /// The answer for a path of these pages; nothing for every other path. Blocking: look-ups,
    /// commits, and some 0.7 s of one core for a password.
    std::optional<net::Response> handle(const net::Request& request);

    /// Goes on with somebody whom an outside provider has proved: signs in who is linked with
    /// them, where that account has a second factor after asking for it; counts as a step-up; or
    /// asks whether to link them. Blocking: look-ups and commits.
    net::Response take_federated(const net::Request& request, const Federated& federated);

    struct Visit;  ///< private to pages/

 private:
    struct Pending;
    struct Route;
    using Handler = net::Response (SignIn::*)(Visit&);
    static std::span<const Route> routes();
    net::Response answer(Visit& visit, const Route& route);

    // Signing in.
    net::Response show_sign_in(Visit& visit);
    net::Response take_password(Visit& visit);
    net::Response show_second(Visit& visit);
    net::Response take_second(Visit& visit);
    net::Response passkey_options(Visit& visit);
    net::Response take_passkey(Visit& visit);
    net::Response sign_out(Visit& visit);
    net::Response show_setup(Visit& visit);
    net::Response take_setup(Visit& visit);
    net::Response show_account_setup(Visit& visit);
    net::Response take_account_setup(Visit& visit);
    net::Response show_step_up(Visit& visit);
    net::Response take_step_up(Visit& visit);
    net::Response step_up_options(Visit& visit);
    net::Response take_step_up_passkey(Visit& visit);
    net::Response style(Visit& visit);
    net::Response script_file(Visit& visit);
    // The account.
    net::Response show_account(Visit& visit);
    net::Response set_password(Visit& visit);
    net::Response begin_totp(Visit& visit);
    net::Response confirm_totp(Visit& visit);
    net::Response remove_totp(Visit& visit);
    net::Response begin_recovery(Visit& visit);
    net::Response confirm_recovery(Visit& visit);
    net::Response new_passkey_options(Visit& visit);
    net::Response add_passkey(Visit& visit);
    net::Response remove_passkey(Visit& visit);
    net::Response revoke_session(Visit& visit);
    net::Response revoke_others(Visit& visit);

    // Who the account is at other providers (pages/federated.cpp).
    net::Response show_identities(Visit& visit);
    net::Response add_identity(Visit& visit);
    net::Response remove_identity(Visit& visit);
    net::Response identities_page(Visit& visit, int status, std::string_view problem);
    net::Response enter_federated(Visit& visit, const Federated& federated);
    net::Response step_up_federated(Visit& visit, const Federated& federated);
    net::Response ask_to_link(Visit& visit, const Federated& federated);
    net::Response not_linked(Visit& visit, const Federated& federated);
    Result<std::optional<Account>> account_of(const Federated& federated);
    std::vector<OutsideProvider> outside_providers() const;
    std::string provider_links(const Visit& visit, Federated::Purpose purpose,
                               std::string_view return_to, const Account* linked = nullptr) const;

    net::Response sign_in_page(Visit& visit, int status, std::string_view name,
                               std::string_view problem);
    net::Response second_page(Visit& visit, const Account& account, int status,
                              std::string_view problem, bool step_up);
    static std::string begin_form(Visit& visit);
    net::Response setup_page(Visit& visit, int status, std::string_view problem);
    net::Response account_setup_page(Visit& visit, int status, const Account& account,
                                     std::string_view problem);
    net::Response account_page(Visit& visit, int status, std::string_view place,
                               std::string_view problem);
    net::Response enter(Visit& visit, const Account& account, std::vector<std::string> methods,
                        std::string_view return_to, bool as_json,
                        std::optional<Instant> proved = std::nullopt);
    net::Response renewed(Visit& visit, std::vector<std::string> methods, std::string_view location,
                          bool as_json);
    net::Response failure(Visit& visit, const Error& error);
    /// Has `prove` heard when the throttle lets it, and tells the throttle when it was right.
    Result<void> counted(const Attempt& attempt, const std::function<Result<void>()>& prove);
    Result<void> prove_by_code(const Account& account, std::string_view code);
    Result<std::optional<Pending>> pending(const Visit& visit);
    Result<std::string> keep_pending(const Account& account, std::string_view return_to,
                                     std::string_view first);
    Result<void> forget_pending(const Visit& visit);
    Result<bool> count_attempt(const Visit& visit, Pending& state);
    Result<std::string> device_of(const Visit& visit, const Account& account);
    Passkeys::Site site(const net::Request& request) const;
    void report(const Visit& visit, std::string_view what, std::string_view account, bool ok) const;

    Vault& vault_;
    Accounts& accounts_;
    Sessions& sessions_;
    Options options_;
    Devices devices_;
    Throttle throttle_;
    Passkeys passkeys_;
};

}  // namespace meridian::trust
