// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "store/store.hpp"
#include "trust/merkle/tree.hpp"

namespace meridian::trust::merkle {

/// The texts that an entry's numbers stand for: numbers differ between engines, texts do not.
struct EntryNames {
    std::string_view type;
    std::string_view actor;
    std::string_view organisation;
};

/// The bytes of one log entry that its leaf is the hash of: leaf = SHA-256(0x00 ‖ these bytes).
/// Whoever has the entry's fields can make them again without this program:
///
///   1. the 16 bytes "meridian leaf/1\n" (the version of this encoding)
///   2. position, at (milliseconds since 1970-01-01T00:00:00Z), kind
///   3. type, id
///   4. version, verb (1 create, 2 update, 3 delete)
///   5. actor, organisation
///   6. salt: 16 bytes as they are
///   7. body_hash: 32 bytes as they are (of the plain stored JSON; zeros without a body)
///
/// A number is eight bytes, big-endian, two's complement. A text is the number of its bytes, then
/// its bytes (UTF-8), empty where there is none. Since every field is framed, no two entries have
/// the same bytes. `rid` is left out: it is one store's own number, and the same record has others
/// elsewhere.
std::string leaf_bytes(const store::LogEntry& entry, const EntryNames& names);

/// Makes leaves of a store's log; remembers the texts of names, of which there are few. For one
/// thread.
class LeafMaker {
 public:
    explicit LeafMaker(const store::Names& names) : names_(names) {}
    /// Throws store::NamesAway (store::with_names).
    Hash leaf(const store::LogEntry& entry);

 private:
    using Texts = std::unordered_map<store::Name, std::string>;
    const std::string& text(Texts& known, store::NameKind kind, store::Name name);

    const store::Names& names_;
    Texts types_;
    Texts actors_;
};

}  // namespace meridian::trust::merkle
