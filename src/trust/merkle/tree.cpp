// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/tree.hpp"

#include <bit>
#include <cstring>

namespace meridian::trust::merkle {

namespace {

/// The largest power of two below `width`, which is at least 2: where RFC 6962 splits a tree.
std::uint64_t split_of(std::uint64_t width) {
    return std::bit_floor(width - 1);
}

Result<void> not_in_tree(const char* what) {
    return fail(Category::incorrect, what);
}

}  // namespace

Hash empty_root() {
    return sha256({});
}

Hash leaf_hash(std::string_view data) {
    std::string bytes;
    bytes.reserve(data.size() + 1);
    bytes += '\x00';
    bytes += data;
    return sha256(bytes);
}

Hash node_hash(const Hash& left, const Hash& right) {
    char bytes[1 + 2 * sizeof(Hash)];
    bytes[0] = '\x01';
    std::memcpy(bytes + 1, left.data(), left.size());
    std::memcpy(bytes + 1 + left.size(), right.data(), right.size());
    return sha256({bytes, sizeof(bytes)});
}

// --- making proofs ---

bool is_subtree(std::uint64_t start, std::uint64_t end) {
    if (start >= end) return false;
    constexpr std::uint64_t half_of_all = std::uint64_t{1} << 63;
    const std::uint64_t width = end - start;
    if (width > half_of_all) return start == 0;
    return start % std::bit_ceil(width) == 0;
}

Result<Hash> hash_of(const NodeSource& nodes, std::uint64_t start, std::uint64_t end) {
    if (start == end) return empty_root();
    if (!is_subtree(start, end)) TRY(not_in_tree("the range is no subtree"));
    const std::uint64_t width = end - start;
    if (std::has_single_bit(width)) {
        const auto level = static_cast<unsigned>(std::countr_zero(width));
        return nodes(level, start >> level);
    }
    const std::uint64_t split = start + split_of(width);
    const Hash left = TRY(hash_of(nodes, start, split));
    return node_hash(left, TRY(hash_of(nodes, split, end)));
}

Result<Proof> prove_inclusion_in_subtree(const NodeSource& nodes, std::uint64_t index,
                                         std::uint64_t start, std::uint64_t end) {
    if (!is_subtree(start, end) || index < start || index >= end)
        TRY(not_in_tree("the leaf is not in the tree"));
    if (end - start == 1) return Proof();
    const std::uint64_t split = start + split_of(end - start);
    const bool is_left = index < split;
    Proof proof = TRY(is_left ? prove_inclusion_in_subtree(nodes, index, start, split)
                              : prove_inclusion_in_subtree(nodes, index, split, end));
    proof.push_back(TRY(is_left ? hash_of(nodes, split, end) : hash_of(nodes, start, split)));
    return proof;
}

Result<Proof> prove_inclusion(const NodeSource& nodes, std::uint64_t index, std::uint64_t size) {
    return prove_inclusion_in_subtree(nodes, index, 0, size);
}

namespace {

/// SUBTREE_SUBPROOF of the part [start, end) in the tree [from, to) that holds it; `known` says
/// whether the verifier has the part's hash.
Result<Proof> prove_part(const NodeSource& nodes, std::uint64_t start, std::uint64_t end,
                         std::uint64_t from, std::uint64_t to, bool known) {
    if (start == from && end == to) {
        if (known) return Proof();
        return Proof{TRY(hash_of(nodes, from, to))};
    }
    const std::uint64_t split = from + split_of(to - from);
    Proof proof;
    if (end <= split) {
        proof = TRY(prove_part(nodes, start, end, from, split, known));
        proof.push_back(TRY(hash_of(nodes, split, to)));
    } else {
        // A part that reaches over the split begins where the tree does: its left is complete.
        proof = TRY(start >= split ? prove_part(nodes, start, end, split, to, known)
                                   : prove_part(nodes, split, end, split, to, false));
        proof.push_back(TRY(hash_of(nodes, from, split)));
    }
    return proof;
}

}  // namespace

Result<Proof> prove_subtree(const NodeSource& nodes, std::uint64_t start, std::uint64_t end,
                            std::uint64_t size) {
    if (!is_subtree(start, end) || end > size)
        TRY(not_in_tree("the range is no subtree of the tree"));
    return prove_part(nodes, start, end, 0, size, true);
}

Result<Proof> prove_consistency(const NodeSource& nodes, std::uint64_t first,
                                std::uint64_t second) {
    return prove_subtree(nodes, 0, first, second);
}

// --- verifying them ---

bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf,
                      std::span<const Hash> proof, const Hash& root) {
    if (index >= size) return false;
    std::uint64_t node = index, last = size - 1;
    Hash hash = leaf;
    for (const Hash& sibling : proof) {
        if (last == 0) return false;
        if ((node & 1) != 0 || node == last) {
            hash = node_hash(sibling, hash);
            // The last node of a level that has no sibling is its own parent.
            while ((node & 1) == 0 && node != 0) node >>= 1, last >>= 1;
        } else {
            hash = node_hash(hash, sibling);
        }
        node >>= 1, last >>= 1;
    }
    return last == 0 && hash == root;
}

bool verify_inclusion_in_subtree(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                 const Hash& leaf, std::span<const Hash> proof, const Hash& root) {
    if (!is_subtree(start, end) || index < start) return false;
    return verify_inclusion(index - start, end - start, leaf, proof, root);
}

bool verify_subtree(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                    std::span<const Hash> proof, const Hash& subtree_root, const Hash& root) {
    if (end > size) return false;
    if (start == end) return proof.empty() && subtree_root == empty_root();
    if (!is_subtree(start, end)) return false;
    std::uint64_t first = start, last = end - 1, tree_last = size - 1;
    // Up to the largest complete subtree that ends where the part ends.
    const bool ends_with_tree = last == tree_last;
    while (first != last && (ends_with_tree || (last & 1) != 0))
        first >>= 1, last >>= 1, tree_last >>= 1;
    Hash part = subtree_root, whole = subtree_root;
    if (first != last) {
        if (proof.empty()) return false;
        part = whole = proof.front();
        proof = proof.subspan(1);
    }
    for (const Hash& sibling : proof) {
        if (tree_last == 0) return false;
        if ((last & 1) != 0 || last == tree_last) {
            if (first < last) part = node_hash(sibling, part);
            whole = node_hash(sibling, whole);
            while ((last & 1) == 0 && last != 0) first >>= 1, last >>= 1, tree_last >>= 1;
        } else {
            whole = node_hash(whole, sibling);
        }
        first >>= 1, last >>= 1, tree_last >>= 1;
    }
    return tree_last == 0 && part == subtree_root && whole == root;
}

bool verify_consistency(std::uint64_t first, std::uint64_t second, std::span<const Hash> proof,
                        const Hash& first_root, const Hash& second_root) {
    if (first == second) return proof.empty() && first_root == second_root;
    if (first == 0) return false;
    return verify_subtree(0, first, second, proof, first_root, second_root);
}

// --- a tree that grows ---

void Frontier::append(const Hash& leaf) {
    Hash hash = leaf;
    for (std::uint64_t left = size_; (left & 1) != 0; left >>= 1) {
        hash = node_hash(complete_.back(), hash);
        complete_.pop_back();
    }
    complete_.push_back(hash);
    ++size_;
}

Hash Frontier::root() const {
    if (complete_.empty()) return empty_root();
    Hash hash = complete_.back();
    for (std::size_t i = complete_.size() - 1; i-- > 0;) hash = node_hash(complete_[i], hash);
    return hash;
}

}  // namespace meridian::trust::merkle
