// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "net/http.hpp"
#include "trust/subject.hpp"
#include "trust/tokens.hpp"

namespace meridian::trust {

/// Where a request learns who asks. Every request for the record passes it. Thread-safe.
class Gate {
 public:
    virtual ~Gate() = default;
    /// Who asks and what they may see. Errors: `unauthenticated` without a valid token or session;
    /// `forbidden` for an account that may not ask at all; `busy` for one that asks too often, with
    /// the seconds to wait as Error::where; `unavailable`. Blocking: look-ups.
    virtual Result<fhir::Caller> admit(const net::Request& request) = 0;
    /// The same for a thread that must not wait: nothing when it would have to.
    virtual std::optional<Result<fhir::Caller>> admit_at_once(const net::Request& request) = 0;
    /// Who asks, without what they may see: for what is decided for a person, as an emergency
    /// access. Errors and blocking: as admit.
    virtual Result<Subject> subject(const net::Request& request) = 0;
};

/// Lets everybody in, as the system itself: for tests and measurements, never for patients.
std::shared_ptr<Gate> open_gate();

/// What the gate asks of the other parts of this room.
struct GateParts {
    /// The session that the request's cookie names, if it stands and the request may use it.
    std::function<std::optional<Subject>(const net::Request&)> session;
    /// Whether the account is still there and enabled, and neither session nor grant was revoked.
    std::function<Result<void>(const Tokens::Token&)> stands;
    /// What the subject may see, by the policy and consents of now.
    std::function<Result<fhir::Caller>(const Subject&, const net::Request&)> caller;
    /// Told of every request that is refused here.
    std::function<void(const net::Request&, const Error&)> refused;
};

/// Asks for a bearer token, or a session's cookie. What it learns of a token's standing it
/// remembers for limits::standing_milliseconds, so a revocation works within that time on every
/// server.
std::shared_ptr<Gate> guarded_gate(const SecretKey& master, GateParts parts);

}  // namespace meridian::trust
