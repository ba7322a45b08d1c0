// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/rows.hpp"

namespace meridian::store {

/// Another form of a body that is stored already: what it says is the same, so neither the log nor
/// an index knows of it.
struct BodyExchange {
    Rid rid = 0;
    Version version = 0;
    std::string before;  ///< the stored form that is there
    std::string after;   ///< the one that takes its place
};

/// What both engines do beside Store, for whoever changes the form of bodies in place.
class BodyKeeper {
 public:
    virtual ~BodyKeeper() = default;
    /// Exchanges bodies of current and of older versions, durable when it returns. Where something
    /// else is stored than `before` nothing happens: done twice it is done once, and an erasure
    /// meanwhile is not undone. Errors: `busy` when others hold the rows, to be tried again;
    /// `unavailable`. Blocking: one commit.
    virtual Result<void> exchange_bodies(std::vector<BodyExchange> bodies) = 0;
};

}  // namespace meridian::store
