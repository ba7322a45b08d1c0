// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "server/guard.hpp"
#include "trust/pages/administration.hpp"

namespace meridian::server {

/// Where a server that serves a data folder can be asked by the owner of that folder.
std::string control_socket_path(const std::string& folder);

/// Makes an account, and the person's resource when none is named. Errors: `conflict` when the name
/// is taken; those of person_for and trust::Accounts::add. Blocking: look-ups and commits.
Result<trust::Account> make_account(Guard& guard, fhir::Repository& repository,
                                    const trust::WantedAccount& wanted);

/// What the owner of a data folder may ask: accounts, tokens, apps, erasures. A running server
/// answers it on a socket in the folder that only its owner can open; without a server the command
/// answers itself, by the same functions. Requests and answers are JSON:
///
/// - `POST /accounts` {name, role, organisation?, practitioner?, patient?, display?, password?} →
///   201, the account. The person's resource is made when none is named. For a person without a
///   password also `setup`: the one-time address at which they choose it.
/// - `GET /accounts` → {accounts: […]}
/// - `POST /accounts/NAME/disabled` {disabled: true|false} → the account
/// - `POST /accounts/NAME/reset` {secondFactors?: true} → {name, setup}: a one-time address for a
/// new
///   password; with `secondFactors` those are taken away too
/// - `POST /accounts/NAME/unlocked` {} → the account: nobody waits any more after wrong attempts
/// - `POST /accounts/NAME/sessions` {} → the account: all its sessions are ended
/// - `POST /tokens` {account, scopes?, seconds?} → {token}
/// - `POST /clients` {name, id?, redirects?, scopes?, authentication: none|secret|private-key,
///   jwks?, jwksUri?, account?, firstParty?, mayIntrospect?, pushes?} → 201 {id, secret?}: an app
///   that may use OAuth
/// - `GET /clients` → {clients: […]}; `POST /clients/ID/removed` {} → {id}
/// - `POST /providers` {name, issuer, clientId, label?, labelZh?, secret?, key?, scope?, creates?}
/// →
///   201 {name, callback, jwks?}: an outside OpenID provider whose people may sign in here
/// - `GET /providers` → {providers: […]}, without secrets; `POST /providers/NAME/removed` {} →
///   {name}
/// - `POST /accounts/NAME/identities` {provider, subject, removed?} → the account: who it is at
/// that
///   provider
/// - `POST /erasures` {subject, reason, by, override?, approvers?} → the certificate: what
///   server::erase does
/// - `POST /holds` {patient, reason, by} → {held: true}; `POST /holds/released` {patient} →
///   {held: false, was: true|false}
/// - `POST /seals` {} → {lookedAt, total, sealed, done}: a part of the work of trust::seal_some
/// - `/projects`: as project_control.hpp has it
///
/// Errors: {error: sentence, category} with the status of their category.
class Control {
 public:
    Control(Guard& guard, fhir::Repository& repository) : guard_(guard), repository_(repository) {}
    net::Response handle(const net::Request& request);

 private:
    Result<net::Response> answer(const net::Request& request);
    Result<net::Response> about_projects(const net::Request& request,
                                         const std::vector<std::string>& path);
    Result<net::Response> add_account(const Json& wanted);
    Result<net::Response> list_accounts();
    Result<net::Response> act_on_account(std::string_view name, std::string_view what,
                                         const Json& wanted);
    Result<std::string> setup_address(std::string_view name);
    Result<void> reset(std::string_view name, const Json& wanted);
    Result<net::Response> set_disabled(std::string_view name, const Json& wanted);
    Result<net::Response> issue_token(const Json& wanted);
    Result<net::Response> add_client(const Json& wanted);
    Result<net::Response> list_clients();
    Result<net::Response> remove_client(std::string_view id);
    Result<net::Response> erase_person(const Json& wanted);
    Result<net::Response> hold(const Json& wanted);
    Result<net::Response> release(const Json& wanted);
    Result<net::Response> seal();
    Result<net::Response> add_provider(const Json& wanted);
    Result<net::Response> list_providers();
    Result<net::Response> remove_provider(std::string_view name);
    Result<net::Response> set_identity(std::string_view account, const Json& wanted);
    /// What is done here, and to which account, is in the audit as well. Errors: of
    /// Repository::note.
    Result<void> note(std::string_view what, std::string_view account = {});

    Guard& guard_;
    fhir::Repository& repository_;
};

}  // namespace meridian::server
