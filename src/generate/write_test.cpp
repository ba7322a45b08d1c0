// SPDX-License-Identifier: Apache-2.0
#include "generate/write.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/json.hpp"

namespace meridian::generate {
namespace {

std::filesystem::path fresh_folder(std::string_view name) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("meridian-generate-" + std::string(name));
    std::filesystem::remove_all(folder);
    return folder;
}

TEST(WriteFolder, OneFilePerTypeWithTheCountsOfTheSummary) {
    const auto folder = fresh_folder("files");
    RegionOptions options;
    options.patients = 12;
    std::uint64_t last = 0;
    const auto summary =
        write_folder(options, folder / "region", [&](std::uint64_t done) { last = done; });
    ASSERT_TRUE(summary.has_value()) << summary.error().message;
    EXPECT_EQ(last, 12u);
    EXPECT_EQ(summary->resources.at("Patient"), 12u);
    std::uint64_t total = 0, bytes = 0, truths = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "region")) {
        std::ifstream file(entry.path());
        const std::string type = entry.path().stem().string();
        std::uint64_t lines = 0;
        for (std::string line; std::getline(file, line); ++lines) {
            const auto document = JsonDocument::parse(line);
            ASSERT_TRUE(document.has_value());
            if (type != "truth") {
                EXPECT_EQ(document->root().string_at("resourceType"), type);
            }
        }
        bytes += entry.file_size();
        if (type == "truth")
            truths = lines;
        else {
            EXPECT_EQ(lines, summary->resources.at(type));
            total += lines;
        }
    }
    EXPECT_EQ(total, summary->total);
    EXPECT_EQ(bytes, summary->bytes);
    EXPECT_EQ(truths, summary->documents);
    EXPECT_EQ(truths, summary->resources.at("DocumentReference"));
    std::filesystem::remove_all(folder);
}

TEST(WriteFolder, SaysWhichFolderCannotBeMade) {
    const auto folder = fresh_folder("blocked");
    std::ofstream(folder.string()) << "a file, not a folder";
    RegionOptions options;
    options.patients = 1;
    const auto summary = write_folder(options, folder / "below");
    ASSERT_FALSE(summary.has_value());
    EXPECT_EQ(summary.error().category, Category::unavailable);
    EXPECT_NE(summary.error().where.find("meridian-generate-blocked"), std::string::npos);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meridian::generate
