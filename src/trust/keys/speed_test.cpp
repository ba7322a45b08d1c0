// SPDX-License-Identifier: Apache-2.0
// What sealing costs in processor time, in one process: run with --gtest_also_run_disabled_tests
// --gtest_filter='KeysSpeed*'. No bound is checked here: the machine decides.
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>

#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "store/testing.hpp"
#include "trust/keys/body_cipher.hpp"

namespace meridian::trust {
namespace {

using meridian::testing::Folder;
using meridian::testing::must;

constexpr int patients = 2'000, each = 15, batch = 3'000, reads = 200'000;

std::string observation(int patient, int number) {
    return fmt::format(
        R"({{"resourceType":"Observation","id":"o-{0}-{1}","status":"final","category":[{{"coding":[)"
        R"({{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs",)"
        R"("display":"Vital signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4",)"
        R"("display":"Heart rate"}}],"text":"Heart rate"}},"subject":{{"reference":"Patient/p{0}"}},)"
        R"("encounter":{{"reference":"Encounter/e-{0}-{1}"}},"effectiveDateTime":"20{2:02}-03-{3:02}T10:{1:02}:00Z",)"
        R"("valueQuantity":{{"value":{4},"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}}})",
        patient, number, 10 + number, 1 + patient % 28, 50 + (patient * 7 + number) % 90);
}

/// Of processor time, all threads together: what others do on the machine does not count.
double seconds_of(const std::function<void()>& work) {
    const std::clock_t begun = std::clock();
    work();
    return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
}

struct Speed {
    double import_rate = 0, read_rate = 0;
};

Speed speed_with(bool is_sealed_record, Suite suite) {
    const Folder folder;
    const auto store = must(store::open_for_test({.folder = folder.path(), .bulk = true}));
    fhir::Repository::Options options;
    if (is_sealed_record)
        options.cipher = body_cipher(
            must(open_keys(*store, folder.path(), {.suite = suite, .background = true})));
    const auto repository = must(fhir::Repository::open(*store, options));
    const fhir::Caller caller = fhir::Caller::system("test");
    Speed speed;
    const double import_seconds = seconds_of([&] {
        std::vector<store::Change> changes;
        for (int patient = 0; patient < patients; ++patient) {
            for (int number = 0; number < each; ++number) {
                const JsonDocument document =
                    must(JsonDocument::parse(observation(patient, number)));
                changes.push_back(must(repository->prepare(
                    caller, "Observation", document.root().string_at("id"), document.root())));
                if (changes.size() < batch) continue;
                must(repository->commit_prepared(caller, std::exchange(changes, {})));
            }
        }
        if (!changes.empty()) must(repository->commit_prepared(caller, std::move(changes)));
    });
    speed.import_rate = patients * each / import_seconds;
    const auto read_all = [&] {
        std::size_t bytes = 0;
        for (int i = 0; i < reads; ++i) {
            const int patient = static_cast<int>((static_cast<std::int64_t>(i) * 7'919) % patients);
            const std::string id = fmt::format("o-{}-{}", patient, i % each);
            auto read = repository->read_at_once(caller, "Observation", id);
            bytes +=
                must(read ? std::move(read->outcome) : repository->read(caller, "Observation", id))
                    .json.size();
        }
        EXPECT_GT(bytes, 0u);
    };
    read_all();  // warms both caches
    speed.read_rate = reads / seconds_of(read_all);
    return speed;
}

TEST(KeysSpeed, DISABLED_ImportAndReadWithAndWithout) {
    for (int round = 0; round < 3; ++round) {
        const Speed plain = speed_with(false, Suite::aes);
        const Speed sealed = speed_with(true, Suite::aes);
        const Speed sm4 = speed_with(true, Suite::sm);
        std::printf("import/s plain %.0f, aes %.0f (-%.1f %%), sm4 %.0f (-%.1f %%)\n",
                    plain.import_rate, sealed.import_rate,
                    100 - 100 * sealed.import_rate / plain.import_rate, sm4.import_rate,
                    100 - 100 * sm4.import_rate / plain.import_rate);
        std::printf("read/s   plain %.0f, aes %.0f (-%.1f %%), sm4 %.0f (-%.1f %%)\n",
                    plain.read_rate, sealed.read_rate,
                    100 - 100 * sealed.read_rate / plain.read_rate, sm4.read_rate,
                    100 - 100 * sm4.read_rate / plain.read_rate);
    }
}

TEST(KeysSpeed, DISABLED_OfOneBody) {
    SecretKey secret{};
    for (const Suite suite : {Suite::aes, Suite::sm}) {
        const MessageKey key(suite, secret);
        for (const std::size_t size : {80u, 400u, 4'000u}) {
            constexpr int rounds = 200'000;
            const std::string text(size, 'x');
            std::string sealed;
            const double sealing = seconds_of([&] {
                for (int i = 0; i < rounds; ++i) {
                    sealed.clear();
                    key.seal("context", text, sealed);
                }
            });
            const double opening = seconds_of([&] {
                for (int i = 0; i < rounds; ++i) must(key.open("context", sealed));
            });
            std::printf("%s, %zu bytes: seal %.0f ns, open %.0f ns\n",
                        std::string(name_of(suite)).c_str(), size, 1e9 * sealing / rounds,
                        1e9 * opening / rounds);
        }
    }
}

}  // namespace
}  // namespace meridian::trust
