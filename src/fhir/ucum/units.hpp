// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

/// The table of UCUM atoms. Private to ucum.cpp.
namespace meridian::fhir::ucum {

enum class Scale : unsigned char {
    ratio,   ///< so many of another unit
    offset,  ///< a temperature scale: kelvin = (number + offset) × ratio
    own,     ///< a base unit; arbitrary and logarithmic units too, which are compared only with
             ///< themselves
};

struct Atom {
    std::string_view code;
    bool is_metric;  ///< takes prefixes
    Scale scale;
    std::string_view value;
    std::string_view unit;
    std::string_view offset{};
};

std::span<const Atom> atoms();

}  // namespace meridian::fhir::ucum
