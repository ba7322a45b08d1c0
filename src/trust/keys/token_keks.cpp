// SPDX-License-Identifier: Apache-2.0
// Key-encryption keys on a PKCS#11 token, by plain calls into its library.
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <p11-kit-1/p11-kit/pkcs11.h>

#include <mutex>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/kek.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view label_stem = "meridian-kek-";
constexpr std::size_t nonce_bytes = 12, tag_bits = 128;

/// What a token's return value means for whoever runs the server.
std::unexpected<Error> refused(std::string_view what, CK_RV code) {
    const bool is_pin = code == CKR_PIN_INCORRECT || code == CKR_PIN_LOCKED;
    return fail(is_pin ? Category::forbidden : Category::unavailable,
                fmt::format("the token refused to {} (PKCS#11 {:#x}){}", what, code,
                            is_pin ? ": is the PIN in the file right?" : ""));
}

Result<void> done(std::string_view what, CK_RV code) {
    if (code == CKR_OK) return {};
    return refused(what, code);
}

/// Fields of the standard are padded with blanks.
std::string_view trimmed(const unsigned char* text, std::size_t size) {
    std::string_view view(reinterpret_cast<const char*>(text), size);
    while (view.ends_with(' ') || view.ends_with('\0')) view.remove_suffix(1);
    return view;
}

unsigned char* mutable_bytes(std::string_view text) {
    // The interface has no const; these calls change nothing.
    return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(text.data()));
}

CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, std::string_view value) {
    return {type, mutable_bytes(value), value.size()};
}
template <class Value>
    requires std::is_trivially_copyable_v<Value> &&
             (!std::is_convertible_v<Value, std::string_view>)
CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, Value& value) {
    return {type, &value, sizeof value};
}

class TokenKeks final : public KekProvider {
 public:
    static Result<std::unique_ptr<KekProvider>> open(const TokenPlace& place) {
        std::unique_ptr<TokenKeks> keks(new TokenKeks);
        TRY(keks->load(place.module));
        TRY(keks->log_in(place));
        return keks;
    }

    ~TokenKeks() override {
        if (functions_ == nullptr) return;
        if (session_ != CK_INVALID_HANDLE) functions_->C_CloseSession(session_);
        // Not finalised and not unloaded: others in the process may use the same library.
    }

    std::string_view name() const override { return "pkcs11"; }

