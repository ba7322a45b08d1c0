// SPDX-License-Identifier: Apache-2.0
// Adapter: the only file that sees OpenSSL's TLS.
#include "net/detail/tls.hpp"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "base/log.hpp"
#include "base/metrics.hpp"

namespace meridian::net::detail {

namespace {

template <class Type, void (*release)(Type*)>
struct Release {
    void operator()(Type* owned) const { release(owned); }
};
using Context = std::unique_ptr<SSL_CTX, Release<SSL_CTX, SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Release<SSL, SSL_free>>;
using Certificate = std::unique_ptr<X509, Release<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Release<BIO, BIO_free_all>>;

constexpr int security_level =
    2;  ///< of OpenSSL: 112 bits, so RSA from 2,048 bits and no SHA-1 in signatures
constexpr auto ticket_keys_max_age = std::chrono::hours(24);

/// What OpenSSL says about its last failure; its queue is empty then.
std::string openssl_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "no reason is known" : reason;
}

// --- the socket as OpenSSL sees it ---
// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE when the client has gone.

int descriptor_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int socket_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t count = 0;
    do {
        count = ::send(descriptor_of(bio), data, static_cast<std::size_t>(size),
                       MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    return static_cast<int>(count);
}

int socket_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t count = 0;
    do {
        count = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(count);
}

long socket_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return 0;
}

BIO_METHOD* make_socket_method() {
    BIO_METHOD* const method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "non-blocking socket");
    if (method == nullptr) return nullptr;
    BIO_meth_set_write(method, socket_write);
    BIO_meth_set_read(method, socket_read);
    BIO_meth_set_ctrl(method, socket_control);
    return method;
}

