// SPDX-License-Identifier: Apache-2.0
#include "fhir/home.hpp"

#include <algorithm>
#include <vector>

#include "base/hash.hpp"

namespace meridian::fhir {

namespace {

constexpr PeopleElement of_several[] = {
    {"Account", "subject", {}},
    {"Appointment", "participant", "actor"},
    {"Group", "member", "entity"},
};

/// Stands in no reference, so no patient is called so.
constexpr std::string_view shared_stem = "several:";

}  // namespace

const PeopleElement* people_of(std::string_view type) {
    for (const PeopleElement& each : of_several) {
        if (each.type == type) return &each;
    }
    return nullptr;
}

std::string home_of(std::string_view type, std::string_view id,
                    std::span<const store::Identity> patients) {
    if (patients.empty()) return {};
    if (patients.size() == 1 || people_of(type) == nullptr)
        return fmt::format("Patient/{}", patients.front().id);
    std::vector<std::string_view> people;
    people.reserve(patients.size());
    for (const store::Identity& patient : patients) people.push_back(patient.id);
    std::sort(people.begin(), people.end());
    // An id has no line feed (FHIR R4, datatype id), so two sets never give one text.
    return fmt::format("{}{}/{}:{}", shared_stem, type, id,
                       to_hex(sha256(fmt::format("{}", fmt::join(people, "\n")))));
}

bool is_shared_home(std::string_view home) {
    return home.starts_with(shared_stem);
}

}  // namespace meridian::fhir
