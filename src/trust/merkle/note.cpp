// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/note.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "base/hash.hpp"
#include "base/utf8.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::merkle {

namespace {

constexpr std::string_view dash = "\u2014 ";  // U+2014 and a space
constexpr std::string_view private_prefix = "PRIVATE+KEY+";
constexpr std::size_t time_bytes = 8;

std::uint32_t number_of(std::string_view four_bytes) {
    std::uint32_t number = 0;
    for (const char c : four_bytes) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

std::string bytes_of(std::uint64_t number, unsigned count) {
    std::string bytes;
    for (unsigned shift = 8 * count; shift > 0; shift -= 8)
        bytes += static_cast<char>(number >> (shift - 8));
    return bytes;
}

/// SHA-256(name ‖ "\n" ‖ type ‖ public key)[:4].
std::uint32_t key_id_of(std::string_view name, KeyType type,
                        const std::array<unsigned char, 32>& key) {
    std::string data(name);
    data += '\n';
    data += static_cast<char>(type);
    data.append(reinterpret_cast<const char*>(key.data()), key.size());
    const Sha256 hash = sha256(data);
    return number_of({reinterpret_cast<const char*>(hash.data()), 4});
}

/// What a witness signs: https://c2sp.org/tlog-cosignature, "Ed25519 signed message".
std::string cosigned(std::string_view text, std::uint64_t seconds) {
    return fmt::format("cosignature/v1\ntime {}\n{}", seconds, text);
}

/// The parts of "NAME+HEX+BASE64", the key's bytes decoded: its type, then the key.
struct KeyText {
    std::string name;
    std::uint32_t id;
    std::string bytes;
};

std::optional<KeyText> key_text(std::string_view text) {
    const auto first = text.find('+');
    if (first == std::string_view::npos) return std::nullopt;
    const auto second = text.find('+', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const std::string_view hex = text.substr(first + 1, second - first - 1);
    KeyText key{std::string(text.substr(0, first)), 0, {}};
    if (hex.size() != 8 || !is_key_name(key.name) ||
        !base64_decode(text.substr(second + 1), key.bytes))
        return std::nullopt;
    for (const char c : hex) {
        const bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) return std::nullopt;
        key.id = key.id << 4 | static_cast<unsigned>(is_digit ? c - '0' : c - 'a' + 10);
    }
    return key;
}

std::optional<KeyType> type_of(std::string_view key_bytes) {
    if (key_bytes.size() != 33) return std::nullopt;
    if (key_bytes.front() == static_cast<char>(KeyType::note)) return KeyType::note;
    if (key_bytes.front() == static_cast<char>(KeyType::cosignature)) return KeyType::cosignature;
    return std::nullopt;
}

std::array<unsigned char, 32> array_of(std::string_view bytes) {
    std::array<unsigned char, 32> key{};
    std::memcpy(key.data(), bytes.data(), key.size());
    return key;
}

}  // namespace

bool is_key_name(std::string_view name) {
    // The Unicode spaces beyond ASCII: none of them has a place in a name.
    static constexpr std::string_view spaces[] = {"\u0085", "\u00A0", "\u1680", "\u2000", "\u2001",
                                                  "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                                  "\u2007", "\u2008", "\u2009", "\u200A", "\u2028",
                                                  "\u2029", "\u202F", "\u205F", "\u3000"};
    if (name.empty() || name.size() > limits::note_name_bytes_max || !is_valid_utf8(name))
        return false;
    if (std::any_of(name.begin(), name.end(), [](char c) {
            return static_cast<unsigned char>(c) <= ' ' || c == '+' || c == 0x7F;
        }))
        return false;
    return std::none_of(std::begin(spaces), std::end(spaces), [&](std::string_view space) {
        return name.find(space) != std::string_view::npos;
    });
}

// --- notes ---

std::string to_line(const NoteSignature& signature) {
    return fmt::format("{}{} {}\n", dash, signature.name,
                       base64_encode(bytes_of(signature.key_id, 4) + signature.bytes));
}

Result<NoteSignature> parse_signature_line(std::string_view line) {
    const auto wrong = [] {
        return fail(Category::incorrect, "a line of the note is no signature line");
    };
    if (!line.starts_with(dash)) return wrong();
    line.remove_prefix(dash.size());
    const auto space = line.find(' ');
    if (space == std::string_view::npos || !is_key_name(line.substr(0, space))) return wrong();
    std::string bytes;
    if (!base64_decode(line.substr(space + 1), bytes) || bytes.size() < 5) return wrong();
    return NoteSignature{std::string(line.substr(0, space)),
                         number_of(std::string_view(bytes).substr(0, 4)), bytes.substr(4)};
}

Result<Note> Note::parse(std::string_view bytes) {
    if (bytes.size() > limits::note_bytes_max)
        return fail(Category::too_large,
                    fmt::format("the note has more than {} bytes", limits::note_bytes_max));
    const bool has_control = std::any_of(bytes.begin(), bytes.end(), [](char c) {
        return static_cast<unsigned char>(c) < ' ' && c != '\n';
    });
    // "The text is separated from the signatures by the last empty line in the note."
    const auto split = bytes.rfind("\n\n");
    if (has_control || !is_valid_utf8(bytes) || split == std::string_view::npos ||
        !bytes.ends_with('\n'))
        return fail(Category::incorrect, "this is no signed note");
    Note note;
    note.text = bytes.substr(0, split + 1);
    std::string_view lines = bytes.substr(split + 2);
    while (!lines.empty()) {
        const auto end = lines.find('\n');
        if (note.signatures.size() == limits::note_signatures_max)
            return fail(Category::too_large, fmt::format("the note has more than {} signatures",
                                                         limits::note_signatures_max));
        note.signatures.push_back(TRY(parse_signature_line(lines.substr(0, end))));
        lines.remove_prefix(end + 1);
    }
    if (note.signatures.empty()) return fail(Category::incorrect, "nobody has signed the note");
    return note;
}

std::string Note::to_text() const {
    std::string out = text + "\n";
    for (const NoteSignature& signature : signatures) out += to_line(signature);
    return out;
}

// --- keys ---

VerifierKey::VerifierKey(std::string name, KeyType type, const std::array<unsigned char, 32>& key)
    : name_(std::move(name)), type_(type), key_(key), id_(key_id_of(name_, type, key)) {}

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
    const auto key = key_text(text);
    if (!key)
        return fail(Category::incorrect,
                    "this is no verifier key (expected NAME+HEX+BASE64, as c2sp.org/signed-note)");
    const auto type = type_of(key->bytes);
    if (!type)
        return fail(Category::unsupported,
                    fmt::format("the key {} is not an Ed25519 one (type 01 or 04)", key->name));
    VerifierKey verifier(key->name, *type, array_of(std::string_view(key->bytes).substr(1)));
    if (verifier.id() != key->id)
        return fail(Category::incorrect,
                    fmt::format("the key {} does not have the hash that it names", key->name));
    return verifier;
}

