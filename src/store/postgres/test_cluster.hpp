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
#include "store/postgres/migrations.hpp"

namespace meridian::store::postgres {

/// A private PostgreSQL cluster in a temporary folder, reached by a unix socket there, started when
/// a test process first asks and stopped when that ends. It does not wait for the disk: what
/// happens when a machine fails is tested elsewhere. MERIDIAN_TEST_DATABASE names another server
/// instead, for measurements: the URL of its database `postgres`. When the layout of the tests is
/// that of a Citus cluster, two workers stand beside it.
class TestCluster {
 public:
    /// The one of this process. Aborts the test process with PostgreSQL's words when it does not
    /// start.
    static TestCluster& instance();
    /// URL of a database of this name, made empty when it is first asked for.
    std::string database(const std::string& name);
    /// The same for the store that a test keeps in `folder`: with a store of layout_of_tests in it
    /// when that is a sharded one, else empty too.
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
    /// One PostgreSQL server: its data in a folder below `folder_`, its socket there too.
    struct Node {
        std::string name;
        int port;
        int process = 0;
    };
    void make(const Node& node);
    void launch(Node& node);
    std::string url_of(const Node& node, const std::string& database) const;
    std::unique_ptr<Connection> connect(const std::string& url) const;
    void run(const std::string& url, const std::string& script) const;
    /// The database that those for stores are copies of: a Citus cluster takes seconds to make one.
    void make_template();
    void make_database(const std::string& name);

