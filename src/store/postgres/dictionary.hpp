// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "store/names.hpp"
#include "store/postgres/pool.hpp"

namespace meridian::store::postgres {

/// Names held in memory and backed by the table `name`, which several servers share. An unknown
/// text is asked of the database at once: names are few, and the id that one server has given must
/// be known to the others. While the database is away, intern waits for it up to
/// limits::database_connection_wait_seconds and then throws NamesAway: there is no id that it
/// could invent. What find cannot look up throws too: a search for it would find nothing.
class Dictionary final : public Names {
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

    /// Reads what other servers have added. Errors: as Connection.
    Result<void> refresh() const;

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
    Result<Name> intern_in_database(NameKind kind, std::string_view text);
    Name find_known(NameKind kind, std::string_view text) const;
    void put(NameKind kind, Name id, std::string_view text) const;

    Pool& pool_;
    mutable std::shared_mutex mutex_;
    mutable std::array<Kind, kinds> all_;
    SipKey token_key_{};
};

}  // namespace meridian::store::postgres
