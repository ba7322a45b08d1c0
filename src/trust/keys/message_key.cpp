// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/message_key.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdexcept>

#include "base/hash.hpp"

namespace meridian::trust {

/// One suite under one key.
class MessageKey::Algorithm {
 public:
    virtual ~Algorithm() = default;
    /// Writes as many bytes as `bytes` has to `out`, and the tag behind them.
    virtual void seal(std::string_view nonce, std::string_view context, std::string_view bytes,
                      unsigned char* out) const = 0;
    /// Writes the message to `out`; false when the tag does not fit.
    virtual bool open(std::string_view nonce, std::string_view context, std::string_view ciphertext,
                      std::string_view tag, unsigned char* out) const = 0;
};

namespace {

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

/// OpenSSL fails here only when it lacks an algorithm or memory: a defect, not a finding.
void require(bool done) {
    if (!done) throw std::runtime_error("OpenSSL cannot seal or open");
}

struct ContextFree {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

/// Fetching an algorithm is slow and takes a lock: once for the process, and each thread keeps a
/// context that it was set in, which is given only a key and a nonce from then on.
EVP_CIPHER* fetched(const char* name) {
    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
    require(cipher != nullptr);
    return cipher;
}

Context context_with(const EVP_CIPHER* cipher, bool encrypts) {
    Context context(EVP_CIPHER_CTX_new());
    require(context && EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, encrypts ? 1 : 0,
                                          nullptr) == 1);
    return context;
}

EVP_CIPHER_CTX* block_context() {
    static EVP_CIPHER* const cipher = fetched("AES-256-ECB");
    thread_local const Context context = context_with(cipher, true);
    return context.get();
}
EVP_CIPHER_CTX* gcm_context(bool encrypts) {
    static EVP_CIPHER* const cipher = fetched("AES-256-GCM");
    thread_local const Context sealing = context_with(cipher, true);
    thread_local const Context opening = context_with(cipher, false);
    return encrypts ? sealing.get() : opening.get();
}
EVP_CIPHER_CTX* sm4_context() {
    static EVP_CIPHER* const cipher = fetched("SM4-CTR");
    thread_local const Context context = context_with(cipher, true);
    return context.get();
}

void update(EVP_CIPHER_CTX* context, unsigned char* out, std::string_view bytes) {
    int length = 0;
    require(EVP_CipherUpdate(context, out, &length, bytes_of(bytes),
                             static_cast<int>(bytes.size())) == 1);
}

/// https://c2sp.org/XAES-256-GCM: the first half of the nonce and the key give the message's key by
/// a counter-based KDF with CMAC (NIST SP 800-108r1), the second half is the nonce of AES-256-GCM.
class Xaes final : public MessageKey::Algorithm {
 public:
    explicit Xaes(const SecretKey& key) : key_(key) {
        constexpr std::size_t block_bytes = 16;
        const std::string zeros(block_bytes, '\0');
        encrypt_blocks(zeros, subkey_.data());
        // K1 = L << 1, with 0x87 (the field's polynomial) when the highest bit falls out.
        const unsigned carry = subkey_[0] >> 7;
        for (std::size_t i = 0; i < block_bytes; ++i) {
            const unsigned next = i + 1 < block_bytes ? subkey_[i + 1] >> 7 : 0;
            subkey_[i] = static_cast<unsigned char>(subkey_[i] << 1 | next);
        }
        subkey_[block_bytes - 1] ^= static_cast<unsigned char>(0x87 * carry);
    }
    ~Xaes() override {
        OPENSSL_cleanse(key_.data(), key_.size());
        OPENSSL_cleanse(subkey_.data(), subkey_.size());
    }
    Xaes(const Xaes&) = delete;
    Xaes& operator=(const Xaes&) = delete;

    void seal(std::string_view nonce, std::string_view context, std::string_view bytes,
              unsigned char* out) const override {
        EVP_CIPHER_CTX* const gcm = begin(true, nonce, context);
        update(gcm, out, bytes);
        int length = 0;
        require(EVP_EncryptFinal_ex(gcm, out + bytes.size(), &length) == 1 &&
                EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, MessageKey::tag_bytes,
                                    out + bytes.size()) == 1);
    }

    bool open(std::string_view nonce, std::string_view context, std::string_view ciphertext,
              std::string_view tag, unsigned char* out) const override {
        EVP_CIPHER_CTX* const gcm = begin(false, nonce, context);
        update(gcm, out, ciphertext);
        std::string expected(tag);
        int length = 0;
        return EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, MessageKey::tag_bytes,
                                   expected.data()) == 1 &&
               EVP_DecryptFinal_ex(gcm, out + ciphertext.size(), &length) == 1;
    }

