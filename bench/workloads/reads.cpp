// SPDX-License-Identifier: Apache-2.0
// read and export.
#include <fstream>
#include <random>

#include "base/json.hpp"
#include "bench/workloads/bench.hpp"
#include "net/client.hpp"

namespace meridian::bench {

namespace {

/// Ids of stored resources with their bodies, by walking a search.
Result<std::vector<std::pair<std::string, std::string>>> sample(const Target& target,
                                                                std::size_t wanted) {
    std::vector<std::pair<std::string, std::string>> found;
    net::Client client;
    for (const char* type : {"Observation", "Patient", "Encounter", "Condition"}) {
        std::string url = fmt::format("http://127.0.0.1:{}/fhir/{}?_count=500", target.port, type);
        for (std::size_t taken = 0; taken < wanted / 4 && !url.empty();) {
            const auto answer = TRY(client.send(target.request(url)));
            const JsonDocument page = TRY(JsonDocument::parse(answer.body));
            for (const Json& entry : page.root()["entry"].items()) {
                found.emplace_back(
                    fmt::format("/fhir/{}/{}", type, entry["resource"].string_at("id")),
                    to_text(entry["resource"]));
                ++taken;
            }
            url.clear();
            for (const Json& link : page.root()["link"].items()) {
                if (link.string_at("relation") == "next") url = link.string_at("url");
            }
        }
    }
    return found;
}

Result<load::Report> run_reads(const Target& target,
                               const std::vector<std::pair<std::string, std::string>>& resources,
                               std::chrono::milliseconds duration) {
    std::mt19937_64 random(7);
    load::Options options = target.options();
    options.connections = 64;
    options.warm_up = std::chrono::seconds(1);
    options.duration = duration;
    return run_load(options, [&](unsigned, load::Call& call) {
        call.target = resources[random() % resources.size()].first;
        return true;
    });
}

}  // namespace

Result<void> bench_read(Stage& stage) {
    auto server = TRY(stage.serve());
    const auto resources = TRY(sample(Target(*server), 20'000));
    const std::string pairs = stage.settings().folder + "/static-pairs";
    {
        std::ofstream file(pairs);
        for (const auto& [path, body] : resources) file << path << '\n' << body << '\n';
    }
    const std::chrono::milliseconds duration = std::chrono::seconds(stage.settings().full ? 20 : 5);
    double floor = 0;
    {
        const FloorServer static_server("static", pairs);
        floor = TRY(run_reads(static_server.port(), resources, duration)).calls_per_second();
    }
    const auto report = TRY(run_reads(Target(*server), resources, duration));
    const double rate = report.calls_per_second();
    stage.report({"read", rate, "requests/s", floor, rate / floor,
                  report.latency().percentile_ms(0.5), report.latency().percentile_ms(0.99),
                  resident_mb(server->process(), false),
                  "64 connections against the same bytes served static"});
    return {};
}

Result<void> bench_export(Stage& stage) {
    auto server = TRY(stage.serve());
    net::Client client;
    net::ClientRequest request =
        Target(*server).request(fmt::format("http://127.0.0.1:{}/fhir/$export", server->port()));
    request.headers.add("Prefer", "respond-async");
    const double before = resident_mb(server->process(), false);
    const auto begun = std::chrono::steady_clock::now();
    const auto started = TRY(client.send(request));
    if (started.status != 202)
        return fail(Category::fault,
                    fmt::format("$export answered {}: {}", started.status, started.body));
    request.url = started.headers.get("Content-Location");
    std::int64_t resources = 0;
    while (true) {
        const auto state = TRY(client.send(request));
        if (state.status == 202) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        if (state.status != 200)
            return fail(Category::fault,
                        fmt::format("the export ended with {}: {}", state.status, state.body));
        const JsonDocument manifest = TRY(JsonDocument::parse(state.body));
        for (const Json& file : manifest.root()["output"].items())
            resources += std::stoll(std::string(file["count"].text()));
        break;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const double grown = resident_mb(server->process(), false) - before;
    stage.report({"export", static_cast<double>(resources) / seconds, "resources/s", 0, 0, 0, 0,
                  grown, fmt::format("{} resources; rss is the growth", resources)});
    return {};
}

}  // namespace meridian::bench
