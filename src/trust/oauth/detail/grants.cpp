// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/grants.hpp"

#include "trust/limits.hpp"
#include "trust/oauth/detail/allowances.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view code_space = "oauth-code";
constexpr std::string_view family_space = "oauth-grant";
constexpr std::string_view revoked_space = "revoked";

void write(Record& record, const Grant& grant) {
    record.set("subject", trust::to_json(grant.subject))
        .set("client", grant.client)
        .set("scopes", to_text(grant.scopes))
        .set("nonce", grant.nonce)
        .set("browser_session", grant.browser_session);
}

Result<Grant> read_grant(const Record& record) {
    Grant grant;
    const std::string subject(record.string("subject"));
    grant.subject = TRY(subject_of(TRY(JsonDocument::parse(subject)).root()));
    grant.client = record.string("client");
    grant.scopes = TRY(parse_scopes(record.string("scopes")));
    grant.nonce = record.string("nonce");
    grant.browser_session = record.string("browser_session");
    return grant;
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters; §4.6: S256 of it is the challenge.
bool is_verifier_of(std::string_view verifier, std::string_view challenge) {
    if (verifier.size() < 43 || verifier.size() > 128) return false;
    const bool is_plain = std::ranges::all_of(verifier, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
    });
    return is_plain && equal_secrets(hashed(verifier), challenge);
}

std::unexpected<Refusal> refused(Refusal refusal) {
    return std::unexpected(std::move(refusal));
}

/// For functions that answer with a Refusal: the value of a Result, or "try again later".
#define OR_UNAVAILABLE(...)                                  \
    ({                                                       \
        auto or_unavailable = (__VA_ARGS__);                 \
        if (!or_unavailable) return refused(unavailable());  \
        ::meridian::detail::take(std::move(or_unavailable)); \
    })

bool has_refresh(const Grant& grant) {
    return has_word(grant.scopes, "offline_access") || has_word(grant.scopes, "online_access");
}

}  // namespace

/// All that goes back to one consent. Its refresh tokens read STEM.SECRET: the stem stays the same,
/// and the family is called by its hash; the secret is new each time. So whoever shows the stem has
/// held a refresh token of this family, and an old secret can be told from a guess without keeping
/// the old ones.
struct Grants::Family {
    Grant grant{};
    std::string secret_hash{};
    Instant ends{};
    Instant access_until{};  ///< when the last access token is over
    Instant used{};          ///< when the last access token was given

    std::string text() const {
        Record record;
        write(record, grant);
        record.set("secret_hash", secret_hash)
            .set("ends", ends)
            .set("access_until", access_until)
            .set("used", used);
        return record.text();
    }
    static Result<Family> read(std::string_view text) {
        const Record record = TRY(Record::parse(text));
        Family family;
        family.grant = TRY(read_grant(record));
        family.secret_hash = record.string("secret_hash");
        family.ends = record.instant("ends");
        family.access_until = record.instant("access_until");
        family.used = record.instant("used");
        return family;
    }
    Vault::Entry entry(std::string_view name, std::int64_t version) const {
        return {.space = std::string(family_space),
                .key = std::string(name),
                .value = text(),
                .version = version,
                .expires = ends};
    }
};

/// An access token that was just made.
struct Grants::Access {
    std::string token{};
    Instant expires{};
};

/// What a code begins: the tokens, and all that is written of it in one commit.
struct Grants::Beginning {
    Tokens tokens{};
    std::string family{};
    std::vector<Vault::Entry> entries{};
    std::string crowded_out{};  ///< a family that had to make room
};

Refusal invalid_grant() {
    return {400, "invalid_grant", "", ""};
}
Refusal unavailable() {
    return {503, "temporarily_unavailable", "try again later", ""};
}

Result<std::optional<std::string>> Grants::offer(const CodeOffer& offer,
                                                 std::vector<Vault::Entry> with) {
    const std::string code = new_secret();
    const Instant at = context_.now();
    const Allowance allowance =
        TRY(Allowances(context_).begin(offer.grant.subject.account, offer.grant.client));
    Record record;
    write(record, offer.grant);
    record.set("allowance", allowance.id)
        .set("redirect_uri", offer.redirect_uri)
        .set("challenge", offer.challenge)
        .set("ends", after(at, limits::oauth_code_seconds));
    with.push_back({.space = std::string(code_space),
                    .key = hashed(code),
                    .value = record.text(),
                    .expires = after(at, limits::oauth_code_remembered_seconds)});
    if (!TRY(context_.vault.put(std::move(with)))) return std::nullopt;
    return code;
}

