// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/search/parameters.hpp"
#include "store/plan.hpp"

/// What ties a resource to a caller, as conditions on index rows.
namespace meridian::trust::policy {

using Parameters = fhir::search::Parameters;

/// The parameters by which resources of a type concern patients: those of the Patient compartment,
/// and for types outside it "patient" and "subject".
std::vector<const fhir::search::Parameter*> patient_paths(const Parameters& parameters,
                                                          std::string_view type);

/// Resources of `type` that concern one of the patients (logical ids); Nothing for a type that
/// concerns nobody.
store::Condition of_patients(const Parameters& parameters, std::string_view type,
                             const std::vector<std::string>& patients);
/// Resources that belong to an organisation, by what they say themselves or by their patient.
store::Condition of_organisation(const Parameters& parameters, std::string_view type,
                                 std::string_view organisation);
/// Resources that name an organisation as insurer or payor, and the patients it insures.
store::Condition of_insurer(const Parameters& parameters, std::string_view type,
                            std::string_view organisation);
/// Resources that one of `selves` (references) wrote or answers for, or is.
store::Condition of_author(const Parameters& parameters, std::string_view type,
                           const std::set<std::string, std::less<>>& selves);

/// Resources of `type` with one of the codes under a token parameter, as a search for
/// "system|code" finds them. Errors: those of the search: whoever asks decides what is safe then.
struct Coded {
    std::string system{};  ///< empty = written without a system
    std::string code{};
};
Result<store::Condition> with_code(const Parameters& parameters, const store::Names& names,
                                   std::string_view type, std::string_view parameter,
                                   const std::vector<Coded>& codes);

/// "Type/id" as the store names it; type 0 when it is something else.
store::Identity identity_of(const Parameters& parameters, std::string_view reference);

store::Condition all_of(store::Conditions parts);
store::Condition any_of(store::Conditions parts);
store::Condition none_of(store::Conditions parts);
bool is_everything(const store::Condition& condition);
bool is_nothing(const store::Condition& condition);

}  // namespace meridian::trust::policy
