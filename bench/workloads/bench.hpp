// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bench/load/load.hpp"
#include "net/client.hpp"
#include "tests/server_process.hpp"

/// What `./dev bench` measures: every figure is set in relation to a floor or a peer that ran in
/// the same run on the same machine.
namespace meridian::bench {

/// One line of the report.
struct Row {
    std::string workload;
    double value = 0;
    std::string unit;
    double floor = 0;  ///< 0 = this row has none
    double ratio = 0;
    double p50_ms = 0, p99_ms = 0;
    double rss_mb = 0;
    std::string note{};  ///< for the table only
};

struct Settings {
    bool full = false;
    bool json = false;
    std::string folder;  ///< for stores and corpora; kept between workloads, removed in the end
    std::uint64_t base_patients;  ///< of the store that reads and writes run on
    /// Sign-in, policy, audit and encryption are on, as everywhere; off tells what they cost.
    tests::Trust trust = tests::Trust::on;
};

/// Where calls go, and as whom.
struct Target {
    std::uint16_t port = 0;
    std::string token{};  ///< empty: nobody is asked
    Target(std::uint16_t port_, std::string token_ = {}) : port(port_), token(std::move(token_)) {}
    explicit Target(const tests::ServerProcess& server) : Target(server.port(), server.token()) {}
    /// Of a load.
    load::Options options() const {
        load::Options made;
        made.port = port;
        if (!token.empty()) made.headers = fmt::format("Authorization: Bearer {}\r\n", token);
        return made;
    }
    net::ClientRequest request(std::string url) const {
        net::ClientRequest made{.url = std::move(url)};
        if (!token.empty()) made.headers.add("Authorization", "Bearer " + token);
        return made;
    }
};

/// The corpus and the store that the workloads share; made when first asked for.
class Stage {
 public:
    explicit Stage(Settings settings) : settings_(std::move(settings)) {}

    const Settings& settings() const { return settings_; }
    void report(const Row& row);

    /// NDJSON files of a region; made once per size.
    Result<std::string> corpus(std::uint64_t patients);
    /// A store holding that region, loaded by `meridian import`; made once per size. `seconds`,
    /// `rss_mb`: of the load, when it ran now.
    struct Load {
        std::string folder;
        std::int64_t resources = 0;
        double seconds = 0;
        double rss_mb = 0;
    };
    Result<Load> store(std::uint64_t patients);
    /// Ends what writing a store has left to do, so that it is not done while something is
    /// measured.
    static Result<void> settle(const std::string& folder);
    /// A server on the base store, settled.
    Result<std::unique_ptr<tests::ServerProcess>> serve();
    /// Resources per second of floor A: one thread, simdjson, zstd, one bare SQLite insert per
    /// resource, fsync per 256.
    Result<double> floor_a();

 private:
    Settings settings_;
    std::map<std::uint64_t, Load> stores_;
    std::optional<double> floor_a_;
};

/// Resident memory of a process in MB; `peak` = the most it ever had.
double resident_mb(pid_t process, bool peak);
/// Runs a load and fails when calls failed.
Result<load::Report> run_load(const load::Options& options, const load::Next& next,
                              const load::OnReply& on_reply = {});

// --- workloads ---
Result<void> bench_import(Stage& stage);
Result<void> bench_transaction(Stage& stage);
Result<void> bench_read(Stage& stage);
Result<void> bench_crud(Stage& stage);
Result<void> bench_search(Stage& stage);
Result<void> bench_export(Stage& stage);

/// Server of a floor, run as a child of its own: `static FILE` answers the file's paths with its
/// bodies, `rows FOLDER` writes and reads one bare row per request. Prints its port; serves until
/// it is killed.
int run_floor_server(const std::string& kind, const std::string& argument);
/// A started floor server.
class FloorServer {
 public:
    FloorServer(const std::string& kind, const std::string& argument);
    ~FloorServer();
    FloorServer(const FloorServer&) = delete;
    FloorServer& operator=(const FloorServer&) = delete;
    std::uint16_t port() const { return port_; }

 private:
    pid_t process_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace meridian::bench
