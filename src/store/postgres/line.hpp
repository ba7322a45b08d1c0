// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace meridian::store::postgres {

/// The way to a database that many connections share. When it is found to be silent all that were
/// made before are given up, by whoever waits on them: on a way that swallows everything nothing
/// else ends such a wait but the longest time that a statement may take. Thread-safe.
class Line {
 public:
    /// Which line a connection that is made now belongs to.
    std::uint64_t number() const { return number_.load(std::memory_order_relaxed); }
    /// Gives up every connection that was made before.
    void cut() {
        is_silent_ = true;
        number_.fetch_add(1);
    }
    /// The database has answered.
    void heard() { is_silent_ = false; }
    /// Whether it is no use to try now.
    bool is_silent() const { return is_silent_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> number_ = 0;
    std::atomic<bool> is_silent_ = false;
};

}  // namespace meridian::store::postgres
