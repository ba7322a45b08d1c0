// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/sealed_blobs.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "store/testing.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

TEST(SealedBlobs, AreTheirPatientsAlone) {
    const Folder folder;
    const auto store = must(store::open_for_test({.folder = folder.path()}));
    const auto ring = must(open_keys(*store, folder.path(), {}));
    SealedBlobs blobs(*store, ring);
    const std::string picture(100'000, 'x');
    const Sha256 of_li = must(blobs.put({"Patient/li", {}}, picture));
    EXPECT_EQ(must(blobs.put({"Patient/li", {}}, picture)), of_li) << "stored once";
    const Sha256 of_wang = must(blobs.put({"Patient/wang", {}}, picture));
    EXPECT_NE(of_wang, of_li);
    EXPECT_NE(of_li, sha256(picture)) << "the address does not tell what it is";
    EXPECT_EQ(must(blobs.get(of_li)), picture);
    EXPECT_EQ(must(store->blob(of_li))->find("xxxx"), std::string::npos);
    EXPECT_EQ(blobs.get(sha256("nothing")).error().category, Category::not_found);
    EXPECT_EQ(blobs.get(must(store->put_blob("plain"))).error().category, Category::fault);
    // Another server reads it; who was erased takes it along.
    SealedBlobs elsewhere(*store, must(open_keys(*store, folder.path(), {})));
    EXPECT_EQ(must(elsewhere.get(of_wang)), picture);
    must(ring->shred({ring->id_of("Patient/li")}));
    EXPECT_EQ(blobs.get(of_li).error().category, Category::gone);
    EXPECT_EQ(blobs.put({"Patient/li", {}}, picture).error().category, Category::gone);
    EXPECT_EQ(must(blobs.get(of_wang)), picture);
}

}  // namespace
}  // namespace meridian::trust
