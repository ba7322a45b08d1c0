// SPDX-License-Identifier: Apache-2.0
// Vectors of transparency-dev/merkle (../shared/data/merkle, a half of them), and random trees.
#include "trust/merkle/tree.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/testing.hpp"

namespace meridian::trust::merkle {
namespace {

using meridian::testing::must;

// --- vectors ---

std::optional<Hash> hash_in(const Json& text) {
    std::string bytes;
    Hash hash{};
    if (!base64_decode(text.text(), bytes) || bytes.size() != hash.size()) return std::nullopt;
    std::memcpy(hash.data(), bytes.data(), bytes.size());
    return hash;
}

/// Some vectors of consistency have a few words for a root, to show that it is compared with the
/// other and nothing else: here their hash stands for them.
Hash root_in(const Json& text) {
    std::string bytes;
    if (const auto hash = hash_in(text)) return *hash;
    EXPECT_TRUE(base64_decode(text.text(), bytes)) << text.text();
    return sha256("words: " + bytes);
}

std::uint64_t number_in(const Json& number) {
    std::uint64_t value = 0;
    const std::string_view text = number.text();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    EXPECT_TRUE(error == std::errc() && end == text.data() + text.size()) << text;
    return value;
}

/// What the vector's verification says; hashes of a wrong length are refused before it.
bool accepts(const std::string& kind, const Json& vector) {
    Proof proof;
    for (const Json& each : vector["proof"].items()) {
        const auto hash = hash_in(each);
        if (!hash) return false;
        proof.push_back(*hash);
    }
    const bool has_leaf = kind.ends_with("inclusion");
    const auto first = has_leaf ? hash_in(vector["leafHash"]) : root_in(vector["root1"]);
    const auto second = has_leaf ? hash_in(vector["root"]) : root_in(vector["root2"]);
    if (!first || !second) return false;
    const auto number = [&](std::string_view name) { return number_in(vector[name]); };
    if (kind == "inclusion")
        return verify_inclusion(number("leafIdx"), number("treeSize"), *first, proof, *second);
    if (kind == "consistency")
        return verify_consistency(number("size1"), number("size2"), proof, *first, *second);
    if (kind == "subtreeinclusion")
        return verify_inclusion_in_subtree(number("leafIdx"), number("start"), number("end"),
                                           *first, proof, *second);
    return verify_subtree(number("start"), number("end"), number("size"), proof, *first, *second);
}

class MerkleVectors : public ::testing::TestWithParam<const char*> {};

TEST_P(MerkleVectors, AreAcceptedAndRefusedAsTheySay) {
    const std::string kind = GetParam();
    const std::filesystem::path folder =
        std::filesystem::path(MERIDIAN_SOURCE_DIR) / "../shared/data/merkle" / kind;
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "../shared/data/merkle is not here";
    int accepted = 0, refused = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (file.path().extension() != ".json") continue;
        const auto vector = must(JsonDocument::parse(must(read_file(file.path().string()))));
        const bool is_to_be_refused = vector.root()["wantErr"].boolean();
        ++(is_to_be_refused ? refused : accepted);
        EXPECT_EQ(accepts(kind, vector.root()), !is_to_be_refused) << file.path();
    }
    std::printf("%s: %d accepted, %d refused\n", kind.c_str(), accepted, refused);
    EXPECT_GT(accepted, 0);
    EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Merkle, MerkleVectors,
                         ::testing::Values("inclusion", "consistency", "subtreeinclusion",
                                           "subtreeconsistency"));

// --- random trees ---

/// A tree of which every leaf is in memory; hashed by the definition of RFC 6962 §2.1, not as
/// tree.cpp does it.
class Tree {
 public:
    explicit Tree(std::uint64_t size) {
        for (std::uint64_t i = 0; i < size; ++i) leaves_.push_back(leaf_hash(std::to_string(i)));
    }
    Hash hash(std::uint64_t from, std::uint64_t to) const {
        if (from == to) return sha256("");
        if (to - from == 1) return leaves_[from];
        std::uint64_t split = 1;
        while (split * 2 < to - from) split *= 2;
        return node_hash(hash(from, from + split), hash(from + split, to));
    }
    NodeSource nodes() const {
        return [this](unsigned level, std::uint64_t index) -> Result<Hash> {
            EXPECT_LE((index + 1) << level, leaves_.size()) << "asked beyond the tree";
            return hash(index << level, (index + 1) << level);
        };
    }
    const Hash& leaf(std::uint64_t index) const { return leaves_[index]; }

