// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <unordered_map>

#include "store/names.hpp"

namespace meridian::store::postgres {

/// Names for who only reads: a text that has no id gets one here and in no database. Such ids lie
/// above all that a store gives, so rows that were made with one are like no row that is stored.
/// For one thread.
class FrozenNames final : public Names {
 public:
    explicit FrozenNames(const Names& names) : names_(names) {}

    Name intern(NameKind kind, std::string_view text) override {
        auto& known = known_[static_cast<std::size_t>(kind)];
        const std::string key(text);
        if (const auto found = known.find(key); found != known.end()) return found->second;
        if (const Name id = names_.find(kind, text); id != 0) return known[key] = id;
        return known[key] = next_--;
    }
    Name find(NameKind kind, std::string_view text) const override {
        return names_.find(kind, text);
    }
    std::string text(NameKind kind, Name name) const override { return names_.text(kind, name); }
    std::vector<Name> all(NameKind kind) const override { return names_.all(kind); }
    std::size_t coding_count() const override { return names_.coding_count(); }
    const SipKey& token_key() const override { return names_.token_key(); }

 private:
    const Names& names_;
    std::array<std::unordered_map<std::string, Name>, 6> known_;
    Name next_ = std::numeric_limits<Name>::max();
};

}  // namespace meridian::store::postgres
