// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir {

/// Checks a resource against the R4 definitions: known properties, JSON shapes, primitive formats,
/// cardinality, one type per choice, reference targets, required bindings, contained resources,
/// ids. One pass over the tree, no allocation while nothing is wrong.
///
/// Appends findings to `issues` (paths begin with the resource's type). Never fails: a faulty
/// resource is a list of issues. Source: FHIR R4 §2.6 (JSON), §2.24 (data types). Blocking: never.
void validate_structure(const Json& resource, std::vector<Issue>& issues);

/// True when some issue is an error or fatal.
bool has_errors(const std::vector<Issue>& issues);

}  // namespace meridian::fhir
