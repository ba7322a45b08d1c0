// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace meridian::fhir {

/// The text in which a resource version is kept: minified JSON that begins with resourceType, id
/// and meta, without meta.versionId and meta.lastUpdated. Those two belong to the row (the
/// committer gives them) and are put in at `stamp_at` when the version is read: a read copies bytes
/// and never serialises again.
struct StoredForm {
    std::string json;
    std::uint32_t stamp_at = 0;  ///< offset right after `"meta":{`
};

/// Writes `resource` in stored form under the given id; an id, versionId and lastUpdated that it
/// carries are left out.
StoredForm stored_form(const Json& resource, std::string_view type, std::string_view id);

}  // namespace meridian::fhir
