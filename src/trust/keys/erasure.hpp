// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "fhir/repository.hpp"
#include "trust/keys/key_ring.hpp"

/// The erasure of a person: their data keys are destroyed, so that nobody can read their bodies any
/// more, wherever copies lie.
namespace meridian::trust {

struct ErasureRequest {
    std::string subject;  ///< "Patient/ID" or "Person/ID" ("person/ID" too)
    std::string reason;   ///< stands in the certificate: no patient data
    std::string by;       ///< who asks for it, e.g. "Practitioner/7"
    /// Erases in spite of clocks and holds; needs two different approvers.
    bool override_retention = false;
    std::vector<std::string> approvers{};
    /// What the caller takes away besides, of these patients ("Patient/ID"), before the certificate
    /// is signed; done again when the erasure was killed on the way. May be empty.
    std::function<Result<void>(const std::set<std::string>& patients)> besides{};
};

/// Erases one person everywhere: all Patients that Person.link and Patient.link join, directly or
/// through others. Their data keys become tombstones, their resources are deleted (so that searches
/// find nothing and views are told by the log), index rows leave the files, the ids of the shredded
/// keys are noted in the folder (keys/erased) for restores, and the audit has an entry of it, also
/// when it was refused. What was killed on the way is carried on by the same call. Others write and
/// read meanwhile, also through `repository`, whose cipher has to be that of `ring`.
///
/// What is shared with others (docs/adr/0036): resources whose home is another patient stay, and
/// are named with the erased patient that they mention. Those that were the erased person's and
/// mention others are gone, and are named with those others. Groups, Accounts and Appointments of
/// several stay without the person; their versions that named the person can be read no more.
///
/// Answers a signed certificate (certificate.hpp) whose statement lists all of that. Errors:
/// `not_found`; `incorrect` for a subject of another type, no reason, approvers that are missing or
/// the same; `conflict` when a clock or a hold forbids it, with the date from which it is allowed;
/// `unsupported` when something of the person lies unsealed; `busy` when two erase the same person;
/// `too_large` for more patients than limits::erasure_patients_max; of `besides`; the store's.
/// Blocking: long, at least as long as other servers may still know the keys.
Result<std::string> erase_person(fhir::Repository& repository, KeyRing& ring,
                                 const std::string& folder, const ErasureRequest& request);

/// Forbids the erasure of a patient until it is lifted. Errors: `incorrect`, the store's.
Result<void> hold_patient(store::Store& store, const KeyRing& ring, std::string_view patient,
                          std::string_view by, std::string_view reason);
/// False when there was none.
Result<bool> release_patient(store::Store& store, std::string_view patient);

/// Ids of the keys that were shredded by the servers of this folder.
Result<std::vector<std::string>> erased_keys(const std::string& folder);

/// Deletes all current resources that lie under shredded keys, as after the restore of an old
/// backup. How many. Errors: the store's. Blocking: reads the record.
Result<std::int64_t> sweep_erased(fhir::Repository& repository, KeyRing& ring);

}  // namespace meridian::trust
