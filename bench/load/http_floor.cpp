// SPDX-License-Identifier: Apache-2.0
// What the HTTP stack alone does on this machine: the same static bytes, once from workers and once
// from the I/O threads.
//   http_floor [BODY_BYTES=2048] [CONNECTIONS=64] [SECONDS=5]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "bench/load/load.hpp"
#include "net/server.hpp"

using namespace meridian;

namespace {

/// CPU time of this process, server and generator together: on a busy machine it says more than the
/// rate.
double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// One row: starts a server of its own, loads it, prints a line of JSON. False when an answer was
/// wrong.
bool measure(const char* name, bool at_once, std::size_t body_bytes, unsigned connections,
             unsigned seconds) {
    const std::string body(body_bytes, 'x');
    net::ServerOptions options;
    options.handler = [&body](const net::Request&) {
        return net::Response::text(200, body, "application/fhir+json");
    };
    if (at_once) options.at_once = options.handler;
    const auto server = net::Server::start(std::move(options));
    if (!server) {
        fmt::print(stderr, "{}\n", server.error().message);
        return false;
    }
    load::Options load_options;
    load_options.port = (*server)->port();
    load_options.connections = connections;
    load_options.duration = std::chrono::seconds(seconds);
    const double cpu_before = cpu_seconds();
    const auto report = load::run(load_options, [](unsigned, load::Call& call) {
        call.target = "/fhir/Patient/1";
        return true;
    });
    if (!report || report->failed() > 0) {
        fmt::print(stderr, "{}: {}\n", name,
                   report ? report->kinds[0].first_failure : report.error().message);
        return false;
    }
    const double cpu = cpu_seconds() - cpu_before;
    fmt::print(
        R"({{"workload":"{}","value":{:.0f},"unit":"req/s","p50_ms":{:.3f},"p99_ms":{:.3f},"cpu_us_per_request":{:.1f}}})"
        "\n",
        name, report->calls_per_second(), report->latency().percentile_ms(0.5),
        report->latency().percentile_ms(0.99),
        cpu * 1e6 / static_cast<double>(report->succeeded()));
    return true;
}

}  // namespace

int main(int count, char** words) {
    const auto number = [&](int index, unsigned otherwise) {
        return count > index ? static_cast<unsigned>(std::strtoul(words[index], nullptr, 10))
                             : otherwise;
    };
    const unsigned bytes = number(1, 2048), connections = number(2, 64), seconds = number(3, 5);
    const bool from_workers = measure("static_workers", false, bytes, connections, seconds);
    const bool from_io = measure("static_io", true, bytes, connections, seconds);
    return from_workers && from_io ? 0 : 1;
}
