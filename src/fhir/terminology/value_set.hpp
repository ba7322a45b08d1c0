// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/terminology/code_system.hpp"
#include "fhir/terminology/open_system.hpp"

namespace meridian::fhir::terminology {

class ValueSet;

/// Where the parts of a value set come from, and which versions of systems the caller asks for.
class Library {
 public:
    virtual ~Library() = default;
    /// Errors: `not_found` when there is none. `version` empty = any.
    virtual Result<std::shared_ptr<const CodeSystem>> code_system(
        std::string_view url, std::string_view version) const = 0;
    /// The value set with this canonical, compiled; `path` holds the canonicals that are being
    /// compiled above it.
    virtual Result<std::shared_ptr<const ValueSet>> import(
        std::string_view canonical, std::vector<std::string>& path) const = 0;
};

/// One concept of a value set. Views live as long as the ValueSet.
struct Member {
    const CodeSystem* codes = nullptr;  ///< null for a listed code of a system that is not loaded
    ConceptIndex at = no_concept;
    std::string_view system, version, code, display;
    const Json* listed =
        nullptr;  ///< its ValueSet.compose.include.concept, when it was listed one by one
};

/// True when `display` is empty, the member's display or one of its designations, regardless of
/// case and punctuation.
bool is_display(const Member& member, std::string_view display);

/// Yes, no, or not to be decided because a needed code system is not here.
enum class Contained : unsigned char { yes, no, unknown };

/// A ValueSet resource made ready to answer: each include and exclude is a list, a bitmap over its
/// code system, or a whole system. Immutable and safe to share between threads.
class ValueSet {
 public:
    /// Compiles compose (https://hl7.org/fhir/R4/valueset.html#compositions), or takes the stored
    /// expansion where there is no compose. A code system that is missing is no error yet:
    /// expansion reports it, membership answers `unknown`. Errors: `unprocessable` for a bad
    /// filter, a circle of imports; `not_found` for a missing import.
    static Result<std::shared_ptr<const ValueSet>> compile(const Json& resource,
                                                           const Library& library,
                                                           std::vector<std::string>& path);

    const std::string& url() const { return url_; }
    const std::string& version() const { return version_; }
    const std::string& name() const { return name_; }

    /// Whether the code is in the set. `system` empty = of any system, as in a `code` element.
    /// Fills `member` (null = not wanted) on yes.
    Contained contains(std::string_view system, std::string_view version, std::string_view code,
                       Member* member = nullptr) const;

    struct Filter {
        std::string words{};  ///< only concepts with these words; empty = all
        bool active_only = false;
        bool selectable_only = false;  ///< leaves out concepts that are not for use in records
    };
    /// Calls `visit` for each member once, in the order of compose and of the code system, until it
    /// returns false. Errors: `not_found` for a code system that is not here; `too_large` for a
    /// system that is a grammar; `visit`'s own stop is none.
    Result<void> each(const Filter& filter, const std::function<bool(const Member&)>& visit) const;
    /// How many members there are; cheap when asked again and for a whole system. Errors: as
    /// each().
    Result<std::size_t> count(const Filter& filter) const;

    /// Code systems and versions that were used, for ValueSet.expansion.parameter:
    /// "http://loinc.org|2.73".
    std::vector<std::string> used_systems() const;

 private:
    struct Clause;
    friend class ValueSetCompiler;

    ValueSet();

 public:
    ~ValueSet();

 private:
    bool is_excluded(const Member& member) const;
    bool is_repeated(const Member& member, std::size_t clause) const;
    std::optional<std::size_t> quick_count(const Filter& filter) const;

    std::string url_, version_, name_;
    JsonDocument source_;  ///< listed concepts point into it
    std::vector<Clause> includes_, excludes_;
    bool with_inactive_ = true;  ///< compose.inactive
    mutable std::atomic<std::int64_t> known_count_{-1};
};

}  // namespace meridian::fhir::terminology
