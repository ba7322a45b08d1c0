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
    mod,
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

/// The functions known to the evaluator; see functions.cpp for the list with their numbers of
/// arguments.
enum class Function : unsigned char;

/// A node of the syntax tree. The right side of `is` and `as`, and the argument of ofType(), is(),
/// as(), is a (qualified) type name in `text` ("Quantity", "FHIR.Quantity", "System.String"); those
/// function calls keep it in `type_text` and have no arguments.
struct Node {
    NodeKind kind = NodeKind::empty;
    Operator op = Operator::none;
    Function function{};
    bool descending = false;        ///< an argument of sort() written as `-key`
    unsigned line = 1, column = 1;  ///< where it starts, from 1
    std::string text;               ///< name of the member, function, variable; type name of is/as
    std::string type_text;          ///< type name of the functions ofType(), is(), as()
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

}  // namespace meridian::fhir::path