/// The account as it is now: what changed since sign-in counts, and who is disabled gets nothing.
Result<void> Grants::take_account(Grant& grant) {
    const Subject account = TRY(context_.options.account(grant.subject.account));
    grant.subject.role = account.role;
    grant.subject.person = account.person;
    grant.subject.organisation = account.organisation;
    return {};
}

Result<Grants::Access> Grants::issue(Grant& grant, std::string_view family,
                                     std::chrono::seconds life) {
    grant.subject.client = grant.client;
    grant.subject.session = family;
    grant.subject.scopes = to_texts(grant.scopes);
    Access access;
    access.expires = after(context_.now(), life);
    access.token = context_.options.issue(grant.subject, access.expires);
    if (access.token.empty()) return fail(Category::fault, "no access token could be made");
    return access;
}

std::expected<Tokens, Refusal> Grants::exchange(const Client& client, std::string_view code,
                                                std::string_view redirect_uri,
                                                std::string_view verifier) {
    auto entry = OR_UNAVAILABLE(context_.vault.get(code_space, hashed(code)));
    if (!entry) return refused(invalid_grant());
    const Record record = OR_UNAVAILABLE(Record::parse(entry->value));
    CodeOffer offer;
    offer.grant = OR_UNAVAILABLE(read_grant(record));
    if (offer.grant.client != client.id) return refused(invalid_grant());
    if (const std::string family = record.string("family"); !family.empty()) {
        // RFC 6749 §4.1.2: used twice, so one of the two who used it has stolen it.
        OR_UNAVAILABLE(note_replay(offer.grant.subject, family));
        return refused(invalid_grant());
    }
    offer.redirect_uri = record.string("redirect_uri");
    offer.challenge = record.string("challenge");
    if (record.instant("ends") <= context_.now() || redirect_uri != offer.redirect_uri ||
        !is_verifier_of(verifier, offer.challenge))
        return refused(invalid_grant());
    return begin(std::move(offer), *std::move(entry));
}

void Grants::audit(std::string_view what, const Subject& subject) const {
    if (request_ != nullptr) context_.audit(*request_, what, &subject, false);
}

Result<void> Grants::note_replay(const Subject& subject, std::string_view family) {
    audit("oauth.code-replayed", subject);
    if (family.empty()) return {};
    return revoke(family);
}

/// All that the code gives, as the account and the person's allowance are now; nothing when the
/// allowance behind the code was taken away.
Result<std::optional<Grants::Beginning>> Grants::beginning(Grant& grant, const Vault::Entry& used) {
    Record record = TRY(Record::parse(used.value));
    auto allowance = TRY(Allowances(context_).find(grant.subject.account, grant.client));
    if (!allowance || allowance->id != record.string("allowance")) return std::nullopt;
    const Instant at = context_.now();
    const std::string stem = new_secret();
    Beginning made{.family = hashed(stem)};
    made.tokens.life = context_.options.access_token_life;
    Access access = TRY(issue(grant, made.family, made.tokens.life));
    Instant ends = access.expires;
    if (has_refresh(grant)) {
        const bool is_offline = has_word(grant.scopes, "offline_access");
        ends = after(at, is_offline ? context_.options.offline_refresh_life
                                    : context_.options.online_refresh_life);
        const std::string secret = new_secret();
        const Family family{grant, hashed(secret), ends, access.expires, at};
        made.entries.push_back(family.entry(made.family, 0));
        made.tokens.refresh_token = stem + '.' + secret;
    }
    std::erase_if(allowance->running, [&](const auto& running) { return running.ends <= at; });
    if (allowance->running.size() >= limits::oauth_grants_per_app_max) {
        made.crowded_out = allowance->running.front().family;
        allowance->running.erase(allowance->running.begin());
    }
    allowance->running.push_back({made.family, at, ends, grant.scopes});
    made.entries.push_back(Allowances::entry(*allowance));
    made.entries.push_back(used);
    made.entries.back().value = record.set("family", made.family).text();
    made.tokens.access_token = std::move(access.token);
    made.tokens.grant = grant;
    return made;
}

