// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "trust/role.hpp"

namespace meridian::server {

/// Who an account is to stand for.
struct WantedPerson {
    trust::Role role;
    std::string account{};       ///< its name, for a resource that is made
    std::string display{};       ///< what people call them; may be empty
    std::string organisation{};  ///< reference; may be empty
    std::string practitioner{};  ///< reference; empty = make one where the role needs it
    /// Reference: of a patient themselves, of a guardian whose guardian it is.
    std::string patient{};
};

/// The resource that stands for the person or system in the record: the one that is named, or a
/// new one: Practitioner for who treats or works with records, Patient for a patient,
/// RelatedPerson for a guardian, Device for a system, Person for everyone else. Returns its
/// reference. Errors: `incorrect` for options that do not fit the role; `not_found` for a reference
/// to nothing; those of the Repository.
Result<std::string> person_for(fhir::Repository& repository, const fhir::Caller& caller,
                               const WantedPerson& wanted);

}  // namespace meridian::server
