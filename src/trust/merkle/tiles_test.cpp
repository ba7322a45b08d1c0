// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/tiles.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/testing.hpp"
#include "trust/merkle/disk.hpp"

namespace meridian::trust::merkle {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

Hash leaf(std::uint64_t index) {
    return leaf_hash(std::to_string(index));
}

Hash root_of(std::uint64_t size) {
    Frontier frontier;
    for (std::uint64_t i = 0; i < size; ++i) frontier.append(leaf(i));
    return frontier.root();
}

TEST(MerkleTiles, PathsAreThoseOfTheSpecification) {
    EXPECT_EQ(path_of({0, 1234067, 256}), "tile/0/x001/x234/067");
    EXPECT_EQ(path_of({3, 5, 112}), "tile/3/005.p/112");
    for (const TilePlace& place :
         {TilePlace{0, 0, 256}, TilePlace{0, 999, 1}, TilePlace{63, 1000, 255},
          TilePlace{1, 1234067, 256}, TilePlace{2, 999'999'999, 7}})
        EXPECT_EQ(must(parse_tile_path(path_of(place))), place);
    for (const char* bad : {"tile/0/0",
                            "tile/0/00",
                            "tile/0/0000",
                            "tile/00/000",
                            "tile/64/000",
                            "tile/-1/000",
                            "tile/0/x000/001",
                            "tile/0/001/002",
                            "tile/0/x001",
                            "tile/0/000.p",
                            "tile/0/000.p/0",
                            "tile/0/000.p/256",
                            "tile/0/000.p/01",
                            "tile/0/000.p/1/",
                            "tile/0/000/",
                            "tile/0/",
                            "tile/",
                            "tile/0/x001.p/002",
                            "tile/0/../000",
                            "tile/entries/000",
                            "tile/0/00a",
                            "checkpoint",
                            "tile/0/x001/x001/x001/x001/x001/x001/001",
                            ""})
        EXPECT_FALSE(parse_tile_path(bad)) << bad;
}

// "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of
// width 112, one full level 1 tile, one partial level 1 tile of width 17, and one partial level 2
// tile of width 1."
TEST(MerkleTiles, ATreeOf70000HasTheTilesOfTheSpecification) {
    const Folder folder;
    auto writer = must(TileWriter::open(folder.path(), 0, empty_root()));
    constexpr std::uint64_t size = 70'000;
    Frontier frontier;
    for (std::uint64_t i = 0; i < size; ++i) {
        must(writer.append(leaf(i)));
        frontier.append(leaf(i));
    }
    must(writer.flush());
    EXPECT_EQ(writer.root(), frontier.root());
    std::map<std::string, int> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path())) {
        if (!file.is_regular_file()) continue;
        const std::string path = std::filesystem::relative(file.path(), folder.path()).string();
        const TilePlace place = must(parse_tile_path(path));
        EXPECT_EQ(file.file_size(), place.width * sizeof(Hash)) << path;
        ++files[fmt::format("level {} width {}", place.level, place.width)];
    }
    EXPECT_EQ(files, (std::map<std::string, int>{{"level 0 width 256", 273},
                                                 {"level 0 width 112", 1},
                                                 {"level 1 width 256", 1},
                                                 {"level 1 width 17", 1},
                                                 {"level 2 width 1", 1}}));
    EXPECT_TRUE(TileWriter::torn(folder.path(), size, 10).empty());
    const auto nodes = TileReader(folder.path()).nodes(size);
    EXPECT_EQ(must(hash_of(nodes, 0, size)), frontier.root());
    std::mt19937_64 random(1);
    for (int round = 0; round < 50; ++round) {
        const std::uint64_t index = random() % size;
        EXPECT_TRUE(verify_inclusion(index, size, leaf(index),
                                     must(prove_inclusion(nodes, index, size)), frontier.root()));
    }
    EXPECT_TRUE(verify_consistency(65'536, size, must(prove_consistency(nodes, 65'536, size)),
                                   must(hash_of(nodes, 0, 65'536)), frontier.root()));
}

TEST(MerkleTiles, GoOnAfterEveryFlushAndForgetWhatWasNotFlushed) {
    const Folder folder;
    std::mt19937_64 random(7);
    std::uint64_t size = 0;
    Hash root = empty_root();
    Frontier frontier;
    for (int round = 0; round < 60; ++round) {
        auto writer = must(TileWriter::open(folder.path(), size, root));
        const std::uint64_t grown = random() % 700;
        Frontier trial = frontier;
        for (std::uint64_t i = size; i < size + grown; ++i) {
            must(writer.append(leaf(i)));
            trial.append(leaf(i));
        }
        // As a kill: full tiles are written, nobody was told of them.
        if (random() % 3 == 0) continue;
        must(writer.flush());
        ASSERT_EQ(writer.root(), trial.root());
        // A kill between the flush and its checkpoint.
        if (random() % 3 == 0) continue;
        frontier = trial;
        size += grown;
        root = writer.root();
        ASSERT_TRUE(TileWriter::torn(folder.path(), size, 10).empty());
        ASSERT_EQ(must(hash_of(TileReader(folder.path()).nodes(size), 0, size)), root) << size;
    }
    EXPECT_GT(size, 5'000u);
}

TEST(MerkleTiles, AWrongEdgeIsRefused) {
    const Folder folder;
    auto writer = must(TileWriter::open(folder.path(), 0, empty_root()));
    for (std::uint64_t i = 0; i < 300; ++i) must(writer.append(leaf(i)));
    must(writer.flush());
    EXPECT_TRUE(TileWriter::open(folder.path(), 300, root_of(300)));
    EXPECT_FALSE(TileWriter::open(folder.path(), 300, root_of(299)));
    EXPECT_FALSE(TileWriter::open(folder.path(), 299, root_of(299)));
    EXPECT_FALSE(TileWriter::open(folder.path(), 600, root_of(600)));
}

TEST(MerkleTiles, TornOnesAreFoundAndRewritten) {
    const Folder folder;
    auto writer = must(TileWriter::open(folder.path(), 0, empty_root()));
    for (std::uint64_t i = 0; i < 600; ++i) must(writer.append(leaf(i)));
    must(writer.flush());
    const auto cut = [&](const TilePlace& place, std::uint64_t bytes) {
        std::filesystem::resize_file(folder.path() + "/" + path_of(place), bytes);
    };
    cut({0, 1, 256}, 100);
    cut({0, 2, 88}, 0);
    cut({1, 0, 2}, 63);
    EXPECT_EQ(TileWriter::torn(folder.path(), 600, 10),
              (std::vector<TilePlace>{{0, 1, 256}, {0, 2, 88}, {1, 0, 2}}));
    EXPECT_EQ(TileReader(folder.path()).read({0, 1, 256}).error().category, Category::fault);
    std::vector<Hash> hashes;
    for (std::uint64_t i = 256; i < 512; ++i) hashes.push_back(leaf(i));
    must(TileWriter::rewrite(folder.path(), {0, 1, 256}, hashes));
    EXPECT_EQ(TileWriter::torn(folder.path(), 600, 10).size(), 2u);
    EXPECT_EQ(must(TileReader(folder.path()).read({0, 1, 256})), hashes);
}

TEST(MerkleTiles, APartialTileThatIsFullByNowIsItsBeginning) {
    const Folder folder;
    auto writer = must(TileWriter::open(folder.path(), 0, empty_root()));
    for (std::uint64_t i = 0; i < 100; ++i) must(writer.append(leaf(i)));
    must(writer.flush());
    const auto before = must(TileReader(folder.path()).read({0, 0, 100}));
    for (std::uint64_t i = 100; i < 256; ++i) must(writer.append(leaf(i)));
    must(writer.flush());
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/tile/0/000.p"));
    EXPECT_EQ(must(TileReader(folder.path()).read({0, 0, 100})), before);
    EXPECT_EQ(TileReader(folder.path()).read({0, 1, 1}).error().category, Category::not_found);
}

}  // namespace
}  // namespace meridian::trust::merkle
