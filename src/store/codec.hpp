// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "store/rows.hpp"

/// The stored form of a body: the JSON without meta.versionId and meta.lastUpdated, compressed,
/// with the place where these two go. A read decompresses and inserts them; it never parses. All
/// functions are thread-safe and never block.
namespace meridian::store {

/// A decoded body.
struct PlainBody {
    std::string json;          ///< without meta.versionId and meta.lastUpdated
    std::size_t stamp_at = 0;  ///< offset right after `"meta":{`
};

/// Compresses `json`, with the dictionary registered for `type` when there is one. `stamp_at` is
/// the offset right after
/// `"meta":{`, at most json.size(). Bodies that do not get smaller are stored as they are.
std::string encode(std::string_view type, std::string_view json, std::size_t stamp_at);

/// The inverse of encode. Errors: `fault` for damaged bytes or an unknown dictionary; `too_large`
/// beyond limits::resource_bytes_max.
Result<PlainBody> decode(std::string_view stored);

/// Appends `json` to `out` with `"versionId":"N","lastUpdated":"…"` inserted at `stamp_at`, and a
/// comma behind them unless the meta object ends there.
void compose(std::string_view json, std::size_t stamp_at, Version version, Instant updated,
             std::string& out);

/// decode and compose in one step, without a copy in between.
Result<std::string> decode_stamped(std::string_view stored, Version version, Instant updated);

/// Registers a zstd dictionary: bodies of `type` are encoded with it from now on, and bodies that
/// carry `id` can be decoded. Those that the program carries (store/dictionaries.hpp) are there
/// from the start. Ids are for ever: register old ones too, the one to encode with last. Errors:
/// `incorrect` for id 0 or an id with other bytes.
Result<void> register_dictionary(std::uint32_t id, std::string_view type, std::string_view bytes);

}  // namespace meridian::store
