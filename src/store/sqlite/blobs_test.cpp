// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/blobs.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/limits.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::sqlite {
namespace {

std::unique_ptr<Blobs> open_blobs(const TestFolder& folder, std::int64_t pack_bytes_max = 0,
                                  std::shared_ptr<FileFaults> faults = {}) {
    return must(Blobs::open({.folder = folder.path() + "/blobs",
                             .faults = std::move(faults),
                             .pack_bytes_max = pack_bytes_max}));
}

TEST(Blobs, SameContentIsStoredOnceAndReadBack) {
    const TestFolder folder;
    auto blobs = open_blobs(folder);
    const Sha256 first = must(blobs->put("picture"));
    EXPECT_EQ(first, sha256("picture"));
    EXPECT_EQ(must(blobs->put("picture")), first);
    const Sha256 empty = must(blobs->put(""));
    EXPECT_EQ(must(blobs->get(first)), "picture");
    EXPECT_EQ(must(blobs->get(empty)), "");
    EXPECT_FALSE(must(blobs->get(sha256("other"))));
    const auto totals = must(blobs->verify());
    EXPECT_EQ(totals.blobs, 2);
    EXPECT_EQ(totals.problems, 0) << totals.first_problem;
}

TEST(Blobs, GoOnInANewPackAndAfterReopening) {
    const TestFolder folder;
    for (int round = 0; round < 3; ++round) {
        auto blobs = open_blobs(folder, 200);
        for (int number = 0; number < 4; ++number)
            must(blobs->put(std::string(100, static_cast<char>('a' + round * 4 + number))));
        EXPECT_EQ(must(blobs->get(sha256(std::string(100, 'a')))), std::string(100, 'a'));
    }
    EXPECT_EQ(must(open_blobs(folder)->packs()).size(), 12u);
}

TEST(Blobs, AnIndexThatWasLostIsMadeAgain) {
    const TestFolder folder;
    const Sha256 hash = must(open_blobs(folder)->put("document"));
    for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(folder.path() + "/blobs/index.db" + suffix);
    EXPECT_EQ(must(open_blobs(folder)->get(hash)), "document");
}

TEST(Blobs, ATornTailIsCutOff) {
    const TestFolder folder;
    const Sha256 hash = must(open_blobs(folder)->put("kept"));
    const std::string pack = Blobs::pack_path(folder.path() + "/blobs", 1);
    const auto length = std::filesystem::file_size(pack);
    std::ofstream(pack, std::ios::app | std::ios::binary) << "mrdnblob and then the power went";
    auto blobs = open_blobs(folder);
    EXPECT_EQ(std::filesystem::file_size(pack), length);
    EXPECT_EQ(must(blobs->get(hash)), "kept");
    const Sha256 next = must(blobs->put("next"));
    EXPECT_EQ(must(blobs->get(next)), "next");
}

TEST(Blobs, DamageIsFoundByReadingAndByVerifying) {
    const TestFolder folder;
    const Sha256 hash = must(open_blobs(folder)->put("intact"));
    {
        std::fstream pack(Blobs::pack_path(folder.path() + "/blobs", 1),
                          std::ios::in | std::ios::out | std::ios::binary);
        pack.seekp(50);
        pack.put('X');
    }
    auto blobs = open_blobs(folder);
    const auto read = blobs->get(hash);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().category, Category::fault);
    EXPECT_EQ(must(blobs->verify()).problems, 1);
}

class FailingSync final : public FileFaults {
 public:
    Fault before(const FileEvent& event) override {
        return armed && event.operation == FileOperation::sync ? Fault::fail : Fault::none;
    }
    std::atomic<bool> armed{false};
};

TEST(Blobs, AFailedSyncStopsWritingForGood) {
    const TestFolder folder;
    const auto faults = std::make_shared<FailingSync>();
    auto blobs = open_blobs(folder, 0, faults);
    const Sha256 hash = must(blobs->put("before"));
    faults->armed = true;
    EXPECT_EQ(blobs->put("lost").error().category, Category::unavailable);
    faults->armed = false;
    EXPECT_EQ(blobs->put("after").error().category, Category::unavailable)
        << "a second sync proves nothing about the first";
    EXPECT_EQ(must(blobs->get(hash)), "before");
    EXPECT_TRUE(open_blobs(folder)->put("reopened"));
}

class NoSpace final : public FileFaults {
 public:
    Fault before(const FileEvent& event) override {
        return armed && event.operation == FileOperation::write ? Fault::full : Fault::none;
    }
    std::atomic<bool> armed{false};
};

TEST(Blobs, AFullDiskIsSaidAndRecoversByItself) {
    const TestFolder folder;
    const auto faults = std::make_shared<NoSpace>();
    auto blobs = open_blobs(folder, 0, faults);
    faults->armed = true;
    EXPECT_EQ(blobs->put("no room").error().category, Category::storage_full);
    faults->armed = false;
    EXPECT_EQ(must(blobs->get(must(blobs->put("room again")))), "room again");
}

TEST(Blobs, TooLargeIsRefused) {
    const TestFolder folder;
    const std::string huge(limits::blob_bytes_max + 1, 'x');
    EXPECT_EQ(open_blobs(folder)->put(huge).error().category, Category::too_large);
}

}  // namespace
}  // namespace meridian::store::sqlite
