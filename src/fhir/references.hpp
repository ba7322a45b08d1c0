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

/// True when some Reference.reference holds a '?' before any ':'.
bool has_conditional_references(const Json& resource);

}  // namespace meridian::fhir
