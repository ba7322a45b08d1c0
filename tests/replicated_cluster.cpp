// SPDX-License-Identifier: Apache-2.0
#include "tests/replicated_cluster.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "store/postgres/test_cluster.hpp"

namespace meridian::tests {

using store::postgres::Connection;
namespace detail = store::postgres::test_detail;

namespace {

/// A port that was free just now.
std::uint16_t free_port() {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (made < 0 || ::bind(made, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::getsockname(made, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        detail::give_up("no port is free");
    ::close(made);
    return ntohs(address.sin_port);
}

void run(const std::vector<std::string>& words, const std::string& log) {
    if (detail::wait_for(detail::start(words, log)) != 0)
        detail::give_up(words.front() + " failed, see " + log);
}

void wait_until_it_answers(const std::string& url, const std::string& log) {
    for (int tries = 0; !Connection::open({.url = url, .application_name = "meridian test"});) {
        constexpr int tries_max = 600;
        if (++tries == tries_max) detail::give_up("it does not answer, see " + log);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

constexpr const char* names[] = {"primary", "standby"};

}  // namespace

ReplicatedCluster::ReplicatedCluster(bool is_synchronous) : ports_{free_port(), free_port()} {
    std::string name = std::filesystem::temp_directory_path().string() + "/meridian-pg2-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) detail::give_up("no temporary folder can be made");
    folder_ = name;
    if (::geteuid() == 0) {
        const passwd* user = ::getpwnam(detail::user_for_root);
        if (user == nullptr) detail::give_up("there is no user postgres; run ./dev setup");
        if (::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0)
            detail::give_up("chown failed");
    }
    const std::string data = folder_ + "/primary";
    const std::string programs = detail::programs;
    run({programs + "initdb", "-D", data, "-A", "trust", "-U", "meridian", "-E", "UTF8",
         "--no-sync"},
        folder_ + "/log");
    start(0);
    run({programs + "createdb", "-h", "127.0.0.1", "-p", std::to_string(ports_[0]), "-U",
         "meridian", "record"},
        folder_ + "/log");
    run({programs + "pg_basebackup", "-D", folder_ + "/standby", "-R", "-X", "stream", "-c", "fast",
         "--no-sync", "-d",
         fmt::format("host=127.0.0.1 port={} user=meridian application_name=standby", ports_[0])},
        folder_ + "/log");
    start(1);
    if (!is_synchronous) return;
    const auto connection = Connection::open({.url = primary()});
    if (!connection ||
        !(*connection)->execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'") ||
        !(*connection)->execute("SELECT pg_reload_conf()"))
        detail::give_up("the standby cannot be made synchronous");
    for (int tries = 0; tries < 200; ++tries) {
        if ((*connection)
                ->integer("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", 0)
                .value_or(0) == 1)
            return;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    detail::give_up("the standby does not become synchronous, see " + folder_ + "/log");
}

void ReplicatedCluster::start(int which) {
    processes_[which] = detail::start(
        {detail::programs + std::string("postgres"), "-D", folder_ + "/" + names[which], "-k",
         folder_, "-p", std::to_string(ports_[which]), "-c", "listen_addresses=127.0.0.1", "-c",
         "max_connections=200", "-c", "shared_buffers=64MB", "-c", "hot_standby=on", "-c",
         "fsync=off", "-c", "full_page_writes=off"},
        fmt::format("{}/log-{}", folder_, names[which]));
    // Until the database `record` is made there is only `postgres`.
    const std::string url =
        fmt::format("postgresql://meridian@127.0.0.1:{}/postgres", ports_[which]);
    wait_until_it_answers(url, fmt::format("{}/log-{}", folder_, names[which]));
}

ReplicatedCluster::~ReplicatedCluster() {
    for (const int which : {1, 0}) {
        if (processes_[which] == 0) continue;
        ::kill(processes_[which], SIGQUIT);
        detail::wait_for(processes_[which]);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

std::string ReplicatedCluster::url_of(std::uint16_t port) const {
    return fmt::format("postgresql://meridian@127.0.0.1:{}/record", port);
}

std::string ReplicatedCluster::either() const {
    return fmt::format(
        "postgresql://meridian@127.0.0.1:{},127.0.0.1:{}/record?target_session_attrs=read-write",
        ports_[0], ports_[1]);
}

void ReplicatedCluster::kill_primary() {
    // The postmaster's children find out that it is gone and end; a commit of theirs may still be
    // under way then, so all are killed, the parent first stopped from starting others.
    const int parent = std::exchange(processes_[0], 0);
    ::kill(parent, SIGSTOP);
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string process = entry.path().filename();
        if (process.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream file(entry.path() / "stat");
        std::string text;
        std::getline(file, text);
        std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
        std::string state;
        int its_parent = 0;
        rest >> state >> its_parent;
        if (its_parent == parent) ::kill(std::stoi(process), SIGKILL);
    }
    ::kill(parent, SIGKILL);
    detail::wait_for(parent);
}

void ReplicatedCluster::stop_standby() {
    ::kill(processes_[1], SIGQUIT);
    detail::wait_for(std::exchange(processes_[1], 0));
}

void ReplicatedCluster::start_standby() {
    start(1);
}

void ReplicatedCluster::run_on_standby(const std::string& sql) {
    const auto connection = Connection::open({.url = standby(), .application_name = "test"});
    if (!connection || !(*connection)->execute(sql)) detail::give_up("the standby refuses " + sql);
}

void ReplicatedCluster::promote() {
    run_on_standby("SELECT pg_promote()");
}

void ReplicatedCluster::pause_replay(bool pauses) {
    run_on_standby(pauses ? "SELECT pg_wal_replay_pause()" : "SELECT pg_wal_replay_resume()");
}

}  // namespace meridian::tests
