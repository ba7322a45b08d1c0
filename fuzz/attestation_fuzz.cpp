// SPDX-License-Identifier: Apache-2.0
// Whatever an authenticator claims to be is read without harm; a credential that is accepted has a
// key that is read again to the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trust/webauthn/cbor.hpp"
#include "trust/webauthn/credential.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace meridian::trust;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    std::size_t used = 0;
    if (const auto item = read_cbor(bytes, used); item && (used == 0 || used > size)) std::abort();
    (void)read_authenticator_data(bytes);
    const auto attestation = read_attestation(bytes);
    if (!attestation) return 0;
    const auto key = read_cose_key(attestation->public_key);
    if (!key || attestation->credential_id.empty()) std::abort();
    return 0;
}
