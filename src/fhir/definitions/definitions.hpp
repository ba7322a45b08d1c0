// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

/// FHIR R4 (4.0.1) as data: types, elements, search parameters, compartments, bindings. Built from
/// the published definitions by tools/definitions, compiled into the program, immutable after
/// start.
namespace meridian::fhir {

struct Type;

/// Strength of a terminology binding.
enum class Binding : unsigned char { none, example, preferred, extensible, required };

/// An invariant of an element ("ele-1", "pat-1" …).
struct Invariant {
    std::string_view key;
    std::string_view human;
    std::string_view expression;  ///< FHIRPath
    bool is_error;                ///< severity error, otherwise warning
};

/// One way in which an element may be typed: "Quantity", or "Reference" with its allowed targets.
struct ElementType {
    const Type* type = nullptr;
    std::string_view
        property;  ///< JSON name: "valueQuantity" for a choice, else the element's name
    std::vector<std::string_view>
        targets{};  ///< of Reference and canonical: resource types; empty or "Resource" = any
};

/// One element of a type, e.g. Patient.contact or Observation.value[x].
struct Element {
    std::string_view name;  ///< without "[x]": "value"
    std::string_view path;  ///< "Observation.value[x]"
    unsigned min = 0;
    unsigned max = 1;        ///< UINT_MAX for "*"
    bool is_choice = false;  ///< declared as name[x]
    bool is_summary = false;
    bool is_modifier = false;
    bool is_array() const { return max != 1; }
    std::vector<ElementType>
        types;  ///< one unless is_choice; a BackboneElement's type is its own anonymous Type
    Binding binding = Binding::none;
    std::string_view value_set{};  ///< canonical without version
    std::vector<Invariant> invariants{};
    std::string_view
        fixed{};  ///< fixed URI of e.g. Extension.url in derived definitions; empty otherwise
};

enum class TypeKind : unsigned char { primitive, complex, backbone, resource };

/// A data type, a resource type, or the anonymous type of a backbone element ("Patient.contact").
struct Type {
    std::string_view name;
    TypeKind kind;
    bool is_abstract = false;
    const Type* base =
        nullptr;  ///< Patient → DomainResource → Resource; positiveInt → integer → Element
    std::vector<const Element*>
        elements;  ///< all, inherited ones first, in the order of the definition (= XML order)
    std::vector<Invariant> invariants{};

    /// The element and its type that the JSON property `property` stands for ("valueQuantity"),
    /// without a leading "_". Both null when there is none. Constant time.
    struct Property {
        const Element* element = nullptr;
        const ElementType* type = nullptr;
    };
    Property find(std::string_view property) const;
    /// The element called `name` as FHIRPath sees it ("value" for value[x]); null when there is
    /// none.
    const Element* element(std::string_view name) const;
    /// True when this type is `ancestor` or derives from it.
    bool is_a(const Type& ancestor) const;
    bool is_resource() const { return kind == TypeKind::resource; }
    bool is_primitive() const { return kind == TypeKind::primitive; }

    struct Lookup;  ///< private to definitions.cpp
    std::shared_ptr<const Lookup> lookup;
};

enum class SearchType : unsigned char {
    number,
    date,
    string,
    token,
    reference,
    composite,
    quantity,
    uri,
    special
};

struct SearchComponent {
    std::string_view definition;  ///< canonical of the component's SearchParameter
    std::string_view expression;
};

/// A SearchParameter as defined: one per (base type, code) after expansion of `base`; Resource and
/// DomainResource stay as such.
struct SearchDefinition {
    std::string_view url;
    std::string_view code;
    std::string_view base;  ///< resource type, "Resource" or "DomainResource"
    SearchType type;
    std::string_view expression;  ///< whole FHIRPath of the parameter (all bases); empty for _text,
                                  ///< _content, _query …
    std::vector<std::string_view> targets;
    std::vector<SearchComponent> components;
};

/// Membership of one resource type in a compartment: its search parameters that lead to the
/// compartment's owner.
struct CompartmentMember {
    std::string_view type;
    std::vector<std::string_view> params;  ///< "{def}" for the owner itself
};
struct Compartment {
    std::string_view owner;  ///< "Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"
    std::vector<CompartmentMember> members;
    const CompartmentMember* find(std::string_view type) const;
};

/// An OperationDefinition of the base specification (name and where it may be called).
struct OperationDefinition {
    std::string_view code, url;
    bool system, on_type, on_instance;
    std::vector<std::string_view> types;
};

/// The R4 definitions. One instance per process: definitions().
class Definitions {
 public:
    virtual ~Definitions() = default;
    virtual const Type* find(std::string_view name) const = 0;  ///< any type; null when unknown
    virtual const Type* resource(
        std::string_view name) const = 0;                        ///< concrete resource types only
    virtual std::span<const Type* const> resources() const = 0;  ///< concrete ones, by name
    virtual std::span<const SearchDefinition> search_parameters() const = 0;
    virtual const Compartment* compartment(std::string_view owner) const = 0;
    virtual std::span<const OperationDefinition> operations() const = 0;

    /// Whether `code` of `system` (empty = not stated, as in a `code` element) is in a value set of
    /// the specification.
    enum class Membership : unsigned char {
        yes,
        no,
        unknown
    };  ///< unknown: the set is not enumerable here
    virtual Membership in_value_set(std::string_view value_set, std::string_view system,
                                    std::string_view code) const = 0;
    /// True when the specification says that codes of `system` differ by case; "in doubt" is false.
    virtual bool is_case_sensitive(std::string_view system) const = 0;
    /// A terminology or profile resource of the specification by canonical URL, as JSON text; empty
    /// when there is none. Slow (decompresses); callers cache.
    virtual std::string conformance_resource(std::string_view type, std::string_view url) const = 0;
    /// Canonical URLs of all resources that conformance_resource knows of `type` (CodeSystem,
    /// ValueSet, ConceptMap, StructureDefinition).
    virtual std::vector<std::string_view> conformance_urls(std::string_view type) const = 0;
};

/// The process-wide definitions, loaded on first use (thread-safe, below 100 ms).
const Definitions& definitions();

}  // namespace meridian::fhir
