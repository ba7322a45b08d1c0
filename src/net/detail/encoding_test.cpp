// SPDX-License-Identifier: Apache-2.0
#include "net/detail/encoding.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace meridian::net::detail {
namespace {

TEST(Encoding, WhatIsEncodedDecodesToTheSame) {
    rc::check([](const std::string& text, bool uses_zstd) {
        const Encoding encoding = uses_zstd ? Encoding::zstd : Encoding::gzip;
        std::string encoded;
        encode(encoding, text, encoded);
        const auto decoded = decode(name_of(encoding), encoded, text.size());
        RC_ASSERT(decoded.has_value());
        RC_ASSERT(*decoded == text);
    });
}

TEST(Encoding, StreamsMayBeFlushedAndReused) {
    for (const Encoding encoding : {Encoding::gzip, Encoding::zstd}) {
        const auto encoder = make_encoder(encoding);
        for (int round = 0; round < 2; ++round) {
            std::string encoded, text;
            for (int i = 0; i < 50; ++i) {
                const std::string piece(static_cast<std::size_t>(i) * 1000,
                                        static_cast<char>('a' + i % 26));
                const std::size_t before = encoded.size();
                encoder->put(piece, false, true, encoded);
                if (!piece.empty()) {
                    EXPECT_GT(encoded.size(), before) << "a flush brings something out";
                }
                text += piece;
            }
            encoder->put({}, true, false, encoded);
            EXPECT_LT(encoded.size(), text.size() / 10);
            const auto decoded = decode(name_of(encoding), encoded, text.size());
            ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
            EXPECT_EQ(*decoded, text);
        }
    }
}

TEST(Encoding, ABombStopsAtTheBound) {
    for (const Encoding encoding : {Encoding::gzip, Encoding::zstd}) {
        std::string bomb;
        encode(encoding, std::string(10'000'000, '0'), bomb);
        const auto decoded = decode(name_of(encoding), bomb, 1'000'000);
        ASSERT_FALSE(decoded.has_value());
        EXPECT_EQ(decoded.error().category, Category::too_large);
        EXPECT_EQ(decode(name_of(encoding), bomb, 10'000'000)->size(), 10'000'000u);
        EXPECT_FALSE(decode(name_of(encoding), bomb, 9'999'999).has_value());
    }
}

TEST(Encoding, DamagedAndCutBodiesAreIncorrect) {
    for (const Encoding encoding : {Encoding::gzip, Encoding::zstd}) {
        std::string encoded;
        encode(encoding, "some text that is long enough to be cut in the middle", encoded);
        for (std::size_t size = 0; size < encoded.size(); ++size) {
            const auto decoded =
                decode(name_of(encoding), std::string_view(encoded).substr(0, size), 1000);
            ASSERT_FALSE(decoded.has_value()) << size;
            EXPECT_EQ(decoded.error().category, Category::incorrect);
        }
        EXPECT_FALSE(decode(name_of(encoding), "plain text", 1000).has_value());
    }
    EXPECT_EQ(decode("br", "x", 10).error().category, Category::unsupported_media);
    EXPECT_EQ(decode("gzip, gzip", "x", 10).error().category, Category::unsupported_media);
    EXPECT_EQ(*decode("Identity", "x", 10), "x");
}

TEST(Encoding, TextIsCompressibleImagesAreNot) {
    for (const char* type : {"application/fhir+json", "application/json; charset=utf-8",
                             "text/html", "application/fhir+xml", "image/svg+xml"}) {
        EXPECT_TRUE(is_compressible(type)) << type;
    }
    for (const char* type :
         {"", "image/png", "application/zip", "application/octet-stream", "application/dicom"}) {
        EXPECT_FALSE(is_compressible(type)) << type;
    }
}

}  // namespace
}  // namespace meridian::net::detail
