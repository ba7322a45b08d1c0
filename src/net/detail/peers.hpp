// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.hpp"

namespace meridian::net::detail {

/// An IP address; IPv4 is kept as the IPv6 address that stands for it (RFC 4291 §2.5.5.2), so that
/// a client of a socket for both is the same client.
struct Address {
    std::array<std::uint8_t, 16> bytes{};

    /// "192.0.2.7" or "2001:db8::7", without port, brackets or zone; nullopt for anything else.
    static std::optional<Address> parse(std::string_view text);
    std::string to_text() const;
    bool is_v4() const;
    bool is_loopback() const;
    /// The network that one customer has: an IPv4 address whole, of IPv6 the first 64 bits.
    std::uint64_t network() const;
    bool operator==(const Address&) const = default;
};

/// A set of addresses and CIDR ranges (RFC 4632).
class AddressRanges {
 public:
    /// "10.0.0.7", "10.1.0.0/16", "2001:db8::/32". Errors: `incorrect` for text that is neither,
    /// for a range whose address has bits behind its prefix, for more than
    /// limits::http_proxies_max.
    static Result<AddressRanges> parse(const std::vector<std::string>& texts);
    bool contains(const Address& address) const;
    bool empty() const { return ranges_.empty(); }

 private:
    struct Range {
        Address first;
        unsigned bits;
    };
    std::vector<Range> ranges_{};
};

/// Drops what Forwarded (RFC 7239) and X-Forwarded-For, -Proto and -Host say: anybody can write
/// them.
void forget_forwarded(Headers& headers);

/// Takes over what a proxy says about its client: Request::peer, is_secure and Host; the header
/// fields themselves go.
///
/// The client is the last address in the list that is none of `proxies`: what stands before it was
/// written by somebody unknown. Errors: `incorrect` when both kinds of header stand there, since a
/// proxy that writes one kind passes the other on as the client wrote it; and for what cannot be
/// read.
Result<void> believe_forwarded(Request& request, const AddressRanges& proxies);

}  // namespace meridian::net::detail
