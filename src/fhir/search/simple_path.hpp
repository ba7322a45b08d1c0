// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/definitions/definitions.hpp"

/// The part of FHIRPath that nearly all search parameters are written in, resolved against the
/// definitions to JSON properties.
namespace meridian::fhir::search {

/// One step of a simple path.
struct PathStep {
    enum class Kind : unsigned char {
        child,             ///< .name
        as_type,           ///< as X, .as(X), .ofType(X)
        where_equals,      ///< .where(name='value')
        where_resolve_is,  ///< .where(resolve() is X)
        extension,         ///< .extension('url')
        has_extension,     ///< .where(hasExtension('url')), .where(extension('url').exists())
        first,             ///< [0], .first()
    };
    Kind kind = Kind::child;
    std::string name{};   ///< element, type or URL
    std::string value{};  ///< of where_equals
    bool operator==(const PathStep&) const = default;
};

/// A path from a type (`root` = "Patient"), from %resource (`root` = "%resource"), or, with an
/// empty root, from the element at hand.
struct SimplePath {
    std::string root;
    std::vector<PathStep> steps;
};

/// Reads "A.b | (C.d as X).e". Nothing when the expression uses anything else of FHIRPath.
/// `roots`: names that start an absolute path (a resource type or "Resource"); any other first name
/// is a child.
std::optional<std::vector<SimplePath>> parse_simple_paths(std::string_view expression);

/// What a member of an object must be for a route to go on.
struct RouteFilter {
    enum class Kind : unsigned char { none, equals, has_extension, first };
    Kind kind = Kind::none;
    std::string member{};
    std::string value{};
    bool operator==(const RouteFilter&) const = default;
};

struct RouteStep {
    std::string property;  ///< JSON name: "valueQuantity"
    RouteFilter filter{};
    bool operator==(const RouteStep&) const = default;
};

/// A simple path resolved to JSON properties and the FHIR type that stands at its end.
struct Route {
    std::vector<RouteStep> steps;
    const Type* type = nullptr;
    const Element* element = nullptr;         ///< the last one; null for the context itself
    std::vector<std::string_view> targets{};  ///< of a reference, from the element
    std::string resolve_type{};               ///< where(resolve() is X)
    std::string element_path{};  ///< without choice types: equal paths cannot both have values
    bool repeats = false;
};

/// All routes of `path` from `context`. Empty when an element does not exist there.
/// An Extension at the end goes on to its value[x], one route per type.
std::vector<Route> resolve_routes(const SimplePath& path, const Type& context);

}  // namespace meridian::fhir::search
