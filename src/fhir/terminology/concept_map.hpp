// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir::terminology {

/// A ConceptMap resource, sorted for translation in both directions. Immutable and safe to share
/// between threads.
class ConceptMap {
 public:
    /// Errors: `incorrect` for no ConceptMap. Blocking: never.
    static Result<std::shared_ptr<const ConceptMap>> load(const Json& resource);

    const std::string& url() const { return url_; }
    const std::string& version() const { return version_; }
    /// Canonicals of the value sets that it maps from and to, without version; empty when not
    /// stated.
    const std::string& source() const { return source_scope_; }
    const std::string& target() const { return target_scope_; }

    /// One way to say a code. Views live as long as the map.
    struct Match {
        std::string_view equivalence;  ///< as seen from the code asked about
        std::string_view system, version, code, display;
        std::string_view comment;
        const Json* target = nullptr;  ///< ConceptMap.group.element.target, with product and
                                       ///< dependsOn; null for group.unmapped
        bool is_mapped() const { return equivalence != "unmatched" && equivalence != "disjoint"; }
    };
    /// What `code` of `system` (empty = any) becomes; `target_system` empty = any. Backwards when
    /// `reverse`.
    std::vector<Match> translate(std::string_view system, std::string_view code,
                                 std::string_view target_system, bool reverse) const;

 private:
    struct Group {
        std::string_view source, source_version, target, target_version;
        const Json* unmapped = nullptr;
    };
    struct Row {
        std::uint32_t group;
        const Json* element;
        const Json* target;  ///< null for an element without targets
        std::string_view from, to;
    };
    ConceptMap() = default;
    void add_group(const Json& group);
    void add_unmapped(std::string_view system, std::string_view code,
                      std::string_view target_system, std::vector<Match>& found) const;

    std::string url_, version_, source_scope_, target_scope_;
    JsonDocument document_;
    std::vector<Group> groups_;
    std::vector<Row> forward_;   ///< by from
    std::vector<Row> backward_;  ///< by to
};

}  // namespace meridian::fhir::terminology
