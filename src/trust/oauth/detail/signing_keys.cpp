// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/signing_keys.hpp"

#include "base/json.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/record.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view space = "oauth-key";
constexpr std::string_view entry_key = "id-token";

}  // namespace

Result<SigningKeys::Shelf> SigningKeys::read() {
    Shelf shelf;
    const auto entry = TRY(vault_.get(space, entry_key));
    if (!entry) return shelf;
    shelf.version = entry->version;
    const Record record = TRY(Record::parse(entry->value));
    for (const std::string& text : record.strings("keys")) {
        const Record one = TRY(Record::parse(text));
        shelf.keys.push_back({one.string("jwk"), one.instant("made"), one.instant("replaced")});
    }
    return shelf;
}

Result<SigningKeys::Shelf> SigningKeys::renewed(Instant at, bool at_once) {
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        Shelf shelf = TRY(read());
        const bool is_young =
            !shelf.keys.empty() &&
            shelf.keys.back().made.milliseconds + key_life_.count() * 1000 > at.milliseconds;
        if (is_young && !at_once) return shelf;
        if (!shelf.keys.empty()) shelf.keys.back().replaced = at;
        std::erase_if(shelf.keys, [&](const Kept& kept) {
            return kept.replaced.milliseconds + token_life_.count() * 1000 +
                       limits::oauth_key_margin_milliseconds <
                   at.milliseconds;
        });
        const jose::Key key = TRY(jose::Key::generate(algorithm_));
        shelf.keys.push_back({TRY(key.private_jwk()), at, {}});
        std::vector<std::string> texts;
        for (const Kept& kept : shelf.keys)
            texts.push_back(Record()
                                .set("jwk", kept.jwk)
                                .set("made", kept.made)
                                .set("replaced", kept.replaced)
                                .text());
        if (TRY(vault_.put({{.space = std::string(space),
                             .key = std::string(entry_key),
                             .value = Record().set("keys", texts).text(),
                             .version = shelf.version}})))
            return shelf;
        at_once = false;  // another server has made one just now
    }
    return fail(Category::unavailable, "the vault does not keep what is written");
}

Result<jose::Key> SigningKeys::key_of(const Kept& kept) {
    const std::lock_guard lock(mutex_);
    if (const auto found = parsed_.find(kept.jwk); found != parsed_.end()) return found->second;
    if (parsed_.size() >= limits::jwks_keys_max) parsed_.clear();
    jose::Key key = TRY(jose::Key::from_jwk(kept.jwk));
    parsed_.emplace(kept.jwk, key);
    return key;
}

Result<jose::Key> SigningKeys::current(Instant at) {
    return key_of(TRY(renewed(at, false)).keys.back());
}

Result<jose::KeySet> SigningKeys::published(Instant at) {
    std::vector<jose::Key> keys;
    for (const Kept& kept : TRY(renewed(at, false)).keys) {
        const bool is_over = kept.replaced.milliseconds != 0 &&
                             kept.replaced.milliseconds + token_life_.count() * 1000 +
                                     limits::oauth_key_margin_milliseconds <
                                 at.milliseconds;
        if (!is_over) keys.push_back(TRY(key_of(kept)));
    }
    return jose::KeySet(std::move(keys));
}

Result<void> SigningKeys::rotate(Instant at) {
    TRY(renewed(at, true));
    return {};
}

}  // namespace meridian::trust::oauth::detail
