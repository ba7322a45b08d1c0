// SPDX-License-Identifier: Apache-2.0
// For tests: an authority that signs certificates, and a client that speaks TLS by hand.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <memory>
#include <string>

#include "net/testing/raw_client.hpp"

namespace meridian::net::testing {

/// A key and its certificate, as PEM.
struct Issued {
    std::string certificate;
    std::string key;
};

/// An authority made for one test.
class Authority {
 public:
    explicit Authority(const std::string& name = "Authority of a test")
        : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(nullptr, X509_free) {
        certificate_ = make(name, key_.get(), name, -1, 2, true);
        X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    }

    std::string certificate() const { return pem_of(certificate_.get()); }

    /// A certificate for `name` and 127.0.0.1, good from and until so many days from now.
    Issued issue(const std::string& name, int from_day = -1, int until_day = 1) const {
        const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
        const Certificate made =
            make(name, key.get(), subject(certificate_.get()), from_day, until_day, false);
        X509_sign(made.get(), key_.get(), EVP_sha256());
        return {pem_of(made.get()), pem_of(key.get())};
    }

 private:
    using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
    using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

    static std::string subject(X509* certificate) {
        char text[256] = {};
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                  sizeof text);
        return text;
    }
    static void set_name(X509_NAME* name, const std::string& text) {
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()), -1, 0);
    }
    static Certificate make(const std::string& name, EVP_PKEY* key, const std::string& issuer,
                            int from_day, int until_day, bool is_authority) {
        static int serial = 0;
        constexpr long day = 86'400;
        Certificate made(X509_new(), X509_free);
        X509_set_version(made.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(made.get()), from_day * day);
        X509_gmtime_adj(X509_getm_notAfter(made.get()), until_day * day);
        X509_set_pubkey(made.get(), key);
        set_name(X509_get_subject_name(made.get()), name);
        X509_NAME* const signer = X509_NAME_new();
        set_name(signer, issuer);
        X509_set_issuer_name(made.get(), signer);
        X509_NAME_free(signer);
        const std::string names = "DNS:" + name + ",IP:127.0.0.1";
        X509_EXTENSION* const extension =
            is_authority
                ? X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE")
                : X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
        X509_add_ext(made.get(), extension, -1);
        X509_EXTENSION_free(extension);
        return made;
    }
    static std::string text_of(BIO* memory) {
        char* data = nullptr;
        const long size = BIO_get_mem_data(memory, &data);
        std::string text(data, static_cast<std::size_t>(size));
        BIO_free(memory);
        return text;
    }
    static std::string pem_of(X509* certificate) {
        BIO* const memory = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(memory, certificate);
        return text_of(memory);
    }
    static std::string pem_of(EVP_PKEY* key) {
        BIO* const memory = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
        return text_of(memory);
    }

    Key key_;
    Certificate certificate_;
};

struct TlsClientOptions {
    int version_min = TLS1_2_VERSION;
    int version_max = TLS1_3_VERSION;
    std::string protocols{};         ///< ALPN, each with its length in front
    std::string ciphers{};           ///< of TLS 1.2
    SSL_SESSION* session = nullptr;  ///< to resume
    int receive_buffer_bytes = 0;
};

/// Does not look at the server's certificate beyond showing it.
class TlsClient final : public RawClient {
 public:
    explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {})
        : RawClient(port, options.receive_buffer_bytes),
          context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
          ssl_(nullptr, SSL_free) {
        // Level 0, so that it is the server who refuses old versions.
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_min_proto_version(context_.get(), options.version_min);
        SSL_CTX_set_max_proto_version(context_.get(), options.version_max);
        if (!options.ciphers.empty())
            SSL_CTX_set_cipher_list(context_.get(), options.ciphers.c_str());
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), descriptor());
        SSL_set_tlsext_host_name(ssl_.get(), "record.example");
        if (!options.protocols.empty())
            SSL_set_alpn_protos(ssl_.get(),
                                reinterpret_cast<const unsigned char*>(options.protocols.data()),
                                static_cast<unsigned>(options.protocols.size()));
        if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
        ERR_clear_error();
        is_open_ = SSL_connect(ssl_.get()) == 1;
        if (!is_open_) problem_ = ERR_reason_error_string(ERR_peek_error());
    }

    bool is_open() const { return is_open_; }
    const std::string& problem() const { return problem_; }
    std::string version() const { return SSL_get_version(ssl_.get()); }
    std::string cipher() const { return SSL_get_cipher_name(ssl_.get()); }
    bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    /// The owner frees it. Complete after the first answer.
    SSL_SESSION* session() const { return SSL_get1_session(ssl_.get()); }
    std::string protocol() const {
        const unsigned char* data = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &data, &size);
        return {reinterpret_cast<const char*>(data), size};
    }
    /// The serial number of the server's certificate.
    long serial() const {
        X509* const certificate = SSL_get1_peer_certificate(ssl_.get());
        const long number = ASN1_INTEGER_get(X509_get0_serialNumber(certificate));
        X509_free(certificate);
        return number;
    }
    /// Whether the server has said that nothing more comes.
    bool was_told_the_end() const {
        return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    }

 protected:
    ssize_t write_some(std::string_view bytes) override {
        return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    }
    ssize_t read_some(char* bytes, std::size_t size) override {
        if (SSL_pending(ssl_.get()) == 0 && !is_readable(20'000)) return -1;
        return SSL_read(ssl_.get(), bytes, static_cast<int>(size));
    }

 private:
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    bool is_open_ = false;
    std::string problem_;
};

}  // namespace meridian::net::testing
