// SPDX-License-Identifier: Apache-2.0
// import, transaction and crud: what can be written, and how long a writer waits.
#include <filesystem>

#include "base/json.hpp"
#include "bench/workloads/bench.hpp"
#include "generate/region.hpp"

namespace meridian::bench {

namespace {

/// Bundles of PUT entries, at most `entries_max` each, one patient after the other.
class BundleSink final : public generate::Sink {
 public:
    explicit BundleSink(std::size_t entries_max) : entries_max_(entries_max) {}
    Result<void> resource(const generate::Item& item) override {
        if (count_ == 0) text_ = R"({"resourceType":"Bundle","type":"transaction","entry":[)";
        if (count_ > 0) text_ += ',';
        text_ += fmt::format(R"({{"resource":{},"request":{{"method":"PUT","url":"{}/{}"}}}})",
                             item.json, item.type, item.id);
        if (++count_ == entries_max_) finish();
        return {};
    }
    void finish() {
        if (count_ == 0) return;
        bundles.emplace_back(text_ + "]}", count_);
        count_ = 0;
    }
    std::vector<std::pair<std::string, std::size_t>> bundles;

 private:
    std::size_t entries_max_;
    std::size_t count_ = 0;
    std::string text_;
};

pid_t process_at(const tests::ServerProcess& server) {
    return server.process();
}

}  // namespace

Result<void> bench_import(Stage& stage) {
    const Stage::Load load = TRY(stage.store(stage.settings().base_patients));
    const double floor = TRY(stage.floor_a());
    const double rate = static_cast<double>(load.resources) / load.seconds;
    stage.report({"import", rate, "resources/s", floor, rate / floor, 0, 0, load.rss_mb,
                  fmt::format("{} resources, all indexes", load.resources)});
    return {};
}

Result<void> bench_transaction(Stage& stage) {
    const double floor = TRY(stage.floor_a());
    auto server = TRY(stage.serve());
    generate::RegionOptions options;
    const std::uint64_t more = stage.settings().full ? 400 : 200;
    options.patients = stage.settings().base_patients + more;
    const auto region = TRY(generate::Region::create(options));
    BundleSink sink(100);
    for (std::uint64_t patient = stage.settings().base_patients + 1; patient <= options.patients;
         ++patient) {
        TRY(region.patient(patient, sink));
        sink.finish();
    }
    std::size_t next = 0, resources = 0;
    load::Options load = Target(*server).options();
    load.connections = 8;
    load.duration = std::chrono::minutes(10);
    const auto begun = std::chrono::steady_clock::now();
    const auto report = TRY(run_load(load, [&](unsigned, load::Call& call) {
        if (next == sink.bundles.size()) return false;
        call.method = "POST";
        call.target = "/fhir";
        call.headers = "Content-Type: application/fhir+json\r\n";
        call.body = sink.bundles[next].first;
        resources += sink.bundles[next].second;
        ++next;
        return true;
    }));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const double rate = static_cast<double>(resources) / seconds;
    const auto latency = report.latency();
    stage.report({"transaction", rate, "resources/s", floor, rate / floor,
                  latency.percentile_ms(0.5), latency.percentile_ms(0.99),
                  resident_mb(process_at(*server), false),
                  fmt::format("{} bundles of up to 100 on 8 connections", sink.bundles.size())});
    return {};
}

namespace {

/// Small resources of nine types that refer to each other.
std::string crud_body(std::size_t type, const std::string& id, unsigned connection,
                      unsigned version) {
    static constexpr const char* types[] = {
        "Organization", "Practitioner",      "Patient",   "Encounter",       "Condition",
        "Observation",  "MedicationRequest", "Procedure", "DiagnosticReport"};
    const std::string subject =
        fmt::format(R"("subject":{{"reference":"Patient/crud-{}"}})", connection);
    const std::string begin = fmt::format(R"({{"resourceType":"{}"{},)", types[type],
                                          id.empty() ? "" : fmt::format(R"(,"id":"{}")", id));
    switch (type) {
        case 0:
            return begin + fmt::format(R"("name":"Hospital {}","active":true}})", version);
        case 1:
            return begin +
                   fmt::format(R"("name":[{{"family":"Wang","given":["D{}"]}}],"active":true}})",
                               version);
        case 2:
            return begin +
                   fmt::format(
                       R"("identifier":[{{"system":"urn:bench","value":"{}"}}],"name":[{{"family":"Li","given":["V{}"]}}],"gender":"female","birthDate":"1960-02-03"}})",
                       connection, version);
        case 3:
            return begin + subject +
                   fmt::format(
                       R"(,"status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},"period":{{"start":"2024-01-{:02}T08:00:00Z"}}}})",
                       version % 28 + 1);
        case 4:
            return begin + subject +
                   fmt::format(
                       R"(,"code":{{"coding":[{{"system":"http://hl7.org/fhir/sid/icd-10","code":"N18.{}"}}]}},"recordedDate":"2024-02-01"}})",
                       version % 6);
        case 5:
            return begin + subject +
                   fmt::format(
                       R"(,"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"2160-0"}}]}},"effectiveDateTime":"2024-03-01T08:00:00Z","valueQuantity":{{"value":{}.5,"unit":"umol/L","system":"http://unitsofmeasure.org","code":"umol/L"}}}})",
                       80 + version % 40);
        case 6:
            return begin + subject +
                   fmt::format(
                       R"(,"status":"active","intent":"order","medicationCodeableConcept":{{"text":"drug {}"}},"authoredOn":"2024-03-02"}})",
                       version);
        case 7:
            return begin + subject +
                   fmt::format(
                       R"(,"status":"completed","code":{{"text":"procedure {}"}},"performedDateTime":"2024-03-03"}})",
                       version);
        default:
            return begin + subject +
                   fmt::format(
                       R"(,"status":"final","code":{{"text":"report {}"}},"effectiveDateTime":"2024-03-04"}})",
                       version);
    }
}

