// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/wire.hpp"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

namespace meridian::store::postgres {

namespace {

struct Freed {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string value_of(const PQconninfoOption* options, std::string_view keyword) {
    for (const PQconninfoOption* each = options; each->keyword != nullptr; ++each) {
        if (each->keyword == keyword) return each->val == nullptr ? "" : each->val;
    }
    return {};
}

/// A socket of the file system, or the machine's own address.
bool is_here(std::string_view host) {
    return host.empty() || host.starts_with('/') || host.starts_with('@') || host == "localhost" ||
           host.starts_with("127.") || host == "::1";
}

/// Of "db1,db2" whether each is on this machine.
bool are_here(std::string_view hosts) {
    while (true) {
        const std::size_t comma = hosts.find(',');
        if (!is_here(hosts.substr(0, comma))) return false;
        if (comma == std::string_view::npos) return true;
        hosts.remove_prefix(comma + 1);
    }
}

}  // namespace

Result<std::string> default_tls_mode(const std::string& url) {
    char* complaint = nullptr;
    const std::unique_ptr<PQconninfoOption, Freed> options(
        PQconninfoParse(url.c_str(), &complaint));
    if (!options) {
        const std::string reason = complaint == nullptr ? "no memory" : complaint;
        PQfreemem(complaint);
        return fail(Category::incorrect,
                    fmt::format("the database's URL is not understood ({}); expected "
                                "postgres://user@host:port/database",
                                reason.substr(0, reason.find('\n'))));
    }
    // The address is where it leads, the host then only the name to be verified.
    std::string hosts = value_of(options.get(), "hostaddr");
    if (hosts.empty()) hosts = value_of(options.get(), "host");
    if (are_here(hosts)) return "prefer";
    const std::string mode = value_of(options.get(), "sslmode");
    if (mode.empty() || mode == "require" || mode == "verify-ca" || mode == "verify-full")
        return "verify-full";
    return fail(Category::incorrect,
                fmt::format("sslmode={} would let the record travel in the clear to another "
                            "machine: expected verify-full (the usual), verify-ca or require",
                            mode),
                "--store");
}

}  // namespace meridian::store::postgres