Bio make_socket_bio(int descriptor) {
    static BIO_METHOD* const method = make_socket_method();
    Bio bio(method == nullptr ? nullptr : BIO_new(method));
    if (bio == nullptr) return bio;
    BIO_set_data(bio.get(), reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    BIO_set_init(bio.get(), 1);
    return bio;
}

// --- files ---

struct Descriptor {
    explicit Descriptor(const std::string& file)
        : number(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~Descriptor() {
        if (number >= 0) ::close(number);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    const int number;
};

/// The owner may do what he likes, a group may read; whoever else can read the key can be this
/// server.
Result<void> check_rights(const struct stat& status, const std::string& file) {
    if ((status.st_mode & (S_IRWXO | S_IWGRP)) == 0) return {};
    return fail(
        Category::forbidden,
        fmt::format("the key {} may be read or changed by others (mode {:03o}): chmod 600 it, "
                    "or 640 for a group of its own",
                    file, status.st_mode & 0777),
        "--tls-key");
}

/// The bytes of a PEM file.
Result<std::string> read_pem(const std::string& file, const char* where, bool is_secret) {
    const Descriptor descriptor(file);
    struct stat status{};
    if (descriptor.number < 0 || ::fstat(descriptor.number, &status) != 0) {
        return fail(errno == ENOENT ? Category::not_found : Category::forbidden,
                    fmt::format("{} cannot be read: {}", file, std::strerror(errno)), where);
    }
    if (is_secret) TRY(check_rights(status, file));
    if (!S_ISREG(status.st_mode) || status.st_size < 0 ||
        static_cast<std::size_t>(status.st_size) > limits::tls_file_bytes_max) {
        return fail(
            Category::incorrect,
            fmt::format("{} is no PEM file of at most {} bytes", file, limits::tls_file_bytes_max),
            where);
    }
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t filled = 0;
    while (filled < text.size()) {
        const ssize_t count = ::read(descriptor.number, text.data() + filled, text.size() - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        filled += static_cast<std::size_t>(count);
    }
    text.resize(filled);
    return text;
}

Bio memory_of(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// A key behind a passphrase could not be read again when nobody sits there to type it.
int no_passphrase(char*, int, int, void* was_asked) {
    *static_cast<bool*>(was_asked) = true;
    return -1;
}

Result<Key> read_key(const std::string& file) {
    std::string text = TRY(read_pem(file, "--tls-key", true));
    const Bio memory = memory_of(text);
    bool was_asked = false;
    Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, no_passphrase, &was_asked));
    OPENSSL_cleanse(text.data(), text.size());
    if (key != nullptr) return key;
    ERR_clear_error();
    return fail(Category::incorrect,
                was_asked
                    ? fmt::format("the key {} is behind a passphrase, which nobody could type "
                                  "when the server starts by itself: write it out without one "
                                  "(openssl pkey), in a file that only the server may read",
                                  file)
                    : fmt::format("{} holds no private key in PEM form", file),
                "--tls-key");
}

/// The server's certificate, then the authorities between it and one that clients know.
Result<std::vector<Certificate>> read_chain(const std::string& file) {
    const std::string text = TRY(read_pem(file, "--tls-certificate", false));
    const Bio memory = memory_of(text);
    std::vector<Certificate> chain;
    while (chain.size() < limits::tls_chain_certificates_max) {
        Certificate one(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
        if (one == nullptr) break;
        chain.push_back(std::move(one));
    }
    const unsigned long last = ERR_peek_last_error();
    ERR_clear_error();
    const bool is_at_end =
        ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (chain.empty() || !is_at_end) {
        return fail(Category::incorrect,
                    chain.empty()
                        ? fmt::format("{} holds no certificate in PEM form", file)
                        : fmt::format("{}: what follows certificate {} cannot be read, or is more "
                                      "than {} in all",
                                      file, chain.size(), limits::tls_chain_certificates_max),
                    "--tls-certificate");
    }
    return chain;
}

/// Seconds since 1970 of a certificate's time.
std::int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
    return static_cast<std::int64_t>(::timegm(&parts));
}

Result<void> check_period(const X509* certificate, const std::string& file) {
    const std::int64_t now = std::time(nullptr);
    const std::int64_t from = seconds_of(X509_get0_notBefore(certificate));
    const std::int64_t until = seconds_of(X509_get0_notAfter(certificate));
    if (from <= now && now <= until) return {};
    return fail(Category::incorrect,
                fmt::format("the certificate {} is good from {} until {} and the clock says {}: "
                            "every client would refuse it",
                            file, to_http_date({from * 1000}), to_http_date({until * 1000}),
                            to_http_date({now * 1000})),
                "--tls-certificate");
}

// --- what is spoken ---

/// RFC 7301 §3.2: a client that offers protocols, but not ours, is told so: speaking HTTP/1.1 to it
/// all the same is what cross-protocol attacks live on.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, chosen_size, ours, sizeof ours - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

Result<Context> make_context(const TlsOptions& options) {
    Context made(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* const context = made.get();
    if (context == nullptr)
        return fail(Category::fault, fmt::format("OpenSSL has no TLS: {}", openssl_reason()));
    SSL_CTX_set_security_level(context, security_level);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     // A client that ends without close_notify is like one that
                                     // ends a plain connection: incomplete requests are dropped.
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);  // one system call for a record, not two
    // Tickets carry the session, so that nothing is kept here for clients that have gone. Their
    // keys live as long as the context: see ticket_keys_max_age.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
    // TLS 1.2 only with ephemeral keys and authenticated ciphers (RFC 9325 §4.2).
    const bool is_set =
        SSL_CTX_set_min_proto_version(
            context, options.allow_tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
        SSL_CTX_set_ciphersuites(context,
                                 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
                                 "TLS_AES_128_GCM_SHA256") == 1 &&
        SSL_CTX_set_cipher_list(context,
                                "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                                "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") == 1;
    if (!is_set)
        return fail(Category::fault, fmt::format("OpenSSL does not take our choice of ciphers: {}",
                                                 openssl_reason()));
    return made;
}

Result<void> use_certificate(SSL_CTX* context, const std::vector<Certificate>& chain, EVP_PKEY* key,
                             const TlsOptions& options) {
    if (X509_check_private_key(chain.front().get(), key) != 1) {
        ERR_clear_error();
        return fail(Category::incorrect,
                    fmt::format("the key {} does not belong to the first certificate of {}: the "
                                "server's own certificate must come first",
                                options.key_file, options.certificate_file),
                    "--tls-key");
    }
    bool is_taken = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key) == 1;
    for (std::size_t i = 1; i < chain.size() && is_taken; ++i)
        is_taken = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
    if (is_taken) return {};
    return fail(Category::incorrect,
                fmt::format("the certificate {} cannot be used: {}", options.certificate_file,
                            openssl_reason()),
                "--tls-certificate");
}

}  // namespace

// --- TlsSession ---

struct TlsSession::Implementation {
    Ssl ssl{};
    bool has_failed = false;
    bool was_plain_http = false;

    /// Reads off OpenSSL why a call did not succeed.
    Progress progress_after(int result) {
        switch (SSL_get_error(ssl.get(), result)) {
            case SSL_ERROR_WANT_READ:
                return {Outcome::wants_input, 0};
            case SSL_ERROR_WANT_WRITE:
                return {Outcome::wants_output, 0};
            case SSL_ERROR_ZERO_RETURN:
                return {Outcome::ended, 0};
            default:
                break;
        }
        const unsigned long code = ERR_peek_error();
        was_plain_http =
            ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
        ERR_clear_error();
        has_failed = true;
        return {Outcome::failed, 0};
    }
};

TlsSession::TlsSession(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
TlsSession::~TlsSession() = default;

TlsSession::Progress TlsSession::read(char* data, std::size_t size) {
    if (implementation_->has_failed) return {Outcome::failed, 0};
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(implementation_->ssl.get(), data, size, &count);
    return result == 1 ? Progress{Outcome::done, count} : implementation_->progress_after(result);
}

TlsSession::Progress TlsSession::write(std::string_view data) {
    if (implementation_->has_failed) return {Outcome::failed, 0};
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_write_ex(implementation_->ssl.get(), data.data(), data.size(), &count);
    return result == 1 ? Progress{Outcome::done, count} : implementation_->progress_after(result);
}

bool TlsSession::has_pending() const {
    return SSL_has_pending(implementation_->ssl.get()) == 1;
}

void TlsSession::send_close_notify() {
    if (implementation_->has_failed || SSL_is_init_finished(implementation_->ssl.get()) != 1)
        return;
    ERR_clear_error();
    if (SSL_shutdown(implementation_->ssl.get()) < 0) ERR_clear_error();
}

bool TlsSession::was_plain_http() const {
    return implementation_->was_plain_http;
}

// --- TlsContext ---

struct TlsContext::Loaded {
    Context context{};
    std::int64_t ends_at = 0;  ///< of the certificate, seconds since 1970
};

TlsContext::TlsContext(TlsOptions options) : options_(std::move(options)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<const TlsContext::Loaded>> TlsContext::load(const TlsOptions& options) {
    const Key key = TRY(read_key(options.key_file));
    const std::vector<Certificate> chain = TRY(read_chain(options.certificate_file));
    TRY(check_period(chain.front().get(), options.certificate_file));
    auto loaded = std::make_shared<Loaded>();
    loaded->context = TRY(make_context(options));
    TRY(use_certificate(loaded->context.get(), chain, key.get(), options));
    loaded->ends_at = seconds_of(X509_get0_notAfter(chain.front().get()));
    return loaded;
}

Result<std::unique_ptr<TlsContext>> TlsContext::make(TlsOptions options) {
    std::unique_ptr<TlsContext> made(new TlsContext(std::move(options)));
    TRY(made->reload());
    return made;
}

TlsContext::Stamp TlsContext::stamp_of(const std::string& file) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) return {};
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return {static_cast<std::int64_t>(status.st_dev), static_cast<std::int64_t>(status.st_ino),
            status.st_size, status.st_ctim.tv_sec * nanoseconds + status.st_ctim.tv_nsec};
}

TlsContext::Stamps TlsContext::stamps() const {
    return {stamp_of(options_.certificate_file), stamp_of(options_.key_file)};
}

Result<void> TlsContext::take_in(const Stamps& seen) {
    tried_ = last_seen_ = seen;
    auto loaded = TRY(load(options_));
    static metrics::Gauge& end =
        metrics::gauge("meridian_tls_certificate_ends_seconds",
                       "when the certificate in use ends, in seconds since 1970");
    end.set(loaded->ends_at);
    loaded_at_ = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    loaded_ = std::move(loaded);
    return {};
}

Result<void> TlsContext::reload() {
    const std::lock_guard lock(reload_mutex_);
    return take_in(stamps());
}

void TlsContext::watch() {
    const std::lock_guard lock(reload_mutex_);
    const Stamps now = stamps();
    // Certificate and key are replaced one after the other: what still changes is left alone.
    const bool has_rested = now == std::exchange(last_seen_, now);
    const bool is_old = std::chrono::steady_clock::now() - loaded_at_ > ticket_keys_max_age;
    if (!has_rested || (now == tried_ && !is_old)) return;
    const bool is_new = now != tried_;
    if (const auto taken = take_in(now); taken) {
        if (is_new)
            log::info("the TLS certificate was replaced", {{"file", options_.certificate_file}});
    } else {
        loaded_at_ = std::chrono::steady_clock::now();
        log::error("the TLS certificate stays as it was: the new files cannot be used",
                   {{"reason", taken.error().message}});
    }
}

std::unique_ptr<TlsSession> TlsContext::accept(int descriptor) const {
    std::shared_ptr<const Loaded> loaded;
    {
        const std::lock_guard lock(mutex_);
        loaded = loaded_;
    }
    auto session = std::make_unique<TlsSession::Implementation>();
    session->ssl.reset(SSL_new(loaded->context.get()));  // which keeps the context
    Bio bio = make_socket_bio(descriptor);
    if (session->ssl == nullptr || bio == nullptr) return nullptr;
    BIO* const raw = bio.release();
    SSL_set_bio(session->ssl.get(), raw, raw);  // takes both
    SSL_set_accept_state(session->ssl.get());
    return std::make_unique<TlsSession>(std::move(session));
}

}  // namespace meridian::net::detail
