// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/path/expression.hpp"
#include "fhir/path/value.hpp"

namespace meridian::fhir::path {

/// What a node of the syntax tree is. `target` = what stands before the dot (null: the node starts
/// a path and reads the context).
enum class NodeKind : unsigned char {
    literal,   ///< `literal` holds the value
    empty,     ///< {}
    member,    ///< [target.]text: an element, or a type name when `target` is null and the name is
               ///< that of the context's type
    function,  ///< [target.]text(arguments): where, exists, ofType, as, is, resolve …
    this_,     ///< $this
    index,     ///< $index
    total,     ///< $total
    variable,  ///< %text: resource, context, ucum, `vs-…`, `ext-…`
    indexer,   ///< target[arguments[0]]
    unary,     ///< op arguments[0]
    binary,    ///< arguments[0] op arguments[1], union included
    is,        ///< arguments[0] is text
    as,        ///< arguments[0] as text
};

enum class Operator : unsigned char {
    none,
    plus,
    minus,
    multiply,
    divide,
    div,
    modulo,
    concatenate,
    union_,
    less,
    less_equal,
    greater,
    greater_equal,
    equal,
    not_equal,
    equivalent,
    not_equivalent,
    in,
    contains,
    and_,
    or_,
    xor_,
    implies,
};

/// The functions of FHIRPath N1 and of FHIR R4; functions.cpp has their names and numbers of
/// arguments.
// clang-format off
enum class Function : unsigned char {
    // existence and collections
    empty, exists, all, all_true, any_true, all_false, any_false, subset_of, superset_of, count, distinct, is_distinct,
    where, select, repeat, repeat_all, of_type, single, first, last, tail, skip, take, intersect, exclude, union_, combine,
    sort, aggregate, coalesce, define_variable,
    // conversion
    iif, to_boolean, converts_to_boolean, to_integer, converts_to_integer, to_decimal, converts_to_decimal, to_string,
    converts_to_string, to_date, converts_to_date, to_date_time, converts_to_date_time, to_time, converts_to_time,
    to_quantity, converts_to_quantity,
    // strings
    index_of, last_index_of, substring, starts_with, ends_with, contains, upper, lower, replace, matches, matches_full,
    replace_matches, length, to_chars, encode, decode, escape, unescape, trim, split, join,
    // mathematics
    abs, ceiling, exp, floor, ln, log, power, round, sqrt, truncate, low_boundary, high_boundary, precision,
    // tree, utilities, types
    children, descendants, trace, now, time_of_day, today, not_, is, as, type, comparable,
    // FHIR
    extension, has_value, get_value, resolve, member_of, conforms_to, html_checks, subsumes, subsumed_by, check_modifiers,
};
// clang-format on

/// A node of the syntax tree. The right side of `is` and `as`, and the argument of ofType(), is(),
/// as(), is a (qualified) type name in `text` ("Quantity", "FHIR.Quantity", "System.String"); those
/// function calls keep it in `type_text` and have no arguments.
struct Node {
    NodeKind kind = NodeKind::empty;
    Operator op = Operator::none;
    Function function{};
    /// An argument of sort() written as `-key` (then op = minus) or `key desc`.
    bool descending = false;
    unsigned height = 1;            ///< nodes on the longest way down
    unsigned line = 1, column = 1;  ///< where it starts, from 1
    std::string text;               ///< name of the member, function, variable; type name of is/as
    std::string type_text;          ///< type name of the functions ofType(), is(), as()
    /// The FHIR type that `text` or `type_text` names: of is, as, ofType(), and of a member that
    /// starts a path with a type name.
    const Type* type = nullptr;
    /// The System type that it names, when it is no FHIR type.
    Kind system = Kind::none;
    Item literal;
    std::unique_ptr<Node> target;
    std::vector<Node> arguments;
    std::shared_ptr<const void>
        prepared;  ///< private to the evaluator (a compiled regular expression)
};

/// The whole of a compiled expression.
struct Expression::Tree {
    std::string text;
    Node root;
};

/// Evaluates a part of an expression, as Expression::evaluate does the whole.
Result<Collection> evaluate(const Node& node, const Evaluation& evaluation);

}  // namespace meridian::fhir::path
