// SPDX-License-Identifier: Apache-2.0
// Adapter: the only file of jose that sees OpenSSL.
#include "trust/jose/key.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::jose {

namespace {

template <auto release>
struct Release {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};
using Pkey = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Release<BN_clear_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Release<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Release<OSSL_PARAM_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Release<ECDSA_SIG_free>>;

constexpr std::size_t ed25519_bytes = 32;
constexpr int new_rsa_bits = 3072;
constexpr int ps256_salt_bytes = 32;  // RFC 7518 §3.5: as long as the hash

enum class Kind : unsigned char { rsa, p256, p384, ed25519 };

const unsigned char* bytes_of(std::string_view data) {
    return reinterpret_cast<const unsigned char*>(data.data());
}
unsigned char* bytes_of(std::string& data) {
    return reinterpret_cast<unsigned char*>(data.data());
}

/// OpenSSL's queue of reasons is not ours to leave filled: the next reader would think they are
/// his.
struct Quiet {
    ~Quiet() { ERR_clear_error(); }
};

Kind kind_of(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::es256:
            return Kind::p256;
        case Algorithm::es384:
            return Kind::p384;
        case Algorithm::eddsa:
            return Kind::ed25519;
        default:
            return Kind::rsa;
    }
}

const char* group_of(Kind kind) {
    return kind == Kind::p256 ? "P-256" : "P-384";
}
std::size_t coordinate_bytes(Kind kind) {
    return kind == Kind::p256 ? 32 : 48;
}

std::vector<Algorithm> algorithms_of(Kind kind) {
    switch (kind) {
        case Kind::p256:
            return {Algorithm::es256};
        case Kind::p384:
            return {Algorithm::es384};
        case Kind::ed25519:
            return {Algorithm::eddsa};
        case Kind::rsa:
            return {Algorithm::rs256, Algorithm::rs384, Algorithm::ps256};
    }
    return {};
}

std::unexpected<Error> broken(std::string what) {
    return fail(Category::incorrect, "the JWK cannot be used: " + std::move(what));
}

Result<std::string> binary_member(const Json& jwk, std::string_view name) {
    std::string bytes;
    const Json* member = jwk.find(name);
    if (member == nullptr || !member->is_string() || member->text().empty() ||
        !base64url_decode(member->text(), bytes))
        return broken(fmt::format("\"{}\" is missing or no base64url", name));
    return bytes;
}

Number number_of(std::string_view bytes) {
    return Number(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr));
}

std::string bytes_of_number(const BIGNUM* number, std::size_t size) {
    std::string out(size, '\0');
    if (BN_bn2binpad(number, bytes_of(out), static_cast<int>(size)) < 0) out.clear();
    return out;
}

std::string number_parameter(const EVP_PKEY* key, const char* name, std::size_t size = 0) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return {};
    const Number number(raw);
    return bytes_of_number(raw, size > 0 ? size : static_cast<std::size_t>(BN_num_bytes(raw)));
}

Result<Pkey> from_parameters(const char* type, OSSL_PARAM_BLD* builder, int selection) {
    const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
    const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* raw = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &raw, selection, parameters.get()) != 1)
        return broken("its numbers are no key");
    return Pkey(raw);
}

/// Whether the key is one of its kind, and the halves of a pair belong together.
bool is_sound(EVP_PKEY* key, bool is_pair) {
    const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    if (!context || EVP_PKEY_public_check(context.get()) != 1) return false;
    return !is_pair || EVP_PKEY_pairwise_check(context.get()) == 1;
}

