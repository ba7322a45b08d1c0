// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "store/plan.hpp"
#include "store/sqlite/probe.hpp"

namespace meridian::store::sqlite {

/// What one order sorts a resource by; nothing when the resource has no row for it.
using SortKey = std::variant<std::monostate, std::int64_t, double, std::string>;

/// A match with its keys, one per order.
struct Sortable {
    Rid rid = 0;
    std::vector<SortKey> keys;
};

/// Reads the key: of several rows the first in the order's direction. Dates, numbers and quantities
/// sort by their lower end.
SortKey key_of(Candidate& candidate, const Order& order);
/// Whether `a` comes before `b`. Resources without a key come last in either direction; the rid
/// breaks ties.
bool comes_before(const Sortable& a, const Sortable& b, const std::vector<Order>& orders);

/// The resources of a search's type in the order of one sort key, read from the index of the key;
/// those without one are left out. Within equal keys the rids ascend. A resource may come again
/// under a later key of its own.
class Walk {
 public:
    virtual ~Walk() = default;
    /// The next rid, or no_rid at the end.
    virtual Rid next() = 0;
    /// Counts up whenever next() has moved on to another key.
    std::uint64_t group() const { return group_; }

 protected:
    std::uint64_t group_ = 0;
};

/// The walk for `order`; null when no index lies in that order. `of_patient` is the search's own
/// condition of that kind, if any.
std::unique_ptr<Walk> make_walk(Run& run, const Order& order, Name type,
                                const OfPatient* of_patient);

}  // namespace meridian::store::sqlite
