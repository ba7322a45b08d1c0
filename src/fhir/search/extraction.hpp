// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/path/value.hpp"
#include "fhir/search/contained.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/program.hpp"

/// The walk over one resource. Private to search/.
namespace meridian::fhir::search {

/// Case of a token as it is indexed and searched: ASCII letters in lower case.
std::string fold_token(std::string_view code);
/// Whether tokens of `system` are folded (the specification says "in doubt, insensitive").
bool is_folded_system(std::string_view system);
/// "Type/id" inside a reference text: relative, versioned, absolute, or a conditional "Type?…".
/// Empty type when it has none.
struct ReferenceParts {
    std::string_view type;
    std::string_view id;
    bool is_local = false;  ///< relative, or below the base URL
};
ReferenceParts split_reference(std::string_view reference, std::string_view base_url);

class Extraction {
 public:
    Extraction(const Parameters& parameters, const Program& program, const Json& resource,
               store::Names& names, const ExtractOptions& options, store::Rows& rows,
               const ContainedResources* contained = nullptr)
        : parameters_(parameters),
          program_(program),
          resource_(resource),
          names_(names),
          options_(options),
          rows_(rows),
          contained_(contained) {}

    void run();

 private:
    struct PatientHit {
        int rank;
        store::Identity identity;
    };
    struct TokenPart {
        std::int64_t value;
    };
    /// A value of a composite's component.
    struct PartValue {
        std::int64_t token = 0;
        double lo = 0, hi = 0;
        std::string folded{};
        store::Name unit = 0;
        store::Name canonical_unit = 0;
        double canonical_lo = 0, canonical_hi = 0;
    };
    struct Interval {
        std::int64_t lo, hi;
    };
    struct Bounds {
        double lo, hi;
    };
    struct Measure {
        Bounds bounds{};
        std::string_view system{}, code{}, unit{};
        std::optional<Bounds> canonical{};
        store::Name canonical_unit = 0;
    };

    void walk(const ProgramNode& node, const Json& object);
    void enter(const ProgramEdge& edge, const Json& value);
    void emit_all(const std::vector<EmitGroup>& groups, const Json& value);
    void emit(const EmitGroup& group, const Json& value);
    bool emit_value(const EmitGroup& group, const Json& value);
    bool emit_token_kind(const EmitGroup& group, const Json& value);
    bool emit_string_kind(const EmitGroup& group, const Json& value);
    bool emit_range_kind(const EmitGroup& group, const Json& value);

    std::int64_t token_of(std::string_view system, std::string_view code, bool fold);
    bool token(const EmitGroup& group, std::string_view system, std::string_view code, bool fold);
    void display(const EmitGroup& group, std::string_view text);
    bool coding(const EmitGroup& group, const Json& value);
    bool concept_of(const EmitGroup& group, const Json& value);
    bool identifier(const EmitGroup& group, const Json& value);
    bool string(const EmitGroup& group, std::string_view text, bool split_words = false);
    bool phonetic(const EmitGroup& group, std::string_view text);
    bool human_name(const EmitGroup& group, const Json& value, bool is_phonetic);
    bool address(const EmitGroup& group, const Json& value);
    bool date(const EmitGroup& group, std::optional<Interval> interval);
    bool number(const EmitGroup& group, std::optional<Bounds> bounds);
    bool quantity(const EmitGroup& group, const std::optional<Measure>& measure);
    bool reference(const EmitGroup& group, const Json& value);
    bool reference_to(const EmitTarget& target, std::string_view text,
                      std::string_view stated_type);
    void note(const EmitTarget& target, std::string_view text);
    void local_reference(const Parameter& parameter, std::string_view fragment);
    bool reference_identifier(const EmitGroup& group, const Json& identifier,
                              std::string_view stated_type);
    bool canonical(const EmitGroup& group, std::string_view text);
    bool inner_resource(const EmitGroup& group, const Json& value);
    bool location(const EmitGroup& group, const Json& value);
    void composite(const EmitTarget& target, const Json& base);
    void composite_rows(const EmitTarget& target, const std::vector<std::vector<PartValue>>& parts,
                        std::size_t component_count);
    void part_values(const CompositePart& part, const Json& at, std::size_t step,
                     std::vector<PartValue>& out);
    void part_value(const CompositePart& part, const Json& value, std::vector<PartValue>& out);
    void run_fallback(const FallbackRule& rule);
    void computed(const EmitTarget& target, const path::Item& item);

    std::optional<Interval> interval_of(Emitter emitter, const Json& value) const;
    std::optional<Interval> instant_of(std::string_view text) const;
    std::optional<Bounds> bounds_of(Emitter emitter, const Json& value) const;
    std::optional<Measure> measure_of(Emitter emitter, const Json& value);
    void canonicalise(Measure& measure, const Json& low, const Json& high);
    store::Name unit_name(std::string_view system, std::string_view code);
    std::string_view contained_type(std::string_view fragment) const;

    void add_patients();
    void add_text();
    void prose(const ProseNode& node, const Json& object, std::string& out);

    const Parameters& parameters_;
    const Program& program_;
    const Json& resource_;
    store::Names& names_;
    const ExtractOptions& options_;
    store::Rows& rows_;
    const ContainedResources*
        contained_;  ///< of this resource or of the one around it; may be null
    std::vector<PatientHit> patients_;
    std::string scratch_;
    bool has_versioned_ = false;
};

}  // namespace meridian::fhir::search
