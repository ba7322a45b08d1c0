// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir {

/// fullUrl of a bundle entry → "Type/id" that the entry got.
using FullUrls = std::unordered_map<std::string, std::string>;

/// Rewrites (in place, `resource` being a node of `document`) every mention of a fullUrl in
/// `resource` to the entry's new reference: in Reference.reference and elements of type uri, url,
/// oid and uuid (also the part before '#'), and in href and src of the narrative. Canonicals stay
/// as they are, and a version-specific reference stays version-specific (FHIR R4 §3.1.0.11.2,
/// shared rule list in docs/conformance.md).
void rewrite_full_urls(JsonDocument& document, Json& resource, const FullUrls& full_urls);

/// Calls `resolve` for every conditional reference ("Patient?identifier=…") and puts its answer in
/// place. Errors: those of `resolve`.
Result<void> resolve_conditional_references(
    JsonDocument& document, Json& resource,
    const std::function<Result<std::string>(std::string_view)>& resolve);

/// Makes each Reference.reference to a resource below `base_url`, another server's, relative:
/// "https://a.example/fhir/Patient/7" becomes "Patient/7". One of a version stays: versions count
/// anew where the resource is taken over.
void make_relative(JsonDocument& document, Json& resource, std::string_view base_url);

/// The first Reference.reference inside `resource` for which `is_meant` is true; empty when there
/// is none. It points into `resource`.
std::string_view first_reference_to(const Json& resource,
                                    const std::function<bool(std::string_view)>& is_meant);

/// True when some Reference.reference holds a '?' before any ':'.
bool has_conditional_references(const Json& resource);

}  // namespace meridian::fhir
