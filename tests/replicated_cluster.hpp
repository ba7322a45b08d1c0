// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace meridian::tests {

/// A PostgreSQL primary and a streaming standby of it, each on a loopback port, in a temporary
/// folder. When `is_synchronous`, a commit is answered when the standby has it too. Neither waits
/// for the disk: processes are killed here, not machines. Aborts the test process with PostgreSQL's
/// words when they do not start.
class ReplicatedCluster {
 public:
    explicit ReplicatedCluster(bool is_synchronous);
    ~ReplicatedCluster();
    ReplicatedCluster(const ReplicatedCluster&) = delete;
    ReplicatedCluster& operator=(const ReplicatedCluster&) = delete;

    /// URLs of a database that is made empty here.
    std::string primary() const { return url_of(ports_[0]); }
    std::string standby() const { return url_of(ports_[1]); }
    /// Of whichever of the two takes writes.
    std::string either() const;

    /// kill -9 of the primary, all its processes.
    void kill_primary();
    /// Ends the standby at once; start_standby goes on with it.
    void stop_standby();
    void start_standby();
    /// Makes the standby the primary.
    void promote();
    /// Whether the standby goes on with what the primary sends. A paused one answers still.
    void pause_replay(bool pauses);

 private:
    std::string url_of(std::uint16_t port) const;
    void start(int which);
    void run_on_standby(const std::string& sql);

    std::string folder_;
    std::uint16_t ports_[2] = {0, 0};
    int processes_[2] = {0, 0};
};

}  // namespace meridian::tests
