// SPDX-License-Identifier: Apache-2.0
// What auditing costs a read, in process on SQLite: audit_bench FOLDER THREADS SECONDS
//
// Reads Observations by id through the Repository, audit off and on, in turns; then how fast the
// store takes audit entries in groups when nobody waits for each.
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "fhir/repository.hpp"
#include "store/open.hpp"
#include "trust/audit/log_audit.hpp"

using namespace meridian;

namespace {

constexpr int resources = 5'000;
constexpr int patients = 200;

/// Stops the program: this is a measurement, not a service.
template <class T>
T must(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "{}\n", result.error().message);
        std::exit(1);
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void fill(fhir::Repository& repository) {
    const fhir::Caller caller = fhir::Caller::system("bench");
    std::vector<store::Change> changes;
    for (int i = 0; i < resources; ++i) {
        const auto document = must(JsonDocument::parse(
            fmt::format(R"({{"resourceType":"Observation","id":"o{}","status":"final","code":)"
                        R"({{"text":"x"}},"subject":{{"reference":"Patient/p{}"}}}})",
                        i, i % patients)));
        changes.push_back(must(
            repository.prepare(caller, "Observation", fmt::format("o{}", i), document.root())));
    }
    must(repository.commit_prepared(caller, std::move(changes)));
}

double reads_a_second(fhir::Repository& repository, int threads, int seconds) {
    std::atomic<bool> stop = false;
    std::atomic<std::int64_t> reads = 0;
    std::vector<std::thread> all;
    const auto start = std::chrono::steady_clock::now();
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            fhir::Caller caller;
            caller.actor = fmt::format("Practitioner/{}", t);
            caller.address = "192.0.2.7";
            caller.request_id = "0123456789abcdef";
            for (int i = t; !stop; i += 7) {
                must(repository.read(caller, "Observation", fmt::format("o{}", i % resources)));
                ++reads;
            }
        });
    }
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    stop = true;
    for (auto& thread : all) thread.join();
    return static_cast<double>(reads) / seconds_since(start);
}

double entries_a_second(store::Store& store, trust::audit::LogAudit& audit, int count) {
    fhir::Caller caller;
    caller.actor = "Practitioner/1";
    std::latch done(count);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
        fhir::AuditRecord record{.interaction = fhir::Interaction::read, .type = "Observation"};
        record.id = fmt::format("o{}", i % resources);
        record.add_patient(fmt::format("p{}", i % patients));
        const auto entries = must(audit.entries(caller, record));
        std::atomic<bool> is_refused = true;
        while (is_refused) {
            is_refused = false;
            store.record_later(entries, [&](Result<void> kept) {
                if (!kept && kept.error().category == Category::busy) {
                    is_refused = true;  // told at once, on this thread
                    return;
                }
                must(std::move(kept));
                done.count_down();
            });
            if (is_refused) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    done.wait();
    return count / seconds_since(start);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4) {
        fmt::print(stderr, "usage: audit_bench FOLDER THREADS SECONDS\n");
        return 2;
    }
    const int threads = std::atoi(arguments[2]), seconds = std::atoi(arguments[3]);
    const auto store = must(store::open({.folder = arguments[1]}));
    const auto audit = std::make_shared<trust::audit::LogAudit>(*store);
    fhir::Repository::Options audited;
    audited.audit = audit;
    fill(*must(fhir::Repository::open(*store, {})));
    for (int round = 0; round < 3; ++round) {
        const double off =
            reads_a_second(*must(fhir::Repository::open(*store, {})), threads, seconds);
        const double on =
            reads_a_second(*must(fhir::Repository::open(*store, audited)), threads, seconds);
        fmt::print("{} threads: {:.0f} reads/s without audit, {:.0f} with ({:.0f} %)\n", threads,
                   off, on, 100 * on / off);
    }
    fmt::print("{:.0f} audit entries/s when nobody waits for each\n",
               entries_a_second(*store, *audit, 200'000));
    return 0;
}
