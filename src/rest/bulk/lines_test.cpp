// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/lines.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <zlib.h>

#include "base/limits.hpp"

namespace meridian::rest {
namespace {

using Numbered = std::vector<std::pair<std::int64_t, std::string>>;

struct Outcome {
    Numbered lines;
    Result<void> result;
};

Result<void> never_too_long(std::string_view, std::int64_t number, const Error& reason) {
    ADD_FAILURE() << "line " << number << ": " << reason.message;
    return {};
}

/// What comes out when `bytes` go in in pieces of `size`.
Outcome cut(std::string_view bytes, std::size_t size) {
    Outcome outcome;
    const auto take = [&](std::string line, std::int64_t number) {
        outcome.lines.emplace_back(number, std::move(line));
        return Result<void>();
    };
    Lines lines(take, never_too_long);
    while (!bytes.empty() && outcome.result) {
        outcome.result = lines.put(bytes.substr(0, size));
        bytes.remove_prefix(std::min(size, bytes.size()));
    }
    if (outcome.result) outcome.result = lines.finish();
    return outcome;
}

std::string gzip(std::string_view text) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, text.size()) + 32, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    const std::size_t size = stream.total_out;
    deflateEnd(&stream);
    return out.substr(0, size);
}

TEST(Lines, NumbersBlankLinesWithoutHandingThemOver) {
    for (const std::size_t size : {1u, 2u, 3u, 100u}) {
        const Outcome outcome = cut("{1}\r\n\n  \n{4}\n{5}", size);
        ASSERT_TRUE(outcome.result);
        EXPECT_EQ(outcome.lines, (Numbered{{1, "{1}"}, {4, "{4}"}, {5, "{5}"}})) << size;
    }
    EXPECT_TRUE(cut("", 1).lines.empty());
    EXPECT_EQ(cut("x", 1).lines, (Numbered{{1, "x"}}));
}

TEST(Lines, UnpacksGzipOfSeveralMembers) {
    const std::string bytes = gzip("one\ntw") + gzip("o\n") + gzip("three");
    for (const std::size_t size : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
        const Outcome outcome = cut(bytes, size);
        ASSERT_TRUE(outcome.result) << outcome.result.error().message;
        EXPECT_EQ(outcome.lines, (Numbered{{1, "one"}, {2, "two"}, {3, "three"}})) << size;
    }
}

TEST(Lines, TellsOfCutAndDamagedGzip) {
    const std::string bytes = gzip("one\ntwo\n");
    const Outcome short_one = cut(bytes.substr(0, bytes.size() - 3), 4);
    ASSERT_FALSE(short_one.result);
    EXPECT_NE(short_one.result.error().message.find("ends early"), std::string::npos);
    std::string damaged = bytes;
    damaged[bytes.size() - 6] =
        static_cast<char>(damaged[bytes.size() - 6] ^ 1);  // in the checksum
    EXPECT_FALSE(cut(damaged, 5).result);
}

TEST(Lines, ALineThatIsTooLongIsToldAndTheNextOneFollows) {
    Numbered lines, refused;
    Lines cutter(
        [&](std::string line, std::int64_t number) {
            lines.emplace_back(number, std::move(line));
            return Result<void>();
        },
        [&](std::string_view start, std::int64_t number, const Error& reason) {
            refused.emplace_back(number, start);
            EXPECT_EQ(reason.category, Category::too_large);
            EXPECT_NE(reason.message.find(std::to_string(limits::resource_bytes_max)),
                      std::string::npos)
                << reason.message;
            return Result<void>();
        });
    ASSERT_TRUE(cutter.put("{1}\n"));
    const std::string piece(16u << 20, 'x');
    for (const char* end : {"\n{3}\n", ""}) {
        for (std::size_t sent = 0; sent <= limits::resource_bytes_max; sent += piece.size())
            ASSERT_TRUE(cutter.put(piece));
        ASSERT_TRUE(cutter.put(end));
    }
    ASSERT_TRUE(cutter.finish());  // the last one has no end
    EXPECT_EQ(lines, (Numbered{{1, "{1}"}, {3, "{3}"}}));
    const std::string start(limits::rejected_text_bytes_max, 'x');
    EXPECT_EQ(refused, (Numbered{{2, start}, {4, start}}));
}

TEST(Lines, ALineOfTheLongestLengthIsTaken) {
    std::size_t got = 0;
    Lines lines(
        [&](std::string line, std::int64_t) {
            got = line.size();
            return Result<void>();
        },
        never_too_long);
    ASSERT_TRUE(lines.put(std::string(limits::resource_bytes_max, 'x')));
    ASSERT_TRUE(lines.put("\n"));
    EXPECT_EQ(got, limits::resource_bytes_max);
}

TEST(Lines, AnErrorOfTheReceiverEndsIt) {
    Lines lines(
        [](std::string, std::int64_t number) -> Result<void> {
            return number < 2 ? Result<void>() : fail(Category::busy, "enough");
        },
        never_too_long);
    const auto result = lines.put("a\nb\nc\n");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "enough");
}

RC_GTEST_PROP(Lines, ComeOutTheSameHoweverTheyArePacked, ()) {
    const auto texts = *rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::inRange('a', 'f')));
    std::string bytes;
    Numbered expected;
    for (const std::string& text : texts) {
        bytes += text + "\n";
        if (!text.empty())
            expected.emplace_back(std::count(bytes.begin(), bytes.end(), '\n'), text);
    }
    const auto size = static_cast<std::size_t>(*rc::gen::inRange(1, 40));
    RC_ASSERT(cut(bytes, size).lines == expected);
    RC_ASSERT(cut(gzip(bytes), size).lines == expected);
}

}  // namespace
}  // namespace meridian::rest
