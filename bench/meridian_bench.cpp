// SPDX-License-Identifier: Apache-2.0
// ./dev bench [NAME…] [--full] [--json] [--unprotected] [--folder DIR]
#include <cstdio>
#include <filesystem>

#include "bench/workloads/bench.hpp"

using namespace meridian;

int main(int argc, char** argv) {
    if (argc == 4 && std::string_view(argv[1]) == "--floor-server")
        return bench::run_floor_server(argv[2], argv[3]);
    const std::pair<const char*, Result<void> (*)(bench::Stage&)> workloads[] = {
        {"import", bench::bench_import}, {"transaction", bench::bench_transaction},
        {"read", bench::bench_read},     {"crud", bench::bench_crud},
        {"search", bench::bench_search}, {"export", bench::bench_export}};
    bench::Settings settings;
    std::vector<std::string> wanted;
    std::string kept_folder;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--full") {
            settings.full = true;
        } else if (word == "--json") {
            settings.json = true;
        } else if (word == "--unprotected") {
            settings.trust = tests::Trust::off;
        } else if (word == "--folder" && i + 1 < argc) {
            kept_folder = argv[++i];
        } else if (std::any_of(std::begin(workloads), std::end(workloads),
                               [&](const auto& workload) { return word == workload.first; })) {
            wanted.push_back(word);
        } else {
            std::fprintf(stderr,
                         "bench: there is no \"%s\"; known: import transaction read crud search "
                         "export, --full, --json, --unprotected, --folder DIR\n",
                         word.c_str());
            return 2;
        }
    }
    // About 400 resources a patient: 400,000 resources by default, 4 million with --full.
    settings.base_patients = settings.full ? 10'000 : 1'000;
    settings.folder = kept_folder.empty() ? tests::make_temporary_folder() : kept_folder;
    std::filesystem::create_directories(settings.folder);
    bench::Stage stage(settings);
    int code = 0;
    for (const auto& [name, run] : workloads) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), name) == wanted.end())
            continue;
        if (const auto done = run(stage); !done) {
            std::fprintf(stderr, "bench %s: %s\n", name, done.error().message.c_str());
            code = 1;
        }
    }
    if (kept_folder.empty()) std::filesystem::remove_all(settings.folder);
    return code;
}
