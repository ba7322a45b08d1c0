// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fhir/path/expression.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/simple_path.hpp"

/// Search parameters compiled for extraction: one tree of JSON properties per resource type that
/// all its parameters share, so a resource is walked once. Private to search/.
namespace meridian::fhir::search {

/// How a value of one FHIR type becomes rows of one kind.
enum class Emitter : unsigned char {
    none,
    token_coding,
    token_concept,
    token_identifier,
    token_contact,
    token_code,  ///< code, id, uri: as written
    token_boolean,
    token_string,  ///< folded
    string_plain,
    string_human_name,
    string_address,
    string_phonetic,
    string_phonetic_name,
    date_plain,
    date_period,
    date_timing,
    number_plain,
    number_range,
    quantity_plain,
    quantity_money,
    quantity_range,
    quantity_sampled,
    reference_plain,
    reference_canonical,
    reference_uri,
    reference_resource,
    uri_plain,
    location_position,
    composite,
};

/// The emitter for a value of FHIR type `type_name` under a parameter; `none` when they do not fit.
Emitter emitter_for(SearchType kind, std::string_view code, const Type& type);

struct CompositePart {
    Emitter emitter = Emitter::none;
    bool from_resource = false;  ///< the route starts at %resource
    Route route;
};

/// A composite on one base element: for each component the places where its values stand.
struct CompositePlan {
    std::vector<std::vector<CompositePart>> components;
};

struct EmitTarget {
    const Parameter* parameter = nullptr;
    store::Name resolve_type = 0;  ///< only references to this type
    int patient_rank = -1;         ///< ≥ 0: a patient path of the compartment, in this order
    std::shared_ptr<const CompositePlan> composite{};
};

/// Parameters that take the same rows from the same element.
struct EmitGroup {
    Emitter emitter = Emitter::none;
    std::vector<EmitTarget> targets;
};

struct ProgramNode;
struct ProgramEdge {
    std::string property;
    RouteFilter filter;
    std::unique_ptr<ProgramNode> node;
};

/// A small hash table from property names to edges that lie side by side for one name.
class PropertyTable {
 public:
    void build(const std::vector<std::string_view>& names);
    /// Index of the first entry called `name` in the order given to build(), or -1.
    int find(std::string_view name) const;

 private:
    static std::size_t hash(std::string_view name) {
        if (name.empty()) return 0;
        return name.size() * 31 + static_cast<unsigned char>(name.front()) * 7 +
               static_cast<unsigned char>(name.back()) * 131 +
               static_cast<unsigned char>(name[name.size() / 2]) * 17;
    }
    std::vector<std::int16_t> slots_;
    std::vector<std::string> names_;
};

struct ProgramNode {
    std::vector<ProgramEdge> edges;  ///< sorted by property
    PropertyTable table;
    std::vector<EmitGroup> groups;
};

/// Where prose stands inside a type; cyclic (an item holds items).
struct ProseNode {
    enum class Leaf : unsigned char { none, text, attachment };
    struct Edge {
        std::string property;
        Leaf leaf = Leaf::none;
        const ProseNode* node = nullptr;
    };
    std::vector<Edge> edges;
    PropertyTable table;
};

/// The prose of all types; built once per process.
class Prose {
 public:
    explicit Prose(const Definitions& definitions);
    const ProseNode* find(std::string_view type) const;

 private:
    bool build(const Type& type);
    std::unordered_map<const Type*, std::unique_ptr<ProseNode>> nodes_;
    std::unordered_map<std::string_view, const ProseNode*> by_name_;
};

struct FallbackRule {
    EmitTarget target;
    path::Expression expression;
};

struct Program {
    ProgramNode root;
    std::vector<EmitGroup>
        of_resource;  ///< groups on the resource itself (composites on "Observation")
    std::vector<FallbackRule> fallbacks;  ///< expressions beyond the simple subset
    store::Name type = 0;
    bool is_patient = false;
    const ProseNode* prose = nullptr;
    store::Name text_param = 0, content_param = 0;
    const Parameter* main_code = nullptr;
    const Parameter* main_date = nullptr;
};

/// What a parameter's expression means on its type, found while it is compiled.
struct Compiled {
    std::vector<Route> routes;
    bool is_simple = false;
};

/// The routes of `parameter` on `type`, those of other types left out.
Compiled compile_routes(std::string_view expression, const Type& type,
                        const Definitions& definitions);

/// Adds the extraction of `parameter` to `program`. Errors: `unprocessable` when the expression
/// does not compile.
Result<void> add_to_program(Program& program, const Parameter& parameter, const Type& type,
                            const Parameters& parameters, const Definitions& definitions,
                            int patient_rank);
/// Makes the property tables; after the last add_to_program.
void finish_program(Program& program);

}  // namespace meridian::fhir::search
