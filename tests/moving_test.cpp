// SPDX-License-Identifier: Apache-2.0
// The real program under load: a store moves to the other engine and back, and is backed up and
// restored; the hash of the log says that it is the same record.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "net/client.hpp"
#include "store/postgres/test_cluster.hpp"
#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

constexpr int exit_of_unfinished = 3;
constexpr int exit_of_usage = 2;

/// Clients that write to a server until they are stopped, or it is.
class Load {
 public:
    explicit Load(const std::string& base) {
        for (unsigned i = 0; i < 4; ++i) threads_.emplace_back([this, base, i] { write(base, i); });
    }
    ~Load() { stop(); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    void stop() {
        stop_ = true;
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }
    /// Blocks until so many writes were acknowledged since.
    void wait_for(int writes) const {
        const int until = written_ + writes;
        for (int i = 0; i < 3'000 && written_ < until; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        EXPECT_GE(written_, until) << "the server does not take writes";
    }

 private:
    void write(const std::string& base, unsigned client_number) {
        net::Client client;
        for (int i = 0; !stop_; ++i) {
            const std::string id = fmt::format("p{}-{}", client_number, i % 50);
            net::ClientRequest request;
            request.url = fmt::format("{}/fhir/Patient/{}", base, id);
            if (i % 13 == 12) {
                request.method = net::Method::delete_;
            } else {
                request.method = net::Method::put;
                request.headers.add("Content-Type", "application/fhir+json");
                request.body = fmt::format(
                    R"({{"resourceType":"Patient","id":"{}","name":[{{"family":"F{}"}}],"managingOrganization":{{"reference":"Organization/o{}"}}}})",
                    id, i, i % 9);
            }
            const auto answer = client.send(request);
            if (!answer) return;
            if (answer->status < 300) ++written_;
        }
    }
    std::atomic<bool> stop_{false};
    std::atomic<int> written_{0};
    std::vector<std::thread> threads_;
};

class Folder {
 public:
    Folder() : path_(make_temporary_folder()) {}
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
    std::string path_;
};

using Words = std::vector<std::string>;

std::string run_well(const Words& words) {
    std::string output;
    EXPECT_EQ(run_program(words, &output), 0) << output;
    return output;
}

/// "log hash … up to position …" of a store.
std::string log_hash(Words place, const std::string& up_to = {}) {
    Words words{"check", "--log-hash"};
    words.insert(words.end(), place.begin(), place.end());
    if (!up_to.empty()) words.insert(words.end(), {"--up-to", up_to});
    return run_well(words);
}

void expect_sound(Words place) {
    place.insert(place.begin(), "check");
    EXPECT_NE(run_well(place).find(" 0 problems"), std::string::npos);
}

/// Runs the program and kills it after `delay`; whether it was over before.
bool run_and_kill(const Words& arguments, std::chrono::milliseconds delay) {
    Words words{MERIDIAN_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const pid_t process = ::fork();
    if (process == 0) {
        ::execv(pointers[0], pointers.data());
        ::_exit(127);
    }
    std::this_thread::sleep_for(delay);
    ::kill(process, SIGKILL);
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFEXITED(status);
}

/// Moves the store that `server` serves, under load, killed now and then, and finishes.
void move_under_load(ServerProcess& server, const Words& migrate, const Words& target) {
    ASSERT_TRUE(server.is_running()) << server.output();
    std::string output;
    {
        const Load load(server.base_url());
        load.wait_for(200);
        for (int delay = 20; delay < 200; delay += 30)
            run_and_kill(migrate, std::chrono::milliseconds(delay));
        EXPECT_EQ(run_program(migrate, &output), exit_of_unfinished) << output;
        EXPECT_NE(output.find("the source is in use"), std::string::npos) << output;
        load.wait_for(200);
    }
    Words serve{"serve", "--listen", "127.0.0.1:0"};
    serve.insert(serve.end(), target.begin(), target.end());
    EXPECT_EQ(run_program(serve, &output), exit_of_usage) << output;
    EXPECT_NE(output.find("is not complete"), std::string::npos) << output;
    EXPECT_EQ(server.stop(), 0);
    EXPECT_NE(run_well(migrate).find("the hashes are equal"), std::string::npos);
}

TEST(Moving, AStoreMovesToTheOtherEngineAndBackUnderLoad) {
    const Folder folder;
    const std::string url =
        store::postgres::TestCluster::instance().database_for(folder / "moving");
    const Words first{"--data", folder / "first"};
    const Words second{"--data", folder / "second", "--store", url};
    const Words third{"--data", folder / "third"};
    for (const char* name : {"first", "second", "third"})
        std::filesystem::create_directories(folder / name);
    run_well({"generate", "--unprotected", "--patients", "12", "--data", folder / "first"});
    {
        ServerProcess server(folder / "first");
        move_under_load(server,
                        {"migrate", "--from", "sqlite:" + folder / "first", "--to", url, "--data",
                         folder / "second"},
                        second);
    }
    EXPECT_EQ(log_hash(first), log_hash(second));
    expect_sound(first);
    expect_sound(second);
    {
        ServerProcess server(folder / "second", {"--store", url});
        move_under_load(server,
                        {"migrate", "--from", url, "--data", folder / "second", "--to",
                         "sqlite:" + folder / "third"},
                        third);
    }
    EXPECT_EQ(log_hash(second), log_hash(third));
    expect_sound(second);
    expect_sound(third);
    ServerProcess server(folder / "third");
    ASSERT_TRUE(server.is_running()) << server.output();
    const Load load(server.base_url());
    load.wait_for(20);
}

Words with(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

/// What `backup` says of where the log ended.
std::string position_in(const std::string& said) {
    const std::size_t at = said.find("at position ");
    EXPECT_NE(at, std::string::npos) << said;
    if (at == std::string::npos) return {};
    const std::string from_there = said.substr(at + std::string("at position ").size());
    return from_there.substr(0, from_there.find('\n'));
}

/// Backs up the record in `place` while `server` serves it to clients that write, and restores it
/// into each of `targets`.
void back_up_under_load(const ServerProcess& server, const Words& place, const std::string& backup,
                        const std::vector<Words>& targets) {
    std::string position;
    {
        const Load load(server.base_url());
        load.wait_for(200);
        position = position_in(run_well(with({"backup", backup}, place)));
        load.wait_for(200);
    }
    std::string output;
    EXPECT_NE(run_program(with({"backup", backup}, place), &output), 0);
    EXPECT_NE(output.find("not empty"), std::string::npos) << output;
    for (const Words& target : targets) {
        run_well(with({"restore", "--base-url", server.base_url() + "/fhir", backup}, target));
        expect_sound(target);
        EXPECT_EQ(log_hash(target), log_hash(place, position));
        EXPECT_NE(log_hash(target), log_hash(place));
        ServerProcess restored(target[1], Words(target.begin() + 2, target.end()));
        ASSERT_TRUE(restored.is_running()) << restored.output();
        const Load load(restored.base_url());
        load.wait_for(20);
    }
}

Words in_database(const std::string& folder) {
    return {"--data", folder, "--store",
            store::postgres::TestCluster::instance().database_for(folder)};
}

TEST(Moving, ABackupUnderLoadRestoresToTheSameLogOnEitherEngine) {
    const Folder folder;
    const std::vector<Words> sources{{"--data", folder / "served"},
                                     in_database(folder / "served-beside")};
    for (const Words& source : sources) {
        const std::string& served = source[1];
        std::filesystem::create_directories(served);
        run_well(with({"generate", "--unprotected", "--patients", "12"}, source));
        ServerProcess server(served, Words(source.begin() + 2, source.end()));
        ASSERT_TRUE(server.is_running()) << server.output();
        for (const std::string round : {"1", "2"}) {
            back_up_under_load(server, source, served + "-backup" + round,
                               {{"--data", served + "-again" + round},
                                in_database(served + "-again-beside" + round)});
        }
        EXPECT_EQ(server.stop(), 0);
        expect_sound(source);
    }
}

TEST(Moving, ARestoreIntoADatabaseThatHoldsSomethingIsRefused) {
    const Folder folder;
    const Words source = in_database(folder / "source");
    run_well(with({"generate", "--unprotected", "--patients", "1"}, source));
    run_well(with({"backup", folder / "backup"}, source));
    const std::string before = log_hash(source);
    std::string output;
    EXPECT_EQ(
        run_program({"restore", "--data", folder / "new", "--store", source[3], folder / "backup"},
                    &output),
        exit_of_usage);
    EXPECT_EQ(output, "meridian: --store: the database holds a store already; name an empty one\n");
    EXPECT_FALSE(std::filesystem::exists(folder / "new"));
    EXPECT_EQ(log_hash(source), before);
    expect_sound(source);
}

int send(const std::string& base, net::Method method, const std::string& path,
         const std::string& body, std::string* answer_body = nullptr) {
    net::Client client;
    net::ClientRequest request;
    request.method = method;
    request.url = base + "/fhir/" + path;
    request.body = body;
    if (!body.empty()) request.headers.add("Content-Type", "application/fhir+json");
    const auto answer = client.send(request);
    if (answer && answer_body != nullptr) *answer_body = answer->body;
    return answer ? answer->status : 0;
}

/// Whether Patient/p1 is found by the search parameter of the test below, which may have to be
/// indexed first.
bool is_found(const std::string& base) {
    std::string body;
    for (int i = 0; i < 1'000; ++i) {
        if (send(base, net::Method::get, "Patient?blood-group=AB", {}, &body) == 200)
            return body.find("\"p1\"") != std::string::npos;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

TEST(Moving, OwnSearchParametersAreCheckedMovedAndRestored) {
    const Folder folder;
    const std::string url = store::postgres::TestCluster::instance().database_for(folder / "own");
    std::filesystem::create_directories(folder / "first");
    std::filesystem::create_directories(folder / "second");
    {
        ServerProcess server(folder / "first");
        const std::string base = server.base_url();
        ASSERT_EQ(
            send(
                base, net::Method::put, "Patient/p1",
                R"({"resourceType":"Patient","id":"p1","extension":[{"url":"http://example.org/blood","valueCode":"AB"}]})"),
            201);
        ASSERT_EQ(
            send(
                base, net::Method::post, "SearchParameter",
                R"({"resourceType":"SearchParameter","url":"http://example.org/SearchParameter/blood","name":"blood","status":"active","description":"blood group","code":"blood-group","base":["Patient"],"type":"token","expression":"Patient.extension('http://example.org/blood').value"})"),
            201);
        ASSERT_TRUE(is_found(base)) << server.output();
        EXPECT_EQ(server.stop(), 0);
    }
    expect_sound({"--data", folder / "first"});
    run_well({"migrate", "--from", "sqlite:" + folder / "first", "--to", url, "--data",
              folder / "second"});
    expect_sound({"--data", folder / "second", "--store", url});
    {
        ServerProcess server(folder / "second", {"--store", url});
        EXPECT_TRUE(is_found(server.base_url())) << server.output();
    }
    for (const Words& source :
         {Words{"--data", folder / "first"}, Words{"--data", folder / "second", "--store", url}}) {
        const std::string backup = source[1] + "-backup";
        run_well(with({"backup", backup}, source));
        for (const Words& target :
             {Words{"--data", source[1] + "-again"}, in_database(source[1] + "-again-beside")}) {
            run_well(with({"restore", backup}, target));
            expect_sound(target);
            ServerProcess server(target[1], Words(target.begin() + 2, target.end()));
            EXPECT_TRUE(is_found(server.base_url())) << server.output();
        }
    }
}

TEST(Moving, TheCommandLineIsChecked) {
    const Folder folder;
    std::string output;
    EXPECT_EQ(run_program({"migrate", "--from", "sqlite:" + folder / "a", "--to",
                           "sqlite:" + folder / "b", "--data", folder / "c"},
                          &output),
              exit_of_usage);
    EXPECT_EQ(run_program({"migrate", "--from", folder / "a", "--to", "postgres://x/y", "--data",
                           folder / "c"},
                          &output),
              exit_of_usage);
    EXPECT_EQ(run_program({"check", "--data", folder / "a", "--up-to", "3"}, &output),
              exit_of_usage);
    EXPECT_EQ(run_program({"check", "--data", folder / "a", "--store",
                           "postgres://nobody@127.0.0.1:1/nothing"},
                          &output),
              exit_of_usage)
        << output;
}

}  // namespace
}  // namespace meridian::tests
