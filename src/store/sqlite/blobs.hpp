// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "store/disk.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::store::sqlite {

/// Content-addressed blobs in pack files `NNNNNN.pack`: per blob a 48-byte head (magic, size,
/// SHA-256) and its bytes, one behind the other. The packs are the truth; `index.db` beside them
/// only says where each hash lies and how far it has read each pack, so it needs no fsync of its
/// own: what it misses after a crash is read from the packs again, and a torn end is cut off.
class Blobs {
 public:
    struct Options {
        std::string folder;
        bool read_only = false;
        std::shared_ptr<FileFaults> faults{};
        std::int64_t pack_bytes_max = 0;  ///< 0 = limits::pack_file_bytes_max
    };
    /// Errors: `unavailable`; `fault` for an index that is no database. Blocking: reads what the
    /// index has missed.
    static Result<std::unique_ptr<Blobs>> open(Options options);

    /// Stores `data` once; durable when this returns. Errors: `too_large` beyond
    /// limits::blob_bytes_max; `storage_full`; `unavailable`, for ever after a failed fsync.
    /// Thread-safe.
    Result<Sha256> put(std::string_view data);
    /// The blob, checked against its hash. Errors: `fault` when it is damaged. Thread-safe.
    Result<std::optional<std::string>> get(const Sha256& hash);

    struct Totals {
        std::int64_t blobs = 0, bytes = 0, problems = 0;
        std::string first_problem{};
    };
    /// Reads every pack from its start and every blob in it: heads, hashes, index.
    Result<Totals> verify();
    /// The packs and the length of each that a copy made now must have.
    Result<std::map<std::int64_t, std::int64_t>> packs();
    static std::string pack_path(const std::string& folder, std::int64_t pack);

 private:
    struct Place {
        std::int64_t pack, offset, size;
    };
    struct Head {
        std::int64_t size;
        Sha256 hash;
    };
    explicit Blobs(Options options) : options_(std::move(options)) {}
    Result<void> start();
    Result<void> catch_up(std::int64_t pack);
    Result<void> next_pack();
    Result<std::optional<Place>> place_of(const Sha256& hash);
    Result<std::shared_ptr<AppendFile>> pack_file(std::int64_t pack);
    Result<void> append(std::string_view data, const Sha256& hash);
    Result<void> note(const Sha256& hash, const Place& place, std::int64_t end);
    static std::string head_bytes(std::int64_t size, const Sha256& hash);
    static std::optional<Head> read_head(std::string_view bytes);

    Options options_;
    std::mutex mutex_;
    std::unique_ptr<Database> index_;
    std::map<std::int64_t, std::shared_ptr<AppendFile>> files_;
    std::int64_t last_pack_ = 0;  ///< 0 = none yet
    std::int64_t end_ = 0;        ///< of the last pack
    std::optional<Error> broken_;
};

}  // namespace meridian::store::sqlite
