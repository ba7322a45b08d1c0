// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "store/rows.hpp"

namespace meridian::fhir {

/// Where the people stand in a resource that may be about several of them alike.
struct PeopleElement {
    std::string_view type;
    std::string_view list;       ///< a repeated element of the resource
    std::string_view reference;  ///< in an item of it; empty = the item is the reference itself
};
/// Of types whose resources belong to no single patient when they name several: Group.member,
/// Account.subject and Appointment.participant. Null for other types: those are about their
/// subject, whomever else they mention. Source: FHIR R4, the Patient compartment.
const PeopleElement* people_of(std::string_view type);

/// Whose key the body of a resource lies under (Cipher::Home::patient); `patients` are those whose
/// compartments it is in, its subject first (store::Rows::compartments). Empty when it concerns
/// nobody; the first of them; but for a resource about several alike a name that only this
/// resource with exactly these people has, so that one of them can be erased and the others keep
/// what comes after (docs/adr/0036).
std::string home_of(std::string_view type, std::string_view id,
                    std::span<const store::Identity> patients);
/// Whether a home is that of several people.
bool is_shared_home(std::string_view home);

}  // namespace meridian::fhir
