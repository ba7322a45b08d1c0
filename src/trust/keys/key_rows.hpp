// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/store.hpp"

namespace meridian::trust {

/// Where the wrapped keys of a record lie: among the private rows of its store
/// (store::space_of_keys), or in a file of them. Thread-safe.
class KeyRows {
 public:
    virtual ~KeyRows() = default;
    /// Errors: `unavailable`. Blocking: one look-up.
    virtual Result<std::optional<store::PrivateRow>> row(std::string_view key) = 0;
    /// Those that begin with `stem`, in the order of their keys, after `after`, at most `limit`.
    virtual Result<std::vector<store::PrivateRow>> rows(std::string_view stem,
                                                        std::string_view after,
                                                        std::size_t limit) = 0;
    /// As store::Store::save_private. Errors: `unavailable`, also where nothing can be written.
    virtual Result<bool> save(std::vector<store::PrivateRow> rows) = 0;
};

/// Those of a store, which must outlive them, or which they keep.
std::shared_ptr<KeyRows> key_rows_of(store::Store& store);
std::shared_ptr<KeyRows> key_rows_of(std::shared_ptr<store::Store> store);
/// Those that were read from somewhere, by key. Read-only.
std::shared_ptr<KeyRows> key_rows_of(std::map<std::string, store::PrivateRow, std::less<>> rows);

}  // namespace meridian::trust
