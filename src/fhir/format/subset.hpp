// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/repository.hpp"

/// Less of a resource than is stored: _summary and _elements
/// (https://hl7.org/fhir/R4/search.html#summary, #elements).
namespace meridian::fhir {

/// Appends what is left of `resource` as compact JSON text, with the tag SUBSETTED in meta.tag.
///
/// `elements` (names as in `_elements`: "name", "Patient.name", "value" or "valueQuantity" for
/// value[x]) decides when it is not empty: those root elements, and always id, meta, mandatory and
/// modifier elements. Otherwise `summary` decides: `on` keeps elements marked as summary, mandatory
/// or modifier, at every level; `text` keeps text, id, meta and mandatory root elements; `data`
/// drops text; `count` keeps nothing of a resource, so it is treated like `off`: everything. A
/// resource of an unknown type is written whole. Blocking: never.
void write_subset(const Json& resource, Page::Summary summary,
                  std::span<const std::string> elements, std::string& out);

/// The same for a stored resource's text. Errors: those of JsonDocument::parse.
Result<std::string> subset(std::string_view json, Page::Summary summary,
                           std::span<const std::string> elements);

}  // namespace meridian::fhir
