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

void print(const char* name, const load::Report& report, unsigned open, unsigned cut) {
    const load::Histogram latency = report.latency();
    fmt::print(
        R"({{"workload":"{}","slow_open":{},"slow_cut":{},"requests":{},"failed":{},"p50_ms":{:.3f},"p99_ms":{:.3f},"max_ms":{:.3f}}})"
        "\n",
        name, open, cut, report.succeeded(), report.failed(), latency.percentile_ms(0.5),
        latency.percentile_ms(0.99), static_cast<double>(latency.max()) / 1e6);
    if (report.failed() > 0) fmt::print(stderr, "{}\n", report.kinds[0].first_failure);
}

}  // namespace

int main(int count, char** words) {
    const auto number = [&](int index, unsigned otherwise) {
        return count > index ? static_cast<unsigned>(std::strtoul(words[index], nullptr, 10))
                             : otherwise;
    };
    const auto port = static_cast<std::uint16_t>(number(1, 0));
    const unsigned slow = number(2, 5000), seconds = number(3, 20), rate = number(4, 500);
    const std::string target = count > 5 ? words[5] : "/fhir/Patient?_count=1";
    if (port == 0) {
        fmt::print(stderr,
                   "usage: slow_clients_bench PORT [SLOW] [SECONDS] [CALLS_PER_SECOND] [TARGET]\n");
        return 2;
    }
    raise_open_files_limit();
    const auto alone = good_clients(port, seconds, rate, target);
    if (!alone) return 2;
    print("good_alone", *alone, 0, 0);
    const net::testing::SlowClients clients({.port = port, .count = slow});
    const auto beside = good_clients(port, seconds, rate, target);
    if (!beside) return 2;
    print("good_beside_slow", *beside, clients.open_count(), clients.cut_count());
    const double ratio =
        beside->latency().percentile_ms(0.99) / alone->latency().percentile_ms(0.99);
    fmt::print(R"({{"workload":"slow_clients","value":{:.2f},"unit":"p99 beside / p99 alone"}})"
               "\n",
               ratio);
    return alone->failed() + beside->failed() > 0 ? 1 : 0;
}