constexpr std::array<std::pair<std::string_view, const char*>, 6> rsa_private{
    {{"d", OSSL_PKEY_PARAM_RSA_D},
     {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
     {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
     {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
     {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
     {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}}};

Result<Pkey> read_rsa(const Json& jwk, bool is_pair) {
    const Builder builder(OSSL_PARAM_BLD_new());
    std::vector<Number> numbers;  // the builder keeps pointers to them
    const auto push = [&](const char* name, std::string_view bytes) {
        numbers.push_back(number_of(bytes));
        OSSL_PARAM_BLD_push_BN(builder.get(), name, numbers.back().get());
    };
    push(OSSL_PKEY_PARAM_RSA_N, TRY(binary_member(jwk, "n")));
    push(OSSL_PKEY_PARAM_RSA_E, TRY(binary_member(jwk, "e")));
    const auto bits = static_cast<std::size_t>(BN_num_bits(numbers[0].get()));
    if (bits < limits::rsa_bits_min || bits > limits::rsa_bits_max)
        return broken(fmt::format("RSA of {} bits ({} to {} are accepted)", bits,
                                  limits::rsa_bits_min, limits::rsa_bits_max));
    // FIPS 186-5 §5.4: 2^16 < e; a huge one would make every check slow.
    const BIGNUM* exponent = numbers[1].get();
    if (!BN_is_odd(exponent) || BN_num_bits(exponent) < 17 || BN_num_bits(exponent) > 64)
        return broken("its exponent is even, below 65537 or beyond 64 bits");
    if (is_pair)
        for (const auto& [member, name] : rsa_private) push(name, TRY(binary_member(jwk, member)));
    return from_parameters("RSA", builder.get(), is_pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
}

Result<Pkey> read_elliptic(const Json& jwk, Kind kind, bool is_pair) {
    const std::size_t size = coordinate_bytes(kind);
    const std::string x = TRY(binary_member(jwk, "x"));
    const std::string y = TRY(binary_member(jwk, "y"));
    // RFC 7518 §6.2.1.2: the full length of a coordinate, leading zeros included.
    if (x.size() != size || y.size() != size) return broken("a coordinate has another length");
    const std::string point = '\x04' + x + y;
    const Builder builder(OSSL_PARAM_BLD_new());
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group_of(kind), 0);
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                     point.size());
    Number secret;
    if (is_pair) {
        const std::string d = TRY(binary_member(jwk, "d"));
        if (d.size() != size) return broken("\"d\" has another length");
        secret = number_of(d);
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get());
    }
    return from_parameters("EC", builder.get(), is_pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
}

Result<Pkey> read_edwards(const Json& jwk, bool is_pair) {
    const std::string x = TRY(binary_member(jwk, "x"));
    if (x.size() != ed25519_bytes) return broken("\"x\" has another length");
    if (!is_pair) {
        Pkey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size()));
        if (!key) return broken("its numbers are no key");
        return key;
    }
    const std::string d = TRY(binary_member(jwk, "d"));
    if (d.size() != ed25519_bytes) return broken("\"d\" has another length");
    Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(d), d.size()));
    std::string derived(ed25519_bytes, '\0');
    std::size_t size = derived.size();
    if (!key || EVP_PKEY_get_raw_public_key(key.get(), bytes_of(derived), &size) != 1 ||
        derived != x)
        return broken("its halves do not belong together");
    return key;
}

Result<Kind> kind_of(const Json& jwk) {
    const std::string_view type = jwk.string_at("kty");
    const std::string_view curve = jwk.string_at("crv");
    if (type == "RSA") return Kind::rsa;
    if (type == "EC" && curve == "P-256") return Kind::p256;
    if (type == "EC" && curve == "P-384") return Kind::p384;
    if (type == "OKP" && curve == "Ed25519") return Kind::ed25519;
    return fail(Category::unsupported,
                "the JWK is of another kind than RSA, P-256, P-384 or Ed25519");
}

/// RFC 7517 §4.2, §4.3: "use" and "key_ops" must not forbid signatures.
bool is_for_signatures(const Json& jwk) {
    if (const Json* use = jwk.find("use"); use != nullptr && use->text() != "sig") return false;
    const Json* operations = jwk.find("key_ops");
    if (operations == nullptr) return true;
    return std::ranges::any_of(operations->items(), [](const Json& operation) {
        return operation.text() == "verify" || operation.text() == "sign";
    });
}

const EVP_MD* digest_of(Algorithm algorithm) {
    switch (algorithm) {
        case Algorithm::es256:
        case Algorithm::rs256:
        case Algorithm::ps256:
            return EVP_sha256();
        case Algorithm::es384:
        case Algorithm::rs384:
            return EVP_sha384();
        case Algorithm::eddsa:
            return nullptr;  // hashes by itself
    }
    return nullptr;
}

bool set_padding(EVP_PKEY_CTX* context, Algorithm algorithm) {
    if (algorithm != Algorithm::ps256) return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, ps256_salt_bytes) == 1;
}

/// r‖s (RFC 7518 §3.4) of the DER form that OpenSSL makes; empty when it is none.
std::string to_raw(std::string_view der, std::size_t size) {
    const unsigned char* at = bytes_of(der);
    const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    if (!signature) return {};
    return bytes_of_number(ECDSA_SIG_get0_r(signature.get()), size) +
           bytes_of_number(ECDSA_SIG_get0_s(signature.get()), size);
}

/// The inverse; empty when `raw` has another length than two coordinates.
std::string to_der(std::string_view raw, std::size_t size) {
    if (raw.size() != 2 * size) return {};
    const EcdsaSignature signature(ECDSA_SIG_new());
    if (!signature || ECDSA_SIG_set0(signature.get(), number_of(raw.substr(0, size)).release(),
                                     number_of(raw.substr(size)).release()) != 1)
        return {};
    unsigned char* der = nullptr;
    const int length = i2d_ECDSA_SIG(signature.get(), &der);
    if (length <= 0) return {};
    std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    return out;
}

