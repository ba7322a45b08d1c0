// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/tiles.hpp"

#include <bit>
#include <cstring>
#include <filesystem>

#include "base/file.hpp"
#include "trust/limits.hpp"
#include "trust/merkle/disk.hpp"

namespace meridian::trust::merkle {

namespace {

constexpr unsigned levels_max = 64 / tile_height;

std::string_view bytes_of(std::span<const Hash> hashes) {
    return {reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(Hash)};
}

/// How many hashes `level` has in a tree of `size`: of complete subtrees of 256^level leaves.
std::uint64_t hashes_at(unsigned level, std::uint64_t size) {
    return level >= levels_max ? 0 : size >> (tile_height * level);
}

std::string folder_of_partial(const TilePlace& full) {
    return path_of({full.level, full.index, tile_width}) + ".p";
}

/// A number as tiles' paths have it: decimal, without needless zeros, at most `most`.
std::optional<unsigned> small_number(std::string_view text, unsigned most) {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    unsigned number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        number = 10 * number + static_cast<unsigned>(c - '0');
    }
    return number <= most ? std::optional(number) : std::nullopt;
}

/// Three digits of an index.
std::optional<unsigned> three_digits(std::string_view text) {
    if (text.size() != 3) return std::nullopt;
    unsigned number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        number = 10 * number + static_cast<unsigned>(c - '0');
    }
    return number;
}

std::string_view take_element(std::string_view& path) {
    const auto slash = path.find('/');
    const std::string_view element = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    return element;
}

}  // namespace

std::string path_of(const TilePlace& place) {
    std::string digits = fmt::format("{:03}", place.index % 1000);
    for (std::uint64_t rest = place.index / 1000; rest > 0; rest /= 1000)
        digits = fmt::format("x{:03}/{}", rest % 1000, digits);
    std::string path = fmt::format("tile/{}/{}", place.level, digits);
    if (place.width != tile_width) path += fmt::format(".p/{}", place.width);
    return path;
}

Result<TilePlace> parse_tile_path(std::string_view path) {
    const auto wrong = [] { return fail(Category::incorrect, "this names no tile"); };
    const std::string_view whole = path;
    constexpr std::size_t path_bytes_max = 60;
    if (path.size() > path_bytes_max || take_element(path) != "tile") return wrong();
    TilePlace place;
    constexpr unsigned level_max = 63;
    const auto level = small_number(take_element(path), level_max);
    if (!level) return wrong();
    place.level = *level;
    constexpr int elements_max = 6;
    for (int elements = 0;; ++elements) {
        std::string_view element = take_element(path);
        const bool has_more = element.starts_with('x');
        const bool is_partial = element.ends_with(".p");
        if (has_more) element.remove_prefix(1);
        if (is_partial) element.remove_suffix(2);
        const auto digits = three_digits(element);
        if (!digits || elements == elements_max || (has_more && is_partial)) return wrong();
        place.index = place.index * 1000 + *digits;
        if (has_more) continue;
        if (is_partial) {
            const auto width = small_number(take_element(path), tile_width - 1);
            if (!width || *width == 0) return wrong();
            place.width = *width;
        }
        break;
    }
    // One tile has one name: no leading x000, nothing behind it.
    if (!path.empty() || path_of(place) != whole) return wrong();
    return place;
}

TilePlace tile_of(unsigned level, std::uint64_t number, std::uint64_t size) {
    const std::uint64_t index = number / tile_width;
    const std::uint64_t width =
        std::min<std::uint64_t>(tile_width, hashes_at(level, size) - index * tile_width);
    return {level, index, static_cast<unsigned>(width)};
}

// --- reading ---

Result<std::vector<Hash>> TileReader::read(const TilePlace& place) const {
    const std::string full = folder_ + "/" + path_of({place.level, place.index, tile_width});
    auto bytes = read_file(full, tile_bytes);
    const bool is_full = bytes.has_value();
    if (!is_full && bytes.error().category == Category::not_found && place.width != tile_width) {
        bytes = read_file(folder_ + "/" + path_of(place), tile_bytes);
        // It may have become full, and the partial one gone, between the two looks.
        if (!bytes && bytes.error().category == Category::not_found) {
            bytes = read_file(full, tile_bytes);
            if (bytes && bytes->size() != tile_bytes)
                return fail(Category::fault, "a tile has a wrong length", full);
        }
    }
    if (!bytes) return std::unexpected(std::move(bytes).error());
    const std::size_t wanted = place.width * sizeof(Hash);
    if (is_full ? bytes->size() != tile_bytes : bytes->size() < wanted)
        return fail(Category::fault, "a tile has a wrong length", path_of(place));
    std::vector<Hash> hashes(place.width);
    std::memcpy(hashes.data(), bytes->data(), wanted);
    return hashes;
}

Hash root_over(std::span<const Hash> hashes) {
    std::vector<Hash> row(hashes.begin(), hashes.end());
    while (row.size() > 1) {
        for (std::size_t i = 0; 2 * i + 1 < row.size(); ++i)
            row[i] = node_hash(row[2 * i], row[2 * i + 1]);
        row.resize(row.size() / 2);
    }
    return row.front();
}

NodeSource TileReader::nodes(std::uint64_t size) const {
    return [reader = *this, size](unsigned level, std::uint64_t index) -> Result<Hash> {
        const unsigned in_tile = level % tile_height;
        const std::uint64_t first = index << in_tile;
        const TilePlace place = tile_of(level / tile_height, first, size);
        const auto hashes = TRY(reader.read(place));
        const std::size_t from = first % tile_width, count = std::size_t{1} << in_tile;
        if (from + count > hashes.size())
            return fail(Category::incorrect, "the subtree is not in the tree");
        return root_over(std::span(hashes).subspan(from, count));
    };
}

