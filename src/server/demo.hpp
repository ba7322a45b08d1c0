// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "trust/accounts/account.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/vault.hpp"

namespace meridian::server {

/// Who a demonstration account of `role` stands for: the first patient of the record, the doctor
/// who looks after them, somebody of the hospital where that is; persons that are not there are
/// made. For synthetic regions only. Errors: those of the Repository.
Result<trust::NewAccount> demo_person(fhir::Repository& repository, trust::Role role);

/// A project that shows the region's lung patients to the demonstration accounts of a researcher
/// and of follow-up staff, unless it is there or the region has no such patients. Errors: those of
/// Repository and vault.
Result<void> seed_demo_project(fhir::Repository& repository, trust::Vault& vault,
                               const std::vector<trust::DemoAccount>& accounts);

}  // namespace meridian::server
