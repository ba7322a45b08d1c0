// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <climits>
#include <string_view>

#include "fhir/path/syntax.hpp"

/// The list of functions. Private to the engine.
namespace meridian::fhir::path {

struct Signature {
    std::string_view name;
    Function function;
    unsigned min_arguments;
    unsigned max_arguments;
    bool takes_type = false;  ///< its argument is a type name
    bool is_scoped = false;   ///< its arguments are evaluated per item, with $this
};

/// Null when there is no such function.
const Signature* find_function(std::string_view name);
const Signature& signature_of(Function function);

}  // namespace meridian::fhir::path
