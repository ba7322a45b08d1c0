// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/sqlite/database.hpp"
#include "store/token_keyed.hpp"

namespace meridian::store::sqlite {

/// Names held in memory and backed by the table `name`. New ids wait in a list until the committer
/// saves them, in the transaction that it is about to commit and before that is answered.
class Dictionary final : public Names, public TokenKeyed {
 public:
    /// Reads all names and the token key.
    Result<void> load(Database& database);

    Name intern(NameKind kind, std::string_view text) override;
    Name find(NameKind kind, std::string_view text) const override;
    std::string text(NameKind kind, Name name) const override;
    std::vector<Name> all(NameKind kind) const override;
    std::size_t coding_count() const override;
    const SipKey& token_key() const override { return token_key_; }
    void use_token_key(const SipKey& key) override { token_key_ = key; }

    /// Writes the ids given since the last call into the open transaction. They count as saved only
    /// when `saved` is called.
    Result<void> save(Database& database);
    /// The transaction of the last `save` was committed, or rolled back: then its ids are written
    /// again by the next one.
    void saved(bool committed);
    bool has_unsaved() const;

 private:
    static constexpr std::size_t kinds = 6;
    struct Entry {
        NameKind kind;
        Name id;
        std::string text;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Kind {
        std::unordered_map<std::string, Name, Hash, std::equal_to<>> ids;
        std::vector<const std::string*> texts;  ///< by id - 1; null for an id that was lost
    };
    static void put(Kind& kind, Name id, std::string_view text);
    const Kind& of(NameKind kind) const { return all_[static_cast<std::size_t>(kind)]; }
    Kind& of(NameKind kind) { return all_[static_cast<std::size_t>(kind)]; }

    mutable std::shared_mutex mutex_;
    std::array<Kind, kinds> all_;
    std::vector<Entry> unsaved_;
    std::vector<Entry> saving_;
    SipKey token_key_{};
};

}  // namespace meridian::store::sqlite
