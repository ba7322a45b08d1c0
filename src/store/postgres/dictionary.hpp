// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/postgres/pool.hpp"
#include "store/token_keyed.hpp"

namespace meridian::store::postgres {

/// Names held in memory and backed by the table `name`, which several servers share. An unknown
/// text is asked of the database at once: names are few, and the id that one server has given must
/// be known to the others. While the database is away, intern waits for it up to
/// limits::database_connection_wait_seconds and then throws NamesAway: there is no id that it
/// could invent. What find cannot look up throws too: a search for it would find nothing.
class Dictionary final : public Names, public TokenKeyed {
 public:
    explicit Dictionary(Pool& pool) : pool_(pool) {}
    /// Reads all names and the token key.
    Result<void> load();

    Name intern(NameKind kind, std::string_view text) override;
    Name find(NameKind kind, std::string_view text) const override;
    std::string text(NameKind kind, Name name) const override;
    std::vector<Name> all(NameKind kind) const override;
    std::size_t coding_count() const override;
    const SipKey& token_key() const override { return token_key_; }
    void use_token_key(const SipKey& key) override { token_key_ = key; }

    /// Reads what other servers have added. Errors: as Connection.
    Result<void> refresh() const;
    /// To be called before names are used in a commit. A name that a crash takes back would be
    /// given out again for another text while this server goes on using it, so each is durable
    /// before it is used; those of the start are so many that they are made durable together, here.
    /// Errors: as Connection; `fault` when a crash has taken some of them already.
    Result<void> settle();
    /// How many of the names that this server remembers the database lacks, or gives another id.
    /// Errors: as Connection. Blocking: reads all names.
    Result<std::size_t> count_lost(Connection& connection) const;

 private:
    static constexpr std::size_t kinds = 6;
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Kind {
        std::unordered_map<std::string, Name, Hash, std::equal_to<>> ids;
        std::vector<const std::string*> texts;  ///< by id - 1
    };
    Result<void> read_new(Connection& connection) const;
    /// Writes a name, durably once settled. The id, or no row when the text has one already.
    Result<Answer> give(Connection& connection, NameKind kind, std::string_view text);
    Result<Name> intern_in_database(NameKind kind, std::string_view text);
    Name find_known(NameKind kind, std::string_view text) const;
    void put(NameKind kind, Name id, std::string_view text) const;

    Pool& pool_;
    std::atomic<bool> settled_ = false;
    std::shared_mutex giving_mutex_;  ///< held shared while a name is given that may be lost yet
    mutable std::shared_mutex mutex_;
    mutable std::array<Kind, kinds> all_;
    SipKey token_key_{};
};

}  // namespace meridian::store::postgres