constexpr const char* crud_types[] = {"Organization",      "Practitioner", "Patient",
                                      "Encounter",         "Condition",    "Observation",
                                      "MedicationRequest", "Procedure",    "DiagnosticReport"};

constexpr double expected_crud_rate = 8'000;  ///< requests/s that two cores should answer

/// create, read, update, delete of one type after the other, each connection for itself.
struct CrudState {
    unsigned step = 0;  ///< 0 create, 1 read, 2 update, 3 delete
    unsigned round = 0;
    std::string location;  ///< path of the resource in work
};

/// `rate` 0 = as fast as the answers come, else so many calls a second.
Result<load::Report> run_crud(const Target& target, bool bare, std::chrono::milliseconds duration,
                              double rate = 0) {
    constexpr unsigned connections = 300;
    std::vector<CrudState> states(connections);
    load::Options options = target.options();
    options.connections = connections;
    options.calls_per_second = rate;
    options.kinds = 4;
    options.warm_up = std::chrono::seconds(1);
    options.duration = duration;
    const auto next = [&](unsigned connection, load::Call& call) {
        CrudState& state = states[connection];
        const std::size_t type = (state.round + connection) % 9;
        static constexpr const char* methods[] = {"POST", "GET", "PUT", "DELETE"};
        call.kind = state.step;
        call.method = methods[state.step];
        call.target = state.step == 0 ? (bare ? "/" : fmt::format("/fhir/{}", crud_types[type]))
                                      : state.location;
        if (state.step == 0 || state.step == 2) {
            const std::string id =
                state.step == 0 ? "" : state.location.substr(state.location.rfind('/') + 1);
            call.body = crud_body(type, id, connection, state.round);
            call.headers = "Content-Type: application/fhir+json\r\n";
        }
        return true;
    };
    const auto on_reply = [&](unsigned connection, const load::Call&, const load::Reply& reply) {
        CrudState& state = states[connection];
        if (state.step == 0) {
            std::string location(reply.header("Location"));
            if (const std::size_t at = location.find("/fhir/"); at != std::string::npos)
                location = location.substr(at);
            if (const std::size_t at = location.find("/_history"); at != std::string::npos)
                location.resize(at);
            state.location = std::move(location);
        }
        if (++state.step == 4) {
            state.step = 0;
            ++state.round;
        }
    };
    return run_load(options, next, on_reply);
}

}  // namespace

Result<void> bench_crud(Stage& stage) {
    const std::chrono::milliseconds duration =
        std::chrono::seconds(stage.settings().full ? 60 : 10);
    double floor = 0;
    {
        const FloorServer server("rows", stage.settings().folder + "/floor-b");
        floor = TRY(run_crud(server.port(), true, duration)).calls_per_second();
    }
    auto server = TRY(stage.serve());
    const auto report = TRY(run_crud(Target(*server), false, duration));
    const double rate = report.calls_per_second();
    // At its maximum a server is all queue. What a user waits shows at the rate that is expected of
    // it, when calls start whether or not the answers before them have come.
    const auto steady = TRY(run_crud(Target(*server), false, duration, expected_crud_rate));
    stage.report({"crud", rate, "requests/s", floor, rate / floor,
                  report.latency().percentile_ms(0.5), report.latency().percentile_ms(0.99),
                  resident_mb(process_at(*server), false),
                  fmt::format("300 connections; create p99 {:.1f} ms at that rate, {:.1f} ms at "
                              "{:.0f} requests/s",
                              report.kinds[0].latency.percentile_ms(0.99),
                              steady.kinds[0].latency.percentile_ms(0.99), expected_crud_rate)});
    return {};
}

}  // namespace meridian::bench
