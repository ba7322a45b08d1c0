// SPDX-License-Identifier: Apache-2.0
#include "trust/webauthn/credential.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "trust/webauthn/testing/software_authenticator.hpp"

namespace meridian::trust {
namespace {

using testing::SoftwareAuthenticator;

std::string from_hex(std::string_view hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return out;
}

Expected expecting(std::string type, std::string challenge) {
    return {.type = std::move(type),
            .challenge = std::move(challenge),
            .origins = {"https://example.org"},
            .relying_party = "example.org"};
}

/// What becomes of a vector of the standard here.
enum class Fate { accepted, refused, unsupported };

Fate fate_of(const std::string& name) {
    // None of our pages is framed by others, so their ceremonies are none of ours.
    if (name.ends_with("crossOrigin") || name.ends_with("topOrigin")) return Fate::refused;
    // ES384, ES512 and Ed448 are not offered; the RSA example has 3482 bits.
    if (name.ends_with("es384") || name.ends_with("es512") || name.ends_with("ed448") ||
        name.ends_with("rs256"))
        return Fate::unsupported;
    return Fate::accepted;
}

TEST(Credential, VectorsOfTheStandard) {
    std::ifstream file(MERIDIAN_SOURCE_DIR "/src/trust/webauthn/testdata/w3c.tsv");
    std::string line;
    std::map<Fate, int> count;
    while (std::getline(file, line)) {
        if (line.starts_with('#')) continue;
        std::vector<std::string> cells;
        std::stringstream row(line);
        for (std::string cell; std::getline(row, cell, '\t');)
            cells.push_back(cells.empty() ? cell : from_hex(cell));
        ASSERT_EQ(cells.size(), 8u);
        SCOPED_TRACE(cells[0]);
        const Fate fate = fate_of(cells[0]);
        ++count[fate];
        const auto registered =
            check_registration(expecting("webauthn.create", cells[1]), cells[2], cells[3]);
        if (fate != Fate::accepted) {
            ASSERT_FALSE(registered);
            EXPECT_EQ(registered.error().category,
                      fate == Fate::refused ? Category::unauthenticated : Category::incorrect);
            continue;
        }
        ASSERT_TRUE(registered) << registered.error().message;
        const auto asserted = check_assertion(expecting("webauthn.get", cells[4]),
                                              registered->public_key, cells[6], cells[5], cells[7]);
        EXPECT_TRUE(asserted) << asserted.error().message;
        // The same signature for a byte more, a flag more, another challenge.
        std::string other = cells[5];
        other[36] = static_cast<char>(other[36] ^ 1);
        EXPECT_FALSE(check_assertion(expecting("webauthn.get", cells[4]), registered->public_key,
                                     cells[6], other, cells[7]));
        EXPECT_FALSE(check_assertion(expecting("webauthn.get", cells[1]), registered->public_key,
                                     cells[6], cells[5], cells[7]));
    }
    EXPECT_EQ(count[Fate::accepted], 9);
    EXPECT_EQ(count[Fate::refused], 2);
    EXPECT_EQ(count[Fate::unsupported], 4);
}

class Algorithms : public ::testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(All, Algorithms, ::testing::Values(cose_es256, cose_eddsa, cose_rs256));

TEST_P(Algorithms, RegisterAndSign) {
    SoftwareAuthenticator device(GetParam());
    const std::string challenge = random_bytes(32);
    const auto registered =
        check_registration(expecting("webauthn.create", challenge),
                           device.client_data("webauthn.create", challenge), device.attestation());
    ASSERT_TRUE(registered) << registered.error().message;
    EXPECT_EQ(registered->credential_id, device.id());
    EXPECT_EQ(read_cose_key(registered->public_key)->algorithm, GetParam());
    device.counter = 0x01020304;
    const std::string client = device.client_data("webauthn.get", challenge);
    const std::string data = device.authenticator_data(false);
    Expected expected = expecting("webauthn.get", challenge);
    expected.user_verification = true;
    const auto asserted = check_assertion(expected, registered->public_key, client, data,
                                          device.signature(data, client));
    ASSERT_TRUE(asserted) << asserted.error().message;
    EXPECT_EQ(asserted->signature_counter, 0x01020304u);
}

/// Every single byte of what is signed, and of the signature, counts.
TEST_P(Algorithms, NoByteMayChange) {
    SoftwareAuthenticator device(GetParam());
    const std::string challenge = random_bytes(32);
    const std::string client = device.client_data("webauthn.get", challenge);
    const std::string data = device.authenticator_data(false);
    const std::string signature = device.signature(data, client);
    const std::string key = device.cose_key();
    const auto accepts = [&](const std::string& c, const std::string& d, const std::string& s,
                             const std::string& k) {
        return check_assertion(expecting("webauthn.get", challenge), k, c, d, s).has_value();
    };
    ASSERT_TRUE(accepts(client, data, signature, key));
    const auto altered = [](std::string text, std::size_t at) {
        text[at] = static_cast<char>(text[at] ^ 0x01);
        return text;
    };
    for (std::size_t at = 0; at < client.size(); ++at)
        EXPECT_FALSE(accepts(altered(client, at), data, signature, key)) << "client data " << at;
    for (std::size_t at = 0; at < data.size(); ++at)
        EXPECT_FALSE(accepts(client, altered(data, at), signature, key)) << "data " << at;
    for (std::size_t at = 0; at < signature.size(); ++at)
        EXPECT_FALSE(accepts(client, data, altered(signature, at), key)) << "signature " << at;
    for (std::size_t at = 0; at < key.size(); ++at)
        EXPECT_FALSE(accepts(client, data, signature, altered(key, at))) << "key " << at;
    for (std::size_t size = 0; size < data.size(); ++size)
        EXPECT_FALSE(accepts(client, data.substr(0, size), signature, key));
    EXPECT_FALSE(accepts(client, data + "x", signature, key));
    EXPECT_FALSE(accepts(client, data, signature + "x", key));
    EXPECT_FALSE(accepts(client, data, "", key));
    EXPECT_FALSE(accepts(client, data, signature, SoftwareAuthenticator(GetParam()).cose_key()));
}

/// A cut, a byte more, a flipped bit anywhere: an error or another credential, never a crash. What
/// is still read must hold a key that signatures can be checked with.
TEST(Credential, MutatedAttestations) {
    const SoftwareAuthenticator device(cose_es256);
    const std::string whole = device.attestation();
    ASSERT_TRUE(read_attestation(whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(read_attestation(whole.substr(0, size))) << size;
    EXPECT_FALSE(read_attestation(whole + '\0'));
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string mutant = whole;
            mutant[at] = static_cast<char>(mutant[at] ^ (1 << bit));
            if (const auto read = read_attestation(mutant)) {
                EXPECT_TRUE(read_cose_key(read->public_key)) << at;
            }
        }
    }
}

TEST(Credential, WhatTheStandardAsksFor) {
    SoftwareAuthenticator device(cose_es256);
    const std::string challenge = random_bytes(32);
    const auto registers = [&](const std::string& client, const std::string& attestation,
                               const Expected& expected) {
        return check_registration(expected, client, attestation).has_value();
    };
    const Expected expected = expecting("webauthn.create", challenge);
    const std::string client = device.client_data("webauthn.create", challenge);
    ASSERT_TRUE(registers(client, device.attestation(), expected));
    EXPECT_TRUE(registers(client, device.attestation("made-up"), expected));  // counts as none

    EXPECT_FALSE(
        registers(device.client_data("webauthn.get", challenge), device.attestation(), expected));
    EXPECT_FALSE(
        registers(device.client_data("webauthn.create", "other"), device.attestation(), expected));
    Expected elsewhere = expected;
    elsewhere.origins = {"https://example.org:8443"};
    EXPECT_FALSE(registers(client, device.attestation(), elsewhere));
    elsewhere = expected;
    elsewhere.relying_party = "example.com";
    EXPECT_FALSE(registers(client, device.attestation(), elsewhere));
    Expected verified = expected;
    verified.user_verification = true;
    EXPECT_TRUE(registers(client, device.attestation(), verified));
    device.user_verified = false;
    EXPECT_FALSE(registers(client, device.attestation(), verified));
    EXPECT_TRUE(registers(client, device.attestation(), expected));
    device.user_present = false;
    EXPECT_FALSE(registers(client, device.attestation(), expected));

    // A statement where there must be none; client data that is no object, twice the challenge.
    std::string with_statement = device.attestation();
    const std::size_t statement = with_statement.find("attStmt") + 7;
    with_statement.replace(statement, 1, "\xa1\x61x\x01");
    device.user_present = true;
    EXPECT_FALSE(read_attestation(with_statement));
    EXPECT_FALSE(registers("[]", device.attestation(), expected));
    EXPECT_FALSE(registers(client.substr(0, client.size() - 1) + R"(,"challenge":"AAAA"})",
                           device.attestation(), expected));
}

TEST(Credential, KeysThatCannotBe) {
    const std::string es256 = SoftwareAuthenticator(cose_es256).cose_key();
    ASSERT_TRUE(read_cose_key(es256));
    std::string off_curve = es256;
    off_curve.back() = static_cast<char>(off_curve.back() ^ 1);
    EXPECT_FALSE(read_cose_key(off_curve));
    const std::string head("\xa4\x01\x01\x03\x27\x20\x06\x21", 8);
    EXPECT_FALSE(read_cose_key(head + SoftwareAuthenticator::bytes(std::string(32, '\0'))));
    EXPECT_FALSE(
        read_cose_key(head + SoftwareAuthenticator::bytes("\x01" + std::string(31, '\0'))));
    // An algorithm that does not belong to the kind of key.
    std::string mixed = es256;
    mixed[4] = '\x27';
    EXPECT_FALSE(read_cose_key(mixed));
    EXPECT_FALSE(read_cose_key(es256 + '\0'));
    EXPECT_FALSE(read_cose_key("\x01"));
}

}  // namespace
}  // namespace meridian::trust
