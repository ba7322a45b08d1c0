// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/file_map.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/testing.hpp"

namespace meridian::store::sqlite {
namespace {

constexpr std::int64_t page = 4'096;

std::int64_t mapped_now() {
    std::ifstream file("/proc/self/statm");
    std::int64_t size = 0, resident = 0, shared = 0;
    file >> size >> resident >> shared;
    return shared * ::sysconf(_SC_PAGESIZE);
}

/// A file whose pages each begin with their number.
std::string numbered(const testing::Folder& folder, std::int64_t pages) {
    const std::string path = folder.path() + "/numbered";
    std::ofstream file(path, std::ios::binary);
    std::string content(page, '.');
    for (std::int64_t number = 0; number < pages; ++number) {
        std::memcpy(content.data(), &number, sizeof number);
        file.write(content.data(), page);
    }
    return path;
}

std::int64_t number_at(const void* bytes) {
    std::int64_t number = -1;
    std::memcpy(&number, bytes, sizeof number);
    return number;
}

TEST(FileMap, KeepsItsBoundAndShowsTheWholeFileAllTheSame) {
    const testing::Folder folder;
    constexpr std::int64_t pages = 48'000;  // 197 MB
    const std::string path = numbered(folder, pages);
    const std::int64_t bound = mapped_now() + (32LL << 20);
    const auto map = FileMap::of(path, bound);
    ASSERT_NE(map, nullptr);
    void* const first = map->at(0, page);
    std::int64_t most = 0;
    for (int round = 0; round < 2; ++round) {
        for (std::int64_t number = 0; number < pages; ++number) {
            const void* bytes = map->at(number * page, page);
            ASSERT_NE(bytes, nullptr);
            ASSERT_EQ(number_at(bytes), number);
            if (number % 512 == 0) most = std::max(most, mapped_now());
        }
    }
    EXPECT_LT(most, bound + (32LL << 20));
    EXPECT_EQ(number_at(first), 0) << "what was handed out stays valid";
    EXPECT_EQ(map->at(pages * page, page), nullptr) << "beyond the end";
    std::ofstream(path, std::ios::binary | std::ios::app) << std::string(page, 'x');
    EXPECT_NE(map->at(pages * page, page), nullptr) << "the file has grown";
}

TEST(FileMap, IsOneForAllAndNoneWithoutABound) {
    const testing::Folder folder;
    const std::string path = numbered(folder, 1);
    EXPECT_EQ(FileMap::of(path, 0), nullptr);
    EXPECT_EQ(FileMap::of(folder.path() + "/absent", 1 << 20), nullptr);
    EXPECT_EQ(FileMap::of(path, 1 << 20), FileMap::of(path, 1 << 20));
}

}  // namespace
}  // namespace meridian::store::sqlite
