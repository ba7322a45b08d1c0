// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/jose/key.hpp"
#include "trust/vault.hpp"

namespace meridian::trust::oauth::detail {

/// The keys that sign ID tokens, in one entry of the vault, newest last: the last one signs, the
/// others are published until what they signed is over. Thread-safe; servers on one vault agree.
class SigningKeys {
 public:
    SigningKeys(Vault& vault, jose::Algorithm algorithm, std::chrono::seconds key_life,
                std::chrono::seconds token_life)
        : vault_(vault), algorithm_(algorithm), key_life_(key_life), token_life_(token_life) {}

    /// The key to sign with; made when there is none or it is too old. Errors: `unavailable`,
    /// `fault`. Blocking: one look-up; seldom some 100 ms and a commit.
    Result<jose::Key> current(Instant at);
    /// All that are published now. The first one is made when there is none.
    Result<jose::KeySet> published(Instant at);
    Result<void> rotate(Instant at);

 private:
    struct Kept {
        std::string jwk{};
        Instant made{};
        Instant replaced{};  ///< zero while it signs
    };
    struct Shelf {
        std::vector<Kept> keys{};
        std::int64_t version = 0;
    };
    Result<Shelf> read();
    Result<Shelf> renewed(Instant at, bool at_once);
    Result<jose::Key> key_of(const Kept& kept);

    Vault& vault_;
    const jose::Algorithm algorithm_;
    const std::chrono::seconds key_life_;
    const std::chrono::seconds token_life_;
    std::mutex mutex_{};
    /// Of what was read: checking an RSA pair takes a while.
    std::map<std::string, jose::Key> parsed_{};
};

}  // namespace meridian::trust::oauth::detail
