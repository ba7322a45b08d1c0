// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/context.hpp"

#include "trust/limits.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

Result<std::string> Context::shared_secret() {
    const std::lock_guard lock(mutex_);
    if (!shared_secret_.empty()) return shared_secret_;
    // Two servers may begin at once: the second one finds what the first one wrote.
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        if (const auto entry = TRY(vault.get("oauth-secret", "shared"))) {
            shared_secret_ = entry->value;
            return shared_secret_;
        }
        TRY(vault.put({{.space = "oauth-secret", .key = "shared", .value = new_secret()}}));
    }
    return fail(Category::unavailable, "the vault does not keep what is written");
}

Result<std::string> Context::public_name(std::string_view account) {
    return authenticated(TRY(shared_secret()), fmt::format("subject\n{}", account));
}

}  // namespace meridian::trust::oauth::detail
