// SPDX-License-Identifier: Apache-2.0
#include "net/certificate.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

#include "base/file.hpp"

namespace meridian::net {

Result<Instant> certificate_end(const std::string& file) {
    const std::string text = TRY(read_file(file));
    const std::unique_ptr<BIO, int (*)(BIO*)> bytes(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    const std::unique_ptr<X509, void (*)(X509*)> certificate(
        bytes ? PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr) : nullptr, X509_free);
    std::tm parts{};
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1)
        return fail(Category::incorrect, "it holds no certificate in PEM", file);
    return Instant{1000 * static_cast<std::int64_t>(::timegm(&parts))};
}

}  // namespace meridian::net
