// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace meridian::tests {

/// Whether a server of the tests asks who is asking.
enum class Trust : unsigned char { on, off };

/// A real `meridian serve` on a free loopback port with a data folder of its own, stopped by
/// process id.
class ServerProcess {
 public:
    /// Starts the program; with an empty `folder` a temporary one is made and removed in the end.
    explicit ServerProcess(std::string folder = {}, std::vector<std::string> further_arguments = {},
                           Trust trust = Trust::off);
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    bool is_running() const { return process_ > 0; }
    pid_t process() const { return process_; }
    std::uint16_t port() const { return port_; }
    std::string base_url() const {
        return (is_secure_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
    }
    const std::string& folder() const { return folder_; }
    /// An access token for everything; empty where nobody is asked.
    const std::string& token() const { return token_; }
    /// What the program wrote to standard output and error.
    std::string output() const;
    /// Waits until it has ended by itself; the exit code, or minus the signal that ended it;
    /// nothing when it still runs after `patience`.
    std::optional<int> wait_for_end(std::chrono::seconds patience);
    /// SIGTERM and wait; the exit code, or minus the signal that ended it.
    int stop();
    /// kill -9 and wait.
    void kill();

 private:
    int wait();
    bool has_ended();
    std::string folder_;
    std::string token_;
    bool owns_folder_ = false;
    pid_t process_ = -1;
    int status_ = 0;  ///< as waitpid gives it, of one that has ended
    std::uint16_t port_ = 0;
    bool is_secure_ = false;
};

/// The options that say where the record kept in `folder` lies: there, or in a PostgreSQL database
/// of the tests as well.
std::vector<std::string> place_of(const std::string& folder);

/// An access token of the account `name`, which is made with `role` when the folder has none of
/// that name. With or without a server that serves it. Empty when that fails.
std::string token_for(const std::string& folder, const std::string& role = "system-client",
                      const std::string& name = "tester",
                      const std::vector<std::string>& further_arguments = {});

/// A new empty folder below the system's temporary one.
std::string make_temporary_folder();

/// Runs the program with `arguments` to its end; returns the exit code and fills `output` (both
/// streams) when wanted.
int run_program(const std::vector<std::string>& arguments, std::string* output = nullptr);

}  // namespace meridian::tests
