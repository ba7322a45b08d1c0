// SPDX-License-Identifier: Apache-2.0
// The search mix: 30 queries at a fixed rate on two sizes of the same region.
#include <filesystem>
#include <fstream>
#include <random>

#include "base/json.hpp"
#include "base/query_string.hpp"
#include "bench/workloads/bench.hpp"
#include "net/client.hpp"

#ifndef MERIDIAN_SOURCE_DIR
#define MERIDIAN_SOURCE_DIR "."
#endif

namespace meridian::bench {

namespace {

struct Template {
    std::string id, kind, text;
    bool answer_grows =
        false;  ///< counts and totals over the whole region: their work grows with it
};

Result<std::vector<Template>> read_mix() {
    const std::string path =
        fmt::format("{}/../shared/data/bench/search-mix.tsv", MERIDIAN_SOURCE_DIR);
    std::ifstream file(path);
    std::vector<Template> mix;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
        Template one{line.substr(0, first), line.substr(first + 1, second - first - 1),
                     line.substr(second + 5), false};
        if (const std::size_t comma = one.text.find(", then"); comma != std::string::npos)
            one.text.resize(comma);
        one.answer_grows = one.kind == "count" || one.kind == "total";
        mix.push_back(std::move(one));
    }
    if (mix.empty()) return fail(Category::not_found, "the search mix is not there", path);
    return mix;
}

/// What the placeholders of the mix may stand for, taken from what the store holds.
struct Samples {
    std::vector<std::array<std::string, 4>>
        patients;  ///< id, identifier system, value, family | given below
    std::vector<std::string> families, givens, years;
    std::vector<std::array<std::string, 5>> labs;  ///< code, value, unit, date, patient
    std::vector<std::string> icd10, types, procedures, value_sets;
};

class Sampler {
 public:
    explicit Sampler(Target target) : target_(std::move(target)) {}

    Result<Samples> take() {
        TRY(each("/fhir/Patient?_count=1000", [&](const Json& r) {
            const Json& identifier = r["identifier"].items()[0];
            samples_.patients.push_back({std::string(r.string_at("id")),
                                         std::string(identifier.string_at("system")),
                                         std::string(identifier.string_at("value")), ""});
            const Json& name = r["name"].items()[0];
            samples_.families.emplace_back(name.string_at("family"));
            samples_.givens.emplace_back(name["given"].size() > 0 ? name["given"].items()[0].text()
                                                                  : std::string_view());
            samples_.years.emplace_back(r.string_at("birthDate").substr(0, 4));
        }));
        TRY(each("/fhir/Observation?category=laboratory&_count=1000", [&](const Json& r) {
            if (!r["valueQuantity"].is_object()) return;
            samples_.labs.push_back({std::string(r["code"]["coding"].items()[0].string_at("code")),
                                     std::string(r["valueQuantity"]["value"].text()),
                                     std::string(r["valueQuantity"].string_at("code")),
                                     std::string(r.string_at("effectiveDateTime").substr(0, 10)),
                                     std::string(r["subject"].string_at("reference").substr(8))});
        }));
        TRY(each("/fhir/Condition?_count=1000", [&](const Json& r) {
            samples_.icd10.emplace_back(r["code"]["coding"].items()[0].string_at("code"));
        }));
        TRY(each("/fhir/Encounter?_count=500", [&](const Json& r) {
            if (r["type"].size() > 0)
                samples_.types.emplace_back(
                    r["type"].items()[0]["coding"].items()[0].string_at("code"));
        }));
        TRY(each("/fhir/Procedure?_count=500", [&](const Json& r) {
            samples_.procedures.emplace_back(r["code"]["coding"].items()[0].string_at("code"));
        }));
        TRY(each("/fhir/ValueSet?_count=10",
                 [&](const Json& r) { samples_.value_sets.emplace_back(r.string_at("url")); }));
        return std::move(samples_);
    }

 private:
    Result<void> each(const std::string& path, const std::function<void(const Json&)>& use) {
        const auto answer = TRY(client_.send(
            target_.request(fmt::format("http://127.0.0.1:{}{}", target_.port, path))));
        if (answer.status != 200)
            return fail(Category::fault, fmt::format("{} answered {}: {}", path, answer.status,
                                                     answer.body.substr(0, 300)));
        const JsonDocument page = TRY(JsonDocument::parse(answer.body));
        for (const Json& entry : page.root()["entry"].items()) use(entry["resource"]);
        return {};
    }

    Target target_;
    net::Client client_;
    Samples samples_;
};

class Filler {
 public:
    explicit Filler(const Samples& samples) : samples_(samples) {}

