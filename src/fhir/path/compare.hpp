// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "fhir/path/value.hpp"

/// Equality, equivalence and order (N1 §6.1, §6.2). Private to the engine.
namespace meridian::fhir::path {

/// `=` of two items: nothing when it cannot be told (dates of differing precision, quantities of
/// differing dimension).
std::optional<bool> equals(const Item& left, const Item& right);
/// `=` of two collections that are not empty.
std::optional<bool> equals(const Collection& left, const Collection& right);

/// Deep equality of JSON: members in any order, numbers by value.
bool same_json(const Json& left, const Json& right);

/// `~`.
bool equivalent(const Item& left, const Item& right);
bool equivalent(const Collection& left, const Collection& right);

/// `<` and its kin: unordered when it cannot be told. Errors: `incorrect` when the types cannot be
/// compared.
Result<std::partial_ordering> compare(const Item& left, const Item& right);

/// Order of quantities after unit conversion; unordered when their units do not measure the same.
std::partial_ordering compare(const Quantity& left, const Quantity& right);

/// `unit` as a UCUM code: "day" → "d", "year" → "a".
std::string_view ucum_code(const Quantity& quantity);

/// The items seen so far, by equality, for union, distinct(), repeat() and their kin. Constant time
/// per item.
class Seen {
 public:
    /// True when no equal item was there; it is now.
    bool add(const Item& item);
    bool holds(const Item& item) const;

 private:
    std::unordered_map<std::size_t, std::vector<Item>> items_;
};

}  // namespace meridian::fhir::path
