// SPDX-License-Identifier: Apache-2.0
// What good clients notice of slow ones: the same load on a running server, first alone, then
// beside thousands of sockets that trickle heads and bodies and do not read.
//   slow_clients_bench PORT [SLOW=5000] [SECONDS=20] [CALLS_PER_SECOND=500]
//   [TARGET=/fhir/Patient?_count=1]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "bench/load/load.hpp"
#include "net/testing/slow_clients.hpp"

using namespace meridian;

namespace {

void raise_open_files_limit() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

std::optional<load::Report> good_clients(std::uint16_t port, unsigned seconds, double rate,
                                         const std::string& target) {
    load::Options options;
    options.port = port;
    options.connections = 32;
    options.calls_per_second = rate;
    options.warm_up = std::chrono::seconds(2);
    options.duration = std::chrono::seconds(seconds);
    auto report = load::run(options, [&](unsigned, load::Call& call) {
        call.target = target;
        return true;
    });
    if (report) return std::move(*report);
    fmt::print(stderr, "{}\n", report.error().message);
    return std::nullopt;
}

/// All rounds of one kind.
struct Total {
    load::Histogram latency{};
    std::uint64_t failed = 0;
    unsigned slow_open = 0, slow_cut = 0;

    bool add(const std::optional<load::Report>& report) {
        if (!report) return false;
        latency.add(report->latency());
        failed += report->failed();
        if (report->failed() > 0) fmt::print(stderr, "{}\n", report->kinds[0].first_failure);
        return true;
    }
    void print(const char* name) const {
        fmt::print(
            R"({{"workload":"{}","slow_open":{},"slow_cut":{},"requests":{},"failed":{},"p50_ms":{:.3f},"p99_ms":{:.3f},"max_ms":{:.3f}}})"
            "\n",
            name, slow_open, slow_cut, latency.count(), failed, latency.percentile_ms(0.5),
            latency.percentile_ms(0.99), static_cast<double>(latency.max()) / 1e6);
    }
};

}  // namespace

int main(int count, char** words) {
    const auto number = [&](int index, unsigned otherwise) {
        return count > index ? static_cast<unsigned>(std::strtoul(words[index], nullptr, 10))
                             : otherwise;
    };
    const auto port = static_cast<std::uint16_t>(number(1, 0));
    const unsigned slow = number(2, 5000), seconds = number(3, 10), rate = number(4, 500),
                   rounds = number(5, 3);
    const std::string target = count > 6 ? words[6] : "/fhir/Patient?_count=1";
    if (port == 0) {
        fmt::print(stderr,
                   "usage: slow_clients_bench PORT [SLOW] [SECONDS] [CALLS_PER_SECOND] [ROUNDS] "
                   "[TARGET]\n");
        return 2;
    }
    raise_open_files_limit();
    // In turns, so that whatever else the machine does falls on both alike.
    Total alone, beside;
    for (unsigned round = 0; round < rounds; ++round) {
        if (!alone.add(good_clients(port, seconds, rate, target))) return 2;
        const net::testing::SlowClients clients({.port = port, .count = slow});
        clients.wait_until_open(std::chrono::seconds(60));
        if (!beside.add(good_clients(port, seconds, rate, target))) return 2;
        beside.slow_open = clients.open_count();
        beside.slow_cut += clients.cut_count();
    }
    alone.print("good_alone");
    beside.print("good_beside_slow");
    fmt::print(R"({{"workload":"slow_clients","value":{:.2f},"unit":"p99 beside / p99 alone"}})"
               "\n",
               beside.latency.percentile_ms(0.99) / alone.latency.percentile_ms(0.99));
    return alone.failed + beside.failed > 0 ? 1 : 0;
}