// --- writing ---

Result<TileWriter> TileWriter::open(std::string folder, std::uint64_t size, const Hash& root) {
    TileWriter writer(std::move(folder));
    TRY(disk::make_folders(writer.folder_));
    const TileReader reader(writer.folder_);
    for (unsigned level = 0; hashes_at(level, size) > 0; ++level) {
        const std::uint64_t hashes = hashes_at(level, size);
        writer.edge_.emplace_back();
        if (hashes % tile_width != 0) {
            auto read = reader.read(tile_of(level, hashes - 1, size));
            if (!read) return fail(Category::fault, read.error().message, read.error().where);
            writer.edge_.back() = std::move(*read);
        }
        writer.flushed_width_.push_back(writer.edge_.back().size());
    }
    writer.size_ = size;
    if (writer.root() != root)
        return fail(Category::fault, "the tiles are not those of the signed tree", writer.folder_);
    return writer;
}

Result<void> TileWriter::append(const Hash& leaf) {
    TRY(add(0, leaf));
    ++size_;
    return {};
}

Result<void> TileWriter::add(unsigned level, const Hash& hash) {
    if (level == edge_.size()) {
        edge_.emplace_back();
        edge_.back().reserve(tile_width);
        flushed_width_.push_back(0);
    }
    edge_[level].push_back(hash);
    if (edge_[level].size() < tile_width) return {};
    // size_ does not count the leaf in work yet: it is the last one of this tile.
    const TilePlace place{level, size_ >> (tile_height * (level + 1)), tile_width};
    TRY(write(place, edge_[level]));
    superseded_.push_back(folder_ + "/" + folder_of_partial(place));
    const Hash above = root_over(edge_[level]);
    edge_[level].clear();
    flushed_width_[level] = 0;
    return add(level + 1, above);
}

Hash TileWriter::root() const {
    // The complete subtrees from right to left: the lowest level's last ones first.
    std::optional<Hash> root;
    for (const auto& hashes : edge_) {
        std::size_t end = hashes.size();
        while (end > 0) {
            const std::size_t count = std::size_t{1} << std::countr_zero(end);
            const Hash left = root_over(std::span(hashes).subspan(end - count, count));
            root = root ? node_hash(left, *root) : left;
            end -= count;
        }
    }
    return root.value_or(empty_root());
}

Result<void> TileWriter::write(const TilePlace& place, std::span<const Hash> hashes) {
    const std::string path = folder_ + "/" + path_of(place);
    const std::string folder = disk::folder_of(path);
    if (folders_.insert(folder).second) {
        TRY(disk::make_folders(folder));
        for (std::string above = disk::folder_of(folder); above.size() >= folder_.size();
             above = disk::folder_of(above))
            folders_.insert(above);
    }
    TRY(disk::replace(path, bytes_of(hashes)));
    written_.push_back(path);
    return {};
}

Result<void> TileWriter::flush() {
    for (unsigned level = 0; level < edge_.size(); ++level) {
        const std::size_t width = edge_[level].size();
        if (width == 0 || width == flushed_width_[level]) continue;
        TRY(write(tile_of(level, hashes_at(level, size_) - 1, size_), edge_[level]));
        flushed_width_[level] = width;
    }
    TRY(sync_written());
    // Only now: a reader that misses the partial tile finds the full one.
    std::error_code ignored;
    for (const std::string& folder : superseded_) std::filesystem::remove_all(folder, ignored);
    superseded_.clear();
    return {};
}

Result<void> TileWriter::sync_written() {
    if (written_.empty()) return {};
    if (written_.size() > limits::tree_files_synced_singly_max) {
        TRY(disk::sync_file_system(folder_));
    } else {
        for (const std::string& path : written_) TRY(disk::sync(path));
        for (const std::string& folder : folders_) TRY(disk::sync(folder));
    }
    written_.clear();
    folders_.clear();
    return {};
}

std::vector<TilePlace> TileWriter::torn(const std::string& folder, std::uint64_t size,
                                        std::size_t limit) {
    std::vector<TilePlace> found;
    for (unsigned level = 0; hashes_at(level, size) > 0; ++level) {
        for (std::uint64_t first = 0; first < hashes_at(level, size); first += tile_width) {
            const TilePlace place = tile_of(level, first, size);
            const std::int64_t full =
                disk::size_of(folder + "/" + path_of({level, place.index, tile_width}));
            const bool is_right =
                full == tile_bytes || (full < 0 && place.width < tile_width &&
                                       disk::size_of(folder + "/" + path_of(place)) ==
                                           static_cast<std::int64_t>(place.width * sizeof(Hash)));
            if (is_right) continue;
            if (found.size() == limit) return found;
            found.push_back(place);
        }
    }
    return found;
}

Result<void> TileWriter::rewrite(const std::string& folder, const TilePlace& place,
                                 std::span<const Hash> hashes) {
    TileWriter writer(folder);
    // A torn full tile would be read before the partial one.
    if (place.width != tile_width) {
        std::error_code ignored;
        std::filesystem::remove(folder + "/" + path_of({place.level, place.index, tile_width}),
                                ignored);
    }
    TRY(writer.write(place, hashes));
    return writer.sync_written();
}

}  // namespace meridian::trust::merkle