 private:
    std::vector<Hash> leaves_;
};

class MerkleTree : public ::testing::Test {
 protected:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    Hash damaged(Hash hash) {
        hash[below(hash.size())] ^= static_cast<unsigned char>(1u << below(8));
        return hash;
    }
    /// Calls `accepts` with everything that a proof can be turned into by one mistake.
    template <class Accepts>
    void expect_no_other(const Proof& proof, Accepts accepts) {
        for (std::size_t i = 0; i < proof.size(); ++i) {
            Proof other = proof;
            other[i] = damaged(other[i]);
            EXPECT_FALSE(accepts(other)) << "hash " << i << " altered";
            other = proof;
            other.erase(other.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_FALSE(accepts(other)) << "hash " << i << " left out";
            if (i == 0) continue;
            other = proof;
            std::swap(other[i - 1], other[i]);
            EXPECT_FALSE(accepts(other)) << "hash " << i << " swapped";
        }
        for (std::size_t i = 0; i <= proof.size(); ++i) {
            Proof other = proof;
            other.insert(other.begin() + static_cast<std::ptrdiff_t>(i), leaf_hash("more"));
            EXPECT_FALSE(accepts(other)) << "a hash put in at " << i;
        }
    }
    std::mt19937_64 random_{20261123};
};

TEST_F(MerkleTree, HasTheHashesOfTheRfc) {
    EXPECT_EQ(to_hex(empty_root()),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(leaf_hash("d"), sha256(std::string("\0d", 2)));
    // RFC 6962 §2.1.3: the tree of seven leaves is ((ab cd)(ef g)).
    const Tree tree(7);
    const auto pair = [&](int left, int right) {
        return node_hash(tree.leaf(left), tree.leaf(right));
    };
    const Hash k = node_hash(pair(0, 1), pair(2, 3)), l = node_hash(pair(4, 5), tree.leaf(6));
    EXPECT_EQ(tree.hash(0, 7), node_hash(k, l));
    EXPECT_EQ(must(prove_inclusion(tree.nodes(), 4, 7)), (Proof{tree.leaf(5), tree.leaf(6), k}));
    EXPECT_EQ(must(prove_inclusion(tree.nodes(), 6, 7)), (Proof{pair(4, 5), k}));
    EXPECT_EQ(must(prove_consistency(tree.nodes(), 3, 7)),
              (Proof{tree.leaf(2), tree.leaf(3), pair(0, 1), l}));
    EXPECT_EQ(must(prove_consistency(tree.nodes(), 4, 7)), (Proof{l}));
    EXPECT_EQ(must(prove_consistency(tree.nodes(), 6, 7)), (Proof{pair(4, 5), tree.leaf(6), k}));
}

TEST_F(MerkleTree, AFrontierHasTheRootOfEverySize) {
    const Tree tree(300);
    Frontier frontier;
    EXPECT_EQ(frontier.root(), empty_root());
    for (std::uint64_t size = 1; size <= 300; ++size) {
        frontier.append(tree.leaf(size - 1));
        ASSERT_EQ(frontier.root(), tree.hash(0, size)) << size;
        ASSERT_EQ(frontier.size(), size);
    }
}

TEST_F(MerkleTree, EveryInclusionProofVerifiesAndNoOther) {
    for (int round = 0; round < 300; ++round) {
        const std::uint64_t size = 1 + below(300), index = below(size);
        const Tree tree(size);
        const Hash root = must(hash_of(tree.nodes(), 0, size));
        ASSERT_EQ(root, tree.hash(0, size));
        const Proof proof = must(prove_inclusion(tree.nodes(), index, size));
        const Hash leaf = tree.leaf(index);
        ASSERT_TRUE(verify_inclusion(index, size, leaf, proof, root)) << index << " of " << size;
        expect_no_other(proof, [&](const Proof& other) {
            return verify_inclusion(index, size, leaf, other, root);
        });
        EXPECT_FALSE(verify_inclusion(index, size, damaged(leaf), proof, root));
        EXPECT_FALSE(verify_inclusion(index, size, leaf, proof, damaged(root)));
        for (std::uint64_t other = 0; other < size + 2; ++other) {
            if (other == index) continue;
            ASSERT_FALSE(verify_inclusion(other, size, leaf, proof, root)) << other;
        }
    }
}

TEST_F(MerkleTree, EveryConsistencyProofVerifiesAndNoOther) {
    for (int round = 0; round < 300; ++round) {
        const std::uint64_t second = 1 + below(300), first = 1 + below(second);
        const Tree tree(second);
        const Hash before = tree.hash(0, first), after = tree.hash(0, second);
        const Proof proof = must(prove_consistency(tree.nodes(), first, second));
        const auto accepts = [&](const Proof& other) {
            return verify_consistency(first, second, other, before, after);
        };
        ASSERT_TRUE(accepts(proof)) << first << " to " << second;
        expect_no_other(proof, accepts);
        EXPECT_FALSE(verify_consistency(first, second, proof, damaged(before), after));
        EXPECT_FALSE(verify_consistency(first, second, proof, before, damaged(after)));
        EXPECT_FALSE(verify_consistency(0, second, {}, empty_root(), after));
        if (first == second) continue;
        EXPECT_FALSE(verify_consistency(second, first, proof, after, before));
    }
    EXPECT_FALSE(prove_consistency(Tree(3).nodes(), 0, 3));
    EXPECT_FALSE(prove_consistency(Tree(3).nodes(), 4, 3));
}

TEST_F(MerkleTree, EverySubtreeProofVerifiesAndNoOther) {
    int proofs = 0;
    for (std::uint64_t size : {1, 2, 3, 7, 8, 13, 21, 32}) {
        const Tree tree(size);
        const Hash root = tree.hash(0, size);
        for (std::uint64_t start = 0; start < size; ++start) {
            for (std::uint64_t end = start + 1; end <= size; ++end) {
                if (!is_subtree(start, end)) {
                    EXPECT_FALSE(prove_subtree(tree.nodes(), start, end, size));
                    continue;
                }
                ++proofs;
                const Hash part = tree.hash(start, end);
                const Proof proof = must(prove_subtree(tree.nodes(), start, end, size));
                const auto accepts = [&](const Proof& other) {
                    return verify_subtree(start, end, size, other, part, root);
                };
                ASSERT_TRUE(accepts(proof)) << start << "-" << end << " of " << size;
                expect_no_other(proof, accepts);
                EXPECT_FALSE(verify_subtree(start, end, size, proof, damaged(part), root));
                EXPECT_FALSE(verify_subtree(start, end, size, proof, part, damaged(root)));
                const std::uint64_t index = start + below(end - start);
                const Proof within =
                    must(prove_inclusion_in_subtree(tree.nodes(), index, start, end));
                EXPECT_TRUE(
                    verify_inclusion_in_subtree(index, start, end, tree.leaf(index), within, part));
                EXPECT_FALSE(verify_inclusion_in_subtree(index + 1, start, end, tree.leaf(index),
                                                         within, part));
            }
        }
    }
    EXPECT_GT(proofs, 100);
}

}  // namespace
}  // namespace meridian::trust::merkle
