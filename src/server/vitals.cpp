// SPDX-License-Identifier: Apache-2.0
#include "server/vitals.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/metrics.hpp"

namespace meridian::server {

namespace {

void set(std::string_view name, std::string_view help, std::int64_t value) {
    metrics::gauge(name, help).set(value);
}

/// When this process began: set before main by the constant below.
std::int64_t started() {
    static const std::int64_t time = std::time(nullptr);
    return time;
}
[[maybe_unused]] const std::int64_t started_with_the_program = started();

void note_disk(const std::string& folder) {
    struct statvfs disk{};
    if (::statvfs(folder.c_str(), &disk) != 0) return;
    const auto block = static_cast<std::int64_t>(disk.f_frsize);
    set("meridian_data_free_bytes", "space left for the server on the disk of its data folder",
        static_cast<std::int64_t>(disk.f_bavail) * block);
    set("meridian_data_size_bytes", "size of that disk",
        static_cast<std::int64_t>(disk.f_blocks) * block);
}

void note_memory() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr) return;
    long long all = 0, resident = 0;
    if (std::fscanf(file, "%lld %lld", &all, &resident) == 2)
        set("process_resident_memory_bytes", "memory of this process", resident * ::getpagesize());
    std::fclose(file);
}

void note_files() {
    DIR* folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return;
    std::int64_t count = -3;  // ".", "..", and this folder itself
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    set("process_open_fds", "open files and sockets of this process", count);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
        set("process_max_fds", "how many it may have", static_cast<std::int64_t>(limit.rlim_cur));
}

}  // namespace

void note_vitals(const Vitals& vitals) {
    set("meridian_http_connections", "open connections, WebSockets included",
        static_cast<std::int64_t>(vitals.connections));
    set("meridian_http_requests_waiting", "requests that wait for a worker",
        static_cast<std::int64_t>(vitals.requests_waiting));
    set("process_start_time_seconds", "Unix time when this process began", started());
    note_disk(vitals.data_folder);
    note_memory();
    note_files();
}

}  // namespace meridian::server
