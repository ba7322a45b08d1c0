// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/terminology/bits.hpp"

namespace meridian::fhir::terminology {

using ConceptIndex =
    std::uint32_t;  ///< place of a concept in its system, in the order of the resource
inline constexpr ConceptIndex no_concept = UINT32_MAX;

/// A CodeSystem resource with content, packed for look-ups: all texts in one arena, sorted codes,
/// parents and children as arrays. Immutable and safe to share between threads. Views that it gives
/// out live as long as it does.
class CodeSystem {
 public:
    /// Reads a CodeSystem resource. Errors: `incorrect` for no CodeSystem or one without url;
    /// `too_large` beyond limits::concept_depth_max or 2^32 bytes of text. Blocking: never; some
    /// 0.3 s for 400,000 concepts.
    static Result<std::shared_ptr<const CodeSystem>> load(const Json& resource);

    const std::string& url() const { return url_; }
    const std::string& version() const { return version_; }
    const std::string& name() const { return name_; }
    /// True when the resource says that it holds every concept of the system (content = complete).
    bool is_complete() const { return is_complete_; }
    /// False only where the resource says so.
    bool is_case_sensitive() const { return is_case_sensitive_; }
    std::size_t size() const { return concepts_.size(); }

    /// The concept with this code, or no_concept. Microseconds.
    ConceptIndex find(std::string_view code) const;

    std::string_view code(ConceptIndex at) const { return text(concepts_[at].code); }
    std::string_view display(ConceptIndex at) const { return text(concepts_[at].display); }
    std::string_view definition(ConceptIndex at) const { return text(concepts_[at].definition); }
    /// Retired, deprecated or inactive by its standard properties
    /// (https://hl7.org/fhir/R4/codesystem-concept-properties.html).
    bool is_inactive(ConceptIndex at) const { return inactive_.test(at); }
    /// Not for use in records (property notSelectable).
    bool is_abstract(ConceptIndex at) const { return abstract_.test(at); }
    const Bits& inactive() const { return inactive_; }

    std::span<const ConceptIndex> parents(ConceptIndex at) const {
        return slice(parents_, parents_from_, at);
    }
    std::span<const ConceptIndex> children(ConceptIndex at) const {
        return slice(children_, children_from_, at);
    }
    /// True when `ancestor` is `descendant` or lies above it.
    bool subsumes(ConceptIndex ancestor, ConceptIndex descendant) const;
    /// The concept and everything below it.
    Bits below(ConceptIndex at) const;
    /// The concept and everything above it.
    Bits above(ConceptIndex at) const;

    struct Property {
        std::string_view code;
        std::string_view kind;   ///< "Code", "String", "Boolean", "Integer", "DateTime", "Decimal",
                                 ///< "Coding": behind "value"
        std::string_view value;  ///< text of the value; of a Coding its JSON
    };
    std::vector<Property> properties(ConceptIndex at) const;
    struct Designation {
        std::string_view language;
        std::string_view use;  ///< JSON of the use coding; empty for none
        std::string_view value;
    };
    std::vector<Designation> designations(ConceptIndex at) const;
    /// True when `display` is the concept's display or one of its designations, regardless of case
    /// and spacing.
    bool is_display(ConceptIndex at, std::string_view display) const;

    /// Concepts that satisfy a filter of ValueSet.compose
    /// (https://hl7.org/fhir/R4/valueset-filter-operator.html). Errors: `not_found` for a code that
    /// the system lacks; `unsupported` for an unknown operator or property; `incorrect` for a bad
    /// regular expression.
    Result<Bits> filter(std::string_view property, std::string_view op,
                        std::string_view value) const;
    /// Concepts in whose code, display or designations each word of `words` is the start of a word.
    /// Nothing to look for = all.
    Bits with_words(std::string_view words) const;

 private:
    struct Piece {
        std::uint32_t from = 0;
        std::uint32_t size = 0;
    };
    struct Concept {
        Piece code, display, definition;
    };
    struct StoredProperty {
        ConceptIndex owner;
        std::uint16_t code;  ///< into property_codes_
        std::uint16_t kind;  ///< into property_kinds_
        Piece value;
    };
    struct StoredDesignation {
        ConceptIndex owner;
        Piece language, use, value;
    };
    struct WordIndex;
    friend class CodeSystemLoader;

    CodeSystem();

 public:
    ~CodeSystem();

 private:
    std::string_view text(Piece piece) const {
        return std::string_view(arena_).substr(piece.from, piece.size);
    }
    static std::span<const ConceptIndex> slice(const std::vector<ConceptIndex>& all,
                                               const std::vector<std::uint32_t>& from,
                                               ConceptIndex at) {
        return std::span(all).subspan(from[at], from[at + 1] - from[at]);
    }
    Bits reach(ConceptIndex at, bool down) const;
    const WordIndex& words() const;
    Result<Bits> filter_concepts(std::string_view op, std::string_view value) const;
    Result<Bits> filter_listed(std::string_view op, std::string_view value) const;
    Result<Bits> filter_property(std::string_view property, std::string_view op,
                                 std::string_view value) const;
    std::span<const StoredProperty> properties_of(ConceptIndex at) const;

    std::string url_, version_, name_;
    bool is_complete_ = false;
    bool is_case_sensitive_ = true;
    std::string arena_;
    std::vector<Concept> concepts_;
    std::vector<ConceptIndex> by_code_;    ///< sorted by code
    std::vector<ConceptIndex> by_folded_;  ///< sorted by lower-case code; empty when case matters
    std::vector<ConceptIndex> parents_, children_;
    std::vector<std::uint32_t> parents_from_, children_from_;  ///< size() + 1 places
    std::vector<StoredProperty> properties_;                   ///< by owner
    std::vector<StoredDesignation> designations_;              ///< by owner
    std::vector<std::string> property_codes_, property_kinds_, declared_properties_;
    Bits inactive_, abstract_;
    mutable std::once_flag words_once_;
    mutable std::unique_ptr<WordIndex> words_;  ///< made by the first with_words()
};

}  // namespace meridian::fhir::terminology
