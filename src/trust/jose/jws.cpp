// SPDX-License-Identifier: Apache-2.0
#include "trust/jose/jws.hpp"

#include <array>

#include "base/hash.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::jose {

namespace {

struct Parts {
    std::string_view header;
    std::string_view payload;
    std::string_view signature;
    std::string_view signed_text;  ///< header "." payload
};

/// Why a token was refused helps nobody but who forges one.
std::unexpected<Error> refused() {
    return fail(Category::unauthenticated, "the token is not valid");
}

Result<Parts> split(std::string_view token) {
    if (token.size() > limits::jwt_bytes_max) return refused();
    const std::size_t first = token.find('.');
    if (first == std::string_view::npos) return refused();
    const std::size_t second = token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
        return refused();
    return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
                 token.substr(second + 1), token.substr(0, second)};
}

/// A string member, or empty; nothing when it is of another kind or too long.
std::optional<std::string> word(const Json& header, std::string_view name) {
    const Json* member = header.find(name);
    if (member == nullptr) return std::string();
    if (!member->is_string() || member->text().size() > limits::jwt_identifier_bytes_max)
        return std::nullopt;
    return std::string(member->text());
}

Result<Header> header_of(const Parts& parts) {
    std::string bytes;
    if (!base64url_decode(parts.header, bytes)) return refused();
    const auto document = JsonDocument::parse(bytes);  // refuses a member that stands twice
    if (!document || !document->root().is_object()) return refused();
    const Json& json = document->root();
    // RFC 7515 §4.1.11: extensions that must be understood; we understand none. "b64" (RFC 7797)
    // would change what is signed. "zip" belongs to encryption.
    for (const std::string_view name : {"crit", "b64", "zip"})
        if (json.find(name) != nullptr) return refused();
    const auto algorithm = algorithm_named(json.string_at("alg"));
    auto key_id = word(json, "kid");
    auto type = word(json, "typ");
    if (!algorithm || !key_id || !type) return refused();
    return Header{*algorithm, *std::move(key_id), *std::move(type)};
}

}  // namespace

Result<Header> read_header(std::string_view token) {
    return header_of(TRY(split(token)));
}

Result<std::string> sign(const Key& key, std::string_view payload, std::string_view type) {
    const Algorithm algorithm = key.algorithms().front();
    JsonDocument document;
    Json header = document.object();
    document.set(header, "alg", document.string(name_of(algorithm)));
    if (!type.empty()) document.set(header, "typ", document.string(type));
    document.set(header, "kid", document.string(key.id()));
    std::string token = base64url_encode(to_text(header)) + '.' + base64url_encode(payload);
    const std::string signature = TRY(key.sign(algorithm, token));
    return token + '.' + base64url_encode(signature);
}

Result<Verified> verify(std::string_view token, const KeySet& keys) {
    const Parts parts = TRY(split(token));
    Header header = TRY(header_of(parts));
    std::string signature;
    std::string payload;
    if (!base64url_decode(parts.signature, signature) || !base64url_decode(parts.payload, payload))
        return refused();
    for (const Key& key : keys.candidates(header.key_id, header.algorithm))
        if (key.verify(header.algorithm, parts.signed_text, signature))
            return Verified{std::move(header), std::move(payload), key.id()};
    return refused();
}

}  // namespace meridian::trust::jose
