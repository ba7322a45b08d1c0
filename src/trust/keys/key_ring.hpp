// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "trust/keys/data_keys.hpp"
#include "trust/keys/kek.hpp"
#include "trust/keys/key_rows.hpp"

namespace meridian::trust {

/// The keys of a record: a key-encryption key (kek.hpp) wraps one key per organisation, that wraps
/// the data keys of its patients, those seal bodies. All but the first lie wrapped in KeyRows.
/// Thread-safe; several servers share one store, each with a ring of its own.
class KeyRing {
 public:
    struct Options {
        Suite suite = Suite::aes;  ///< of a ring that is made now
        bool create = true;        ///< make one where there is none
        /// Of a ring that is made now, for a record without resources: the hashes of tokens lie
        /// under it from the first one on.
        bool hashes_tokens = false;
        bool moves_tokens = false;  ///< for who makes them anew: open_keys refuses others meanwhile
        /// Looks by itself what other servers do, and carries rotations on. Without it, callers
        /// look before they use what may be old.
        bool background = false;
        std::size_t keys_max = 0;  ///< data keys in memory; 0 = limits::data_keys_cached_max
    };
    /// Errors: `not_found` when there is none and none is to be made; `conflict` when its
    /// key-encryption key is not here; `fault` for one that was altered; those of KekProvider.
    /// Blocking: look-ups, at first a commit.
    static Result<std::unique_ptr<KeyRing>> open(std::shared_ptr<KeyRows> rows,
                                                 std::unique_ptr<KekProvider> keks,
                                                 const Options& options);
    ~KeyRing();

    Suite suite() const;
    /// What keys of an owner are called: by a keyed hash.
    std::string id_of(std::string_view owner) const;
    /// HMAC-SHA-256 under a key of this record for `purpose`: for what is to be equal only to
    /// itself, here and nowhere else.
    std::string keyed_hash(std::string_view purpose, std::string_view text) const;

    /// The key of the hashes of tokens in the index; absent while they lie under the store's own.
    std::optional<SipKey> token_key() const;
    /// Says that they are being made anew under this ring, or that they are all there. Errors:
    /// `unavailable`. Blocking: a commit.
    enum class Tokens : unsigned char { of_store, moving, of_ring };
    Result<void> set_tokens(Tokens tokens);
    Tokens tokens() const;

    /// The key of an owner ("Patient/7"; empty = what concerns nobody in `organisation`); made, and
    /// not stored yet, where there is none. Errors: `gone` when it was shredded; `unavailable`.
    /// Blocking: a look-up unless it is in memory; a commit for the first one of an organisation.
    Result<DataKeyPointer> key_for(std::string_view owner, std::string_view organisation);
    /// Errors: `gone` when it was shredded; `conflict` when it is not there, as in a restored
    /// record without its keys; `unavailable`. Blocking: a look-up unless it is in memory.
    Result<DataKeyPointer> key_with(std::string_view id);
    /// The same for a thread that must not wait: null when it would have to, or it was shredded.
    DataKeyPointer key_at_hand(std::string_view id) const;
    /// The one in memory, however long ago it was looked up: for what is checked when it is stored.
    DataKeyPointer remembered_key(std::string_view id) const { return cache_.find(id); }
    /// A key of this ring's that another server's came before.
    DataKeyPointer lost_key(std::string_view id, std::string_view mark) const {
        return cache_.lost(id, mark);
    }
    /// Whether `key` became the owner's: true when its row is stored; when another's is, that one
    /// takes its place, and nothing when none is. Errors: `unavailable`. Blocking: a look-up.
    Result<bool> settle(const DataKeyPointer& key);
    KeyRows& rows() { return *rows_; }
    /// The row of a key that is not stored yet, under the keys of now. Errors: as key_with.
    Result<store::PrivateRow> row_to_store(const DataKey& key);

    /// Shreds keys: what lies under them can never be read again, and no key is made for their
    /// owners any more. In memory they are gone when this returns, on other servers within
    /// limits::key_standing_milliseconds. Errors: `unavailable`. Blocking: commits.
    Result<void> shred(const std::vector<std::string>& ids);
    /// Whether a row of a data key is the tombstone of one.
    static bool is_tombstone(const store::PrivateRow& row);
    static store::PrivateRow tombstone_of(std::string_view id, std::int64_t version);
    /// The id in the key of such a row.
    static std::string id_in(std::string_view row_key);
    static std::string row_key_of(std::string_view id);

