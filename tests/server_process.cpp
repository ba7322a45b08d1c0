// SPDX-License-Identifier: Apache-2.0
#include "tests/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "store/postgres/test_cluster.hpp"

namespace meridian::tests {

namespace {

std::string read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

pid_t start(const std::vector<std::string>& arguments, const std::string& output_path) {
    std::vector<std::string> words{MERIDIAN_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const pid_t process = fork();
    if (process != 0) return process;
    const int file = open(output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(pointers[0], pointers.data());
    _exit(127);
}

int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int wait_for(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return code_of(status);
}

}  // namespace

std::string make_temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "meridian-test-XXXXXX").string();
    return mkdtemp(name.data()) != nullptr ? name : std::string();
}

std::vector<std::string> place_of(const std::string& folder) {
    std::vector<std::string> words{"--data", folder};
    if (store::postgres::tests_use_postgres()) {
        auto& cluster = store::postgres::TestCluster::instance();
        words.insert(words.end(), {"--store", cluster.database_for(folder)});
    }
    return words;
}

std::string token_for(const std::string& folder, const std::string& role, const std::string& name,
                      const std::vector<std::string>& further_arguments) {
    const auto place = place_of(folder);
    std::vector<std::string> add{"account", "add", name, "--role", role};
    add.insert(add.end(), further_arguments.begin(), further_arguments.end());
    add.insert(add.end(), place.begin(), place.end());
    std::vector<std::string> token{"token", "--account", name};
    token.insert(token.end(), place.begin(), place.end());
    std::string output;
    run_program(add, &output);  // it may be there already
    if (run_program(token, &output) != 0) return {};
    while (output.ends_with('\n')) output.pop_back();
    // What the program logs comes before.
    return output.substr(output.rfind('\n') + 1);
}

ServerProcess::ServerProcess(std::string folder, std::vector<std::string> further_arguments,
                             Trust trust)
    : folder_(std::move(folder)) {
    if (folder_.empty()) {
        folder_ = make_temporary_folder();
        owns_folder_ = true;
    }
    const std::string log = folder_ + "/server.log";
    std::filesystem::remove(log);
    if (trust == Trust::on) token_ = token_for(folder_);
    std::vector<std::string> arguments{"serve", "--listen", "127.0.0.1:0"};
    if (trust == Trust::off) arguments.emplace_back("--unprotected");
    const bool is_placed = std::find(further_arguments.begin(), further_arguments.end(),
                                     "--store") != further_arguments.end();
    const auto place = is_placed ? std::vector<std::string>{"--data", folder_} : place_of(folder_);
    arguments.insert(arguments.end(), place.begin(), place.end());
    arguments.insert(arguments.end(), further_arguments.begin(), further_arguments.end());
    process_ = start(arguments, log);
    // The program says where it listens; a slow machine under sanitizers may need a while for it.
    for (int i = 0; i < 3'000; ++i) {
        const std::string text = read_all(log);
        const std::size_t at = text.find("serves http");
        if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
            const std::string url = text.substr(at + 7, text.find(' ', at + 7) - at - 7);
            is_secure_ = url.starts_with("https");
            port_ = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
            return;
        }
        if (has_ended()) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

ServerProcess::~ServerProcess() {
    kill();
    if (owns_folder_) std::filesystem::remove_all(folder_);
}

std::string ServerProcess::output() const {
    return read_all(folder_ + "/server.log");
}

bool ServerProcess::has_ended() {
    if (process_ > 0 && waitpid(process_, &status_, WNOHANG) == process_) process_ = -1;
    return process_ < 0;
}

std::optional<int> ServerProcess::wait_for_end(std::chrono::seconds patience) {
    const auto begun = std::chrono::steady_clock::now();
    while (!has_ended()) {
        if (std::chrono::steady_clock::now() - begun > patience) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return code_of(status_);
}

int ServerProcess::stop() {
    if (process_ <= 0) return 127;
    ::kill(process_, SIGTERM);
    return wait();
}

void ServerProcess::kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    wait();
}

int ServerProcess::wait() {
    const int code = wait_for(process_);
    process_ = -1;
    return code;
}

int run_program(const std::vector<std::string>& arguments, std::string* output) {
    const std::string folder = make_temporary_folder();
    const std::string file = folder + "/output";
    const int code = wait_for(start(arguments, file));
    if (output != nullptr) *output = read_all(file);
    std::filesystem::remove_all(folder);
    return code;
}

}  // namespace meridian::tests
