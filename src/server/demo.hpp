// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "trust/accounts/account.hpp"

namespace meridian::server {

/// Who a demonstration account of `role` stands for: the first patient of the record, the doctor
/// who looks after them, somebody of the hospital where that is; persons that are not there are
/// made. For synthetic regions only. Errors: those of the Repository.
Result<trust::NewAccount> demo_person(fhir::Repository& repository, trust::Role role);

}  // namespace meridian::server
