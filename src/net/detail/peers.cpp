// SPDX-License-Identifier: Apache-2.0
#include "net/detail/peers.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/limits.hpp"

namespace meridian::net::detail {

namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr std::string_view forwarded = "Forwarded", forwarded_for = "X-Forwarded-For",
                           forwarded_proto = "X-Forwarded-Proto",
                           forwarded_host = "X-Forwarded-Host";

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// The pieces of a list between separators that stand outside of quotes.
std::vector<std::string_view> split(std::string_view list, char separator) {
    std::vector<std::string_view> pieces;
    bool is_quoted = false;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= list.size(); ++i) {
        if (i == list.size() || (list[i] == separator && !is_quoted)) {
            if (const auto piece = trim(list.substr(begin, i - begin)); !piece.empty())
                pieces.push_back(piece);
            begin = i + 1;
        } else if (list[i] == '"') {
            is_quoted = !is_quoted;
        } else if (list[i] == '\\' && is_quoted) {
            ++i;
        }
    }
    return pieces;
}

/// A node of Forwarded or X-Forwarded-For: an address, perhaps in brackets, perhaps with a port.
/// nullopt also for "unknown" and names of the proxy's own (RFC 7239 §6).
struct Node {
    Address address{};
    std::string text{};  ///< as Request::peer has it
};
std::optional<Node> read_node(std::string_view text) {
    std::string_view host = text, port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        host = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        host = text.substr(0, text.find(':'));
        port = text.substr(text.find(':'));
    }
    const auto address = Address::parse(host);
    if (!address) return std::nullopt;
    unsigned number = 0;
    const char* const end = port.data() + port.size();
    const bool has_port = port.size() > 1 && port.front() == ':' &&
                          std::from_chars(port.data() + 1, end, number).ptr == end &&
                          number <= 65535;
    if (!port.empty() && !has_port) return std::nullopt;
    std::string written = address->to_text();
    if (has_port)
        written =
            fmt::format(fmt::runtime(address->is_v4() ? "{}:{}" : "[{}]:{}"), written, number);
    return Node{*address, std::move(written)};
}

/// What the headers say, in the order of the hops: the client first.
struct Said {
    std::vector<std::string> clients{};
    std::string scheme{};
    std::string host{};
};

std::string unquoted(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

/// RFC 7239 §4: `for=192.0.2.60;proto=https;host=a.example, for="[2001:db8::1]:4711"`.
Said read_forwarded(const std::string& header) {
    Said said;
    for (const std::string_view hop : split(header, ',')) {
        for (const std::string_view pair : split(hop, ';')) {
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos) continue;
            const std::string name = lower(trim(pair.substr(0, equals)));
            std::string value = unquoted(trim(pair.substr(equals + 1)));
            // The last hop that says it is the proxy that we know.
            if (name == "for") said.clients.push_back(std::move(value));
            if (name == "proto") said.scheme = lower(value);
            if (name == "host") said.host = std::move(value);
        }
    }
    return said;
}

std::string last_of(const std::string& list) {
    const auto pieces = split(list, ',');
    return pieces.empty() ? std::string() : std::string(pieces.back());
}

Said read_x_forwarded(const Headers& headers) {
    Said said;
    const std::string clients = headers.joined(forwarded_for);
    for (const std::string_view client : split(clients, ',')) said.clients.emplace_back(client);
    said.scheme = lower(last_of(headers.joined(forwarded_proto)));
    said.host = last_of(headers.joined(forwarded_host));
    return said;
}

bool is_host(std::string_view text) {
    return !text.empty() && text.size() <= 261 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    });
}

}  // namespace

// --- Address ---

std::optional<Address> Address::parse(std::string_view text) {
    const std::string copy(text.substr(0, INET6_ADDRSTRLEN));
    Address address;
    if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
    std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes.begin());
    if (inet_pton(AF_INET, copy.c_str(), address.bytes.data() + v4_prefix.size()) == 1)
        return address;
    return std::nullopt;
}

bool Address::is_v4() const {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

bool Address::is_loopback() const {
    if (is_v4()) return bytes[12] == 127;
    return std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t b) { return b == 0; }) &&
           bytes[15] == 1;
}

