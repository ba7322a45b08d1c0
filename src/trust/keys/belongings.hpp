// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/repository.hpp"
#include "trust/keys/key_ring.hpp"
#include "trust/keys/retention.hpp"

/// Who a person is in a record, and what there is theirs: what an erasure is about.
namespace meridian::trust {

/// "Patient/7" of a reference that names a patient of this record; empty for any other.
std::string patient_in(std::string_view reference, std::string_view base_url);

/// All Patients that are one person: those that Person.link and Patient.link join to `subject`
/// ("Person/ID" or "Patient/ID"), directly or through others. Errors: `not_found` for a Person who
/// is not there; `too_large` for more than limits::erasure_patients_max; the store's. Blocking:
/// searches.
Result<std::set<std::string>> patients_of_person(fhir::Repository& repository,
                                                 const std::string& subject);

struct Belongings {
    using Pair = std::pair<std::string, std::string>;

    std::vector<store::Identity> own;            ///< their home is one of the patients, or all
    std::map<std::string, std::int64_t> counts;  ///< of `own`, by type
    std::vector<Pair> mentions;                  ///< others' resource, patient
    /// Of `own`, those that mention a patient who stays, too: resource, that patient.
    std::vector<Pair> shared;
    /// About the patients and others alike (fhir/home.hpp): type and id.
    std::vector<Pair> of_several;
    /// Ids of the keys that versions of these lie under which name one of the patients.
    std::set<std::string> shared_keys;
    std::string unsealed;  ///< the first resource of theirs with a version that is not sealed
};

/// What lies in the compartments of `patients` now. With a `clock` also what only a decision needs,
/// before anything is shredded: what the retention's clock says of each of `own`, and resources
/// that named one of them once and do not any more (by the audit). Errors: the store's; `fault` for
/// a body that was altered. Blocking: reads all of it.
Result<Belongings> belongings_of(fhir::Repository& repository, KeyRing& ring,
                                 const std::set<std::string>& patients, RetentionClock* clock);

}  // namespace meridian::trust
