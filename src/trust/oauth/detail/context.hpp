// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "trust/oauth/client.hpp"
#include "trust/oauth/detail/key_source.hpp"
#include "trust/oauth/detail/signing_keys.hpp"
#include "trust/oauth/options.hpp"
#include "trust/oauth/provider.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::oauth::detail {

/// What every endpoint works with. One for each server; thread-safe.
struct Context {
    Context(Vault& its_vault, Options its_options)
        : vault(its_vault),
          options(std::move(its_options)),
          clients(vault),
          providers(vault),
          signing_keys(vault, options.id_token_algorithm, options.signing_key_life,
                       options.id_token_life) {}

    Vault& vault;
    const Options options;
    Clients clients;
    Providers providers;
    SigningKeys signing_keys;
    KeySource key_source{};

    Instant now() const { return options.clock(); }
    std::string endpoint(std::string_view name) const {
        return fmt::format("{}/oauth/{}", options.issuer, name);
    }
    void audit(const net::Request& request, std::string_view what, const Subject* subject,
               bool ok) const {
        options.audit(request, what, subject, ok);
    }
    /// What clients know an account by: the same for all of them, ASCII, never the name itself.
    Result<std::string> public_name(std::string_view account);
    /// A key that all servers on the vault share, for what is given out and comes back unaltered.
    Result<std::string> shared_secret();

 private:
    std::mutex mutex_{};
    std::string shared_secret_{};
};

inline Instant after(Instant from, std::chrono::seconds time) {
    return {from.milliseconds + time.count() * 1000};
}
inline Instant after(Instant from, int seconds) {
    return after(from, std::chrono::seconds(seconds));
}
inline std::int64_t seconds_of(Instant instant) {
    return instant.milliseconds / 1000;
}

}  // namespace meridian::trust::oauth::detail