    Result<std::vector<unsigned>> numbers() override {
        const std::lock_guard lock(mutex_);
        CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
        std::vector<unsigned> found;
        for (const CK_OBJECT_HANDLE handle : TRY(find({attribute(CKA_CLASS, kind)}))) {
            std::string label(64, '\0');
            CK_ATTRIBUTE wanted = attribute(CKA_LABEL, std::string_view(label));
            if (functions_->C_GetAttributeValue(session_, handle, &wanted, 1) != CKR_OK) continue;
            label.resize(wanted.ulValueLen);
            unsigned number = 0;
            if (!label.starts_with(label_stem)) continue;
            std::from_chars(label.data() + label_stem.size(), label.data() + label.size(), number);
            if (number != 0) found.push_back(number);
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    Result<void> make(unsigned number) override {
        const std::lock_guard lock(mutex_);
        const std::string label = label_of(number);
        if (!TRY(find({attribute(CKA_LABEL, std::string_view(label))})).empty())
            return fail(Category::conflict, "the token has a key of that number already");
        CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
        CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
        CK_ULONG length = sizeof(SecretKey);
        CK_ATTRIBUTE wanted[] = {attribute(CKA_LABEL, std::string_view(label)),
                                 attribute(CKA_VALUE_LEN, length),
                                 attribute(CKA_TOKEN, yes),
                                 attribute(CKA_PRIVATE, yes),
                                 attribute(CKA_SENSITIVE, yes),
                                 attribute(CKA_EXTRACTABLE, no),
                                 attribute(CKA_ENCRYPT, yes),
                                 attribute(CKA_DECRYPT, yes)};
        CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
        return done("make a key", functions_->C_GenerateKey(session_, &mechanism, wanted,
                                                            std::size(wanted), &made));
    }

    Result<void> destroy(unsigned number) override {
        const std::lock_guard lock(mutex_);
        return done("destroy a key", functions_->C_DestroyObject(session_, TRY(key_of(number))));
    }

    Result<std::string> wrap(unsigned number, Suite suite, std::string_view context,
                             std::string_view secret) override {
        TRY(require_known(suite));
        const std::lock_guard lock(mutex_);
        std::string wrapped = random_bytes(nonce_bytes);
        CK_GCM_PARAMS parameters = gcm(wrapped, context);
        CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
        TRY(done("use a key",
                 functions_->C_EncryptInit(session_, &mechanism, TRY(key_of(number)))));
        std::string out(secret.size() + 64, '\0');
        CK_ULONG length = out.size();
        TRY(done("wrap a key", functions_->C_Encrypt(session_, mutable_bytes(secret), secret.size(),
                                                     mutable_bytes(out), &length)));
        return wrapped + out.substr(0, length);
    }

    Result<std::string> unwrap(unsigned number, Suite suite, std::string_view context,
                               std::string_view wrapped) override {
        TRY(require_known(suite));
        const std::lock_guard lock(mutex_);
        if (wrapped.size() < nonce_bytes) return fail(Category::fault, "a wrapped key was cut");
        CK_GCM_PARAMS parameters = gcm(wrapped, context);
        CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
        TRY(done("use a key",
                 functions_->C_DecryptInit(session_, &mechanism, TRY(key_of(number)))));
        const std::string_view sealed = wrapped.substr(nonce_bytes);
        std::string out(sealed.size() + 64, '\0');
        CK_ULONG length = out.size();
        const CK_RV code = functions_->C_Decrypt(session_, mutable_bytes(sealed), sealed.size(),
                                                 mutable_bytes(out), &length);
        if (code == CKR_ENCRYPTED_DATA_INVALID || code == CKR_GENERAL_ERROR)
            return fail(Category::fault,
                        "a wrapped key was altered, or wrapped with another key of the token");
        TRY(done("unwrap a key", code));
        out.resize(length);
        return out;
    }

 private:
    TokenKeks() = default;

    static std::string label_of(unsigned number) { return fmt::format("{}{}", label_stem, number); }

    static CK_GCM_PARAMS gcm(std::string_view nonce, std::string_view context) {
        CK_GCM_PARAMS parameters{};
        parameters.pIv = mutable_bytes(nonce);
        parameters.ulIvLen = nonce_bytes;
        parameters.ulIvBits = 8 * nonce_bytes;
        parameters.pAAD = mutable_bytes(context);
        parameters.ulAADLen = context.size();
        parameters.ulTagBits = tag_bits;
        return parameters;
    }

    static Result<void> require_known(Suite suite) {
        if (suite == Suite::aes) return {};
        return fail(Category::unsupported,
                    "a token wraps by AES only: keep the keys of a store with the suite sm in "
                    "files");
    }

    Result<void> load(const std::string& module) {
        void* const library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr)
            return fail(Category::unavailable, "the library of the token cannot be loaded", module);
        const auto list =
            reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
        if (list == nullptr || list(&functions_) != CKR_OK)
            return fail(Category::unavailable, "this is no PKCS#11 library", module);
        CK_C_INITIALIZE_ARGS arguments{};
        arguments.flags = CKF_OS_LOCKING_OK;
        const CK_RV code = functions_->C_Initialize(&arguments);
        if (code == CKR_CRYPTOKI_ALREADY_INITIALIZED) return {};
        return done("start", code);
    }

    Result<CK_SLOT_ID> slot_of(const std::string& label) {
        CK_ULONG count = 0;
        TRY(done("list its slots", functions_->C_GetSlotList(CK_TRUE, nullptr, &count)));
        std::vector<CK_SLOT_ID> slots(count);
        TRY(done("list its slots", functions_->C_GetSlotList(CK_TRUE, slots.data(), &count)));
        for (const CK_SLOT_ID slot : slots) {
            CK_TOKEN_INFO info{};
            if (functions_->C_GetTokenInfo(slot, &info) == CKR_OK &&
                trimmed(info.label, sizeof info.label) == label)
                return slot;
        }
        return fail(Category::unavailable,
                    fmt::format("there is no token labelled \"{}\"", label.substr(0, 64)));
    }

    Result<void> log_in(const TokenPlace& place) {
        const CK_SLOT_ID slot = TRY(slot_of(place.token));
        TRY(done("open a session",
                 functions_->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                           nullptr, &session_)));
        TRY(require_private(place.pin_file));
        std::string pin = TRY(read_file(place.pin_file));
        const std::string_view line = std::string_view(pin).substr(0, pin.find_first_of("\r\n"));
        const CK_RV code =
            functions_->C_Login(session_, CKU_USER, mutable_bytes(line), line.size());
        OPENSSL_cleanse(pin.data(), pin.size());
        if (code == CKR_USER_ALREADY_LOGGED_IN) return {};
        return done("let the user in", code);
    }

    /// Needs the lock.
    Result<std::vector<CK_OBJECT_HANDLE>> find(std::vector<CK_ATTRIBUTE> wanted) {
        TRY(done("look for keys",
                 functions_->C_FindObjectsInit(session_, wanted.data(), wanted.size())));
        std::vector<CK_OBJECT_HANDLE> found(limits::token_objects_max);
        CK_ULONG count = 0;
        const CK_RV code =
            functions_->C_FindObjects(session_, found.data(), limits::token_objects_max, &count);
        functions_->C_FindObjectsFinal(session_);
        TRY(done("look for keys", code));
        found.resize(count);
        return found;
    }

    /// Needs the lock.
    Result<CK_OBJECT_HANDLE> key_of(unsigned number) {
        const std::string label = label_of(number);
        const auto found = TRY(find({attribute(CKA_LABEL, std::string_view(label))}));
        if (found.size() == 1) return found.front();
        return fail(
            Category::conflict,
            fmt::format("the token has {} keys labelled \"{}\", not one", found.size(), label));
    }

    /// A session does one thing at a time.
    std::mutex mutex_;
    CK_FUNCTION_LIST* functions_ = nullptr;
    CK_SESSION_HANDLE session_ = CK_INVALID_HANDLE;
};

}  // namespace

Result<std::unique_ptr<KekProvider>> token_keks(const TokenPlace& place) {
    return TokenKeks::open(place);
}

}  // namespace meridian::trust
