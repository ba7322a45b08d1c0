// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/result.hpp"

/// The Merkle tree of RFC 6962 §2.1 (the same in RFC 9162 §2.1) over SHA-256: hashes, proofs and
/// their verification. Nothing here knows of logs, files or keys.
namespace meridian::trust::merkle {

using Hash = Sha256;

/// MTH({}): of a tree without leaves.
Hash empty_root();
/// MTH({d}) = SHA-256(0x00 ‖ d).
Hash leaf_hash(std::string_view data);
/// SHA-256(0x01 ‖ left ‖ right). The two prefixes keep a node from being passed off as a leaf.
Hash node_hash(const Hash& left, const Hash& right);

/// Hashes from the leaf's side to the root's, in the order in which RFC 6962 lists them.
using Proof = std::vector<Hash>;

/// The hash of a complete subtree: of the leaves [index · 2^level, (index + 1) · 2^level). Asked
/// only for subtrees that lie in the tree. Errors: the source's own.
using NodeSource = std::function<Result<Hash>(unsigned level, std::uint64_t index)>;

/// Whether [start, end) is a subtree: not empty, and `start` a multiple of the least power of two
/// that is not below its width (draft-ietf-plants-merkle-tree-certs, "Subtrees").
bool is_subtree(std::uint64_t start, std::uint64_t end);

/// MTH(D[start:end]) of a subtree, or of the empty range. Errors: `incorrect` when [start, end) is
/// neither; those of `nodes`. Blocking: as `nodes`, at most 64 calls.
Result<Hash> hash_of(const NodeSource& nodes, std::uint64_t start, std::uint64_t end);

/// PATH(index, D[0:size]). Errors: `incorrect` for an index that is not in the tree; of `nodes`.
Result<Proof> prove_inclusion(const NodeSource& nodes, std::uint64_t index, std::uint64_t size);
/// The same within the subtree [start, end).
Result<Proof> prove_inclusion_in_subtree(const NodeSource& nodes, std::uint64_t index,
                                         std::uint64_t start, std::uint64_t end);
/// PROOF(first, D[0:second]); empty when the sizes are equal. Errors: `incorrect` for a first size
/// of 0 (every tree is consistent with the empty one, which proves nothing) or above the second.
Result<Proof> prove_consistency(const NodeSource& nodes, std::uint64_t first, std::uint64_t second);
/// That the subtree [start, end) is a part of the tree of `size`. Errors: `incorrect` when it is no
/// subtree of it.
Result<Proof> prove_subtree(const NodeSource& nodes, std::uint64_t start, std::uint64_t end,
                            std::uint64_t size);

/// Whether `leaf` (a leaf's hash) lies at `index` in the tree of `size` leaves with `root`.
/// Source: RFC 9162 §2.1.3.2.
bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf,
                      std::span<const Hash> proof, const Hash& root);
/// The same within the subtree [start, end) whose hash is `root`.
bool verify_inclusion_in_subtree(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                 const Hash& leaf, std::span<const Hash> proof, const Hash& root);
/// Whether the tree of `second` leaves begins with that of `first`. A first size of 0 is refused
/// unless both are 0. Source: RFC 9162 §2.1.4.2.
bool verify_consistency(std::uint64_t first, std::uint64_t second, std::span<const Hash> proof,
                        const Hash& first_root, const Hash& second_root);
/// Whether the subtree [start, end) with `subtree_root` is a part of the tree of `size` leaves with
/// `root`. An empty range is a part of every tree. Source: draft-ietf-plants-merkle-tree-certs,
/// "Verifying a Subtree Consistency Proof".
bool verify_subtree(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                    std::span<const Hash> proof, const Hash& subtree_root, const Hash& root);

/// A tree that only grows, of which nothing is kept but the roots of its complete subtrees: at most
/// 64 hashes.
class Frontier {
 public:
    void append(const Hash& leaf);
    std::uint64_t size() const { return size_; }
    Hash root() const;

 private:
    std::vector<Hash> complete_;  ///< one for each bit of size_, the largest first
    std::uint64_t size_ = 0;
};

}  // namespace meridian::trust::merkle
