// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace meridian::store {

using Rid = std::int64_t;       ///< dense row id of a resource; 0 = none
using Position = std::int64_t;  ///< place in the log: 0, 1, 2 … without gaps; -1 = before the first
using Version = std::int64_t;   ///< 1, 2, … per resource; 0 = none
using Name = std::int32_t;      ///< dictionary id of a type, parameter, system or unit; 0 = none

/// A resource as others name it. An absolute URL or URN outside this server, or a canonical, has
/// type 0 and the URL as id.
struct Identity {
    Name type = 0;
    std::string id;
    bool operator==(const Identity&) const = default;
};

// Index rows of one resource version, as the extractors make them. `param` is a dictionary id of
// (resource type, parameter code), so a parameter implies its resource type.

struct TokenRow {
    Name param;
    std::int64_t value;  ///< token_value(system, code), see store/names.hpp
};
struct StringRow {
    Name param;
    std::string folded;  ///< text::fold of the value, at most limits::index_string_bytes_max bytes
    std::string exact;   ///< the value as written, cut alike
};
struct DateRow {
    Name param;
    std::int64_t lo;  ///< first millisecond since 1970 UTC that is covered; open start: INT64_MIN
    std::int64_t hi;  ///< first millisecond that is not covered any more; open end: INT64_MAX
};
struct NumberRow {
    Name param;
    double lo;  ///< a number is the point it was written as: lo = hi
    double hi;  ///< inclusive; above lo only for a Range
};
struct QuantityRow {
    Name param;
    Name unit;  ///< dictionary id of "system|code", or of a canonical UCUM unit for the parameter's
                ///< canonical twin; 0 = no unit
    double lo;
    double hi;
};
struct ReferenceRow {
    Name param;
    Identity target;
};
struct UriRow {
    Name param;
    std::string uri;
};
/// Two (or three) values inside one element. The leading part is always token-like.
struct CompositeRow {
    Name param;
    std::int64_t key;         ///< token value of the first component
    std::int64_t second = 0;  ///< token value, or unit, of the second component
    double lo = 0, hi = 0;    ///< range of a number, quantity or date (milliseconds) component
    std::string folded{};     ///< a string component
};
/// Prose for full-text search. `text` is already split into words separated by single spaces
/// (text::words).
struct TextRow {
    Name param;  ///< the type's `_text` or `_content` parameter
    std::string words;
};
/// Clinical access path: one row with code 0 per patient concerned, and one per main code.
struct PatientRow {
    Identity patient;
    std::int64_t code = 0;  ///< token value, 0 = the row that stands for the resource itself
    std::int64_t date = 0;  ///< milliseconds of the main date (start), INT64_MIN when it has none
};
/// A row of an inline view that is not search: a pure function of the resource version.
struct ViewRow {
    Name view;
    std::string key;
    std::string value;
};

/// Everything that one resource version contributes to the indexes. Current versions only.
struct Rows {
    std::vector<TokenRow> tokens;
    std::vector<StringRow> strings;
    std::vector<DateRow> dates;
    std::vector<NumberRow> numbers;
    std::vector<QuantityRow> quantities;
    std::vector<ReferenceRow> references;
    std::vector<UriRow> uris;
    std::vector<CompositeRow> composites;
    std::vector<TextRow> texts;
    std::vector<PatientRow> patients;
    std::vector<Identity> compartments;  ///< patients concerned; the first is the home patient
    std::vector<ViewRow> views;
    std::vector<std::string> unique_keys;  ///< what at most one current resource may hold; a second
                                           ///< holder is a `conflict`

    std::size_t size() const {
        return tokens.size() + strings.size() + dates.size() + numbers.size() + quantities.size() +
               references.size() + uris.size() + composites.size() + texts.size() +
               patients.size() + compartments.size() + views.size() + unique_keys.size();
    }
};

}  // namespace meridian::store
