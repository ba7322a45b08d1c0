// SPDX-License-Identifier: Apache-2.0
// What browsers send as cookies: nothing but the cookies that we made opens a session, or makes a
// browser known, whatever stands around them. Each line is a Cookie header of its own.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trust/accounts/device.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/sessions/session.hpp"
#include "trust/testing/memory_vault.hpp"

namespace {

using namespace meridian;

void require(bool holds) {
    if (!holds) std::abort();
}

/// One account with a session and a browser that it is known to.
struct World {
    trust::testing::MemoryVault vault;
    trust::Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192}};
    trust::Sessions sessions{vault, accounts, {}};
    trust::Devices devices{vault};
    std::string session, device;  ///< the cookies' values

    World() {
        const auto account =
            accounts.add({.name = "wang", .person = "Practitioner/1", .password = "only for fuzz"});
        session = value_of(*sessions.start({}, *account, {"pwd"}));
        device = value_of(*devices.remember({}, "wang"));
    }
    static std::string value_of(const std::string& set_cookie) {
        const std::size_t equals = set_cookie.find('=');
        return set_cookie.substr(equals + 1, set_cookie.find(';') - equals - 1);
    }
};

/// Whether a value that is given for a cookie of that name stood in some header as such.
void check_cookie(const net::Request& request, std::string_view name) {
    const auto value = trust::cookie(request, name);
    if (!value) return;
    require(value->find(';') == std::string_view::npos);
    bool stood = false;
    for (std::size_t i = 0; i < request.headers.size(); ++i)
        stood = stood || request.headers[i].value.find(fmt::format("{}={}", name, *value)) !=
                             std::string_view::npos;
    require(stood);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    net::Request request;
    request.headers.add("Host", "localhost");
    // '\1' and '\2' stand for the real cookies, so that the fuzzer can put things around them.
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string header;
        for (const char c : text.substr(0, end))
            header += c == '\1' ? world.session : c == '\2' ? world.device : std::string(1, c);
        request.headers.add("Cookie", header);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    for (const std::string_view name : {trust::session_cookie, trust::sign_in_cookie,
                                        trust::device_cookie, std::string_view("lang")})
        check_cookie(request, name);
    if (const auto subject = world.sessions.find(request)) {
        require(trust::cookie(request, trust::session_cookie) == world.session);
        require(subject->account == "wang");
    }
    const auto known = world.devices.known(request, "wang", Instant{});
    require(known.has_value());
    if (!known->empty()) require(trust::cookie(request, trust::device_cookie) == world.device);
    require(world.devices.known(request, "somebody.else", Instant{})->empty());
    static_cast<void>(trust::Sessions::csrf_token(request));
    return 0;
}
