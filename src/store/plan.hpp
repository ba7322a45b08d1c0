// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "store/rows.hpp"

/// How one query is answered from index rows, independent of the engine: fhir/search writes it,
/// each engine renders it.
namespace meridian::store {

struct Condition;
using Conditions = std::vector<Condition>;

/// Bounds on an interval [lo, hi) of a row. Absent = no bound. `lo_below` and `hi_above` are
/// exclusive, the others inclusive: lo ≥ lo_from, lo < lo_below, hi > hi_above, hi ≤ hi_to. Every
/// FHIR prefix is a union of such boxes.
template <class T>
struct Box {
    std::optional<T> lo_from{}, lo_below{}, hi_above{}, hi_to{};
};
using DateBox = Box<std::int64_t>;
using NumberBox = Box<double>;

struct Everything {};
struct Nothing {};
struct AllOf {
    Conditions parts;
    /// The first part says what a caller may see. It is asked before the others, and where its own
    /// index rows are few the candidates come from these alone, so that what the caller may not see
    /// makes no work (docs/adr/0033). No answer depends on this.
    bool first_admits = false;
};
struct AnyOf {
    Conditions parts;
};
struct NoneOf {
    Conditions parts;
};  ///< true when none of the parts holds
/// Resources with one of these logical ids, of the plan's type.
struct HasId {
    Name type;
    std::vector<std::string> ids;
};
struct HasToken {
    Name param;
    std::vector<std::int64_t> values;
};  ///< any of
struct HasTokenIn {
    Name param;
    std::int64_t first;
    std::int64_t last;
};
enum class StringMatch : unsigned char { starts, exact, contains, ends };
/// `text` is folded for starts, contains and ends, as written for exact. The key holds folded text
/// only: beside an exact one put a `starts` of the folded text, or all rows of the parameter are
/// read.
struct HasString {
    Name param;
    StringMatch match;
    std::string text;
};
struct HasDate {
    Name param;
    DateBox box;
};
struct HasNumber {
    Name param;
    NumberBox box;
};
/// `units` empty = any unit.
struct HasQuantity {
    Name param;
    std::vector<Name> units;
    NumberBox box;
};
struct HasUri {
    Name param;
    bool below;
    std::string uri;
};  ///< below: this URL or one that starts with it + "/"
struct HasReference {
    Name param;
    std::vector<Identity> targets;  ///< any of
    /// The targets are patients, and whatever refers to one of them by this parameter concerns it.
    /// A promise of the planner: engines may look where the resources of these patients lie.
    bool concerns_targets = false;
};
/// A composite row with this key; seconds empty = any; box on lo/hi; `starts` = folded prefix of a
/// string component.
struct HasComposite {
    Name param;
    std::vector<std::int64_t> keys;  ///< any of
    std::vector<std::int64_t> seconds{};
    NumberBox box{};
    std::optional<std::string> starts{};
};
/// Full text: all the words, as a phrase where `phrase` holds.
struct HasText {
    Name param;
    std::string words;
    bool phrase;
    bool prefix = false;  ///< the last word stands for all words that start with it
};
/// The resource has at least one row of this parameter (`:missing=false`).
struct HasAny {
    Name param;
};
/// Where on the clinical access path a resource lies that refers to a patient: it is of `type`, and
/// has a row there for that patient with one of the codes (empty = any), started within the
/// interval. Beside a reference this is a promise of the planner and no condition: engines may use
/// it to find sources faster, and no answer may depend on it.
struct ChartRange {
    Name type;
    Name code_param = 0;  ///< whose token rows hold the codes
    std::vector<std::int64_t> codes{};
    std::int64_t date_from = std::numeric_limits<std::int64_t>::min();   ///< inclusive
    std::int64_t date_below = std::numeric_limits<std::int64_t>::max();  ///< exclusive
    /// Other references of the type that put a resource into a chart. A patient with no row of
    /// these has in the chart only what refers to nobody else by the reference in question. Nothing
    /// where a resource may have several references of that kind.
    std::optional<std::vector<Name>> other_paths{};
};
/// A reference row of `param` leads to a resource of `target_type` that satisfies `target` (a chain
/// hop). `chart` holds for each such reference of the resources that the conditions beside this one
/// leave.
struct RefersTo {
    Name param;
    Name target_type;
    std::unique_ptr<Condition> target;
    std::optional<ChartRange> chart{};
};
/// A resource of `source_type` that satisfies `source` has a reference row of `param` leading here
/// (_has). `chart` holds for each such reference of the resources that satisfy `source`.
struct ReferredBy {
    Name param;
    Name source_type;
    std::unique_ptr<Condition> source;
    std::optional<ChartRange> chart{};
};
/// Clinical access path: resources of `type` with a row for this patient, one of the codes (empty =
/// any), started within the interval.
struct OfPatient {
    Name type;
    std::vector<Identity> patients;  ///< any of
    std::vector<std::int64_t> codes{};
    std::int64_t date_from = std::numeric_limits<std::int64_t>::min();   ///< inclusive
    std::int64_t date_below = std::numeric_limits<std::int64_t>::max();  ///< exclusive
};
/// Resources that concern the patient, the patient's own resource among them; `type` 0 = every
/// type.
struct InCompartment {
    Identity patient;
    Name type = 0;
};
/// Versions written at or after / before a position.
struct ChangedWithin {
    Position from;
    Position below;
};

struct Condition
    : std::variant<Everything, Nothing, AllOf, AnyOf, NoneOf, HasId, HasToken, HasTokenIn,
                   HasString, HasDate, HasNumber, HasQuantity, HasUri, HasReference, HasComposite,
                   HasText, HasAny, RefersTo, ReferredBy, OfPatient, InCompartment, ChangedWithin> {
    using variant::variant;
    const variant& as_variant() const { return *this; }
};

/// What a sort key is read from.
enum class SortKind : unsigned char {
    token,
    string,
    date,
    number,
    quantity,
    reference,
    uri,
    id,
    updated,
    patient_date
};
/// One sort key. Of several rows of the parameter the first in the sort's direction decides;
/// resources without a row come last. Dates, numbers and quantities sort by their lower end. Ties
/// go by ascending rid in either direction.
struct Order {
    SortKind kind;
    Name param;  ///< 0 for id, updated and patient_date
    bool descending = false;
    std::vector<Name> also{};  ///< rows of these parameters count as those of `param` do
};

/// One question. Copyable only by moving: conditions may own sub-conditions.
struct Plan {
    Name type = 0;  ///< 0 = every type (only with conditions that do not need one)
    Condition where = Everything{};
    std::vector<Order> order{};  ///< empty = by rid ascending; the rid always breaks ties
    std::size_t limit = 20;
    Rid after = 0;  ///< keyset for rid order: only rids greater than this
    std::shared_ptr<const std::unordered_set<Rid>>
        exclude{};  ///< rids already given out by a sorted walk
};

struct Matches {
    std::vector<Rid> rids;  ///< in order, at most plan.limit
    bool more = false;      ///< there are further matches
};

}  // namespace meridian::store