    struct Status {
        Suite suite = Suite::aes;
        std::string provider{};
        unsigned kek = 0;         ///< number of the key-encryption key in use
        unsigned generation = 0;  ///< of the organisations' keys
        bool is_rotating = false;
        std::int64_t keys = 0;  ///< of patients and organisations
        std::int64_t old = 0;   ///< of them, those that wait to be wrapped anew
        std::int64_t shredded = 0;
        std::vector<unsigned> keks{};  ///< that are here
    };
    /// Errors: `unavailable`. Blocking: reads all rows.
    Result<Status> status();

    /// Takes the next key-encryption key (making it unless it is here already) and a new key for
    /// every organisation, and wraps all data keys anew, while others read and write; goes on where
    /// a rotation was stopped or killed. `go_on(done)` returns false to stop. Bodies stay as they
    /// are. Errors: `unavailable`, also when it was stopped; those of KekProvider. Blocking: long.
    Result<void> rotate(const std::function<bool(std::int64_t done)>& go_on);
    /// Carries on a rotation that is under way, or begins one for a key-encryption key that was put
    /// here; nothing else. Errors and blocking: as rotate.
    Result<void> rotate_if_wanted(const std::function<bool(std::int64_t done)>& go_on);

 private:
    /// What the row "ring" says.
    struct State {
        Suite suite = Suite::aes;
        unsigned kek = 0;
        unsigned generation = 0;
        bool is_rotating = false;
        Tokens tokens = Tokens::of_store;
        SecretKey secret{};  ///< from which the keys of hashes are derived; for ever the same
        std::int64_t version = 0;
    };
    using TenantKey = std::shared_ptr<const MessageKey>;

    KeyRing(std::shared_ptr<KeyRows> rows, std::unique_ptr<KekProvider> keks,
            const Options& options);
    Result<State> make_state();
    Result<State> read_state(const store::PrivateRow& row);
    Result<store::PrivateRow> row_of(const State& state);
    State state() const;
    /// Looks what others did, unless that was done just now.
    Result<void> keep_fresh();
    Result<void> look();
    bool is_fresh() const;

    Result<TenantKey> tenant_key(const std::string& tenant, unsigned generation, bool make);
    Result<DataKeyPointer> look_up(std::string_view id);
    Result<DataKeyPointer> read_key(const store::PrivateRow& row);
    Result<DataKeyPointer> make_key(std::string_view owner, std::string_view organisation);
    Result<std::string> rewrapped(const store::PrivateRow& row, const State& state);
    Result<store::PrivateRow> rewrapped_tenant(const store::PrivateRow& row, const State& state);

    Result<void> begin_rotation();
    Result<std::int64_t> wrap_old(const std::function<bool(std::int64_t)>& go_on,
                                  std::int64_t& done);
    Result<void> finish_rotation();
    void work();

    const std::uint64_t serial_;  ///< of the rings of this process
    std::shared_ptr<KeyRows> rows_;
    std::unique_ptr<KekProvider> keks_;
    Options options_;
    DataKeyCache cache_;
    mutable std::shared_mutex state_mutex_;
    State state_;
    std::map<std::pair<std::string, unsigned>, TenantKey> tenants_;  ///< under state_mutex_
    std::mutex look_mutex_;
    std::mutex rotation_mutex_;
    std::atomic<std::int64_t> fresh_until_{0};  ///< milliseconds of the steady clock
    std::mutex work_mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::thread thread_;
};

/// The keys of a record, for whoever writes it: those of its store (which must outlive them), under
/// the key-encryption key of its data folder; made where there are none yet. Errors: as
/// KeyRing::open; `conflict` for a record that is encrypted and was restored without its keys, and
/// while the hashes of its tokens are being moved (token_hashes.hpp).
Result<std::shared_ptr<KeyRing>> open_keys(store::Store& store, const std::string& folder,
                                           const KeyRing::Options& options);

}  // namespace meridian::trust
