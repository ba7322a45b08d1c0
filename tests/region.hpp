// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {

/// How long a takeover or a return may take. It takes less than ten seconds on a machine that has
/// nothing else to do: MERIDIAN_TEST_TAKEOVER_SECONDS=10 asks for that. A busy one is only asked
/// whether it comes about.
std::chrono::seconds takeover_max();

/// Servers that share a database; each has a folder of its own.
class Region {
 public:
    /// On a new database of the tests' cluster, which all reach directly.
    explicit Region(std::size_t servers);
    /// On the database `url`; server i reaches it by urls[i] and is given `further` arguments too.
    Region(std::string url, std::vector<std::string> urls, std::vector<std::string> further = {});
    ~Region();
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    void start(std::size_t i);
    /// Which server has a number in the database; size() when none has.
    std::size_t with_number(std::int64_t number) const;
    /// Which server gives the positions.
    std::size_t sequencer();
    ServerProcess& at(std::size_t i) { return *servers_[i]; }
    std::size_t size() const { return servers_.size(); }
    /// Asks the database itself for a number; -1 when it does not answer.
    std::int64_t ask(const std::string& sql);

 private:
    std::string folder_;
    std::string url_;
    std::vector<std::string> urls_;
    std::vector<std::string> further_;
    std::vector<std::unique_ptr<ServerProcess>> servers_;
    std::vector<std::int64_t> numbers_;
};

/// A create of a resource with an identifier, conditional upon it when `if_none`.
net::ClientRequest create(const std::string& base, const std::string& value, bool if_none);
/// A GET below the FHIR base.
net::ClientRequest read_of(const std::string& base, const std::string& what);
/// The status of the answer; 0 when there is none.
int status_of(const net::ClientRequest& request);
/// Bundle.total of a search; -1 when it is refused.
std::int64_t total(const std::string& base, const std::string& search);
/// The log has no gap and says no version twice.
void expect_dense_log(Region& region);
/// Tries until the request is answered with `status`; how long that took.
std::chrono::milliseconds time_until(const net::ClientRequest& request, int status,
                                     std::chrono::seconds patience);

/// Clients that write to each server of a region until they are stopped, each value once, every
/// fourth as a conditional create that a client of every server tries.
class Load {
 public:
    Load(Region& region, unsigned clients_per_server);
    ~Load();
    void stop();
    /// Creates that server `i` has acknowledged so far.
    std::size_t acknowledged(std::size_t i) const { return counts_[i]; }
    /// Waits until server `i` has acknowledged another one; how long that took.
    std::chrono::milliseconds time_until_next(std::size_t i, std::chrono::seconds patience);
    /// Stops, and looks whether what was acknowledged is there and nothing is there twice.
    void expect_kept();
    std::size_t refused() const { return refused_; }

 private:
    struct Told {
        std::string value;
        int status;
        bool if_none;
    };
    void write(std::size_t server, unsigned client);

    Region& region_;
    std::vector<std::string> bases_;
    std::atomic<bool> stopping_ = false;
    std::vector<std::atomic<std::size_t>> counts_;
    std::atomic<std::size_t> refused_ = 0;
    std::mutex mutex_;
    std::vector<Told> told_;
    std::vector<std::thread> threads_;
};

}  // namespace meridian::tests
