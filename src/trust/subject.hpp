// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/role.hpp"

namespace meridian::trust {

/// Who asks, as sign-in has found out: what a session or a token stands for. The policy makes a
/// fhir::Caller of it (what they may see), the audit says it (who it was).
struct Subject {
    std::string account{};  ///< name of the account, unique in the region
    Role role = Role::patient;
    std::string person{};  ///< reference: Practitioner/ID, Patient/ID, RelatedPerson/ID, Device/ID
    std::string organisation{};  ///< reference of the organisation they work in; may be empty
    std::string
        on_behalf_of{};  ///< reference of the patient acted for (guardian, proxy); may be empty
    /// Code of v3-ActReason, stated when the token was made; empty = what the policy gives the
    /// role.
    std::string purpose{};
    /// SMART scopes (v2) that narrow what the role may do; empty = all that the role may, as the
    /// server's own pages do.
    std::vector<std::string> scopes{};
    std::string patient{};    ///< SMART launch context: reference of the patient; may be empty
    std::string encounter{};  ///< likewise of the encounter
    std::string client{};     ///< OAuth client that acts for the account; empty = the server's own
    /// What is revoked as one: the session, or the family of an OAuth grant.
    std::string session{};
    Instant authenticated_at{};  ///< when the person last proved who they are: step-up asks for it
    /// How (RFC 8176): "pwd", "otp", "hwk" (passkey), "swk", "fed" (another provider).
    std::vector<std::string> methods{};
};

/// The stored form of a subject: JSON whose absent members are empty.
std::string to_json(const Subject& subject);
/// Errors: `incorrect` for another form, or a role that this program does not know.
Result<Subject> subject_of(const Json& stored);

}  // namespace meridian::trust
