// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "trust/keys/message_key.hpp"

namespace meridian::trust {

/// Where the key-encryption keys of a store are: the root of all its data keys. They have numbers,
/// 1 the first; a rotation makes the next. Thread-safe.
class KekProvider {
 public:
    virtual ~KekProvider() = default;
    /// "file" or "pkcs11".
    virtual std::string_view name() const = 0;
    /// Numbers of those that can be used here, ascending. Errors: `unavailable`.
    virtual Result<std::vector<unsigned>> numbers() = 0;
    /// Makes the key `number`, which is not there yet. Errors: `conflict` when it is;
    /// `unavailable`. Blocking: disk or token.
    virtual Result<void> make(unsigned number) = 0;
    /// Takes a key away for good: what lies under it can never be read again. Errors:
    /// `unavailable`.
    virtual Result<void> destroy(unsigned number) = 0;
    /// `secret` under a key, readable only with the same context. Errors: `conflict` when the key
    /// is not here; `forbidden` when others may read it; `unavailable`. Blocking: disk or token.
    virtual Result<std::string> wrap(unsigned number, Suite suite, std::string_view context,
                                     std::string_view secret) = 0;
    /// Errors: as wrap, and `fault` for what was altered or wrapped under another key.
    virtual Result<std::string> unwrap(unsigned number, Suite suite, std::string_view context,
                                       std::string_view wrapped) = 0;
};

/// Keys in files of the data folder, keys/kek-N.key: 64 hexadecimal digits, for their owner only.
std::unique_ptr<KekProvider> file_keks(const std::string& folder);
std::string kek_path(const std::string& folder, unsigned number);

/// Where a token's keys are: a smart card, a hardware security module, or a TPM behind
/// tpm2-pkcs11.
struct TokenPlace {
    std::string module{};    ///< path of the PKCS#11 library
    std::string token{};     ///< label of the token
    std::string pin_file{};  ///< its first line is the user's PIN; for its owner only
};
/// AES-256 keys labelled "meridian-kek-N" that never leave the token; it wraps by CKM_AES_GCM
/// (OASIS PKCS#11 v2.40, §2.12.3), so it knows the suite `aes` only. Errors: `unavailable` when the
/// library or the token is not there; `forbidden` for a wrong PIN. Blocking: opens a session.
Result<std::unique_ptr<KekProvider>> token_keks(const TokenPlace& place);

/// The place of the token that keys/pkcs11.toml of the data folder names (keys `module`, `token`,
/// `pin_file`), or the files of the folder where there is none. Errors: `incorrect` for a file that
/// cannot be understood; as token_keks.
Result<std::unique_ptr<KekProvider>> keks_of(const std::string& folder);

}  // namespace meridian::trust
