// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace meridian::store {

/// A zstd dictionary that the program carries: data/dictionaries, docs/adr/0019.
struct ShippedDictionary {
    std::uint32_t id;
    std::string_view type;  ///< the resource type whose bodies it suits
    std::string_view bytes;
};

/// All of them, by id. Empty texts where the file that was built in is no list of dictionaries.
std::vector<ShippedDictionary> shipped_dictionaries();

/// The list in the bytes of such a file: for each a line "ID TYPE SIZE" and that many bytes.
std::vector<ShippedDictionary> read_dictionaries(std::string_view file);

}  // namespace meridian::store
