// SPDX-License-Identifier: Apache-2.0
#include "trust/sessions/session.hpp"

#include <sodium.h>

#include <charconv>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "net/origin.hpp"
#include "text/utf8.hpp"
#include "trust/accounts/throttle.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/sessions/fresh_proof.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view sessions_space = "session";
/// "account/public id" → hash of the secret, so that an account's sessions can be listed.
constexpr std::string_view index_space = "session-of";
constexpr std::size_t public_id_bytes = 12;

std::string hash_of(std::string_view secret) {
    return to_hex(sha256(secret));
}

std::int64_t milliseconds(std::chrono::seconds seconds) {
    return std::chrono::milliseconds(seconds).count();
}

std::int64_t integer_at(const Json& object, std::string_view key) {
    const std::string_view digits = object[key].text();
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

Vault::Entry removal(std::string_view space, std::string key, std::int64_t version) {
    return {
        .space = std::string(space), .key = std::move(key), .version = version, .removed = true};
}

bool is_safe(net::Method method) {
    return method == net::Method::get || method == net::Method::head ||
           method == net::Method::options;
}

}  // namespace

SessionLimits session_limits(Role role) {
    using std::chrono::hours;
    using std::chrono::minutes;
    if (is_administrator(role)) return {minutes(15), hours(8)};
    return {minutes(30), hours(12)};
}

/// What the vault holds of a session.
struct Sessions::Stored {
    std::string account{};
    std::string id{};
    std::string device{};
    std::string network{};
    Instant started{};
    Instant used{};
    Instant authenticated{};
    std::vector<std::string> methods{};
    bool must_enrol = false;

    std::string text() const {
        JsonDocument document;
        Json root = document.object();
        document.set(root, "account", document.string(account));
        document.set(root, "id", document.string(id));
        document.set(root, "device", document.string(device));
        document.set(root, "network", document.string(network));
        document.set(root, "started", document.number(started.milliseconds));
        document.set(root, "used", document.number(used.milliseconds));
        document.set(root, "authenticated", document.number(authenticated.milliseconds));
        Json list = document.array();
        for (const std::string& method : methods) document.append(list, document.string(method));
        document.set(root, "methods", list);
        document.set(root, "mustEnrol", document.boolean(must_enrol));
        return to_text(root);
    }
    static Result<Stored> read(std::string_view text) {
        const auto document = JsonDocument::parse(text);
        if (!document || document->root().string_at("account").empty() ||
            !document->root()["mustEnrol"].is_boolean())
            return fail(Category::fault, "a stored session cannot be read");
        const Json& root = document->root();
        Stored stored{.account = std::string(root.string_at("account")),
                      .id = std::string(root.string_at("id")),
                      .device = std::string(root.string_at("device")),
                      .network = std::string(root.string_at("network")),
                      .started = {integer_at(root, "started")},
                      .used = {integer_at(root, "used")},
                      .authenticated = {integer_at(root, "authenticated")},
                      .must_enrol = root["mustEnrol"].boolean()};
        for (const Json& method : root["methods"].items())
            stored.methods.emplace_back(method.text());
        return stored;
    }
    std::string index_key() const { return account + "/" + id; }
    Vault::Entry entry(std::string hash, std::int64_t version, const SessionLimits& bounds) const {
        return {.space = std::string(sessions_space),
                .key = std::move(hash),
                .value = text(),
                .version = version,
                .expires = ends(bounds)};
    }
    Instant ends(const SessionLimits& bounds) const {
        return {std::min(started.milliseconds + milliseconds(bounds.absolute),
                         used.milliseconds + milliseconds(bounds.idle))};
    }
};

/// A session that is open: what is stored, and of whom.
struct Sessions::Opened {
    Stored stored;
    Account account;
    std::string hash;
    std::int64_t version = 0;
};

