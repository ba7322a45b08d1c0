// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "rest/exchange.hpp"

namespace meridian::rest {

/// The parameters of a Parameters resource; none when it has no "parameter".
/// Errors: `incorrect` when that is no list.
Result<std::span<const Json>> parameters_of(const Json& parameters);

/// The parameters of an operation that takes them as a search does: of the query string, a form,
/// and a Parameters body. Errors: `incorrect` for another body.
Result<fhir::QueryParameters> query_parameters_of(const Exchange& exchange);

/// The in-parameters of an operation, from a query string, a form, or a Parameters resource:
/// https://hl7.org/fhir/R4/operations.html
class Arguments {
 public:
    /// Reads them. A body that is another resource than Parameters becomes the parameter
    /// `body_name`, when that is given. Errors: `incorrect` for a body that is neither.
    static Result<Arguments> read(const Exchange& exchange, std::string_view body_name = {});

    bool has(std::string_view name) const { return find(name) != nullptr; }
    /// The simple value as text; empty when it is not given.
    std::string_view text(std::string_view name) const;
    std::vector<std::string> texts(std::string_view name) const;
    /// The complex value (Coding, CodeableConcept …), or null.
    const Json* value(std::string_view name) const;
    /// The complex values of a repeating parameter.
    std::vector<const Json*> values(std::string_view name) const;
    /// The resource, or null.
    const Json* resource(std::string_view name) const;
    /// Errors: `incorrect` for anything but true and false.
    Result<bool> boolean(std::string_view name, bool otherwise = false) const;
    /// Errors: `incorrect` for no whole number from 0 to 2147483647.
    Result<std::optional<std::size_t>> number(std::string_view name) const;
    /// Errors: `incorrect` for a parameter outside `known` (names separated by spaces).
    Result<void> allow(std::string_view known) const;

 private:
    struct Argument {
        std::string name;
        std::string text{};
        Json value{};
        Json resource{};
    };
    const Argument* find(std::string_view name) const;

    std::vector<Argument> arguments_;
    std::shared_ptr<JsonDocument> document_;  ///< what values and resources point into
};

}  // namespace meridian::rest
