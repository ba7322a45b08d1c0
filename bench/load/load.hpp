// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace meridian::load {

/// Durations in nanoseconds, counted in buckets that grow with the value: the relative error of a
/// percentile is below 1 %.
class Histogram {
 public:
    void record(std::int64_t nanoseconds);
    void add(const Histogram& other);
    std::uint64_t count() const { return count_; }
    std::int64_t max() const { return max_; }
    /// The value that `fraction` (0 … 1) of all recorded values do not exceed; 0 when there is
    /// none.
    std::int64_t percentile(double fraction) const;
    double percentile_ms(double fraction) const {
        return static_cast<double>(percentile(fraction)) / 1e6;
    }
    double mean_ms() const {
        return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_) / 1e6;
    }

 private:
    static constexpr int sub_bits = 7;  ///< 128 buckets for each power of two
    static constexpr int powers = 64 - sub_bits;
    static std::size_t bucket_of(std::uint64_t value);
    static std::uint64_t upper_bound_of(std::size_t bucket);
    std::array<std::uint64_t, static_cast<std::size_t>(powers + 1) << sub_bits> buckets_{};
    std::uint64_t count_ = 0;
    std::int64_t max_ = 0;
    __int128 sum_ = 0;
};

/// One request to send.
struct Call {
    std::string method = "GET";
    std::string target = "/";
    std::string headers{};  ///< further header lines, each ended by "\r\n"
    std::string body{};
    unsigned kind = 0;        ///< which row of the Report it counts for
    int expected_status = 0;  ///< 0: any 2xx
    std::uint64_t tag = 0;    ///< for the caller

    void clear();  ///< back to GET / with kind 0; keeps memory
};

/// What came back; views end with the callback.
struct Reply {
    int status = 0;
    std::string_view head{};  ///< status line and header lines
    std::string_view body{};
    /// The first header of that name, or empty.
    std::string_view header(std::string_view name) const;
};

struct Options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string headers{};  ///< header lines of every call, each ended by "\r\n"
    unsigned connections = 64;
    /// 0: closed loop, each connection sends its next call when the last is answered: measures the
    /// maximum. Else calls start at this fixed rate whether or not the server keeps up, and latency
    /// counts from the intended start, so that a slow answer is charged for all it delayed (no
    /// coordinated omission).
    double calls_per_second = 0;
    std::chrono::milliseconds warm_up =
        std::chrono::milliseconds(0);  ///< calls started in it are not counted
    std::chrono::milliseconds duration = std::chrono::seconds(5);  ///< after the warm-up
    std::chrono::milliseconds answer_timeout = std::chrono::seconds(60);
    unsigned kinds = 1;
};

/// What one kind of call did.
struct Figures {
    Histogram latency{};       ///< of calls with the expected status
    std::uint64_t failed = 0;  ///< another status than expected, or a broken connection
    std::map<int, std::uint64_t> statuses{};  ///< answers by status; 0: no answer
    std::string first_failure{};  ///< status line and beginning of the body, or what broke
};

struct Report {
    double seconds = 0;  ///< from the end of the warm-up to the last counted answer, at most
                         ///< duration plus what was under way
    std::vector<Figures> kinds{};
    std::uint64_t backlog_max =
        0;  ///< open loop: most calls that were due without a free connection
    std::uint64_t unsent =
        0;  ///< open loop: calls that were due and never sent: the server fell behind

    std::uint64_t succeeded() const;
    std::uint64_t failed() const;
    double calls_per_second() const {
        return seconds > 0 ? static_cast<double>(succeeded()) / seconds : 0;
    }
    Histogram latency() const;  ///< of all kinds
};

/// Makes the next call of a connection (0 … connections-1). `call` is cleared. False: this
/// connection has no more to send.
using Next = std::function<bool(unsigned connection, Call& call)>;
/// Sees every answer, also unexpected ones; the next call of this connection is made after it.
using OnReply = std::function<void(unsigned connection, const Call& call, const Reply& reply)>;

/// Sends calls over keep-alive connections from one thread until the time is over or no connection
/// has more to send; calls under way are still waited for. A connection that breaks is opened
/// again, its call counts as failed. Errors: `unavailable` when the server cannot be reached at the
/// start; `incorrect` for options that make no sense. Blocking: for the whole run.
Result<Report> run(const Options& options, const Next& next, const OnReply& on_reply = {});

}  // namespace meridian::load