Result<std::string> Sessions::start(const net::Request& request, const Account& account,
                                    std::vector<std::string> methods, bool must_enrol,
                                    std::optional<Instant> proved) {
    const SessionLimits bounds = options_.limits(account.role);
    const Instant at = options_.clock();
    const std::string secret = base64url_encode(random_bytes(limits::session_id_bytes));
    const Stored stored{.account = account.name,
                        .id = base64url_encode(random_bytes(public_id_bytes)),
                        .device = std::string(text::cut(request.headers.get("User-Agent"),
                                                        limits::session_device_bytes_max)),
                        .network = network_of(options_.client_address(request)),
                        .started = at,
                        .used = at,
                        .authenticated = proved.value_or(at),
                        .methods = std::move(methods),
                        .must_enrol = must_enrol};
    TRY(end(request));
    TRY(make_room(account.name));
    std::vector<Vault::Entry> entries;
    entries.push_back(stored.entry(hash_of(secret), 0, bounds));
    entries.push_back({.space = std::string(index_space),
                       .key = stored.index_key(),
                       .value = hash_of(secret),
                       .expires = Instant{at.milliseconds + milliseconds(bounds.absolute)}});
    if (!TRY(vault_.put(std::move(entries))))
        return fail(Category::conflict, "the session could not be made; try again");
    return set_cookie(session_cookie, secret);
}

Result<std::optional<Sessions::Opened>> Sessions::open(const net::Request& request) {
    const auto secret = cookie(request, session_cookie);
    if (!secret || secret->empty() || secret->size() > 100) return std::nullopt;
    const std::string hash = hash_of(*secret);
    const auto entry = TRY(vault_.get(sessions_space, hash));
    if (!entry) return std::nullopt;
    Stored stored = TRY(Stored::read(entry->value));
    std::optional<Account> account = TRY(accounts_.find(stored.account));
    if (!account || account->disabled) return std::nullopt;
    if (stored.ends(options_.limits(account->role)) <= options_.clock()) return std::nullopt;
    // A cookie that turns up in another network was taken along, or away. Administrators sign in
    // anew; for people with a telephone on their way it would be a nuisance, so their sessions
    // stay, and what is sensitive asks for a recent proof (ASVS 5.0 V8.2.4).
    if (is_administrator(account->role) &&
        stored.network != network_of(options_.client_address(request))) {
        log::warning("an administrator's session was shown from another network",
                     {{"account", account->name}, {"request", request.id}});
        return std::nullopt;
    }
    return Opened{std::move(stored), *std::move(account), hash, entry->version};
}

Result<void> Sessions::touch(Opened& opened) {
    const Instant at = options_.clock();
    if (at.milliseconds - opened.stored.used.milliseconds <
        std::int64_t{limits::session_touch_seconds} * 1000)
        return {};
    opened.stored.used = at;
    std::vector<Vault::Entry> entries;
    entries.push_back(
        opened.stored.entry(opened.hash, opened.version, options_.limits(opened.account.role)));
    // False: another request of the session did it just now, or it was revoked: then the next
    // request finds nothing.
    (void)TRY(vault_.put(std::move(entries)));
    return {};
}

Result<std::optional<Sessions::Found>> Sessions::look_up(const net::Request& request) {
    std::optional<Opened> opened = TRY(open(request));
    if (!opened) return std::nullopt;
    TRY(touch(*opened));
    Found found{.subject = {.account = opened->account.name,
                            .role = opened->account.role,
                            .person = opened->account.person,
                            .organisation = opened->account.organisation,
                            .session = opened->stored.id,
                            .authenticated_at = opened->stored.authenticated,
                            .methods = opened->stored.methods},
                .account = std::move(opened->account),
                .must_enrol = opened->stored.must_enrol};
    return found;
}

std::optional<Subject> Sessions::find(const net::Request& request) {
    auto found = look_up(request);
    if (!found) {
        log::error("sessions cannot be looked up",
                   {{"category", name_of(found.error().category)}, {"request", request.id}});
        return std::nullopt;
    }
    if (!*found || (*found)->must_enrol) return std::nullopt;
    return std::move((*found)->subject);
}