std::uint64_t Address::network() const {
    std::uint64_t part = 0;
    std::memcpy(&part, bytes.data() + (is_v4() ? 8 : 0), sizeof part);
    return part;
}

std::string Address::to_text() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (is_v4()) {
        inet_ntop(AF_INET, bytes.data() + v4_prefix.size(), text, sizeof text);
    } else {
        inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
    }
    return text;
}

// --- AddressRanges ---

namespace {

bool agree(const Address& one, const Address& other, unsigned bits) {
    const unsigned whole = bits / 8, rest = bits % 8;
    if (!std::equal(one.bytes.begin(), one.bytes.begin() + whole, other.bytes.begin()))
        return false;
    if (rest == 0) return true;
    const unsigned mask = 0xFFu << (8 - rest) & 0xFFu;
    return (one.bytes[whole] & mask) == (other.bytes[whole] & mask);
}

bool ends_in_zeros(const Address& address, unsigned bits) {
    for (unsigned i = bits; i < 128; ++i) {
        if ((address.bytes[i / 8] >> (7 - i % 8) & 1) != 0) return false;
    }
    return true;
}

}  // namespace

Result<AddressRanges> AddressRanges::parse(const std::vector<std::string>& texts) {
    AddressRanges all;
    if (texts.size() > limits::http_proxies_max)
        return fail(Category::incorrect,
                    fmt::format("{} proxies are named (at most {}): name a range", texts.size(),
                                limits::http_proxies_max));
    for (const std::string& text : texts) {
        const std::size_t slash = text.find('/');
        const auto address = Address::parse(std::string_view(text).substr(0, slash));
        const unsigned width = address && address->is_v4() ? 32 : 128;
        unsigned bits = width;
        bool is_read = address.has_value();
        if (slash != std::string::npos) {
            const char* const end = text.data() + text.size();
            const auto [stop, problem] = std::from_chars(text.data() + slash + 1, end, bits);
            is_read = is_read && problem == std::errc() && stop == end && bits <= width;
        }
        if (is_read) bits += 128 - width;
        if (!is_read || !ends_in_zeros(*address, bits)) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" is no address of a proxy (expected one like 10.0.0.7 or "
                            "a range like 10.1.0.0/16 or 2001:db8::/32)",
                            text.substr(0, 80)));
        }
        all.ranges_.push_back({*address, bits});
    }
    return all;
}

bool AddressRanges::contains(const Address& address) const {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const Range& range) { return agree(range.first, address, range.bits); });
}

// --- what a proxy says ---

void forget_forwarded(Headers& headers) {
    for (const std::string_view name :
         {forwarded, forwarded_for, forwarded_proto, forwarded_host}) {
        if (headers.has(name)) headers.remove(name);
    }
}

Result<void> believe_forwarded(Request& request, const AddressRanges& proxies) {
    Headers& headers = request.headers;
    const bool has_standard = headers.has(forwarded);
    const bool has_customary =
        headers.has(forwarded_for) || headers.has(forwarded_proto) || headers.has(forwarded_host);
    if (has_standard && has_customary) {
        return fail(
            Category::incorrect,
            "the request has both Forwarded and X-Forwarded headers: the proxy must drop the "
            "kind that it does not write itself");
    }
    const Said said =
        has_standard ? read_forwarded(headers.joined(forwarded)) : read_x_forwarded(headers);
    forget_forwarded(headers);
    if (said.clients.size() > limits::http_forwarded_hops_max)
        return fail(Category::incorrect, fmt::format("the request came over more than {} proxies",
                                                     limits::http_forwarded_hops_max));
    for (auto hop = said.clients.rbegin(); hop != said.clients.rend(); ++hop) {
        auto node = read_node(*hop);
        if (!node) break;  // "unknown" or a name: the hop after it is the last that is known
        request.peer = std::move(node->text);
        if (!proxies.contains(node->address)) break;
    }
    if (!said.scheme.empty()) request.is_secure = said.scheme == "https" || said.scheme == "wss";
    if (!said.host.empty()) {
        if (!is_host(said.host))
            return fail(Category::incorrect,
                        "the host that the proxy was asked for cannot be read");
        headers.set("Host", said.host);
    }
    return {};
}

}  // namespace meridian::net::detail
