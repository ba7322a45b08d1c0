// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "net/http.hpp"
#include "trust/merkle/keeper.hpp"

namespace meridian::trust::merkle {

/// The tree over HTTP, for anybody, without sign-in (docs/adr/0028 says why): hashes and
/// signatures, never a name, an id or a body.
///
///   GET /log/checkpoint                             the newest signed checkpoint
///   GET /log/tile/LEVEL/INDEX[.p/WIDTH]             as c2sp.org/tlog-tiles has it
///   GET /log/keys                                   public keys, old and new, one vkey a line
///   GET /log/entries?from=&limit=                   hashes of leaves
///   GET /log/proof/inclusion?position=[&size=]      that the entry is in the tree of that size
///   GET /log/proof/consistency?first=[&second=]     that a tree continues an earlier one
///
/// The last three answer JSON with hashes in base64; sizes are at most the newest checkpoint's,
/// which is the default.
class Pages {
 public:
    /// `keeper` must outlive it.
    explicit Pages(const Keeper& keeper) : keeper_(keeper) {}
    /// Nothing for a path that is not below /log. Thread-safe. Blocking: reads some files.
    std::optional<net::Response> handle(const net::Request& request) const;

 private:
    Result<net::Response> answer(const net::Request& request) const;
    Result<net::Response> checkpoint() const;
    Result<net::Response> keys() const;
    Result<net::Response> tile(std::string_view path) const;
    Result<net::Response> entries(const net::Request& request) const;
    Result<net::Response> inclusion(const net::Request& request) const;
    Result<net::Response> consistency(const net::Request& request) const;
    Result<std::uint64_t> newest_size() const;

    const Keeper& keeper_;
};

}  // namespace meridian::trust::merkle