/// Marks the code as used and writes what it gives, all in one commit.
std::expected<Tokens, Refusal> Grants::begin(CodeOffer offer, Vault::Entry used) {
    if (!take_account(offer.grant)) return refused(invalid_grant());
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        auto made = OR_UNAVAILABLE(beginning(offer.grant, used));
        if (!made) return refused(invalid_grant());
        if (OR_UNAVAILABLE(context_.vault.put(std::move(made->entries)))) {
            if (!made->crowded_out.empty()) OR_UNAVAILABLE(revoke(made->crowded_out));
            return std::move(made->tokens);
        }
        const auto now_there = OR_UNAVAILABLE(context_.vault.get(code_space, used.key));
        // The allowance was changed meanwhile, by another code of the same app: again.
        if (now_there && now_there->version == used.version) continue;
        // Somebody used the same code at this very moment, and wins; but neither is to be trusted.
        const Record won =
            OR_UNAVAILABLE(Record::parse(now_there ? now_there->value : std::string("{}")));
        OR_UNAVAILABLE(note_replay(offer.grant.subject, won.string("family")));
        return refused(invalid_grant());
    }
    return refused(unavailable());
}

std::expected<Tokens, Refusal> Grants::refresh(const Client& client, std::string_view token,
                                               std::string_view scope) {
    const std::size_t dot = token.find('.');
    if (dot == std::string_view::npos) return refused(invalid_grant());
    const std::string_view stem = token.substr(0, dot);
    auto entry = OR_UNAVAILABLE(context_.vault.get(family_space, hashed(stem)));
    if (!entry) return refused(invalid_grant());
    Family family = OR_UNAVAILABLE(Family::read(entry->value));
    if (family.grant.client != client.id || family.ends <= context_.now())
        return refused(invalid_grant());
    if (!equal_secrets(hashed(token.substr(dot + 1)), family.secret_hash)) {
        audit("oauth.refresh-reused", family.grant.subject);
        OR_UNAVAILABLE(revoke(entry->key));
        return refused(invalid_grant());
    }
    // RFC 6749 §6: what was not granted then cannot be had now.
    std::vector<Scope> scopes = family.grant.scopes;
    if (!scope.empty()) {
        auto requested = parse_scopes(scope);
        if (!requested || requested->empty() || !covers(family.grant.scopes, *requested))
            return refused({400, "invalid_scope", "more than was granted", ""});
        scopes = narrow(*requested, family.grant.scopes);
    }
    return go_on(client, std::move(family), *std::move(entry), stem, std::move(scopes));
}

std::expected<Tokens, Refusal> Grants::go_on(const Client&, Family family, Vault::Entry entry,
                                             std::string_view stem, std::vector<Scope> scopes) {
    // Online access is as long as the person's own session (SMART 2.2, "online_access").
    const bool is_online = !has_word(family.grant.scopes, "offline_access");
    const bool is_over = is_online && !family.grant.browser_session.empty() &&
                         OR_UNAVAILABLE(is_revoked(family.grant.browser_session));
    if (is_over || !take_account(family.grant)) {
        OR_UNAVAILABLE(revoke(entry.key));
        return refused(invalid_grant());
    }
    Tokens tokens;
    tokens.life = context_.options.access_token_life;
    tokens.grant = family.grant;
    tokens.grant.scopes = std::move(scopes);
    tokens.grant.nonce.clear();  // of the first ID token only (OpenID Connect Core §12.2)
    Access access = OR_UNAVAILABLE(issue(tokens.grant, entry.key, tokens.life));
    const std::string secret = new_secret();
    family.secret_hash = hashed(secret);
    family.access_until = std::max(family.access_until, access.expires);
    family.used = context_.now();
    Vault::Entry next = family.entry(entry.key, entry.version);
    if (!OR_UNAVAILABLE(context_.vault.put({std::move(next)}))) {
        // The same token twice at one moment is reuse like any other.
        audit("oauth.refresh-reused", family.grant.subject);
        OR_UNAVAILABLE(revoke(entry.key));
        return refused(invalid_grant());
    }
    tokens.refresh_token = fmt::format("{}.{}", stem, secret);
    tokens.access_token = std::move(access.token);
    return tokens;
}

