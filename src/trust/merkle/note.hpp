// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

/// Signed notes (https://c2sp.org/signed-note) with Ed25519, and cosignatures of witnesses
/// (https://c2sp.org/tlog-cosignature).
namespace meridian::trust::merkle {

/// One signature line; what `bytes` mean depends on the key.
struct NoteSignature {
    std::string name;
    std::uint32_t key_id = 0;
    std::string bytes;
    bool operator==(const NoteSignature&) const = default;
};

/// A text and who signed it. Nothing of it is to be believed before a key has verified it.
struct Note {
    std::string text;  ///< ends with a line break
    std::vector<NoteSignature> signatures{};

    /// Errors: `incorrect` for what is no note; `too_large` beyond limits::note_bytes_max.
    static Result<Note> parse(std::string_view bytes);
    std::string to_text() const;
};

/// "— NAME BASE64\n".
std::string to_line(const NoteSignature& signature);
/// Errors: `incorrect`. `line` is without its line break.
Result<NoteSignature> parse_signature_line(std::string_view line);

/// Whether `name` may be a key's: not empty, no spaces, no '+', no control characters, UTF-8.
bool is_key_name(std::string_view name);

/// What a signature of a key is made over.
enum class KeyType : unsigned char {
    note = 0x01,         ///< the note's text
    cosignature = 0x04,  ///< time and text (a witness)
};

/// A public key by which notes are verified.
class VerifierKey {
 public:
    /// Reads a vkey, "NAME+HEX+BASE64". Errors: `incorrect`; `unsupported` for a type that is not
    /// Ed25519.
    static Result<VerifierKey> parse(std::string_view text);
    VerifierKey(std::string name, KeyType type, const std::array<unsigned char, 32>& key);
    std::string to_text() const;

    const std::string& name() const { return name_; }
    std::uint32_t id() const { return id_; }
    KeyType type() const { return type_; }
    bool operator==(const VerifierKey&) const = default;

    /// Whether a line claims to be of this key.
    bool is_of(const NoteSignature& signature) const {
        return signature.key_id == id_ && signature.name == name_;
    }
    /// Whether `signature`, which is of this key, holds for the note's text.
    bool verifies(std::string_view text, const NoteSignature& signature) const;

 private:
    std::string name_;
    KeyType type_;
    std::array<unsigned char, 32> key_;
    std::uint32_t id_;
};

/// Verifies the note with those of `keys` that it names; lines of others are ignored. How many keys
/// have signed. Errors: `forbidden` when a line of a known key does not verify.
Result<std::size_t> verify(const Note& note, std::span<const VerifierKey> keys);

/// A private key. Its bytes are wiped when it dies.
class SigningKey {
 public:
    /// A new one. `name` satisfies is_key_name.
    static SigningKey make(std::string name, KeyType type = KeyType::note);
    /// Reads "PRIVATE+KEY+NAME+HEX+BASE64", the form that Go's sumdb/note has too. Errors:
    /// `incorrect`, without a word of what stands there.
    static Result<SigningKey> parse(std::string_view text);
    std::string to_text() const;
    ~SigningKey();
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;

    const VerifierKey& verifier() const { return verifier_; }
    /// The line for `text`; a key of a witness says `seconds` since 1970 too.
    NoteSignature sign(std::string_view text, std::int64_t seconds = 0) const;

 private:
    using Seed = std::array<unsigned char, 32>;
    using Secret = std::array<unsigned char, 64>;
    SigningKey(std::string name, KeyType type, const Seed& seed);
    Seed seed_;
    Secret secret_;
    VerifierKey verifier_;
};

}  // namespace meridian::trust::merkle
