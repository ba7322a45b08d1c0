// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "fhir/caller.hpp"
#include "store/names.hpp"

namespace meridian::fhir {

/// A cipher that has a key for the hashes of tokens, too: numbers of identity and telephones are
/// looked up by them, so who has the database alone must not be able to try all there are.
class TokenKeySource {
 public:
    virtual ~TokenKeySource() = default;
    /// Absent for a record whose tokens lie under the store's own key.
    virtual std::optional<SipKey> token_key() const = 0;
};

/// Absent for a cipher that has none.
std::optional<SipKey> token_key_of(const Cipher& cipher);
/// Makes `names` hash tokens under the cipher's key, when it has one.
void use_token_key(store::Names& names, const Cipher& cipher);

/// The names of a store that somebody else has opened, with another key for tokens.
class KeyedNames final : public store::Names {
 public:
    KeyedNames(store::Names& names, const SipKey& key) : names_(names), key_(key) {}
    store::Name intern(store::NameKind kind, std::string_view text) override {
        return names_.intern(kind, text);
    }
    store::Name find(store::NameKind kind, std::string_view text) const override {
        return names_.find(kind, text);
    }
    std::string text(store::NameKind kind, store::Name name) const override {
        return names_.text(kind, name);
    }
    std::vector<store::Name> all(store::NameKind kind) const override { return names_.all(kind); }
    std::size_t coding_count() const override { return names_.coding_count(); }
    const SipKey& token_key() const override { return key_; }

 private:
    store::Names& names_;
    SipKey key_;
};

}  // namespace meridian::fhir
