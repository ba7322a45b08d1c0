// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/definitions/definitions.hpp"
#include "store/names.hpp"

/// Which parameters each resource type can be searched by, and how their values are read out of a
/// resource.
namespace meridian::fhir::search {

struct Parameter;
struct Program;  // private: search/program.hpp

/// One part of a composite parameter: `code` in code-value-quantity.
struct Component {
    const Parameter* parameter =
        nullptr;  ///< the parameter whose syntax the part's values follow; null when unknown
    SearchType kind = SearchType::token;
    std::string expression;  ///< relative to the composite's element
    std::vector<std::string> element_types{};
    std::string definition{};  ///< canonical of the part's own SearchParameter
};

/// One search parameter of one concrete resource type ("Observation", "code"). Immutable.
///
/// Dictionary ids: `name` is "Observation.code"; the twins hold what some modifiers need and are 0
/// where they make no sense.
struct Parameter {
    std::string type;
    std::string code;
    std::string url;
    SearchType kind = SearchType::special;
    std::string expression;  ///< whole FHIRPath as defined; empty for _id, _text and the like
    std::vector<std::string> targets{};  ///< of a reference: the types it can lead to, narrowed by
                                         ///< the expression; empty = any
    std::vector<std::string> element_types{};  ///< FHIR types at the end of the path:
                                               ///< "CodeableConcept", "code", "Period" …
    std::vector<std::string>
        value_sets{};  ///< required bindings of `code` elements: they imply the system of a token
    std::vector<Component> components{};
    std::vector<const Parameter*>
        parts{};          ///< it asks for what any of these asks for and has no rows of its own
    bool repeats = true;  ///< one resource may have several values
    bool in_patient_compartment =
        false;  ///< every patient it refers to has the resource in their compartment
    std::vector<store::Name>
        other_patient_paths{};  ///< of such a reference: what else may put a resource in one
    bool custom = false;        ///< added at run time
    bool ready = true;  ///< every stored resource is indexed by it; otherwise searches refuse it

    store::Name name = 0;
    store::Name text_name = 0;        ///< "#text": displays and texts of a token
    store::Name of_type_name = 0;     ///< "#of-type": identifiers with their type
    store::Name identifier_name = 0;  ///< "#identifier": business identifiers inside references
    store::Name canonical_name =
        0;  ///< "#canonical": a quantity (or composite) in canonical UCUM units
    store::Name below_name = 0;  ///< "#below": a canonical with each prefix of its version
    store::Name present_name =
        0;  ///< "#present": there is an element, but none of the other rows (display only …)
    store::Name longitude_name =
        0;  ///< "#longitude" of Location.near, whose `name` holds the latitude

    /// All dictionary ids that extraction may use for it.
    std::vector<store::Name> names() const;
    /// True when all its elements are of type code or id: tokens differ by case.
    bool is_plain_code() const;
    bool can_lead_to(std::string_view target) const;
    /// A reference some of whose elements name their target by a canonical URL, and one all of
    /// whose elements do.
    bool may_be_canonical() const;
    bool is_only_canonical() const;
};

/// The registry: all R4 parameters of all concrete types (own, DomainResource's and Resource's) and
/// the custom ones added at run time. An immutable snapshot: readers hold a shared_ptr, a change
/// makes a new one. Thread-safe.
class Parameters {
 public:
    /// Builds the registry of the base specification; interns one "Type.code" per parameter and
    /// twin. Blocking: some 100 ms, once at start.
    static std::shared_ptr<const Parameters> make(const Definitions& definitions,
                                                  store::Names& names);
    ~Parameters();

    /// A changed registry and what it means for the index.
    struct Change {
        std::shared_ptr<const Parameters> parameters;
        std::vector<const Parameter*>
            changed;  ///< of `parameters`: to be indexed (with()), not `ready` yet
        std::vector<store::Name> removed;  ///< dictionary ids whose rows are of no more use
    };
    /// The registry with a custom SearchParameter resource (or a newer version of it, by url). Its
    /// parameters are extracted from now on, and are searchable once ready() was called for them. A
    /// status other than active or draft removes it. Errors: `unprocessable` for a missing url,
    /// code, base, type, a code that the type already has from another definition, an expression
    /// that does not compile, an unknown base or component.
    Result<Change> with(const Json& search_parameter, store::Names& names) const;
    Change without(std::string_view url) const;
    /// The registry where the parameters of `url` are searchable.
    std::shared_ptr<const Parameters> ready(std::string_view url) const;

    /// The parameter `code` of the concrete type, or null. Constant time.
    const Parameter* find(std::string_view type, std::string_view code) const;
    /// All parameters of a type by code; empty for an unknown type.
    std::span<const Parameter* const> list(std::string_view type) const;
    /// The parameter a canonical url stands for on `type`, or null.
    const Parameter* find_url(std::string_view type, std::string_view url) const;
    /// "_id, _lastUpdated, code, …": for error texts.
    std::string known_codes(std::string_view type) const;
    /// Dictionary id of a resource type; 0 for an unknown one.
    store::Name type_name(std::string_view type) const;
    /// The resource type of a dictionary id; empty for an unknown one.
    std::string_view type_text(store::Name name) const;

    /// The type's main parameters for the clinical access path (store::PatientRow): its code and
    /// its date; null when it has none.
    const Parameter* main_code(std::string_view type) const;
    const Parameter* main_date(std::string_view type) const;
    /// The type's parameters that lead to a patient by the Patient CompartmentDefinition, home
    /// patient first.
    std::span<const Parameter* const> patient_paths(std::string_view type) const;

    /// How rows of `type` are extracted; null for an unknown type.
    const Program* program(std::string_view type) const;

 private:
    struct State;
    explicit Parameters(std::shared_ptr<const State> state);
    std::shared_ptr<const State> state_;
};

}  // namespace meridian::fhir::search
