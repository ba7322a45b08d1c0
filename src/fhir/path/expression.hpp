// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/path/value.hpp"

/// FHIRPath 2.0 with the FHIR R4 extensions: http://hl7.org/fhirpath/N1,
/// https://hl7.org/fhir/R4/fhirpath.html
namespace meridian::fhir::path {

/// What an evaluation may ask of the world around it. The default answers nothing.
class Environment {
 public:
    virtual ~Environment() = default;
    /// The resource a reference leads to, or null: resolve().
    virtual const Json* resolve(std::string_view reference) const;
    /// memberOf(): whether a code (Coding, CodeableConcept or code node) is in the value set;
    /// nothing when unknown.
    virtual std::optional<bool> member_of(const Item& item, std::string_view value_set) const;
    /// subsumes(): whether the code of `ancestor` subsumes that of `descendant` (Coding or
    /// CodeableConcept); nothing when unknown.
    virtual std::optional<bool> subsumes(const Item& ancestor, const Item& descendant) const;
};

struct Evaluation {
    const Json* resource = nullptr;       ///< %resource; also the focus when `focus` is empty
    const Json* root_resource = nullptr;  ///< %rootResource; defaults to resource
    Collection focus{};                   ///< the input collection; empty = the resource itself
    const Environment* environment = nullptr;
    std::vector<std::pair<std::string, Collection>> variables{};  ///< further %names
    /// `as` applied to several items keeps those of the type: R4's own search parameters and
    /// invariants (dom-3) rely on it. False: it is an error, as N1 §6.3 says.
    bool as_filters = true;
    /// resolve() of a reference whose target is not at hand gives an item without content that has
    /// the type which the reference names ("Patient/1" → a Patient), so that `where(resolve() is
    /// Patient)` selects references by type.
    bool resolve_to_type = false;
};

/// A compiled expression. Immutable, safe to share between threads. A default-made one may only be
/// assigned to.
class Expression {
 public:
    /// Errors: `incorrect` with line and column for a syntax error; `too_large` beyond
    /// limits::fhirpath_*. With `context` (a type name such as "Patient") paths are checked against
    /// the definitions: an element that cannot exist is `incorrect` (strict mode); empty = no
    /// static check.
    static Result<Expression> compile(std::string_view text, std::string_view context = {});
    /// Errors: `incorrect` when the expression does not apply (e.g. a singleton was expected),
    /// `too_large` beyond a limit.
    Result<Collection> evaluate(const Evaluation& evaluation) const;
    /// Evaluates and converts to a truth value as invariants and where() do; nothing for an empty
    /// result.
    Result<std::optional<bool>> truth(const Evaluation& evaluation) const;
    const std::string& text() const;

    struct Tree;  ///< the syntax tree, see path/syntax.hpp
    const Tree& tree() const { return *tree_; }

 private:
    std::shared_ptr<const Tree> tree_;
};

}  // namespace meridian::fhir::path
