// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "trust/accounts/account.hpp"
#include "trust/accounts/throttle.hpp"
#include "trust/oauth/client.hpp"
#include "trust/pages/sign_in.hpp"
#include "trust/policy/decisions.hpp"
#include "trust/sessions/session.hpp"
#include "trust/vault.hpp"

namespace meridian::trust {

/// An account that somebody asks for, and whom it is to stand for in the record.
struct WantedAccount {
    NewAccount account{};
    std::string practitioner{};  ///< reference; empty: made where the role needs one
    std::string patient{};       ///< reference: of a patient, or of a guardian whose guardian
};

/// One line of what a server says of itself.
struct StatusLine {
    std::string chinese{}, english{};  ///< what it is
    std::string value{};
    bool is_good = true;
};

/// The pages of those who keep a server safe, below /administration: accounts, apps and the policy
/// for security administrators; emergency accesses and the audit for audit administrators; the
/// state of the server for system administrators. Nobody has the pages of another (MLPS 2.0 level
/// 3: the three are separated). Server-rendered, in Chinese and English, without script. What they
/// do is in the audit under their name, and asks for a fresh proof. Thread-safe.
class Administration {
 public:
    struct Options {
        /// Makes an account, and the person's resource when none is named. Required.
        std::function<Result<Account>(const WantedAccount&)> add_account{};
        /// What the server says of itself. Blocking: as it likes.
        std::function<Result<std::vector<StatusLine>>()> status = [] {
            return std::vector<StatusLine>();
        };
        std::function<Instant()> clock = now;
    };
    Administration(Vault& vault, Accounts& accounts, Sessions& sessions,
                   fhir::Repository& repository, policy::Decisions& decisions, Options options);

    /// The answer for a path of these pages; nothing for every other path. Blocking: look-ups,
    /// commits, searches of the record.
    std::optional<net::Response> handle(const net::Request& request);

 private:
    using Visit = SignIn::Visit;
    /// A group of pages, which one kind of administrator has.
    enum class Desk : unsigned char { any, accounts, clients, policy, reviews, audit, status };
    struct Route;
    using Handler = net::Response (Administration::*)(Visit&);
    static std::span<const Route> routes();
    net::Response answer(Visit& visit, const Route& route);
    bool has_desk(const Subject& subject, Desk desk) const;

    net::Response first_desk(Visit& visit);
    // administration_accounts.cpp
    net::Response show_accounts(Visit& visit);
    net::Response add_account(Visit& visit);
    net::Response show_account(Visit& visit);
    net::Response disable(Visit& visit);
    net::Response enable(Visit& visit);
    net::Response unlock(Visit& visit);
    net::Response reset_password(Visit& visit);
    net::Response remove_factors(Visit& visit);
    net::Response change_role(Visit& visit);
    net::Response end_session(Visit& visit);
    net::Response end_sessions(Visit& visit);
    net::Response end_all_sessions(Visit& visit);
    // administration_clients.cpp
    net::Response show_clients(Visit& visit);
    net::Response add_client(Visit& visit);
    net::Response remove_client(Visit& visit);
    // administration_audit.cpp
    net::Response show_reviews(Visit& visit);
    net::Response take_review(Visit& visit);
    net::Response show_audit(Visit& visit);
    // administration.cpp
    net::Response show_policy(Visit& visit);
    net::Response show_status(Visit& visit);

    net::Response accounts_page(Visit& visit, int status, std::string_view problem);
    net::Response account_page(Visit& visit, int status, std::string_view above);
    net::Response clients_page(Visit& visit, int status, std::string_view above);
    net::Response reviews_page(Visit& visit, int status, std::string_view problem);
    net::Response page(Visit& visit, int status, Desk desk, std::string_view title,
                       std::string_view body);
    net::Response done(Visit& visit, std::string_view what, std::string_view account,
                       const Result<void>& outcome);
    /// Tells the audit, before anything is answered. Errors: of Repository::note.
    Result<void> note(const Visit& visit, std::string_view what, std::string_view on, bool ok);

    Vault& vault_;
    Accounts& accounts_;
    Sessions& sessions_;
    fhir::Repository& repository_;
    policy::Decisions& decisions_;
    Options options_;
    Throttle throttle_;
    oauth::Clients clients_;
};

}  // namespace meridian::trust
