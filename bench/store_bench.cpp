// SPDX-License-Identifier: Apache-2.0
// How fast the store takes rows, without FHIR: store_bench FOLDER RESOURCES GROUP_CHANGES
// [fresh|known] [rows] Each resource has a 400-byte body that does not compress and 14 index rows,
// as measured on Synthea data.
#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <random>

#include "base/ids.hpp"
#include "store/open.hpp"

using namespace meridian;
using namespace meridian::store;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Maker {
    Store& store;
    bool fresh;
    std::mt19937_64 random{42};
    std::int64_t made = 0;
    std::string patient = "p0";
    std::string encounter = "e0";
    Name type = store.names().intern(NameKind::type, "Observation");
    Name patient_type = store.names().intern(NameKind::type, "Patient");
    Name encounter_type = store.names().intern(NameKind::type, "Encounter");
    std::vector<Name> params = [this] {
        std::vector<Name> out;
        for (int i = 0; i < 16; ++i)
            out.push_back(
                store.names().intern(NameKind::parameter, "Observation.p" + std::to_string(i)));
        return out;
    }();

    Change make() {
        // Synthea: some 300 resources a patient, some 10 an encounter, ids random.
        if (made % 300 == 0) patient = new_uuid();
        if (made % 10 == 0) encounter = new_uuid();
        ++made;
        Change change;
        change.identity = {type, new_uuid()};
        change.fresh = fresh;
        change.body.resize(400);
        for (std::size_t i = 0; i + 8 <= change.body.size(); i += 8) {
            const std::uint64_t bits = random();
            std::memcpy(change.body.data() + i, &bits, 8);
        }
        const std::int64_t code = 1000 + static_cast<std::int64_t>(random() % 300);
        const std::int64_t date =
            1'500'000'000'000 + static_cast<std::int64_t>(random() % 200'000'000'000);
        const double value = static_cast<double>(random() % 100000) / 100;
        Rows& rows = change.rows;
        rows.tokens = {{params[0], code},
                       {params[1], 7},
                       {params[2], static_cast<std::int64_t>(random() % 20)},
                       {params[3], static_cast<std::int64_t>(random()) >> 1}};
        rows.dates = {{params[4], date, date + 1000}};
        rows.quantities = {{params[5], 3, value - 0.005, value + 0.005}};
        rows.references = {{params[6], {patient_type, patient}},
                           {params[7], {patient_type, patient}},
                           {params[8], {encounter_type, encounter}}};
        rows.composites = {{params[9], code, 3, value - 0.005, value + 0.005, {}}};
        rows.uris = {{params[10], "http://example.org/profile/" + std::to_string(random() % 20)}};
        rows.patients = {{{patient_type, patient}, 0, date}, {{patient_type, patient}, code, date}};
        rows.compartments = {{patient_type, patient}};
        return change;
    }
};

double cpu_seconds(int who) {
    rusage usage{};
    getrusage(who, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
/// Of all threads but this one, which only makes the rows.
double store_cpu_seconds() {
    return cpu_seconds(RUSAGE_SELF) - cpu_seconds(RUSAGE_THREAD);
}

}  // namespace

int main(int count, char** words) {
    if (count < 4) {
        fmt::print(stderr, "usage: store_bench FOLDER RESOURCES GROUP_CHANGES [fresh|known]\n");
        return 2;
    }
    OpenOptions options;
    options.folder = words[1];
    const std::int64_t total = std::atoll(words[2]);
    const std::int64_t group = std::atoll(words[3]);
    options.bulk = group > 8192;
    auto opened = open(options);
    if (!opened) {
        fmt::print(stderr, "{}\n", opened.error().message);
        return 1;
    }
    auto& store = **opened;
    Maker maker{store, count < 5 || std::string_view(words[4]) == "fresh"};
    maker.random.seed(
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
    double made = 0, written = 0, last = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t done = 0; done < total;) {
        const auto making = std::chrono::steady_clock::now();
        Commit commit;
        for (std::int64_t i = 0; i < group; ++i) commit.changes.push_back(maker.make());
        made += seconds_since(making);
        const auto writing = std::chrono::steady_clock::now();
        if (auto receipt = store.commit(std::move(commit)); !receipt) {
            fmt::print(stderr, "{}\n", receipt.error().message);
            return 1;
        }
        last = seconds_since(writing);
        written += last;
        done += group;
        if (done % (total / 10 / group * group + group) == 0 || done >= total) {
            rusage usage{};
            getrusage(RUSAGE_SELF, &usage);
            fmt::print(
                "{:>9} resources  {:>7.0f}/s  {:>7.0f}/s of processor time  {:>7.0f}/s last group  "
                "rss {} MB\n",
                done, static_cast<double>(done) / written,
                static_cast<double>(done) / store_cpu_seconds(), static_cast<double>(group) / last,
                usage.ru_maxrss / 1024);
        }
    }
    fmt::print("{:.0f} resources/s, {:.0f}/s of processor time, made in {:.1f} s, wall {:.1f} s\n",
               static_cast<double>(total) / written,
               static_cast<double>(total) / store_cpu_seconds(), made, seconds_since(start));
    {
        constexpr int rounds = 100'000;
        const double before = cpu_seconds(RUSAGE_THREAD);
        for (int i = 0; i < rounds; ++i) {
            if (!store.snapshot()) return 1;
        }
        fmt::print("snapshot begin and end: {:.2f} us of processor time\n",
                   (cpu_seconds(RUSAGE_THREAD) - before) / rounds * 1e6);
    }
}
