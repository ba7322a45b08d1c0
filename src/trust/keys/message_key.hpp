// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "trust/seal.hpp"

namespace meridian::trust {

/// By which algorithms keys and bodies are sealed. The number stands in every sealed byte string,
/// so both can be read whichever one a store writes with.
enum class Suite : unsigned char {
    aes = 1,  ///< XAES-256-GCM (https://c2sp.org/XAES-256-GCM)
    sm = 2,   ///< SM4-CTR (GB/T 32907), then HMAC-SM3 (GB/T 32905) over all of it
};
/// "aes" or "sm". Errors of the inverse: `incorrect`.
std::string_view name_of(Suite suite);
Result<Suite> suite_of(std::string_view name);

/// A key that seals any number of messages. Each lies under a key of its own, derived from this one
/// and 192 random bits, so that no two share key and nonce whatever crashes, restores or copies of
/// the process do (docs/adr/0030). Immutable, safe to share between threads; its memory is wiped
/// at the end.
class MessageKey {
 public:
    MessageKey(Suite suite, const SecretKey& key);
    ~MessageKey();
    MessageKey(const MessageKey&) = delete;
    MessageKey& operator=(const MessageKey&) = delete;

    static constexpr std::size_t nonce_bytes = 24;
    static constexpr std::size_t tag_bytes = 16;

    /// Appends nonce, ciphertext and tag to `out`. Readable only with the same `context`.
    void seal(std::string_view context, std::string_view bytes, std::string& out) const;
    /// The same, but equal bytes with an equal context have an equal sealed form: the nonce is a
    /// hash of both under a key of its own, so that two different messages still never share one.
    /// For what is stored once however often it is written.
    void seal_equal(std::string_view context, std::string_view bytes, std::string& out) const;
    /// What was sealed, in either way. Errors: `fault` when it was altered or cut, or lies under
    /// another key or context; the message does not say which.
    Result<std::string> open(std::string_view context, std::string_view sealed) const;
    /// For test vectors: ciphertext and tag under a given nonce, which must never be used twice.
    std::string seal_under(std::string_view nonce, std::string_view context,
                           std::string_view bytes) const;

    /// The algorithms behind it.
    class Algorithm;

 private:
    void seal_with(std::string_view nonce, std::string_view context, std::string_view bytes,
                   std::string& out) const;

    std::unique_ptr<const Algorithm> algorithm_;
    SecretKey hashing_;  ///< for the nonces of seal_equal
};

}  // namespace meridian::trust
