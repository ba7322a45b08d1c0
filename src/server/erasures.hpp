// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "server/guard.hpp"
#include "trust/keys/erasure.hpp"

namespace meridian::server {

/// Erases a person beside a server that serves, or without one: from the record
/// (trust::erase_person); files of bulk exports, which hold the record in the clear, are removed,
/// so that they are asked for again; and accounts of the person are closed, with what stands in
/// them taken out: name to be shown, password, second factors, passkeys. `repository` is the one
/// that the guard protects. Answers the certificate. Errors and blocking: as trust::erase_person;
/// `unavailable` when a file cannot be removed; the same call goes on then.
Result<std::string> erase(Guard& guard, fhir::Repository& repository,
                          trust::ErasureRequest request);

}  // namespace meridian::server