std::expected<Tokens, Refusal> Grants::grant_to_itself(const Client& client,
                                                       std::string_view scope) {
    if (client.account.empty() || client.authentication != ClientAuthentication::private_key)
        return refused({400, "unauthorized_client", "", ""});
    auto requested = parse_scopes(scope);
    std::vector<Scope> allowed;
    for (const std::string& text : client.scopes)
        if (auto one = Scope::parse(text); one && one->level == Scope::Level::system)
            allowed.push_back(*std::move(one));
    Tokens tokens;
    if (requested) tokens.grant.scopes = narrow(*requested, allowed);
    if (tokens.grant.scopes.empty()) return refused({400, "invalid_scope", "", ""});
    auto account = context_.options.account(client.account);
    if (!account) return refused({400, "unauthorized_client", "", ""});
    tokens.grant.subject = *std::move(account);
    tokens.grant.subject.authenticated_at = context_.now();
    tokens.grant.client = client.id;
    tokens.life = context_.options.system_token_life;
    Access access = OR_UNAVAILABLE(issue(tokens.grant, hashed(new_secret()), tokens.life));
    tokens.access_token = std::move(access.token);
    return tokens;
}

Result<void> Grants::revoke(std::string_view family) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        auto revoked = TRY(context_.vault.get(revoked_space, family));
        auto entry = TRY(context_.vault.get(family_space, family));
        if (revoked && !entry) return {};
        // Without a refresh token no access token is younger than now.
        Instant until = after(context_.now(), std::max(context_.options.access_token_life,
                                                       context_.options.system_token_life));
        std::vector<Vault::Entry> entries;
        if (entry) {
            until = std::max(until, TRY(Family::read(entry->value)).access_until);
            entry->removed = true;
            entries.push_back(*std::move(entry));
        }
        entries.push_back({.space = std::string(revoked_space),
                           .key = std::string(family),
                           .value = "{}",
                           .version = revoked ? revoked->version : 0,
                           .expires = until});
        if (TRY(context_.vault.put(std::move(entries)))) return {};
    }
    return fail(Category::unavailable, "the vault does not keep what is written");
}

Result<bool> Grants::is_revoked(std::string_view family) {
    return TRY(context_.vault.get(revoked_space, family)).has_value();
}

Result<std::optional<Grants::Owner>> Grants::owner_of(std::string_view token) {
    if (const auto access = TRY(introspect(token)))
        return Owner{access->subject.client, access->subject.session};
    const std::size_t dot = token.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string name = hashed(token.substr(0, dot));
    const auto entry = TRY(context_.vault.get(family_space, name));
    if (!entry) return std::nullopt;
    // An old secret will do here: ending a family is never the wrong answer to a stolen token.
    return Owner{TRY(Family::read(entry->value)).grant.client, name};
}

Result<std::optional<Instant>> Grants::last_used(std::string_view family) {
    const auto entry = TRY(context_.vault.get(family_space, family));
    if (!entry) return std::nullopt;
    return TRY(Family::read(entry->value)).used;
}

Result<std::optional<Introspected>> Grants::introspect(std::string_view token) {
    auto opened = context_.options.open(token);
    if (!opened) {
        if (opened.error().category == Category::unavailable)
            return std::unexpected(std::move(opened).error());
        return std::nullopt;
    }
    const Subject& subject = opened->subject;
    if (opened->expires <= context_.now()) return std::nullopt;
    if (!subject.session.empty() && TRY(is_revoked(subject.session))) return std::nullopt;
    if (!subject.client.empty()) {
        const auto client = TRY(context_.clients.find(subject.client));
        if (!client || client->disabled) return std::nullopt;
    }
    return Introspected{subject, opened->issued, opened->expires};
}

}  // namespace meridian::trust::oauth::detail
