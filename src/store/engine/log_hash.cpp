// SPDX-License-Identifier: Apache-2.0
#include "store/engine/log_hash.hpp"

#include <openssl/evp.h>

#include <stdexcept>

#include "base/limits.hpp"
#include "store/maintain.hpp"

namespace meridian::store {

struct LogHash::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~State() { EVP_MD_CTX_free(context); }
};

LogHash::LogHash() : state_(std::make_unique<State>()) {
    if (state_->context == nullptr ||
        EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
}

LogHash::~LogHash() = default;

void LogHash::put(std::string_view bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
}

void LogHash::put(std::int64_t number) {
    char bytes[8];
    for (unsigned i = 0; i < 8; ++i)
        bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (56 - 8 * i));
    put({bytes, 8});
}

void LogHash::put_text(std::string_view text) {
    put(static_cast<std::int64_t>(text.size()));
    put(text);
}

void LogHash::add(const LogEntry& entry, std::string_view type, std::string_view actor,
                  std::string_view organisation) {
    put(entry.position);
    put(entry.at.milliseconds);
    put(static_cast<std::int64_t>(entry.kind));
    put_text(type);
    put_text(entry.id);
    put(entry.version);
    put(static_cast<std::int64_t>(entry.verb));
    put_text(actor);
    put_text(organisation);
    put({reinterpret_cast<const char*>(entry.salt.data()), entry.salt.size()});
    put({reinterpret_cast<const char*>(entry.body_hash.data()), entry.body_hash.size()});
}

Sha256 LogHash::finish() {
    Sha256 hash{};
    if (EVP_DigestFinal_ex(state_->context, hash.data(), nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
    return hash;
}

Result<LogSum> log_sum(Store& store, std::optional<Position> up_to, const CheckProgress& progress) {
    const auto snapshot = TRY(store.scan());
    const Position last = up_to.value_or(snapshot->position());
    if (last > snapshot->position()) {
        return fail(Category::incorrect, fmt::format("the log ends at position {}, before {}",
                                                     snapshot->position(), last));
    }
    const Names& names = store.names();
    LogHash hash;
    for (Position next = 0; next <= last;) {
        const auto entries = TRY(snapshot->log(next, limits::check_rows_at_once));
        if (entries.empty()) break;
        for (const LogEntry& entry : entries) {
            if (entry.position > last) break;
            hash.add(entry, names.text(NameKind::type, entry.type),
                     names.text(NameKind::actor, entry.actor),
                     names.text(NameKind::actor, entry.organisation));
        }
        next = entries.back().position + 1;
        if (progress) progress("log", std::min(next, last + 1), last + 1);
    }
    return LogSum{.position = last, .hash = hash.finish()};
}

}  // namespace meridian::store
