// SPDX-License-Identifier: Apache-2.0
// The sign-in pages on their own, over a vault in memory, for tests/e2e/sign_in.mjs. Prints one
// line of JSON with its address and set-up link, then one line for each audited outcome. The clock
// goes on when /test/later?seconds=N is asked for.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

#include "net/server.hpp"
#include "trust/accounts/setup.hpp"
#include "trust/pages/sign_in.hpp"
#include "trust/testing/memory_vault.hpp"

namespace {

using namespace meridian;
using namespace meridian::trust;

std::atomic<std::int64_t> later_seconds{0};

Instant clock_now() {
    return {now().milliseconds + later_seconds * 1000};
}

std::string seconds_asked(const net::Request& request) {
    const auto parameters = request.parameters();
    return parameters && !parameters->empty() ? (*parameters)[0].second : "0";
}

/// What the rest of a server would do: say who asks, and ask for a fresh proof.
net::Response rest_of_server(Sessions& sessions, const net::Request& request) {
    if (request.path() == "/test/later") {
        later_seconds += std::stoll(seconds_asked(request));
        return net::Response::text(200, "{}", "application/json");
    }
    const auto subject = sessions.find(request);
    if (!subject) return net::Response::text(401, "nobody\n");
    if (request.path() == "/export") {
        if (!sessions.require_recent(*subject, std::chrono::minutes(5), {"otp", "hwk"})) {
            net::Response response = net::Response::text(303, "");
            response.headers.add("Location", "/step-up?return_to=%2Fexport");
            return response;
        }
        return net::Response::text(200, "exported\n");
    }
    return net::Response::text(200,
                               fmt::format("{} {} {}\n", subject->account, name_of(subject->role),
                                           fmt::join(subject->methods, "+")));
}

void must(const auto& result) {
    if (result) return;
    std::fprintf(stderr, "%s %s\n", result.error().message.c_str(), result.error().where.c_str());
    std::exit(1);
}

}  // namespace

int main() {
    trust::testing::MemoryVault vault;
    // The cost is not what is tested here.
    Accounts accounts(
        vault, {.argon2_operations = 1, .argon2_memory_bytes = 1u << 20, .clock = clock_now});
    Sessions sessions(vault, accounts, {.clock = clock_now});
    SignIn sign_in(
        vault, accounts, sessions,
        {.make_person = [](const NewAccount&) -> Result<std::string> {
             return "Practitioner/admin";
         },
         .audit =
             [](std::string_view what, std::string_view account, bool ok, const net::Request&) {
                 std::printf("audit %s %s %s\n", std::string(what).c_str(),
                             std::string(account).c_str(), ok ? "ok" : "refused");
                 std::fflush(stdout);
             },
         .clock = clock_now});
    const auto link = make_setup_link(vault, accounts, clock_now);
    must(link);
    must(accounts.add({.name = "wang.wei",
                       .role = Role::doctor,
                       .person = "Practitioner/1",
                       .organisation = "Organization/1",
                       .display_name = "王伟",
                       .password = "lavendel zieht nach westen"}));
    must(accounts.add({.name = "li.na",
                       .role = Role::nurse,
                       .person = "Practitioner/2",
                       .organisation = "Organization/1",
                       .display_name = "Li Na",
                       .password = "seven herons over tin"}));
    must(accounts.add({.name = "victim",
                       .role = Role::nurse,
                       .person = "Practitioner/3",
                       .password = "quiet rivers bend"}));

    auto server = net::Server::start({.handler = [&](const net::Request& request) {
        if (auto answer = sign_in.handle(request)) return *std::move(answer);
        return rest_of_server(sessions, request);
    }});
    must(server);
    std::printf("{\"port\":%u,\"setup\":\"%s\"}\n", (*server)->port(), link->c_str());
    std::fflush(stdout);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    int signal = 0;
    sigwait(&ends, &signal);
    (*server)->stop();
    return 0;
}
