// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"

/// A patient's Consent resources (https://hl7.org/fhir/R4/consent.html), read for one question: may
/// this person, for this purpose, now.
namespace meridian::trust::consent {

/// What a Consent is asked about.
struct Question {
    /// References that stand for whoever asks: the person, their PractitionerRoles, their
    /// organisation, the care teams they are in.
    std::set<std::string, std::less<>> actors{};
    std::string purpose{};  ///< code of v3-ActReason
    Instant at{};
};

/// A code as a provision names it.
struct Code {
    std::string system{};
    std::string code{};
    auto operator<=>(const Code&) const = default;
};

/// A provision that applies to the question, as far as that can be told without the resource asked
/// for. Its exceptions override it inside its bounds.
struct Provision {
    bool permits = false;
    std::vector<Code> classes{};      ///< any of; empty = every class
    std::vector<Code> codes{};        ///< any of; empty = every code
    std::vector<Code> labels{};       ///< security labels: any of; empty = every resource
    std::vector<std::string> data{};  ///< references; empty = all data
    std::optional<Instant> data_from{}, data_below{};  ///< dataPeriod
    std::vector<Provision> exceptions{};
};

/// A Consent as it stands in the record: what of it depends on nobody's question.
struct Document {
    std::string patient{};       ///< reference "Patient/ID"
    std::string scope{};         ///< code: "patient-privacy", "research", …
    std::optional<bool> base{};  ///< of the policy rule: OPTIN permits, OPTOUT denies
    std::string json{};          ///< its provision
};

/// What a Consent says, if it is in force: nothing for one that is not active, or is about
/// something else than access to data (a treatment, an advance directive). Blocking: never.
std::optional<Document> read(const Json& consent);

/// What the Consent says to the question: outermost provisions, none when it says nothing.
/// `changes_at` becomes the next instant at which the answer may differ, when that is sooner.
std::vector<Provision> answer(const Document& document, const Question& question,
                              Instant& changes_at);

/// Equal texts for provisions that say the same.
std::string shape_of(const std::vector<Provision>& provisions);

/// Whether a purpose falls under another (v3-ActReason is a tree).
bool falls_under(std::string_view purpose, std::string_view wider);

}  // namespace meridian::trust::consent
