// SPDX-License-Identifier: Apache-2.0
#include "trust/accounts/one_time_code.hpp"

#include <liboath/oath.h>
#include <sodium.h>

#include <stdexcept>

#include "base/hash.hpp"
#include "base/query_string.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

void prepare_oath() {
    static const bool ready = oath_init() == OATH_OK;
    if (!ready) throw std::runtime_error("liboath cannot start");
}

}  // namespace

std::string one_time_code(std::string_view secret, std::uint64_t counter, unsigned digits) {
    prepare_oath();
    char code[16] = {};
    if (digits < 6 || digits > 8 ||
        oath_hotp_generate(secret.data(), secret.size(), counter, digits, false,
                           OATH_HOTP_DYNAMIC_TRUNCATION, code) != OATH_OK)
        throw std::runtime_error("liboath cannot make a code");
    return code;
}

std::int64_t totp_step(Instant at) {
    return at.milliseconds / 1000 / limits::totp_step_seconds;
}

std::optional<std::int64_t> matching_totp_step(std::string_view secret, std::string_view code,
                                               Instant at, std::int64_t last_step) {
    std::string digits;
    for (const char c : code.substr(0, 32)) {
        if (c != ' ') digits += c;
    }
    if (digits.size() != limits::totp_digits) return std::nullopt;
    std::optional<std::int64_t> found;
    const std::int64_t present = totp_step(at);
    for (std::int64_t step = present - limits::totp_window_steps;
         step <= present + limits::totp_window_steps; ++step) {
        if (step < 0) continue;
        const std::string expected =
            one_time_code(secret, static_cast<std::uint64_t>(step), limits::totp_digits);
        if (sodium_memcmp(expected.data(), digits.data(), digits.size()) == 0 && step > last_step)
            found = step;
    }
    return found;
}

std::string base32(std::string_view bytes) {
    prepare_oath();
    char* text = nullptr;
    std::size_t length = 0;
    if (oath_base32_encode(bytes.data(), bytes.size(), &text, &length) != OATH_OK)
        throw std::bad_alloc();
    std::string out(text, length);
    free(text);
    out.erase(out.find_last_not_of('=') + 1);
    return out;
}

std::string totp_uri(std::string_view issuer, std::string_view name, std::string_view secret) {
    return fmt::format(
        "otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits={}&period={}",
        percent_encode(issuer), percent_encode(name), base32(secret), percent_encode(issuer),
        limits::totp_digits, limits::totp_step_seconds);
}

std::vector<std::string> new_recovery_codes() {
    std::vector<std::string> codes;
    while (codes.size() < limits::recovery_codes) {
        const std::string text = base32(random_bytes(limits::recovery_code_bytes));
        std::string code;
        for (std::size_t at = 0; at < text.size(); ++at) {
            if (at > 0 && at % 4 == 0) code += '-';
            code +=
                text[at] >= 'A' && text[at] <= 'Z' ? static_cast<char>(text[at] + 32) : text[at];
        }
        codes.push_back(std::move(code));
    }
    return codes;
}

std::string recovery_code_hash(std::string_view code) {
    std::string plain;
    for (const char c : code.substr(0, 64)) {
        if (c != '-' && c != ' ') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return to_hex(sha256(plain));
}

}  // namespace meridian::trust