 private:
    void encrypt_blocks(std::string_view blocks, unsigned char* out) const {
        EVP_CIPHER_CTX* const block = block_context();
        require(EVP_EncryptInit_ex2(block, nullptr, key_.data(), nullptr, nullptr) == 1 &&
                EVP_CIPHER_CTX_set_padding(block, 0) == 1);
        update(block, out, blocks);
    }

    EVP_CIPHER_CTX* begin(bool encrypts, std::string_view nonce, std::string_view context) const {
        constexpr std::size_t half = MessageKey::nonce_bytes / 2;
        // M1 and M2: counter, label 'X', zero, first half of the nonce; each masked with K1.
        std::array<char, 32> messages{0, 1, 'X', 0};
        std::memcpy(messages.data() + 4, nonce.data(), half);
        std::memcpy(messages.data() + 16, messages.data(), 16);
        messages[17] = 2;
        for (std::size_t i = 0; i < messages.size(); ++i)
            messages[i] = static_cast<char>(messages[i] ^ subkey_[i % subkey_.size()]);
        SecretKey derived;
        encrypt_blocks({messages.data(), messages.size()}, derived.data());
        EVP_CIPHER_CTX* const gcm = gcm_context(encrypts);
        const bool set =
            EVP_CipherInit_ex2(gcm, nullptr, derived.data(), bytes_of(nonce.substr(half)),
                               encrypts ? 1 : 0, nullptr) == 1;
        OPENSSL_cleanse(derived.data(), derived.size());
        require(set);
        if (!context.empty()) update(gcm, nullptr, context);
        return gcm;
    }

    SecretKey key_;
    std::array<unsigned char, 16> subkey_{};
};

/// HMAC-SM3 over the parts, each told apart by its length where it is not fixed.
class Sm3Mac {
 public:
    explicit Sm3Mac(std::string_view key) : mac_(EVP_MAC_fetch(nullptr, "HMAC", nullptr)) {
        std::string digest = "SM3";
        const OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0),
            OSSL_PARAM_construct_end()};
        context_.reset(EVP_MAC_CTX_new(mac_.get()));
        require(context_ &&
                EVP_MAC_init(context_.get(), bytes_of(key), key.size(), parameters) == 1);
    }
    /// HMAC over `parts` one behind the other.
    Sha256 of(std::initializer_list<std::string_view> parts) const {
        // A copy of a context that was given its key is cheaper than a key.
        const std::unique_ptr<EVP_MAC_CTX, Free> work(EVP_MAC_CTX_dup(context_.get()));
        require(work != nullptr);
        for (const std::string_view part : parts)
            require(EVP_MAC_update(work.get(), bytes_of(part), part.size()) == 1);
        Sha256 sum;
        std::size_t length = 0;
        require(EVP_MAC_final(work.get(), sum.data(), &length, sum.size()) == 1);
        return sum;
    }

 private:
    struct Free {
        void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
        void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
    };
    std::unique_ptr<EVP_MAC, Free> mac_;
    std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

