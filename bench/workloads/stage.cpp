// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <simdjson.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/json.hpp"
#include "bench/workloads/bench.hpp"
#include "generate/write.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/sqlite/database.hpp"

namespace meridian::bench {

namespace fs = std::filesystem;

double resident_mb(pid_t process, bool peak) {
    std::ifstream file(fmt::format("/proc/{}/status", process));
    const std::string wanted = peak ? "VmHWM:" : "VmRSS:";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(wanted)) return std::stod(line.substr(wanted.size())) / 1024;
    }
    return 0;
}

Result<load::Report> run_load(const load::Options& options, const load::Next& next,
                              const load::OnReply& on_reply) {
    load::Report report = TRY(load::run(options, next, on_reply));
    if (report.failed() == 0) return report;
    std::string first;
    for (const load::Figures& figures : report.kinds) {
        if (first.empty()) first = figures.first_failure;
    }
    return fail(Category::fault,
                fmt::format("{} of {} calls failed, the first with: {}", report.failed(),
                            report.failed() + report.succeeded(), first));
}

void Stage::report(const Row& row) {
    if (settings_.json) {
        std::printf(
            R"({"workload":"%s","value":%.1f,"unit":"%s","floor":%.1f,"ratio":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"rss_mb":%.1f})"
            "\n",
            row.workload.c_str(), row.value, row.unit.c_str(), row.floor, row.ratio, row.p50_ms,
            row.p99_ms, row.rss_mb);
    } else {
        std::printf(
            "%-24s %12.1f %-12s floor %10.1f  ratio %6.3f  p50 %8.3f ms  p99 %8.3f ms  rss %7.1f "
            "MB  %s\n",
            row.workload.c_str(), row.value, row.unit.c_str(), row.floor, row.ratio, row.p50_ms,
            row.p99_ms, row.rss_mb, row.note.c_str());
    }
    std::fflush(stdout);
}

Result<std::string> Stage::corpus(std::uint64_t patients) {
    const std::string folder = fmt::format("{}/corpus-{}", settings_.folder, patients);
    if (fs::exists(folder + "/complete")) return folder;
    generate::RegionOptions options;
    options.patients = patients;
    TRY(generate::write_folder(options, folder));
    fs::remove(folder + "/truth.ndjson");
    std::ofstream(folder + "/complete") << "1\n";
    return folder;
}

Result<Stage::Load> Stage::store(std::uint64_t patients) {
    if (const auto found = stores_.find(patients); found != stores_.end()) return found->second;
    const std::string files = TRY(corpus(patients));
    Load load;
    load.folder = fmt::format("{}/store-{}", settings_.folder, patients);
    // A store that an earlier run left in a kept folder serves again, with its figures.
    if (std::ifstream kept(load.folder + ".load");
        kept >> load.resources >> load.seconds >> load.rss_mb) {
        stores_[patients] = load;
        return load;
    }
    std::string output;
    const auto begun = std::chrono::steady_clock::now();
    rusage before{}, after{};
    getrusage(RUSAGE_CHILDREN, &before);
    std::vector<std::string> arguments{"import", files};
    if (settings_.trust == tests::Trust::off) arguments.emplace_back("--unprotected");
    const auto place = tests::place_of(load.folder);
    arguments.insert(arguments.end(), place.begin(), place.end());
    const int code = tests::run_program(arguments, &output);
    getrusage(RUSAGE_CHILDREN, &after);
    load.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    load.rss_mb = static_cast<double>(after.ru_maxrss) / 1024;
    if (code != 0)
        return fail(Category::fault, fmt::format("the import ended with {}: {}", code, output));
    const std::size_t at = output.find(" resources loaded");
    const std::size_t line = output.rfind('\n', at);
    load.resources = std::stoll(output.substr(line == std::string::npos ? 0 : line + 1));
    std::ofstream(load.folder + ".load")
        << load.resources << ' ' << load.seconds << ' ' << load.rss_mb << '\n';
    ::sync();  // what was just written is not being written while something else is measured
    stores_[patients] = load;
    return load;
}

Result<void> Stage::settle(const std::string& folder) {
    ::sync();
    if (!store::postgres::tests_use_postgres()) return {};
    auto& cluster = store::postgres::TestCluster::instance();
    auto database = TRY(store::postgres::Connection::open({.url = cluster.database_for(folder)}));
    // What PostgreSQL does by itself within minutes of a load, in the time of whoever is measured.
    TRY(database->ask_once("VACUUM"));
    return database->execute("CHECKPOINT");
}

Result<std::unique_ptr<tests::ServerProcess>> Stage::serve() {
    const Load base = TRY(store(settings_.base_patients));
    TRY(settle(base.folder));
    auto server = std::make_unique<tests::ServerProcess>(base.folder, std::vector<std::string>{},
                                                         settings_.trust);
    if (!server->is_running())
        return fail(Category::fault, "the server did not start: " + server->output());
    return server;
}

Result<double> Stage::floor_a() {
    if (floor_a_) return *floor_a_;
    const std::string files = TRY(corpus(settings_.base_patients));
    const std::string path = settings_.folder + "/floor-a.db";
    fs::remove(path);
    store::sqlite::DatabaseOptions options;
    options.create = true;
    auto database = TRY(store::sqlite::Database::open(path, options));
    TRY(database->execute(
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE "
        "body(rid INTEGER PRIMARY KEY, json BLOB NOT NULL)"));
    simdjson::dom::parser parser;
    std::string packed(1u << 20, '\0');
    std::int64_t count = 0;
    const std::int64_t enough = settings_.full ? 1'000'000 : 200'000;
    const auto begun = std::chrono::steady_clock::now();
    TRY(database->execute("BEGIN"));
    for (const auto& entry : fs::directory_iterator(files)) {
        if (entry.path().extension() != ".ndjson") continue;
        std::ifstream file(entry.path());
        for (std::string line; count < enough && std::getline(file, line);) {
            if (parser.parse(line).error() != simdjson::SUCCESS)
                return fail(Category::fault, "the corpus is no JSON");
            packed.resize(ZSTD_compressBound(line.size()));
            const std::size_t size =
                ZSTD_compress(packed.data(), packed.size(), line.data(), line.size(), 1);
            auto insert = TRY(database->prepare("INSERT INTO body(rid, json) VALUES(?, ?)"));
            insert.bind(1, ++count).bind_blob(2, std::string_view(packed.data(), size));
            TRY(insert.run());
            if (count % 256 == 0) TRY(database->execute("COMMIT; BEGIN"));
        }
    }
    TRY(database->execute("COMMIT"));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    database.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix);
    floor_a_ = static_cast<double>(count) / seconds;
    return *floor_a_;
}

FloorServer::FloorServer(const std::string& kind, const std::string& argument) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return;
    process_ = fork();
    if (process_ == 0) {
        dup2(pipe_ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "meridian_bench", "--floor-server", kind.c_str(), argument.c_str(),
              static_cast<char*>(nullptr));
        _exit(127);
    }
    close(pipe_ends[1]);
    FILE* output = fdopen(pipe_ends[0], "r");
    unsigned port = 0;
    if (std::fscanf(output, "%u", &port) == 1) port_ = static_cast<std::uint16_t>(port);
    std::fclose(output);
}

FloorServer::~FloorServer() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
}

}  // namespace meridian::bench
