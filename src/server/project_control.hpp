// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"
#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "server/guard.hpp"

namespace meridian::server {

/// The part of Control that is about projects (docs/policy.md):
///
/// - `POST /projects` {id, group, title?, actor?, purpose?, consent?: opt-in|opt-out|not-asked,
///   labels?, members?} → 201, the project
/// - `GET /projects` → {projects: […]}
/// - `POST /projects/ID/members` {add?: […], remove?: […]} → the project
/// - `POST /projects/ID/removed` {} → {id}
///
/// Members are accounts of researchers and follow-up staff. Each change is audited. Answers the
/// body, with the status in `status`. Errors: `not_found` for another question, project, group or
/// account; `forbidden` for an account of another role; those of ProjectList.
Result<std::string> answer_about_projects(Guard& guard, fhir::Repository& repository,
                                          net::Method method, const std::vector<std::string>& path,
                                          const Json& wanted, int& status);

}  // namespace meridian::server
