// SPDX-License-Identifier: Apache-2.0
#include "trust/jose/jwt.hpp"

#include <algorithm>
#include <charconv>

#include "trust/limits.hpp"

namespace meridian::trust::jose {

namespace {

constexpr double last_second = 253402300799.0;  // 9999-12-31T23:59:59Z

std::unexpected<Error> refused() {
    return fail(Category::unauthenticated, "the token is not valid");
}

bool has_audience(const Json& claims, const ClaimRules& rules) {
    const Json& audience = claims["aud"];
    const auto is_ours = [&](const Json& one) {
        return one.is_string() &&
               std::ranges::find(rules.audiences, one.text()) != rules.audiences.end();
    };
    if (audience.is_string()) return is_ours(audience);
    if (rules.audience_alone && audience.size() != 1) return false;
    return std::ranges::any_of(audience.items(), is_ours);
}

/// A string claim, or empty; nothing when it is of another kind or too long.
std::optional<std::string> word(const Json& claims, std::string_view name) {
    const Json* member = claims.find(name);
    if (member == nullptr) return std::string();
    if (!member->is_string() || member->text().size() > limits::jwt_identifier_bytes_max)
        return std::nullopt;
    return std::string(member->text());
}

bool is_known_type(std::string_view type, const ClaimRules& rules) {
    if (type.empty()) return true;
    // RFC 7515 §4.1.9: "application/" may be left out.
    const auto lower = [](std::string_view text) {
        std::string out(text);
        for (char& c : out)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return out.starts_with("application/") ? out.substr(12) : out;
    };
    return std::ranges::any_of(
        rules.types, [&](const std::string& known) { return lower(known) == lower(type); });
}

/// exp, nbf, iat with the skew that clocks may have.
bool is_in_time(const Claims& claims, const ClaimRules& rules, Instant at) {
    const auto skew =
        std::min<std::int64_t>(rules.skew.count(), limits::jwt_clock_skew_seconds_max) * 1000;
    const std::int64_t moment = at.milliseconds;
    if (claims.expires.milliseconds + skew <= moment) return false;
    if (rules.life_max &&
        claims.expires.milliseconds > moment + rules.life_max->count() * 1000 + skew)
        return false;
    if (const Json* member = claims.json().find("nbf")) {
        const auto begins = numeric_date(*member);
        if (!begins || begins->milliseconds > moment + skew) return false;
    }
    if (claims.json().find("iat") != nullptr) {
        if (!claims.issued || claims.issued->milliseconds > moment + skew) return false;
    } else if (rules.age_max) {
        return false;
    }
    return !rules.age_max ||
           claims.issued->milliseconds + rules.age_max->count() * 1000 + skew > moment;
}

}  // namespace

std::optional<Instant> numeric_date(const Json& value) {
    if (!value.is_number()) return std::nullopt;
    double seconds = 0;
    const std::string_view text = value.text();
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (problem != std::errc() || end != text.data() + text.size() || !(seconds >= 0) ||
        seconds > last_second)
        return std::nullopt;
    return Instant{static_cast<std::int64_t>(seconds) * 1000};
}

Result<Claims> check_claims(std::string_view payload, const ClaimRules& rules, Instant at) {
    auto document = JsonDocument::parse(payload);  // refuses a claim that stands twice
    if (!document || !document->root().is_object()) return refused();
    Claims claims;
    claims.document = *std::move(document);
    const Json& json = claims.json();
    auto issuer = word(json, "iss");
    auto subject = word(json, "sub");
    auto identifier = word(json, "jti");
    const auto expires = numeric_date(json["exp"]);
    if (!issuer || !subject || !identifier || !expires) return refused();
    claims.issuer = *std::move(issuer);
    claims.subject = *std::move(subject);
    claims.identifier = *std::move(identifier);
    claims.expires = *expires;
    claims.issued = numeric_date(json["iat"]);
    if (rules.issuer.empty() || claims.issuer != rules.issuer || !has_audience(json, rules) ||
        (rules.needs_identifier && claims.identifier.empty()) || !is_in_time(claims, rules, at))
        return refused();
    return claims;
}

Result<Claims> verify_jwt(std::string_view token, const KeySet& keys, const ClaimRules& rules,
                          Instant at) {
    const Verified verified = TRY(verify(token, keys));
    if (!is_known_type(verified.header.type, rules)) return refused();
    return check_claims(verified.payload, rules, at);
}

}  // namespace meridian::trust::jose