Result<std::string> Sessions::renew(const net::Request& request, std::vector<std::string> methods) {
    const std::optional<Opened> opened = TRY(open(request));
    if (!opened) return fail(Category::unauthenticated, "there is no session");
    const auto index = TRY(vault_.get(index_space, opened->stored.index_key()));
    if (!index) return fail(Category::unauthenticated, "there is no session");
    Stored stored = opened->stored;
    stored.used = stored.authenticated = options_.clock();
    stored.must_enrol = stored.must_enrol && !opened->account.has_second_factor();
    // Not added to those of before, which may be hours old: `methods` says how the person proved
    // it at `authenticated`.
    stored.methods = std::move(methods);
    const std::string secret = base64url_encode(random_bytes(limits::session_id_bytes));
    std::vector<Vault::Entry> entries;
    entries.push_back(removal(sessions_space, opened->hash, opened->version));
    entries.push_back(stored.entry(hash_of(secret), 0, options_.limits(opened->account.role)));
    Vault::Entry moved = *index;
    moved.value = hash_of(secret);
    entries.push_back(std::move(moved));
    if (!TRY(vault_.put(std::move(entries))))
        return fail(Category::conflict, "the session is being used elsewhere; try again");
    return set_cookie(session_cookie, secret);
}

// --- list and revoke ---

Result<std::vector<Vault::Entry>> Sessions::indexes(std::string_view account) {
    const std::string prefix = std::string(account) + "/";
    std::vector<Vault::Entry> own;
    // Those that ended by themselves stay in the index until make_room(); twice the bound covers
    // several that are made at the same time.
    for (Vault::Entry& entry :
         TRY(vault_.list(index_space, prefix, 2 * limits::sessions_per_account_max))) {
        if (!entry.key.starts_with(prefix)) break;
        own.push_back(std::move(entry));
    }
    return own;
}

/// What an app holds of the session ends with it: its grants look here (trust/oauth). Nothing that
/// comes of a session outlives a day.
Result<void> Sessions::tell_grants(std::string_view id) {
    constexpr std::int64_t day = 86'400'000;
    const Instant expires{options_.clock().milliseconds + day};
    // False when it is there already.
    TRY(vault_.put(
        {{.space = "revoked", .key = std::string(id), .value = "1", .expires = expires}}));
    return {};
}

Result<void> Sessions::remove(const Vault::Entry& index) {
    TRY(tell_grants(std::string_view(index.key).substr(index.key.rfind('/') + 1)));
    std::vector<Vault::Entry> entries;
    const std::string hash = index.value;
    entries.push_back(removal(index_space, index.key, index.version));
    for (unsigned round = 0; round < limits::account_write_attempts_max; ++round) {
        const auto session = TRY(vault_.get(sessions_space, hash));
        std::vector<Vault::Entry> removals = entries;
        if (session) removals.push_back(removal(sessions_space, hash, session->version));
        if (TRY(vault_.put(std::move(removals)))) return {};
        // It was used or renewed meanwhile: look again, it must end all the same.
        const auto present = TRY(vault_.get(index_space, index.key));
        if (!present) return {};
        if (present->value != hash) return remove(*present);
    }
    return fail(Category::conflict, "the session is being used; try again");
}

Result<void> Sessions::make_room(std::string_view account) {
    std::vector<std::pair<Instant, Vault::Entry>> open;
    for (Vault::Entry& index : TRY(indexes(account))) {
        const auto session = TRY(vault_.get(sessions_space, index.value));
        if (!session) {
            TRY(remove(index));  // ended by itself
        } else {
            open.emplace_back(TRY(Stored::read(session->value)).used, std::move(index));
        }
    }
    std::sort(open.begin(), open.end(),
              [](const auto& a, const auto& b) { return a.first > b.first; });
    for (std::size_t i = limits::sessions_per_account_max - 1; i < open.size(); ++i)
        TRY(remove(open[i].second));
    return {};
}