Pkey generate_key(Algorithm algorithm) {
    switch (kind_of(algorithm)) {
        case Kind::rsa:
            return Pkey(EVP_RSA_gen(new_rsa_bits));
        case Kind::ed25519:
            return Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
        case Kind::p256:
            return Pkey(EVP_EC_gen("P-256"));
        case Kind::p384:
            return Pkey(EVP_EC_gen("P-384"));
    }
    return {};
}

std::string text_of(std::string_view bytes) {
    return base64url_encode(bytes);
}

}  // namespace

struct Key::State {
    Pkey key{};
    Kind kind = Kind::rsa;
    bool is_pair = false;
    std::string id{};
    std::vector<Algorithm> algorithms{};

    /// The members that make the key, in lexical order (RFC 7638 §3.2, RFC 8037 §2).
    std::vector<std::pair<std::string_view, std::string>> required_members() const;
};

std::vector<std::pair<std::string_view, std::string>> Key::State::required_members() const {
    if (kind == Kind::rsa)
        return {{"e", text_of(number_parameter(key.get(), OSSL_PKEY_PARAM_RSA_E))},
                {"kty", "RSA"},
                {"n", text_of(number_parameter(key.get(), OSSL_PKEY_PARAM_RSA_N))}};
    if (kind == Kind::ed25519) {
        std::string x(ed25519_bytes, '\0');
        std::size_t size = x.size();
        EVP_PKEY_get_raw_public_key(key.get(), bytes_of(x), &size);
        return {{"crv", "Ed25519"}, {"kty", "OKP"}, {"x", text_of(x)}};
    }
    const std::size_t size = coordinate_bytes(kind);
    return {{"crv", group_of(kind)},
            {"kty", "EC"},
            {"x", text_of(number_parameter(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, size))},
            {"y", text_of(number_parameter(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size))}};
}

Result<Key> Key::finish(State state) {
    if (!is_sound(state.key.get(), state.is_pair && state.kind != Kind::ed25519))
        return broken("its numbers are no key, or its halves do not belong together");
    auto shared = std::make_shared<State>(std::move(state));
    Key key(shared);
    if (shared->id.empty()) shared->id = key.thumbprint();
    return key;
}

Result<Key> Key::generate(Algorithm algorithm) {
    const Quiet quiet;
    State state;
    state.key = generate_key(algorithm);
    if (!state.key) return fail(Category::fault, "OpenSSL could not make a key");
    state.kind = kind_of(algorithm);
    state.is_pair = true;
    state.algorithms = {algorithm};
    return finish(std::move(state));
}

Result<Key> Key::from_jwk(std::string_view text) {
    const JsonDocument document = TRY(JsonDocument::parse(text));
    return from_jwk(document.root());
}

Result<Key> Key::from_jwk(const Json& jwk) {
    const Quiet quiet;
    State state;
    state.kind = TRY(kind_of(jwk));
    if (!is_for_signatures(jwk))
        return fail(Category::unsupported, "the JWK is for another use than signatures");
    state.is_pair = jwk.find("d") != nullptr;
    state.algorithms = algorithms_of(state.kind);
    if (const Json* algorithm = jwk.find("alg")) {
        const auto named = algorithm_named(algorithm->text());
        if (!named || std::ranges::find(state.algorithms, *named) == state.algorithms.end())
            return fail(Category::unsupported, "the JWK is for an algorithm that is not used here");
        state.algorithms = {*named};
    }
    state.id = jwk.string_at("kid");
    if (state.id.size() > limits::jwt_identifier_bytes_max) return broken("\"kid\" is too long");
    if (state.kind == Kind::rsa)
        state.key = TRY(read_rsa(jwk, state.is_pair));
    else if (state.kind == Kind::ed25519)
        state.key = TRY(read_edwards(jwk, state.is_pair));
    else
        state.key = TRY(read_elliptic(jwk, state.kind, state.is_pair));
    return finish(std::move(state));
}

const std::string& Key::id() const {
    return state_->id;
}
bool Key::is_pair() const {
    return state_->is_pair;
}
const std::vector<Algorithm>& Key::algorithms() const {
    return state_->algorithms;
}

bool Key::allows(Algorithm algorithm) const {
    return std::ranges::find(state_->algorithms, algorithm) != state_->algorithms.end();
}

