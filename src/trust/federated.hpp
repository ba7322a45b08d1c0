// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/instant.hpp"
#include "trust/accounts/account.hpp"
#include "trust/role.hpp"

namespace meridian::trust {

/// An outside OpenID provider as pages offer it.
struct OutsideProvider {
    std::string name{};  ///< in addresses: /oauth/federated/NAME/start
    std::string label{};
    std::string label_zh{};
    std::string issuer{};
};

/// Somebody whom an outside provider has proved to this very browser, on a trip that began here.
/// Who of us that is, oauth/ does not know: the pages of sign-in do (SignIn::take_federated).
struct Federated {
    enum class Purpose : unsigned char {
        sign_in,
        step_up,  ///< the person of the session proves again who they are
        link,     ///< the person of the session says who they are at the provider
    };
    Purpose purpose = Purpose::sign_in;
    FederatedIdentity identity{};
    OutsideProvider provider{};
    std::string shown{};  ///< what the person knows themselves by there
    /// When they proved it there; nothing when the provider does not say: then it may be long ago.
    std::optional<Instant> proved{};
    std::string return_to{};  ///< a path of ours
    /// The role of an account that is made for somebody who has none; nothing: none is made.
    std::optional<Role> creates{};
};

}  // namespace meridian::trust
