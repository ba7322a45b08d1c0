// SPDX-License-Identifier: Apache-2.0
// For tests of any room: a PostgreSQL server of their own.
#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.hpp"
#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// A private PostgreSQL cluster in a temporary folder, reached by a unix socket there, started when
/// a test process first asks and stopped when that ends. It does not wait for the disk: what
/// happens when a machine fails is tested elsewhere. MERIDIAN_TEST_DATABASE names another server
/// instead, for measurements: the URL of its database `postgres`.
class TestCluster {
 public:
    /// The one of this process. Aborts the test process with PostgreSQL's words when it does not
    /// start.
    static TestCluster& instance();
    /// URL of a database of this name, made empty when it is first asked for.
    std::string database(const std::string& name);
    /// The same for the store that a test keeps in `folder`.
    std::string database_for(const std::string& folder);
    const std::string& folder() const { return folder_; }
    /// Ends the server without a shutdown; launch() starts it again.
    void crash();
    void launch();

    ~TestCluster();
    TestCluster(const TestCluster&) = delete;
    TestCluster& operator=(const TestCluster&) = delete;

 private:
    TestCluster();
    std::string folder_;
    std::string url_;  ///< of the database `postgres`
    int process_ = 0;
};

/// Whether the tests of this run are to use PostgreSQL where they do not care
/// (MERIDIAN_TEST_STORE=postgres).
bool tests_use_postgres();

namespace test_detail {

inline constexpr const char* programs = "/usr/lib/postgresql/15/bin/";
/// Who PostgreSQL runs as when the tests run as root, which it refuses.
inline constexpr const char* user_for_root = "postgres";

[[noreturn]] inline void give_up(const std::string& why) {
    std::fprintf(stderr, "the tests' PostgreSQL does not work: %s\n", why.c_str());
    std::abort();
}

/// Starts a program as a user that PostgreSQL accepts, its words into `log`. Its process id.
inline int start(const std::vector<std::string>& words, const std::string& log) {
    const int child = ::fork();
    if (child < 0) give_up("no process can be made");
    if (child > 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGINT);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (file < 0 || nothing < 0) ::_exit(125);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::dup2(nothing, STDIN_FILENO);
    if (::geteuid() == 0) {
        const passwd* user = ::getpwnam(user_for_root);
        if (user == nullptr || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)
            ::_exit(126);
    }
    ::setenv("LC_ALL", "C", 1);
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
}

inline int wait_for(int process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    return status;
}

}  // namespace test_detail

inline bool tests_use_postgres() {
    const char* engine = std::getenv("MERIDIAN_TEST_STORE");
    return engine != nullptr && std::string_view(engine) == "postgres";
}

inline TestCluster& TestCluster::instance() {
    static TestCluster cluster;
    return cluster;
}

inline TestCluster::TestCluster() {
    using namespace test_detail;
    if (const char* other = std::getenv("MERIDIAN_TEST_DATABASE")) {
        url_ = other;
        return;
    }
    std::string name = std::filesystem::temp_directory_path().string() + "/meridian-pg-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) give_up("no temporary folder can be made");
    folder_ = name;
    if (::geteuid() == 0) {
        const passwd* user = ::getpwnam(user_for_root);
        if (user == nullptr) give_up("there is no user postgres; run ./dev setup");
        if (::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) give_up("chown failed");
    }
    const std::string data = folder_ + "/data";
    const std::string log = folder_ + "/log";
    const int made = wait_for(start({programs + std::string("initdb"), "-D", data, "-A", "trust",
                                     "-U", "meridian", "-E", "UTF8", "--no-sync"},
                                    log));
    if (made != 0) give_up("initdb failed, see " + log + "; is postgresql-15 installed?");
    // One role needs a password, so that a wrong one can be tried.
    const std::string rules = data + "/pg_hba.conf";
    std::stringstream others;
    others << std::ifstream(rules).rdbuf();
    std::ofstream(rules) << "local all locked scram-sha-256\n" << others.str();
    url_ = "postgresql://meridian@/postgres?host=" + folder_;
    launch();
}

inline void TestCluster::launch() {
    using namespace test_detail;
    const std::string data = folder_ + "/data";
    const std::string log = folder_ + "/log";
    process_ =
        start({programs + std::string("postgres"), "-D", data, "-k", folder_, "-c",
               "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c",
               "shared_buffers=128MB", "-c", "max_wal_size=1GB", "-c", "full_page_writes=off"},
              log);
    for (int tries = 0; !Connection::open({.url = url_, .application_name = "meridian test"});) {
        constexpr int tries_max = 600;
        if (++tries == tries_max) give_up("it does not answer, see " + log);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

inline void TestCluster::crash() {
    // SIGQUIT: every process of the server ends at once, as in a crash.
    ::kill(process_, SIGQUIT);
    test_detail::wait_for(process_);
    process_ = 0;
}

inline TestCluster::~TestCluster() {
    if (process_ == 0) return;
    // SIGINT: a fast shutdown, which ends what is still connected.
    ::kill(process_, SIGINT);
    test_detail::wait_for(process_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

inline std::string TestCluster::database(const std::string& name) {
    using test_detail::give_up;
    auto connection = Connection::open({.url = url_, .application_name = "meridian test"});
    if (!connection) give_up(connection.error().message);
    const auto found = (*connection)
                           ->integer("SELECT count(*) FROM pg_database WHERE datname = $1::text", 0,
                                     std::move(Parameters().text(name)));
    if (!found) give_up(found.error().message);
    if (*found == 0) {
        if (auto made = (*connection)->execute("CREATE DATABASE \"" + name + "\""); !made)
            give_up(made.error().message);
    }
    std::string url = url_;
    return url.replace(url.find("/postgres?") + 1, std::string_view("postgres").size(), name);
}

inline std::string TestCluster::database_for(const std::string& folder) {
    return database("t" + to_hex(sha256(folder)).substr(0, 24));
}

}  // namespace meridian::store::postgres