Result<void> Sessions::end(const net::Request& request) {
    const std::optional<Opened> opened = TRY(open(request));
    if (!opened) return {};
    const auto index = TRY(vault_.get(index_space, opened->stored.index_key()));
    if (!index) return {};
    return remove(*index);
}

Result<std::vector<SessionInfo>> Sessions::list(std::string_view account) {
    std::vector<SessionInfo> sessions;
    const std::optional<Account> owner = TRY(accounts_.find(account));
    if (!owner) return sessions;
    for (const Vault::Entry& index : TRY(indexes(owner->name))) {
        const auto entry = TRY(vault_.get(sessions_space, index.value));
        if (!entry) continue;
        const Stored stored = TRY(Stored::read(entry->value));
        if (stored.ends(options_.limits(owner->role)) <= options_.clock()) continue;
        sessions.push_back({stored.id, stored.device, stored.network, stored.started, stored.used,
                            stored.methods});
    }
    std::sort(sessions.begin(), sessions.end(),
              [](const SessionInfo& a, const SessionInfo& b) { return a.started > b.started; });
    return sessions;
}

Result<void> Sessions::revoke(std::string_view account, std::string_view id) {
    const std::string name = TRY(account_name(account));
    const auto index = TRY(vault_.get(index_space, fmt::format("{}/{}", name, id)));
    if (!index) return fail(Category::not_found, "there is no such session");
    return remove(*index);
}

Result<void> Sessions::revoke_all(std::string_view account, std::string_view except) {
    const std::string name = TRY(account_name(account));
    for (const Vault::Entry& index : TRY(indexes(name))) {
        if (except.empty() || index.key != fmt::format("{}/{}", name, except)) TRY(remove(index));
    }
    return {};
}

Result<std::size_t> Sessions::revoke_everybody(std::string_view except_account) {
    std::size_t accounts = 0;
    for (std::string after;;) {
        const auto part = TRY(accounts_.list(after));
        if (part.empty()) return accounts;
        for (const Account& account : part) {
            if (account.name == except_account) continue;
            TRY(revoke_all(account.name));
            ++accounts;
        }
        after = part.back().name;
    }
}

// --- forged requests ---

std::string Sessions::csrf_token_for(std::string_view cookie_value) {
    const Sha256 mac = hmac_sha256(cookie_value, "meridian csrf token 1");
    return base64url_encode({reinterpret_cast<const char*>(mac.data()), mac.size()});
}

std::string Sessions::csrf_token(const net::Request& request) {
    if (const auto value = cookie(request, session_cookie); value && !value->empty())
        return csrf_token_for(*value);
    if (const auto value = cookie(request, sign_in_cookie); value && !value->empty())
        return csrf_token_for(*value);
    return {};
}

bool Sessions::is_own_origin(const net::Request& request, std::string_view origin) const {
    return net::is_own_origin(request, origin, options_.origins);
}

Result<void> Sessions::check_csrf(const net::Request& request) const {
    const auto refused = [] {
        return fail(Category::forbidden, "the request was not made by a page of this server",
                    "csrf");
    };
    if (is_safe(request.method)) return {};
    const std::string_view site = request.headers.get("Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin" && site != "none") return refused();
    if (const auto origin = request.headers.find("Origin");
        origin && !is_own_origin(request, *origin))
        return refused();
    const std::string expected = csrf_token(request);
    std::string given(request.headers.get("X-CSRF-Token"));
    if (given.empty() && request.content_type() == "application/x-www-form-urlencoded") {
        if (const auto form = request.form()) {
            for (const auto& [name, value] : *form) {
                if (name == "csrf") given = value;
            }
        }
    }
    if (expected.empty() || given.size() != expected.size() ||
        sodium_memcmp(given.data(), expected.data(), expected.size()) != 0)
        return refused();
    return {};
}

Result<void> Sessions::require_recent(const Subject& subject, std::chrono::seconds age,
                                      std::initializer_list<std::string_view> methods) const {
    return trust::require_recent(subject, age, options_.clock(), methods);
}

}  // namespace meridian::trust
