// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "trust/merkle/tree.hpp"

/// The tree's hashes in files, as https://c2sp.org/tlog-tiles lays them out, so that any web server
/// could serve the folder: tile/<L>/<N> holds 256 hashes, tile/<L>/<N>.p/<W> the first W of one
/// that is not full yet.
namespace meridian::trust::merkle {

inline constexpr unsigned tile_height = 8;
inline constexpr unsigned tile_width = 1u << tile_height;
inline constexpr std::size_t tile_bytes = tile_width * sizeof(Hash);

/// One tile: hash i of it is that of the leaves [(index · 256 + i) · 256^level, … + 256^level).
struct TilePlace {
    unsigned level = 0;
    std::uint64_t index = 0;
    unsigned width = tile_width;  ///< hashes in it; fewer than 256 only at the tree's right edge
    bool operator==(const TilePlace&) const = default;
};

/// "tile/0/x001/x234/067.p/12".
std::string path_of(const TilePlace& place);
/// Reads such a path. Errors: `incorrect` for anything that path_of would not write.
Result<TilePlace> parse_tile_path(std::string_view path);

/// The tile that holds hash `number` of `level` in a tree of `size`. `number` must be in it.
TilePlace tile_of(unsigned level, std::uint64_t number, std::uint64_t size);

/// Reads tiles of a folder, also while a writer adds to it. Safe to share between threads.
class TileReader {
 public:
    explicit TileReader(std::string folder) : folder_(std::move(folder)) {}
    /// Its hashes, `width` of them. A tile that is full by now gives its first ones. Errors:
    /// `not_found`; `fault` for a file of another length; of the disk.
    Result<std::vector<Hash>> read(const TilePlace& place) const;
    /// The hashes of complete subtrees of the tree of `size`, for proofs.
    NodeSource nodes(std::uint64_t size) const;

 private:
    std::string folder_;
};

/// The root of the complete subtree over `hashes`, whose number is a power of two.
Hash root_over(std::span<const Hash> hashes);

/// Adds leaves to the tiles in a folder. What was appended is in memory and in files that nobody
/// names; `flush` makes all of it durable. It holds at most one tile per level. For one thread.
class TileWriter {
 public:
    /// Goes on behind the tree of `size` leaves with `root`. Errors: `fault` when the tiles at its
    /// right edge are not those of that tree; of the disk.
    static Result<TileWriter> open(std::string folder, std::uint64_t size, const Hash& root);
    Result<void> append(const Hash& leaf);
    std::uint64_t size() const { return size_; }
    Hash root() const;
    /// Writes what the tree of this size needs, and waits until it is on the disk. Takes away
    /// partial tiles of those that are full. Blocking: disk, some fsyncs.
    Result<void> flush();

    /// Full tiles and those at the right edge of the tree of `size` that are missing or have a
    /// wrong length, lowest level first: what a crash of the machine can leave behind. At most
    /// `limit`.
    static std::vector<TilePlace> torn(const std::string& folder, std::uint64_t size,
                                       std::size_t limit);
    /// Writes one tile anew, durable.
    static Result<void> rewrite(const std::string& folder, const TilePlace& place,
                                std::span<const Hash> hashes);

 private:
    explicit TileWriter(std::string folder) : folder_(std::move(folder)) {}
    Result<void> add(unsigned level, const Hash& hash);
    Result<void> write(const TilePlace& place, std::span<const Hash> hashes);
    Result<void> sync_written();

    std::string folder_;
    std::uint64_t size_ = 0;
    std::vector<std::vector<Hash>> edge_;  ///< per level: the hashes of the tile that is not full
    std::vector<std::string> written_;     ///< files since the last flush
    std::set<std::string> folders_;        ///< and the folders that name them
    std::vector<std::string> superseded_;  ///< folders of partial tiles that are full now
    std::vector<std::size_t> flushed_width_;  ///< per level: of the partial tile on the disk
};

}  // namespace meridian::trust::merkle
