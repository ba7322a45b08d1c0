// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/covered_query.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/query_string.hpp"

namespace meridian::trust::audit {

namespace {

constexpr std::size_t hash_bytes = 12;

/// Search parameters of FHIR R4 whose values say nothing of who somebody is: page and format,
/// references and ids, codes, dates of care. Sorted.
constexpr std::string_view kept[] = {
    "_at",
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_format",
    "_id",
    "_include",
    "_lastUpdated",
    "_list",
    "_outputFormat",
    "_pretty",
    "_profile",
    "_revinclude",
    "_security",
    "_since",
    "_sort",
    "_summary",
    "_tag",
    "_total",
    "_type",
    "_until",
    "action",
    "active",
    "actor",
    "agent",
    "appointment",
    "asserter",
    "author",
    "authored",
    "authoredon",
    "based-on",
    "beneficiary",
    "body-site",
    "category",
    "class",
    "clinical-status",
    "code",
    "combo-code",
    "component-code",
    "context",
    "created",
    "criticality",
    "date",
    "deceased",
    "device",
    "effective-time",
    "encounter",
    "end",
    "entity",
    "event",
    "facility",
    "focus",
    "gender",
    "general-practitioner",
    "has-member",
    "intent",
    "language",
    "link",
    "location",
    "medication",
    "member",
    "modality",
    "onset-date",
    "organization",
    "outcome",
    "owner",
    "part-of",
    "part-status",
    "participant",
    "participant-type",
    "patient",
    "payor",
    "performer",
    "period",
    "policy",
    "practitioner",
    "priority",
    "reason-code",
    "reason-reference",
    "recipient",
    "recorded-date",
    "relationship",
    "requester",
    "reviewer",
    "role",
    "sender",
    "service-category",
    "service-provider",
    "service-type",
    "setting",
    "severity",
    "source",
    "specialty",
    "specimen",
    "start",
    "started",
    "status",
    "study",
    "subject",
    "subtype",
    "target",
    "type",
    "vaccine-code",
    "value-concept",
    "value-quantity",
    "verification-status",
};
static_assert(std::ranges::is_sorted(kept));

std::string covered_value(std::string_view value, const TextHash& hash) {
    std::string covered = "~";
    if (hash) covered += base64url_encode(hash(value).substr(0, hash_bytes));
    return covered;
}

}  // namespace

bool keeps_values_of(std::string_view parameter) {
    // "_has:Observation:patient:code" and "patient:Patient.birthdate" test what comes last.
    constexpr std::string_view reverse = "_has:";
    while (parameter.starts_with(reverse)) {
        for (int part = 0; part < 3; ++part) {
            const std::size_t colon = parameter.find(':');
            if (colon == std::string_view::npos) return false;
            parameter.remove_prefix(colon + 1);
        }
    }
    if (const std::size_t dot = parameter.rfind('.'); dot != std::string_view::npos)
        parameter.remove_prefix(dot + 1);
    const std::size_t colon = parameter.find(':');
    const std::string_view name = parameter.substr(0, colon);
    const std::string_view modifier =
        colon == std::string_view::npos ? std::string_view() : parameter.substr(colon + 1);
    // ":identifier" asks for a number of identity, ":text" for words.
    if (modifier == "identifier" || modifier.starts_with("text")) return false;
    return std::ranges::binary_search(kept, name);
}

std::string covered_query(std::string_view query, const TextHash& hash) {
    const std::size_t question = query.find('?');
    const bool has_path = question < query.find('=') && question != std::string_view::npos;
    std::string covered(query.substr(0, has_path ? question + 1 : 0));
    const std::string_view asked = query.substr(covered.size());
    if (asked.find('=') == std::string_view::npos) return std::string(query);
    auto parameters = parse_query_string(asked);
    // What cannot be understood cannot be said to be harmless.
    if (!parameters) return covered + covered_value(asked, hash);
    bool is_changed = false;
    for (auto& [name, value] : *parameters) {
        if (value.empty() || keeps_values_of(name)) continue;
        value = covered_value(value, hash);
        is_changed = true;
    }
    return is_changed ? covered + query_string(*parameters) : std::string(query);
}

}  // namespace meridian::trust::audit
