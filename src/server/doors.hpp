// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "server/guard.hpp"
#include "trust/gate.hpp"
#include "trust/merkle/keeper.hpp"
#include "trust/merkle/pages.hpp"
#include "trust/oauth/server.hpp"
#include "trust/pages/administration.hpp"
#include "trust/pages/record_access.hpp"
#include "trust/pages/sign_in.hpp"
#include "trust/policy/decisions.hpp"
#include "trust/sessions/session.hpp"

namespace meridian::server {

/// What stands at a server's doors: who comes in by which way, and what is shown to everybody. One
/// per running server; commands without HTTP need the Guard only.
class Doors {
 public:
    struct Options {
        std::string folder;     ///< keeps the audit tree
        std::string fhir_base;  ///< as clients know it, e.g. "https://record.example.org/fhir"
        /// Whether that is what the operator said, and not made from the address listened at: then
        /// pages and cookies belong to its origin alone.
        bool is_public = false;
        bool second_factor_for_all = false;  ///< as ApplicationOptions has it
    };
    /// Errors: of the keys and the audit tree in the folder; `incorrect` for policy files that
    /// cannot be understood. Everything that is given must outlive it.
    static Result<std::unique_ptr<Doors>> open(Guard& guard, fhir::Repository& repository,
                                               Options options);

    /// The answer for pages of sign-in, administration, OAuth and the audit tree; nothing for every
    /// other path.
    std::optional<net::Response> handle(const net::Request& request);
    /// As trust::Gate, of people and apps that come by HTTP.
    Result<fhir::Caller> admit(const net::Request& request);
    /// CapabilityStatement.rest.security: how clients sign in.
    std::string capability() const;
    std::shared_ptr<trust::Gate> gate() { return gate_; }
    trust::policy::Decisions& decisions() { return *decisions_; }
    /// What a person or system may see for whom something is done later, as a subscription:
    /// `person` as the log names them. Errors: `forbidden` without exactly one account that is
    /// enabled; `unavailable`. Blocking: reads all accounts.
    Result<fhir::Caller> caller_of(std::string_view person);
    /// Who asks, for operations that need to know more than their Caller says. Errors: as the gate.
    Result<trust::Subject> subject_of(const net::Request& request);

 private:
    Doors(Guard& guard, fhir::Repository& repository, Options options)
        : guard_(guard), repository_(repository), options_(std::move(options)) {}
    Result<void> open_sign_in();
    void open_administration();
    Result<std::vector<trust::StatusLine>> status() const;
    Result<void> open_oauth();
    Result<void> open_gate();
    Result<std::vector<trust::oauth::PatientChoice>> choices_for(const trust::Subject& subject,
                                                                 std::string_view search);
    std::optional<trust::Subject> session_of(const net::Request& request);

    Guard& guard_;
    fhir::Repository& repository_;
    Options options_;
    Instant started_ = now();
    std::unique_ptr<trust::policy::Decisions> decisions_;
    std::unique_ptr<trust::Sessions> sessions_;
    std::unique_ptr<trust::SignIn> sign_in_;
    std::unique_ptr<trust::Administration> administration_;
    std::unique_ptr<trust::RecordAccess> record_access_;
    std::unique_ptr<trust::oauth::Server> oauth_;
    std::unique_ptr<trust::merkle::Keeper> keeper_;
    std::unique_ptr<trust::merkle::Pages> tree_;
    std::shared_ptr<trust::Gate> gate_;
};

}  // namespace meridian::server