    /// The request path of a template with every placeholder filled at random.
    std::string fill(const std::string& text) {
        const auto& patient = pick(samples_.patients);
        const auto& lab = pick(samples_.labs);
        const int year = std::max(1900, std::atoi(pick(samples_.years).c_str()));
        const int lab_year = std::max(1900, std::atoi(lab[3].substr(0, 4).c_str()));
        std::string out;
        for (std::size_t at = 0; at < text.size();) {
            if (text[at] != '{') {
                out += text[at++];
                continue;
            }
            const std::size_t end = text.find('}', at);
            const std::string name = text.substr(at + 1, end - at - 1);
            at = end + 1;
            const bool of_lab = text.find("{lab}") != std::string::npos;
            std::string value;
            if (name == "patient") value = of_lab ? lab[4] : patient[0];
            if (name == "system") value = patient[1];
            if (name == "value")
                value = text.find("{system}") != std::string::npos ? patient[2] : lab[1];
            if (name == "family-prefix-2") value = pick(samples_.families).substr(0, 3);
            if (name == "family") value = pick(samples_.families);
            if (name == "given") value = pick(samples_.givens);
            if (name == "year") value = std::to_string(year);
            if (name == "year+1") value = std::to_string(year + 1);
            if (name == "lab") value = lab[0];
            if (name == "unit") value = lab[2];
            if (name == "date") value = lab[3];
            if (name == "date-1y") {
                // The day before a leap day's anniversary exists in every year.
                const std::string day = lab[3].substr(4) == "-02-29" ? "-02-28" : lab[3].substr(4);
                value = std::to_string(lab_year - 1) + day;
            }
            if (name.starts_with("icd10")) value = pick(samples_.icd10);
            if (name == "month") value = lab[3].substr(0, 7) + "-01";
            if (name == "month+1") value = next_month(lab[3]);
            if (name == "type") value = pick(samples_.types);
            if (name == "valueset") value = pick(samples_.value_sets);
            if (name == "procedure") value = pick(samples_.procedures);
            if (name == "recent") value = to_text(Instant{now().milliseconds - 3'600'000});
            out += percent_encode(value, ":/");
        }
        // The quantity's separators are part of the template: '|' and '$' must not stand raw in a
        // URL.
        std::string encoded;
        for (const char c : out) encoded += c == '|' ? "%7C" : c == ' ' ? "%20" : std::string(1, c);
        return "/fhir" + encoded;
    }

 private:
    template <class T>
    const T& pick(const std::vector<T>& from) {
        static const T nothing{};
        return from.empty() ? nothing : from[random_() % from.size()];
    }
    static std::string next_month(const std::string& date) {
        int year = std::atoi(date.substr(0, 4).c_str()),
            month = std::atoi(date.substr(5, 2).c_str()) + 1;
        if (month > 12) {
            month = 1;
            ++year;
        }
        return fmt::format("{}-{:02}-01", year, month);
    }
    const Samples& samples_;
    std::mt19937_64 random_{11};
};

/// Reads a store once, so that neither region is measured with a cold page cache.
void warm(const std::string& folder) {
    std::ifstream file(folder + "/record.db", std::ios::binary);
    std::vector<char> buffer(std::size_t{1} << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) continue;
}

/// Latencies of every query at half of the mix's maximum rate.
Result<std::vector<load::Figures>> run_mix(Stage& stage, const std::vector<Template>& mix,
                                           std::uint64_t patients, double& maximum) {
    const Stage::Load store = TRY(stage.store(patients));
    TRY(Stage::settle(store.folder));
    warm(store.folder);
    tests::ServerProcess server(store.folder, {}, stage.settings().trust);
    if (!server.is_running())
        return fail(Category::fault, "the server did not start: " + server.output());
    const Samples samples = TRY(Sampler(Target(server)).take());
    Filler filler(samples);
    std::size_t turn = 0;
    const auto next = [&](unsigned, load::Call& call) {
        call.kind = static_cast<unsigned>(turn++ % mix.size());
        call.target = filler.fill(mix[call.kind].text);
        return true;
    };
    load::Options options = Target(server).options();
    options.connections = 30;
    options.kinds = static_cast<unsigned>(mix.size());
    options.warm_up = std::chrono::seconds(2);
    options.duration = std::chrono::seconds(stage.settings().full ? 20 : 4);
    const auto closed = TRY(run_load(options, next));
    maximum = closed.calls_per_second();
    options.calls_per_second = maximum / 2;
    options.duration = std::chrono::seconds(stage.settings().full ? 60 : 8);
    auto open = TRY(run_load(options, next));
    return std::move(open.kinds);
}

}  // namespace

Result<void> bench_search(Stage& stage) {
    const auto mix = TRY(read_mix());
    const std::uint64_t large = stage.settings().full ? 20'000 : stage.settings().base_patients;
    const std::uint64_t small =
        stage.settings().full ? 1'000 : std::max<std::uint64_t>(20, large / 8);
    double small_maximum = 0, large_maximum = 0;
    const auto small_kinds = TRY(run_mix(stage, mix, small, small_maximum));
    const auto large_kinds = TRY(run_mix(stage, mix, large, large_maximum));
    double worst_growth = 0, worst_p99 = 0;
    std::string worst;
    for (std::size_t i = 0; i < mix.size(); ++i) {
        const double p99 = large_kinds[i].latency.percentile_ms(0.99),
                     before = small_kinds[i].latency.percentile_ms(0.99);
        const double growth = before > 0 ? p99 / before : 0;
        stage.report({"search " + mix[i].id, 0, mix[i].kind, before, growth,
                      large_kinds[i].latency.percentile_ms(0.5), p99, 0,
                      "floor = p99 on the small region"});
        worst_p99 = std::max(worst_p99, p99);
        if (!mix[i].answer_grows && growth > worst_growth) {
            worst_growth = growth;
            worst = mix[i].id;
        }
    }
    stage.report({"search", large_maximum, "requests/s", small_maximum, worst_growth, 0, worst_p99,
                  0,
                  fmt::format("{} against {} patients; ratio = worst growth of p99 ({}); floor = "
                              "requests/s on the small region",
                              large, small, worst)});
    return {};
}

}  // namespace meridian::bench