    std::string folder_;
    std::string url_;  ///< of the database `postgres` of the first node
    std::vector<Node> nodes_;
    bool has_template_ = false;
};

/// Whether the tests of this run are to use PostgreSQL where they do not care
/// (MERIDIAN_TEST_STORE=postgres).
bool tests_use_postgres();

/// How their stores lie there: MERIDIAN_TEST_LAYOUT is as Layout::text.
Layout layout_of_tests();

namespace test_detail {

inline constexpr const char* programs = "/usr/lib/postgresql/15/bin/";
/// Who PostgreSQL runs as when the tests run as root, which it refuses.
inline constexpr const char* user_for_root = "postgres";

inline constexpr const char* citus_control = "/usr/share/postgresql/15/extension/citus.control";
inline constexpr int exit_code_of_skipped = 77;

[[noreturn]] inline void give_up(const std::string& why) {
    std::fprintf(stderr, "the tests' PostgreSQL does not work: %s\n", why.c_str());
    std::abort();
}

/// Starts a program as a user that PostgreSQL accepts, its words into `log`. Its process id.
inline int start(const std::vector<std::string>& words, const std::string& log) {
    const int child = ::fork();
    if (child < 0) give_up("no process can be made");
    if (child > 0) return child;
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
    // Behind the change of user, which forgets it: who is killed takes his servers with him.
    ::prctl(PR_SET_PDEATHSIG, SIGINT);
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

inline Layout layout_of_tests() {
    const char* text = std::getenv("MERIDIAN_TEST_LAYOUT");
    if (text == nullptr) return {};
    const auto layout = Layout::parse(text);
    if (!layout) test_detail::give_up(std::string("MERIDIAN_TEST_LAYOUT is no layout: ") + text);
    return *layout;
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
    if (layout_of_tests().is_distributed() && !std::filesystem::exists(citus_control)) {
        std::puts("skipped: PostgreSQL's extension citus is not installed (docs/scale.md)");
        std::fflush(stdout);
        ::_exit(exit_code_of_skipped);
    }
    std::string name = std::filesystem::temp_directory_path().string() + "/meridian-pg-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) give_up("no temporary folder can be made");
    folder_ = name;
    if (::geteuid() == 0) {
        const passwd* user = ::getpwnam(user_for_root);
        if (user == nullptr) give_up("there is no user postgres; run ./dev setup");
        if (::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) give_up("chown failed");
    }
    // The ports name sockets in the folder and nothing else.
    nodes_ = {{"data", 5432}};
    if (layout_of_tests().is_distributed()) {
        nodes_.push_back({"worker1", 5433});
        nodes_.push_back({"worker2", 5434});
    }
    url_ = url_of(nodes_.front(), "postgres");
    for (const Node& node : nodes_) make(node);
    launch();
}

inline void TestCluster::make(const Node& node) {
    using namespace test_detail;
    const std::string data = folder_ + "/" + node.name;
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
}

inline void TestCluster::launch() {
    for (Node& node : nodes_) launch(node);
}

inline void TestCluster::launch(Node& node) {
    using namespace test_detail;
    const std::string log = folder_ + "/log";
    std::vector<std::string> words = {
        programs + std::string("postgres"), "-D", folder_ + "/" + node.name, "-k", folder_, "-p",
        std::to_string(node.port)};
    std::vector<std::string> settings = {"listen_addresses=",   "fsync=off",
                                         "max_connections=200", "shared_buffers=128MB",
                                         "max_wal_size=1GB",    "full_page_writes=off"};
    if (nodes_.size() > 1) {
        settings.insert(settings.end(),
                        {"shared_preload_libraries=citus", "max_prepared_transactions=400",
                         "citus.shard_count=" + std::to_string(layout_of_tests().shards),
                         "citus.enable_statistics_collection=off"});
    }
    for (const std::string& setting : settings) {
        words.push_back("-c");
        words.push_back(setting);
    }
    node.process = start(words, log);
    const std::string url = url_of(node, "postgres");
    for (int tries = 0; !Connection::open({.url = url, .application_name = "meridian test"});) {
        constexpr int tries_max = 600;
        if (++tries == tries_max) give_up("it does not answer, see " + log);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

inline void TestCluster::crash() {
    // SIGQUIT: every process of the server ends at once, as in a crash.
    for (Node& node : nodes_) {
        ::kill(node.process, SIGQUIT);
        test_detail::wait_for(node.process);
        node.process = 0;
    }
}

inline TestCluster::~TestCluster() {
    if (nodes_.empty() || nodes_.front().process == 0) return;
    for (Node& node : nodes_) {
        // SIGINT: a fast shutdown, which ends what is still connected.
        ::kill(node.process, SIGINT);
        test_detail::wait_for(node.process);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

inline std::string TestCluster::url_of(const Node& node, const std::string& database) const {
    const std::string url = "postgresql://meridian@/" + database + "?host=" + folder_;
    return node.port == 5432 ? url : url + "&port=" + std::to_string(node.port);
}

inline std::unique_ptr<Connection> TestCluster::connect(const std::string& url) const {
    auto connection = Connection::open({.url = url, .application_name = "meridian test"});
    if (!connection) test_detail::give_up(connection.error().message);
    return std::move(*connection);
}

inline void TestCluster::run(const std::string& url, const std::string& script) const {
    if (auto done = connect(url)->execute(script); !done)
        test_detail::give_up(done.error().message + " in " + script);
}

inline std::string TestCluster::database(const std::string& name) {
    const auto found =
        connect(url_)->integer("SELECT count(*) FROM pg_database WHERE datname = $1::text", 0,
                               std::move(Parameters().text(name)));
    if (!found) test_detail::give_up(found.error().message);
    if (*found == 0) run(url_, "CREATE DATABASE \"" + name + "\"");
    std::string url = url_;
    return url.replace(url.find("/postgres?") + 1, std::string_view("postgres").size(), name);
}

inline std::string TestCluster::database_for(const std::string& folder) {
    const std::string name = "t" + to_hex(sha256(folder)).substr(0, 24);
    if (layout_of_tests().is_sharded()) make_database(name);
    return database(name);
}

inline void TestCluster::make_database(const std::string& name) {
    const auto found =
        connect(url_)->integer("SELECT count(*) FROM pg_database WHERE datname = $1::text", 0,
                               std::move(Parameters().text(name)));
    if (!found) test_detail::give_up(found.error().message);
    if (*found != 0) return;
    make_template();
    if (nodes_.empty()) {
        run(url_, "CREATE DATABASE \"" + name + "\" TEMPLATE store");
        return;
    }
    for (const Node& node : nodes_)
        run(url_of(node, "postgres"), "CREATE DATABASE \"" + name + "\" TEMPLATE store");
}

inline void TestCluster::make_template() {
    if (std::exchange(has_template_, true)) return;
    const std::string url = database("store");
    if (nodes_.size() > 1) {
        for (std::size_t i = 1; i < nodes_.size(); ++i)
            run(url_of(nodes_[i], "postgres"), "CREATE DATABASE store");
        for (const Node& node : nodes_) run(url_of(node, "store"), "CREATE EXTENSION citus");
        std::string script = "SELECT citus_set_coordinator_host('" + folder_ + "', 5432);";
        for (std::size_t i = 1; i < nodes_.size(); ++i)
            script +=
                "SELECT citus_add_node('" + folder_ + "', " + std::to_string(nodes_[i].port) + ");";
        run(url, script);
    }
    if (auto made = make_store(*connect(url), layout_of_tests()); !made)
        test_detail::give_up(made.error().message);
    // Nobody may be in a database that is copied; Citus keeps a process in each of its own.
    for (const Node& node : nodes_)
        run(url_of(node, "postgres"),
            "ALTER DATABASE store ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid, 5000) "
            "FROM pg_stat_activity WHERE datname = 'store'");
}

}  // namespace meridian::store::postgres
