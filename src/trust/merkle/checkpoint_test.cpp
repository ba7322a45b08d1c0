// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/checkpoint.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/file.hpp"
#include "base/testing.hpp"

namespace meridian::trust::merkle {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

SignedCheckpoint made(const SigningKey& key, std::uint64_t size) {
    SignedCheckpoint checkpoint{{key.verifier().name(), size, leaf_hash(std::to_string(size))}, {}};
    checkpoint.note.text = checkpoint.checkpoint.to_text();
    checkpoint.note.signatures.push_back(key.sign(checkpoint.note.text));
    return checkpoint;
}

std::vector<std::uint64_t> sizes_in(const std::string& path) {
    std::vector<std::uint64_t> sizes;
    must(CheckpointFile::read(path, [&](std::string_view note) -> Result<void> {
        sizes.push_back(must(SignedCheckpoint::parse(note)).checkpoint.size);
        return {};
    }));
    return sizes;
}

TEST(MerkleCheckpoints, AreKeptAndReadInOrder) {
    const Folder folder;
    const std::string path = folder.path() + "/checkpoints";
    const SigningKey key = SigningKey::make("a.example");
    {
        auto list = must(CheckpointFile::open(path));
        EXPECT_FALSE(list.newest());
        for (const std::uint64_t size : {1u, 20u, 300u}) must(list.append(made(key, size)));
    }
    EXPECT_EQ(sizes_in(path), (std::vector<std::uint64_t>{1, 20, 300}));
    EXPECT_EQ(must(CheckpointFile::open(path)).newest()->checkpoint.size, 300u);
}

// A crash may leave any beginning of what was being written.
TEST(MerkleCheckpoints, EveryTornEndIsCutOff) {
    const Folder folder;
    const std::string path = folder.path() + "/checkpoints";
    const SigningKey key = SigningKey::make("a.example");
    std::string first, both;
    {
        auto list = must(CheckpointFile::open(path));
        must(list.append(made(key, 1)));
        first = must(read_file(path));
        must(list.append(made(key, 2)));
        both = must(read_file(path));
    }
    for (std::size_t bytes = first.size(); bytes < both.size(); ++bytes) {
        must(write_file_atomically(path, both.substr(0, bytes)));
        ASSERT_EQ(sizes_in(path), (std::vector<std::uint64_t>{1})) << bytes;
        auto list = must(CheckpointFile::open(path));
        ASSERT_EQ(list.newest()->checkpoint.size, 1u) << bytes;
        must(list.append(made(key, 3)));
        ASSERT_EQ(sizes_in(path), (std::vector<std::uint64_t>{1, 3})) << bytes;
    }
}

TEST(MerkleCheckpoints, SomethingElseIsRefused) {
    const Folder folder;
    const std::string path = folder.path() + "/checkpoints";
    must(write_file_atomically(path, "one\n\ntwo\n\nthree\n"));
    EXPECT_EQ(CheckpointFile::open(path).error().category, Category::fault);
    must(write_file_atomically(path, std::string(3 << 20, 'x')));
    EXPECT_EQ(CheckpointFile::open(path).error().category, Category::too_large);
}

class MerkleKeys : public ::testing::Test {
 protected:
    mode_t mode_of(const std::string& path) {
        struct stat status{};
        EXPECT_EQ(::stat(path.c_str(), &status), 0);
        return status.st_mode & 07777;
    }
    const Folder folder_;
    const std::string private_ = folder_.path() + "/keys/checkpoint.key";
    const std::string public_ = folder_.path() + "/keys/checkpoint.pub";
};

TEST_F(MerkleKeys, AreMadeOnceAndProtected) {
    const auto made = must(LogKeys::open(folder_.path(), "hospital.example/record"));
    EXPECT_EQ(made.origin(), "hospital.example/record");
    EXPECT_EQ(mode_of(private_), 0600u);
    EXPECT_EQ(mode_of(folder_.path() + "/keys"), 0700u);
    const auto again = must(LogKeys::open(folder_.path(), ""));
    EXPECT_EQ(again.signing().verifier(), made.signing().verifier());
    EXPECT_EQ(must(LogKeys::read_public(folder_.path())), made.all());
    EXPECT_EQ(must(read_file(public_)).find("PRIVATE"), std::string::npos);
}

TEST_F(MerkleKeys, ANameIsMadeWhenNoneIsGiven) {
    const Folder other;
    EXPECT_NE(must(LogKeys::open(folder_.path(), "")).origin(),
              must(LogKeys::open(other.path(), "")).origin());
}

TEST_F(MerkleKeys, OnesThatOthersCanReadAreRefused) {
    must(LogKeys::open(folder_.path(), ""));
    for (const mode_t mode : {0640, 0604, 0620, 0660}) {
        ASSERT_EQ(::chmod(private_.c_str(), mode), 0);
        const auto refused = LogKeys::open(folder_.path(), "");
        ASSERT_FALSE(refused) << mode;
        EXPECT_EQ(refused.error().category, Category::forbidden);
        EXPECT_NE(refused.error().message.find("chmod 600"), std::string::npos);
    }
    ASSERT_EQ(::chmod(private_.c_str(), 0400), 0);
    EXPECT_TRUE(LogKeys::open(folder_.path(), ""));
}

TEST_F(MerkleKeys, ALogKeepsItsName) {
    must(LogKeys::open(folder_.path(), "a.example"));
    EXPECT_EQ(LogKeys::open(folder_.path(), "b.example").error().category, Category::conflict);
    EXPECT_EQ(LogKeys::open(folder_.path(), "b example").error().category, Category::incorrect);
}

TEST_F(MerkleKeys, RotationKeepsTheOldPublicKey) {
    auto keys = must(LogKeys::open(folder_.path(), "a.example"));
    const VerifierKey before = keys.signing().verifier();
    must(keys.rotate());
    const VerifierKey after = keys.signing().verifier();
    EXPECT_FALSE(before == after);
    EXPECT_EQ(after.name(), "a.example");
    EXPECT_EQ(mode_of(private_), 0600u);
    const auto again = must(LogKeys::open(folder_.path(), ""));
    EXPECT_EQ(again.signing().verifier(), after);
    EXPECT_EQ(again.all(), (std::vector{before, after}));
}

TEST_F(MerkleKeys, ADamagedOrForeignKeyIsRefusedWithoutAWordOfIt) {
    must(LogKeys::open(folder_.path(), "a.example"));
    const std::string good = must(read_file(private_));
    for (const std::string& bad : {std::string(), std::string("secret"), good.substr(0, 40),
                                   SigningKey::make("a.example").to_text() + "\n"}) {
        std::ofstream(private_, std::ios::trunc) << bad;
        const auto refused = LogKeys::open(folder_.path(), "");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().message.find("secret"), std::string::npos);
        EXPECT_EQ(refused.error().message.find("PRIVATE"), std::string::npos);
    }
}

}  // namespace
}  // namespace meridian::trust::merkle
