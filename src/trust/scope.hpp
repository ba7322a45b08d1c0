// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::trust {

/// One SMART scope: "patient/Observation.rs?category=laboratory", or a word like "openid". The one
/// reading of it, for granting (oauth/) and for deciding (policy/): what is granted is understood.
/// Source: SMART App Launch 2.2, "Scopes for requesting FHIR Resources".
struct Scope {
    enum class Level : unsigned char {
        word,     ///< not about resources: openid, fhirUser, launch, launch/patient, …
        patient,  ///< of the one patient of the launch
        user,     ///< of what the person may see
        system,   ///< of what the client itself may see
    };
    /// What may be done, in the order of the letters.
    enum Operation : std::uint8_t { create = 1, read = 2, update = 4, remove = 8, search = 16 };

    Level level = Level::word;
    std::string word{};           ///< for Level::word only
    std::string type{};           ///< resource type of FHIR R4, or "*"
    std::uint8_t operations = 0;  ///< of Operation
    /// Search parameters that the resources must satisfy, decoded; all of them (ANDed). They belong
    /// to a type, so a scope for "*" has none.
    std::vector<std::pair<std::string, std::string>> query{};

    bool operator==(const Scope&) const = default;

    /// Whether it says anything about resources of that type.
    bool covers(std::string_view of_type) const {
        return level != Level::word && (type == "*" || type == of_type);
    }
    bool allows(Operation operation) const { return (operations & operation) != 0; }

    /// Reads one scope. Those of SMART v1 (".read", ".write", ".*") are read as their v2 form (rs,
    /// cud, cruds). Errors: `incorrect` with what is wrong, for anything else.
    static Result<Scope> parse(std::string_view text);
    /// The v2 form, one text for one meaning.
    std::string to_text() const;
};

/// The scopes of a space-separated list that are understood, each once; the others are passed over
/// (RFC 6749 §3.3 lets a server do so and say what it gave). Errors: `too_large` beyond
/// limits::oauth_scopes_max.
Result<std::vector<Scope>> parse_scopes(std::string_view list);
/// The scopes for resources among `texts`; other words do not matter to what somebody may see.
/// Errors: `incorrect` for one that begins as a scope for resources and is none; `too_large` beyond
/// limits::policy_scopes_max.
Result<std::vector<Scope>> resource_scopes(std::span<const std::string> texts);
std::string to_text(std::span<const Scope> scopes);
std::vector<std::string> to_texts(std::span<const Scope> scopes);

/// What remains of `requested` within `granted`: for each pair of one level whose types meet, the
/// operations that both have and the search parameters of both. Never more than either. Words
/// remain when both have them.
std::vector<Scope> narrow(std::span<const Scope> requested, std::span<const Scope> granted);
/// Whether `granted` gives all of `requested`.
bool covers(std::span<const Scope> granted, std::span<const Scope> requested);
bool has_word(std::span<const Scope> scopes, std::string_view word);
bool has_level(std::span<const Scope> scopes, Scope::Level level);

}  // namespace meridian::trust
