// SPDX-License-Identifier: Apache-2.0
// Private to the folder: a StructureDefinition's snapshot as a tree of elements.
#pragma once

#include <climits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir {

/// One element of a snapshot, or one slice of it. Slices carry children of their own.
struct ProfileElement {
    const Json* definition = nullptr;
    std::string name;   ///< last part of the id without "[x]" and slice: "value"
    std::string slice;  ///< empty for the element itself
    bool is_choice = false;
    unsigned min = 0;
    unsigned max = UINT_MAX;
    std::vector<std::unique_ptr<ProfileElement>> children;
    std::vector<std::unique_ptr<ProfileElement>> slices;

    const ProfileElement* child(std::string_view wanted) const;
    /// The member whose name begins with `prefix` ("fixed", "pattern"), or null.
    const Json* prefixed(std::string_view prefix) const;
};

struct Profile {
    std::string url, type;
    JsonDocument document;  ///< what `definition` points into
    ProfileElement root;

    /// The element with this id, for contentReference; null when there is none.
    const ProfileElement* find(std::string_view id) const;

    /// Errors: `unprocessable` for a StructureDefinition without snapshot or with ids that do not
    /// make a tree.
    static Result<std::shared_ptr<const Profile>> load(JsonDocument document);
};

}  // namespace meridian::fhir
