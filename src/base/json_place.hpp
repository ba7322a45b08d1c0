// SPDX-License-Identifier: Apache-2.0
// Private to json*.cpp: says where in a JSON text something went wrong.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace meridian {

/// A place in a JSON text for a reader: the path of the element and the position in the file.
struct JsonPlace {
    std::string
        path;  ///< "Patient.name[0].given"; empty for the root of a text without resourceType
    std::size_t line;    ///< from 1
    std::size_t column;  ///< in characters, from 1
};

/// Finds the place of byte `offset` in a text that is sound up to there. Slow (reads the text from
/// its start): for errors only, so that parsing need not keep a path.
JsonPlace place_in_json(std::string_view text, std::size_t offset);

}  // namespace meridian
