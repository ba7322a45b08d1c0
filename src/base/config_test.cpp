// SPDX-License-Identifier: Apache-2.0
#include "base/config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"

namespace meridian {
namespace {

constexpr Option options[] = {
    {"http.listen", Option::Kind::text, "127.0.0.1:8080", "Address and port to serve on."},
    {"http.workers", Option::Kind::integer, "4", "Threads that answer requests.", 1, 256},
    {"search.strict", Option::Kind::boolean, "true", "Refuse unknown parameters."},
    {"store.cache_share", Option::Kind::number, "0.25", "Share of the memory for the page cache."},
    {"topics", Option::Kind::list, "a,b", "Topics to offer."},
};

std::string problem(Result<void> result) {
    return result ? "" : result.error().message;
}

TEST(Config, FallsBack) {
    const Config config(options);
    EXPECT_EQ(config.text("http.listen"), "127.0.0.1:8080");
    EXPECT_EQ(config.integer("http.workers"), 4);
    EXPECT_TRUE(config.boolean("search.strict"));
    EXPECT_EQ(config.number("store.cache_share"), 0.25);
    EXPECT_EQ(config.list("topics"), (std::vector<std::string>{"a", "b"}));
    EXPECT_THROW(config.text("none"), std::logic_error);
    EXPECT_THROW(config.text("http.workers"), std::logic_error);
    const Option wrong[] = {{"x", Option::Kind::integer, "many", "Wrong."}};
    EXPECT_THROW(Config{wrong}, std::logic_error);
    const Option twice[] = {options[0], options[0]};
    EXPECT_THROW(Config{twice}, std::logic_error);
}

TEST(Config, ReadsTomlAndOverrides) {
    Config config(options);
    EXPECT_EQ(problem(config.read("topics = ['x', 'y,z']\nhttp.listen = "
                                  "\"[::1]:80\"\n[store]\ncache_share = 1\n[search]\nstrict = "
                                  "false\n",
                                  "m.toml")),
              "");
    EXPECT_EQ(config.list("topics"), (std::vector<std::string>{"x", "y,z"}));
    EXPECT_EQ(config.text("http.listen"), "[::1]:80");
    EXPECT_EQ(config.number("store.cache_share"), 1.0);
    EXPECT_FALSE(config.boolean("search.strict"));
    EXPECT_EQ(problem(config.set("http.workers", "256")), "");
    EXPECT_EQ(problem(config.set("topics", "")), "");
    EXPECT_EQ(config.integer("http.workers"), 256);
    EXPECT_TRUE(config.list("topics").empty());
}

TEST(Config, NamesKeyAndLine) {
    Config config(options);
    const auto read = [&](std::string_view toml) { return problem(config.read(toml, "m.toml")); };
    EXPECT_EQ(read("\n[http]\nworker = 3"),
              "m.toml line 3: there is no option \"http.worker\" (did you mean http.workers?)");
    EXPECT_EQ(read("colour = 'red'"), "m.toml line 1: there is no option \"colour\"");
    EXPECT_EQ(read("[http]\nlisten = ''\nworkers = '3'"),
              "m.toml line 3: http.workers must be an integer");
    EXPECT_EQ(read("[http]\nworkers = 0"), "m.toml line 2: http.workers must be from 1 to 256");
    EXPECT_EQ(read("topics = [1]"), "m.toml line 1: topics must be a list of texts");
    EXPECT_EQ(read("search.strict = 1"), "m.toml line 1: search.strict must be true or false");
    EXPECT_TRUE(read("\u0316 = 1").starts_with("m.toml line 1: ")) << read("\u0316 = 1");
    EXPECT_TRUE(read("[!]").starts_with("m.toml line 1: ")) << read("[!]");
    EXPECT_TRUE(read("a = 1\nb = ").starts_with("m.toml line 2: ")) << read("a = 1\nb = ");
    EXPECT_EQ(problem(config.set("http.workers", "3x")),
              "http.workers must be an integer, not \"3x\"");
    EXPECT_EQ(problem(config.set("http.workers", "257")), "http.workers must be from 1 to 256");
    EXPECT_EQ(config.text("http.listen"), "127.0.0.1:8080");  // a faulty file changes nothing
    EXPECT_EQ(problem(config.read(std::string(limits::config_bytes_max + 1, '#'), "m.toml")),
              "m.toml has more than 1048576 bytes");
}

TEST(Config, WritesAFileThatItReads) {
    Config config(options);
    ASSERT_EQ(problem(config.set("http.listen", "a\"b\\c")), "");
    ASSERT_EQ(problem(config.set("store.cache_share", "2")), "");
    ASSERT_EQ(problem(config.set("topics", "q")), "");
    const std::string toml = config.to_toml();
    EXPECT_NE(toml.find("# Threads that answer requests.\n# http.workers = 4\n"), std::string::npos)
        << toml;
    Config again(options);
    EXPECT_EQ(problem(again.read(toml, "m.toml")), "");
    EXPECT_EQ(again.to_toml(), toml);
}

class File : public testing::Test {
 protected:
    void SetUp() override {
        const std::string pattern =
            (std::filesystem::temp_directory_path() / "meridian-file-XXXXXX").string();
        std::vector<char> name(pattern.c_str(), pattern.c_str() + pattern.size() + 1);
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name.data();
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string at(const char* name) const { return folder_ + "/" + name; }
    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(folder_), {}));
    }
    std::string folder_;
};

TEST_F(File, ReadsWhatWasWritten) {
    for (const std::size_t size : {0uz, 1uz, 4095uz, 4096uz, 300'000uz}) {
        std::string content(size, 'x');
        if (size > 2) content[1] = '\0';
        ASSERT_EQ(problem(write_file_atomically(at("f"), content)), "");
        EXPECT_EQ(read_file(at("f")).value(), content);
        EXPECT_EQ(read_file(at("f"), size).value(), content);
        if (size > 0) {
            EXPECT_EQ(read_file(at("f"), size - 1).error().category, Category::too_large);
        }
    }
    EXPECT_EQ(files(), 1u);
    EXPECT_FALSE(read_file("/proc/self/status").value().empty());  // its size is said to be 0
    Config config(options);
    ASSERT_EQ(problem(write_file_atomically(at("c.toml"), "http.workers = 7")), "");
    EXPECT_EQ(problem(config.read_file(at("c.toml"))), "");
    EXPECT_EQ(config.integer("http.workers"), 7);
}

TEST_F(File, SaysWhatFailed) {
    EXPECT_EQ(read_file(at("none")).error().category, Category::not_found);
    EXPECT_EQ(read_file(folder_).error().category, Category::unavailable);
    EXPECT_EQ(write_file_atomically(at("none/f"), "x").error().category, Category::not_found);
    std::filesystem::create_directory(at("d"));
    EXPECT_FALSE(write_file_atomically(at("d"), "x"));
    EXPECT_EQ(files(), 1u);  // no temporary file is left
    // A device without an end.
    EXPECT_EQ(read_file("/dev/zero", 1000).error().category, Category::too_large);
}

}  // namespace
}  // namespace meridian
