// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "base/hash.hpp"
#include "store/store.hpp"

namespace meridian::store {

/// A SHA-256 over log entries, given in their order: of each its position, time, kind, type, id,
/// version, verb, actor, organisation, salt and the body's hash. Names count by their texts, and
/// nothing counts that only one engine knows: two stores hold the same record when theirs are
/// equal.
///
/// Numbers go in as eight bytes, big-endian; texts with their length in front.
class LogHash {
 public:
    LogHash();
    ~LogHash();
    LogHash(const LogHash&) = delete;
    LogHash& operator=(const LogHash&) = delete;

    void add(const LogEntry& entry, std::string_view type, std::string_view actor,
             std::string_view organisation);
    /// The hash of all that was added; nothing can be added after it.
    Sha256 finish();

 private:
    void put(std::string_view bytes);
    void put(std::int64_t number);
    void put_text(std::string_view text);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace meridian::store