std::string_view text_of(const Sha256& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string_view text_of_key(const SecretKey& key) {
    return {reinterpret_cast<const char*>(key.data()), key.size()};
}

/// Encrypt, then authenticate. Each message has an SM4 key and a counter block of its own, derived
/// from all of its nonce.
class Sm final : public MessageKey::Algorithm {
 public:
    explicit Sm(const SecretKey& key)
        : encrypting_(text_of(Sm3Mac(text_of_key(key)).of({"meridian sm4 key"}))),
          authenticating_(text_of(Sm3Mac(text_of_key(key)).of({"meridian sm3 key"}))) {}

    void seal(std::string_view nonce, std::string_view context, std::string_view bytes,
              unsigned char* out) const override {
        crypt(nonce, bytes, out);
        const Sha256 sum =
            tag_of(nonce, context, {reinterpret_cast<const char*>(out), bytes.size()});
        std::memcpy(out + bytes.size(), sum.data(), MessageKey::tag_bytes);
    }

    bool open(std::string_view nonce, std::string_view context, std::string_view ciphertext,
              std::string_view tag, unsigned char* out) const override {
        const Sha256 sum = tag_of(nonce, context, ciphertext);
        if (CRYPTO_memcmp(sum.data(), tag.data(), MessageKey::tag_bytes) != 0) return false;
        crypt(nonce, ciphertext, out);
        return true;
    }

 private:
    Sha256 tag_of(std::string_view nonce, std::string_view context,
                  std::string_view ciphertext) const {
        const std::uint64_t size = context.size();
        std::string length(sizeof size, '\0');
        std::memcpy(length.data(), &size, sizeof size);
        return authenticating_.of({length, context, nonce, ciphertext});
    }

    void crypt(std::string_view nonce, std::string_view bytes, unsigned char* out) const {
        Sha256 derived = encrypting_.of({nonce});  // 16 bytes of key, 16 of counter block
        EVP_CIPHER_CTX* const sm4 = sm4_context();
        const bool set =
            EVP_EncryptInit_ex2(sm4, nullptr, derived.data(), derived.data() + 16, nullptr) == 1;
        OPENSSL_cleanse(derived.data(), derived.size());
        require(set);
        update(sm4, out, bytes);
    }

    Sm3Mac encrypting_, authenticating_;
};

std::unique_ptr<const MessageKey::Algorithm> algorithm_of(Suite suite, const SecretKey& key) {
    if (suite == Suite::sm) return std::make_unique<const Sm>(key);
    return std::make_unique<const Xaes>(key);
}

/// Random bits for many nonces at once: one call to the system for each would cost as much as the
/// sealing of a small body.
std::string_view next_nonce() {
    constexpr std::size_t nonces_at_once = 128;
    thread_local std::string drawn;
    thread_local std::size_t at = 0;
    if (at == drawn.size()) {
        drawn = random_bytes(nonces_at_once * MessageKey::nonce_bytes);
        at = 0;
    }
    at += MessageKey::nonce_bytes;
    return std::string_view(drawn).substr(at - MessageKey::nonce_bytes, MessageKey::nonce_bytes);
}

}  // namespace

std::string_view name_of(Suite suite) {
    return suite == Suite::sm ? "sm" : "aes";
}

Result<Suite> suite_of(std::string_view name) {
    for (const Suite suite : {Suite::aes, Suite::sm}) {
        if (name == name_of(suite)) return suite;
    }
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no suite of algorithms: aes or sm", name.substr(0, 20)));
}

MessageKey::MessageKey(Suite suite, const SecretKey& key)
    : algorithm_(algorithm_of(suite, key)), hashing_(derive_key(key, "nonces of equal messages")) {}

MessageKey::~MessageKey() {
    OPENSSL_cleanse(hashing_.data(), hashing_.size());
}

void MessageKey::seal(std::string_view context, std::string_view bytes, std::string& out) const {
    seal_with(next_nonce(), context, bytes, out);
}

void MessageKey::seal_equal(std::string_view context, std::string_view bytes,
                            std::string& out) const {
    const std::string both = to_hex(sha256(context)) + to_hex(sha256(bytes));
    const Sha256 hash = hmac_sha256(text_of_key(hashing_), both);
    seal_with(text_of(hash).substr(0, nonce_bytes), context, bytes, out);
}

void MessageKey::seal_with(std::string_view nonce, std::string_view context, std::string_view bytes,
                           std::string& out) const {
    const std::size_t begin = out.size() + nonce_bytes;
    out.append(nonce);
    out.resize(begin + bytes.size() + tag_bytes);
    algorithm_->seal(nonce, context, bytes, bytes_of(out) + begin);
}

Result<std::string> MessageKey::open(std::string_view context, std::string_view sealed) const {
    const auto refused = [] {
        return fail(Category::fault,
                    "a sealed document was altered, or sealed with another key or for another "
                    "place");
    };
    if (sealed.size() < nonce_bytes + tag_bytes) return refused();
    const std::size_t length = sealed.size() - nonce_bytes - tag_bytes;
    std::string bytes;
    bool fits = false;
    bytes.resize_and_overwrite(length, [&](char* out, std::size_t) {
        fits = algorithm_->open(
            sealed.substr(0, nonce_bytes), context, sealed.substr(nonce_bytes, length),
            sealed.substr(nonce_bytes + length), reinterpret_cast<unsigned char*>(out));
        return fits ? length : 0;
    });
    if (!fits) return refused();
    return bytes;
}

std::string MessageKey::seal_under(std::string_view nonce, std::string_view context,
                                   std::string_view bytes) const {
    std::string out(bytes.size() + tag_bytes, '\0');
    algorithm_->seal(nonce, context, bytes, bytes_of(out));
    return out;
}

}  // namespace meridian::trust