std::string VerifierKey::to_text() const {
    std::string bytes(1, static_cast<char>(type_));
    bytes.append(reinterpret_cast<const char*>(key_.data()), key_.size());
    return fmt::format("{}+{:08x}+{}", name_, id_, base64_encode(bytes));
}

bool VerifierKey::verifies(std::string_view text, const NoteSignature& signature) const {
    std::string_view bytes = signature.bytes;
    std::string message(text);
    if (type_ == KeyType::cosignature) {
        if (bytes.size() != time_bytes + crypto_sign_BYTES) return false;
        const std::uint64_t seconds =
            std::uint64_t{number_of(bytes.substr(0, 4))} << 32 | number_of(bytes.substr(4, 4));
        if (seconds > static_cast<std::uint64_t>(INT64_MAX)) return false;
        message = cosigned(text, seconds);
        bytes.remove_prefix(time_bytes);
    }
    if (bytes.size() != crypto_sign_BYTES) return false;
    return crypto_sign_verify_detached(reinterpret_cast<const unsigned char*>(bytes.data()),
                                       reinterpret_cast<const unsigned char*>(message.data()),
                                       message.size(), key_.data()) == 0;
}

Result<std::size_t> verify(const Note& note, std::span<const VerifierKey> keys) {
    std::size_t verified = 0;
    for (const VerifierKey& key : keys) {
        bool has_signed = false;
        for (const NoteSignature& signature : note.signatures) {
            if (!key.is_of(signature)) continue;
            if (!key.verifies(note.text, signature))
                return fail(Category::forbidden,
                            fmt::format("the signature of {} does not verify", key.name()));
            has_signed = true;
        }
        if (has_signed) ++verified;
    }
    return verified;
}

SigningKey::SigningKey(std::string name, KeyType type, const Seed& seed)
    : seed_(seed), secret_{}, verifier_(std::string(), type, {}) {
    std::array<unsigned char, 32> key{};
    crypto_sign_seed_keypair(key.data(), secret_.data(), seed_.data());
    verifier_ = VerifierKey(std::move(name), type, key);
}

SigningKey::~SigningKey() {
    sodium_memzero(seed_.data(), seed_.size());
    sodium_memzero(secret_.data(), secret_.size());
}

SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

SigningKey SigningKey::make(std::string name, KeyType type) {
    std::string random = random_bytes(std::tuple_size_v<Seed>);
    SigningKey key(std::move(name), type, array_of(random));
    sodium_memzero(random.data(), random.size());
    return key;
}

Result<SigningKey> SigningKey::parse(std::string_view text) {
    const auto wrong = [] { return fail(Category::incorrect, "this is no private key of a note"); };
    if (!text.starts_with(private_prefix)) return wrong();
    auto key = key_text(text.substr(private_prefix.size()));
    const auto type = key ? type_of(key->bytes) : std::nullopt;
    if (!type) return wrong();
    SigningKey signing(key->name, *type, array_of(std::string_view(key->bytes).substr(1)));
    sodium_memzero(key->bytes.data(), key->bytes.size());
    if (signing.verifier().id() != key->id) return wrong();
    return signing;
}

std::string SigningKey::to_text() const {
    std::string bytes(1, static_cast<char>(verifier_.type()));
    bytes.append(reinterpret_cast<const char*>(seed_.data()), seed_.size());
    return fmt::format("{}{}+{:08x}+{}", private_prefix, verifier_.name(), verifier_.id(),
                       base64_encode(bytes));
}

NoteSignature SigningKey::sign(std::string_view text, std::int64_t seconds) const {
    const bool is_witness = verifier_.type() == KeyType::cosignature;
    const auto time = static_cast<std::uint64_t>(seconds);
    const std::string message = is_witness ? cosigned(text, time) : std::string(text);
    std::string bytes(crypto_sign_BYTES, '\0');
    crypto_sign_detached(reinterpret_cast<unsigned char*>(bytes.data()), nullptr,
                         reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                         secret_.data());
    if (is_witness) bytes.insert(0, bytes_of(time, time_bytes));
    return {verifier_.name(), verifier_.id(), std::move(bytes)};
}

}  // namespace meridian::trust::merkle
