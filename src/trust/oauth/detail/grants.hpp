// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

/// What a person (or a system client) has allowed a client.
struct Grant {
    Subject subject{};  ///< as of sign-in, with patient and encounter of the launch
    std::string client{};
    std::vector<Scope> scopes{};
    std::string nonce{};
    std::string browser_session{};  ///< Subject::session of the browser
};

/// A grant that waits as a code for its client.
struct CodeOffer {
    Grant grant{};
    std::string redirect_uri{};
    std::string challenge{};  ///< of PKCE, S256
};

/// What a client gets at the token endpoint.
struct Tokens {
    Grant grant{};  ///< subject.scopes narrowed to what the access token has
    std::string access_token{};
    std::string refresh_token{};  ///< may be empty
    std::chrono::seconds life{};
};

/// An access token that is known to be good now.
struct Introspected {
    Subject subject{};
    Instant issued{};
    Instant expires{};
};

/// The life of grants: codes, refresh tokens, families, revocation. Nothing of it is kept in
/// memory; every step that must happen once is one write that names the version it replaces.
class Grants {
 public:
    /// `request` is what the audit says it came by; null for what we do by ourselves, of which no
    /// decision comes.
    Grants(Context& context, const net::Request* request) : context_(context), request_(request) {}

    /// A code for the client, good for limits::oauth_code_seconds and for one use. `with` is
    /// written in the same commit; nothing when one of those was changed in between.
    Result<std::optional<std::string>> offer(const CodeOffer& offer,
                                             std::vector<Vault::Entry> with);
    /// Exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.6). A code that was used before ends all that
    /// it gave; one of an allowance that was taken away since gives nothing.
    std::expected<Tokens, Refusal> exchange(const Client& client, std::string_view code,
                                            std::string_view redirect_uri,
                                            std::string_view verifier);
    /// Exchanges a refresh token for a new one (RFC 9700 §4.14.2). One that was exchanged before
    /// ends the whole family. `scope` may narrow the access token.
    std::expected<Tokens, Refusal> refresh(const Client& client, std::string_view token,
                                           std::string_view scope);
    /// An access token of a system client for itself.
    std::expected<Tokens, Refusal> grant_to_itself(const Client& client, std::string_view scope);

    Result<void> revoke(std::string_view family);
    Result<bool> is_revoked(std::string_view family);
    /// When a token of the family was last given; nothing when it has no refresh token or is over.
    Result<std::optional<Instant>> last_used(std::string_view family);
    /// The client that a refresh or access token belongs to, and its family; nothing when the token
    /// is not good.
    struct Owner {
        std::string client{};
        std::string family{};
    };
    Result<std::optional<Owner>> owner_of(std::string_view token);
    /// Nothing for a token that is over, revoked, or of a client that is gone or disabled.
    Result<std::optional<Introspected>> introspect(std::string_view token);

 private:
    struct Family;
    struct Access;
    struct Beginning;
    Result<Access> issue(Grant& grant, std::string_view family, std::chrono::seconds life);
    std::expected<Tokens, Refusal> begin(CodeOffer offer, Vault::Entry used);
    Result<std::optional<Beginning>> beginning(Grant& grant, const Vault::Entry& used);
    Result<void> note_replay(const Subject& subject, std::string_view family);
    void audit(std::string_view what, const Subject& subject) const;
    std::expected<Tokens, Refusal> go_on(const Client& client, Family family, Vault::Entry entry,
                                         std::string_view stem, std::vector<Scope> scopes);
    Result<void> take_account(Grant& grant);
    Context& context_;
    const net::Request* request_;
};

/// Why nothing was given; vault failures become temporarily_unavailable, never a grant.
Refusal invalid_grant();
Refusal unavailable();

}  // namespace meridian::trust::oauth::detail
