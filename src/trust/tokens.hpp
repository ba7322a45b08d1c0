// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/seal.hpp"
#include "trust/subject.hpp"

namespace meridian::trust {

/// Bearer tokens (RFC 6750), opaque to clients: the subject itself, sealed with a key that only
/// this deployment's servers have. So any of them opens a token without asking the store, and a
/// token tells nothing to who holds it. What it says may be out of date: whether the account,
/// session or grant still stands is asked of `Standing`. Immutable, safe to share between threads.
class Tokens {
 public:
    struct Token {
        Subject subject;
        std::string id;  ///< of this token alone, for introspection and audit
        Instant issued{};
        Instant expires{};
    };
    explicit Tokens(const SecretKey& master);

    std::string issue(const Subject& subject, Instant expires) const;
    /// Errors: `unauthenticated` for anything that this deployment has not issued and for a token
    /// whose time is over, in the same words: they tell a guesser nothing.
    Result<Token> open(std::string_view token, Instant at) const;

 private:
    SecretKey key_;
};

/// The token of a request (RFC 6750 §2.1); nothing without one. The other two ways that the RFC
/// knows, a form field and the URL, are not taken: URLs end up in logs.
std::optional<std::string_view> bearer_token(std::string_view authorization);

}  // namespace meridian::trust
