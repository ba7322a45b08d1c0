// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace meridian::trust {

/// One CBOR data item of the kinds that authenticators send.
struct Cbor {
    enum class Kind : unsigned char { null, boolean, integer, bytes, text, array, map };
    Kind kind = Kind::null;
    bool flag = false;
    std::int64_t number = 0;
    std::string string{};  ///< of bytes and text
    std::vector<Cbor> items{};
    std::vector<std::pair<Cbor, Cbor>> members{};  ///< in written order

    bool is(Kind wanted) const { return kind == wanted; }
    /// The member of a map called so; nullptr when there is none.
    const Cbor* find(std::string_view key) const;
    const Cbor* find(std::int64_t key) const;
};

/// Reads the data item at the start of `bytes`; `used` becomes its length.
///
/// Strict, as CTAP 2.1 §8 asks authenticators to write: definite lengths, shortest forms, no tags,
/// no floats, no `undefined`, keys of maps are integers or text and stand once. The order of keys
/// is not asked for: browsers write attestation objects anew. Errors: `incorrect`, also beyond
/// limits::cbor_bytes_max, cbor_depth_max, cbor_items_max. Blocking: never.
Result<Cbor> read_cbor(std::string_view bytes, std::size_t& used);
/// read_cbor() of all of `bytes`. Errors: also `incorrect` when something follows.
Result<Cbor> read_whole_cbor(std::string_view bytes);

}  // namespace meridian::trust
