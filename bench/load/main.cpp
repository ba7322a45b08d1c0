// SPDX-License-Identifier: Apache-2.0
// meridian_load: loads one server with requests and prints rate and latencies.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "bench/load/load.hpp"
#include "net/url.hpp"

using namespace meridian;

namespace {

constexpr const char* usage =
    "usage: meridian_load URL… [options]\n"
    "  several URLs of one server are taken in turn; '-' reads more of them, one a line, from "
    "standard input\n"
    "  --connections N   keep-alive connections (64)\n"
    "  --seconds S       time that counts (5)\n"
    "  --warm-up S       time before it (1)\n"
    "  --rate R          requests a second, latency from the intended start; 0: as many as "
    "possible (0)\n"
    "  --method M        (GET)\n"
    "  --header 'A: b'   may stand several times\n"
    "  --body FILE       sent with each request\n"
    "  --status N        the answer expected (any 2xx)\n"
    "  --json            one line of JSON\n"
    "exit code: 0 all answers as expected, 1 some were not, 2 wrong use or no server\n";

struct Arguments {
    load::Options options{};
    std::vector<std::string> targets{};
    std::string method = "GET";
    std::string headers{};
    std::string body{};
    int status = 0;
    bool json = false;
};

bool read_number(const std::string& text, double& value) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    return problem == std::errc() && end == text.data() + text.size() && value >= 0;
}

Result<void> take_url(const std::string& text, Arguments& arguments) {
    const net::Url url = TRY(net::Url::parse(text));
    if (url.scheme != "http") return fail(Category::incorrect, "only http is spoken");
    arguments.options.address = url.host == "localhost" ? "127.0.0.1" : url.host;
    arguments.options.port = url.port;
    arguments.targets.push_back(url.target());
    return {};
}

Result<void> take_option(const std::string& name, const std::string& value, Arguments& arguments) {
    double number = 0;
    const bool is_number = read_number(value, number);
    if (name == "--method") {
        arguments.method = value;
    } else if (name == "--header") {
        arguments.headers += value + "\r\n";
    } else if (name == "--body") {
        std::ifstream file(value, std::ios::binary);
        if (!file) return fail(Category::incorrect, "cannot read " + value);
        arguments.body.assign(std::istreambuf_iterator<char>(file), {});
    } else if (!is_number) {
        return fail(Category::incorrect, fmt::format("{} needs a number, not \"{}\"", name, value));
    } else if (name == "--connections") {
        arguments.options.connections = static_cast<unsigned>(number);
    } else if (name == "--seconds") {
        arguments.options.duration =
            std::chrono::milliseconds(static_cast<std::int64_t>(number * 1000));
    } else if (name == "--warm-up") {
        arguments.options.warm_up =
            std::chrono::milliseconds(static_cast<std::int64_t>(number * 1000));
    } else if (name == "--rate") {
        arguments.options.calls_per_second = number;
    } else if (name == "--status") {
        arguments.status = static_cast<int>(number);
    } else {
        return fail(Category::incorrect, "unknown option " + name);
    }
    return {};
}

Result<Arguments> parse(int count, char** words) {
    Arguments arguments;
    arguments.options.warm_up = std::chrono::seconds(1);
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word == "--json") {
            arguments.json = true;
        } else if (word == "-") {
            for (std::string line; std::getline(std::cin, line);) {
                if (!line.empty()) TRY(take_url(line, arguments));
            }
        } else if (word.starts_with("--")) {
            if (i + 1 == count) return fail(Category::incorrect, word + " needs a value");
            TRY(take_option(word, words[++i], arguments));
        } else {
            TRY(take_url(word, arguments));
        }
    }
    if (arguments.targets.empty()) return fail(Category::incorrect, "no URL was given");
    return arguments;
}

void print(const load::Report& report, bool json) {
    const load::Histogram latency = report.latency();
    const double p50 = latency.percentile_ms(0.5), p90 = latency.percentile_ms(0.9),
                 p99 = latency.percentile_ms(0.99);
    const double max = static_cast<double>(latency.max()) / 1e6;
    if (json) {
        fmt::print(
            "{{\"requests\":{},\"failed\":{},\"seconds\":{:.3f},\"value\":{:.1f},\"unit\":\"req/"
            "s\",\"p50_ms\":{:.3f},\"p90_ms\":{:.3f},"
            "\"p99_ms\":{:.3f},\"max_ms\":{:.3f},\"backlog_max\":{},\"unsent\":{}}}\n",
            report.succeeded(), report.failed(), report.seconds, report.calls_per_second(), p50,
            p90, p99, max, report.backlog_max, report.unsent);
    } else {
        fmt::print("{} answers in {:.2f} s: {:.0f} requests/s\n", report.succeeded(),
                   report.seconds, report.calls_per_second());
        fmt::print("latency ms: p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  max {:.3f}\n", p50, p90, p99,
                   max);
    }
    if (report.failed() > 0)
        fmt::print(stderr, "{} failed, the first: {}\n", report.failed(),
                   report.kinds[0].first_failure);
}

}  // namespace

int main(int count, char** words) {
    const auto arguments = parse(count, words);
    if (!arguments) {
        fmt::print(stderr, "{}\n{}", arguments.error().message, usage);
        return 2;
    }
    std::size_t turn = 0;
    const auto report = load::run(arguments->options, [&](unsigned, load::Call& call) {
        call.method = arguments->method;
        call.target = arguments->targets[turn++ % arguments->targets.size()];
        call.headers = arguments->headers;
        call.body = arguments->body;
        call.expected_status = arguments->status;
        return true;
    });
    if (!report) {
        fmt::print(stderr, "{}\n", report.error().message);
        return 2;
    }
    print(*report, arguments->json);
    return report->failed() > 0 ? 1 : 0;
}
