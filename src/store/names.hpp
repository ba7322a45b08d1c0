// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "store/rows.hpp"

namespace meridian::store {

/// What a dictionary id stands for.
enum class NameKind : unsigned char { type, parameter, system, unit, view, actor };

/// Thrown where a name is asked for while the database that keeps them is away.
class NamesAway : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// What `work` answers, or `unavailable` when the names that it needs cannot be had.
template <class Work>
auto with_names(Work work) -> decltype(work()) {
    try {
        return work();
    } catch (const NamesAway& away) {
        return fail(Category::unavailable, away.what());
    }
}

/// The store's dictionaries: text ↔ small integer, per kind. Thread-safe; a look-up of a known text
/// takes a shared lock only.
///
/// A new id is usable at once and becomes durable no later than the first commit that is answered
/// after it was given.
class Names {
 public:
    virtual ~Names() = default;
    /// The id of `text`, given now if it is new. Never 0. Throws NamesAway, as `find`.
    virtual Name intern(NameKind kind, std::string_view text) = 0;
    /// The id of `text`, or 0 when it has none: use this for queries, which must not grow the
    /// dictionaries.
    virtual Name find(NameKind kind, std::string_view text) const = 0;
    virtual std::string text(NameKind kind, Name name) const = 0;
    /// All ids of a kind.
    virtual std::vector<Name> all(NameKind kind) const = 0;
    /// Number of systems and units so far. A search that was planned at one count may have to look
    /// elsewhere at the next: a system that it names may have got its id in between.
    virtual std::size_t coding_count() const = 0;
    /// The key of the store's token hashes, made when the store was made.
    virtual const SipKey& token_key() const = 0;
};

/// Tokens are one 63-bit integer: 15 bits of system id, 48 bits of keyed hash of the code.
/// So `system|code` is one point, `system|` is one range, and `code` alone is one point per system
/// known. Systems beyond 32,766 share the last id and mix the system's text into the hash.
inline constexpr Name token_system_shared = 32'767;
std::int64_t token_value(const Names& names, Name system, std::string_view system_text,
                         std::string_view code);
/// First and last value of a system: the range of `system|`.
struct TokenRange {
    std::int64_t first;
    std::int64_t last;
};
TokenRange token_range(Name system);

}  // namespace meridian::store