std::string Key::thumbprint() const {
    std::string text;
    for (const auto& [name, value] : state_->required_members())
        text += fmt::format("{}\"{}\":\"{}\"", text.empty() ? '{' : ',', name, value);
    const Sha256 hash = sha256(text + '}');
    return base64url_encode({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

Json Key::public_jwk(JsonDocument& document) const {
    Json jwk = document.object();
    for (const auto& [name, value] : state_->required_members())
        document.set(jwk, name, document.string(value));
    document.set(jwk, "kid", document.string(state_->id));
    document.set(jwk, "use", document.string("sig"));
    if (state_->algorithms.size() == 1)
        document.set(jwk, "alg", document.string(name_of(state_->algorithms.front())));
    return jwk;
}

Result<std::string> Key::private_jwk() const {
    if (!state_->is_pair) return fail(Category::incorrect, "the key has no private half");
    const Quiet quiet;
    const EVP_PKEY* key = state_->key.get();
    JsonDocument document;
    Json jwk = public_jwk(document);
    const auto set = [&](std::string_view name, std::string_view bytes) {
        document.set(jwk, name, document.string(base64url_encode(bytes)));
    };
    if (state_->kind == Kind::rsa) {
        for (const auto& [member, name] : rsa_private) set(member, number_parameter(key, name));
    } else if (state_->kind == Kind::ed25519) {
        std::string d(ed25519_bytes, '\0');
        std::size_t size = d.size();
        EVP_PKEY_get_raw_private_key(key, bytes_of(d), &size);
        set("d", d);
    } else {
        set("d", number_parameter(key, OSSL_PKEY_PARAM_PRIV_KEY, coordinate_bytes(state_->kind)));
    }
    return to_text(jwk);
}

Result<std::string> Key::sign(Algorithm algorithm, std::string_view data) const {
    if (!state_->is_pair || !allows(algorithm))
        return fail(Category::incorrect, "the key cannot sign with that algorithm");
    const Quiet quiet;
    const DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* padding = nullptr;  // owned by `context`
    std::size_t size = 0;
    if (!context ||
        EVP_DigestSignInit(context.get(), &padding, digest_of(algorithm), nullptr,
                           state_->key.get()) != 1 ||
        !set_padding(padding, algorithm) ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes_of(data), data.size()) != 1)
        return fail(Category::fault, "OpenSSL could not begin a signature");
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), bytes_of(signature), &size, bytes_of(data), data.size()) != 1)
        return fail(Category::fault, "OpenSSL could not sign");
    signature.resize(size);
    if (state_->kind == Kind::p256 || state_->kind == Kind::p384)
        return to_raw(signature, coordinate_bytes(state_->kind));
    return signature;
}

bool Key::verify(Algorithm algorithm, std::string_view data, std::string_view signature) const {
    if (!allows(algorithm)) return false;
    const Quiet quiet;
    std::string der;
    if (state_->kind == Kind::p256 || state_->kind == Kind::p384) {
        der = to_der(signature, coordinate_bytes(state_->kind));
        if (der.empty()) return false;
        signature = der;
    }
    const DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* padding = nullptr;  // owned by `context`
    return context &&
           EVP_DigestVerifyInit(context.get(), &padding, digest_of(algorithm), nullptr,
                                state_->key.get()) == 1 &&
           set_padding(padding, algorithm) &&
           EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(data),
                            data.size()) == 1;
}

Result<KeySet> KeySet::parse(std::string_view text) {
    if (text.size() > limits::jwks_bytes_max)
        return fail(Category::too_large, "the JWK set is too large");
    const JsonDocument document = TRY(JsonDocument::parse(text));
    const Json* members = document.root().find("keys");
    if (members == nullptr || !members->is_array())
        return fail(Category::incorrect, "a JWK set has a list \"keys\"");
    if (members->size() > limits::jwks_keys_max)
        return fail(Category::too_large, "the JWK set has too many keys");
    std::vector<Key> keys;
    for (const Json& member : members->items()) {
        // Whoever publishes a private key has lost it: its signatures prove nothing any more.
        if (member.find("d") != nullptr)
            return fail(Category::incorrect, "the JWK set holds a private key");
        if (auto key = Key::from_jwk(member)) keys.push_back(*std::move(key));
    }
    return KeySet(std::move(keys));
}

std::vector<Key> KeySet::candidates(std::string_view key_id, Algorithm algorithm) const {
    std::vector<Key> found;
    for (const Key& key : keys_)
        if ((key_id.empty() || key.id() == key_id) && key.allows(algorithm)) found.push_back(key);
    return found;
}

bool KeySet::has(std::string_view key_id) const {
    return std::ranges::any_of(keys_, [&](const Key& key) { return key.id() == key_id; });
}

std::string KeySet::to_text() const {
    JsonDocument document;
    Json set = document.object();
    Json keys = document.array();
    for (const Key& key : keys_) document.append(keys, key.public_jwk(document));
    document.set(set, "keys", keys);
    return meridian::to_text(set);
}

}  // namespace meridian::trust::jose
