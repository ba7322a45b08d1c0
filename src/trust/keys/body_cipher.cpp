// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/body_cipher.hpp"

#include <unordered_set>

#include "fhir/token_key.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr unsigned char sealed_form = 0xE0;
constexpr std::size_t head_bytes = 1 + DataKey::id_bytes + DataKey::mark_bytes;
constexpr std::size_t overhead_bytes = head_bytes + MessageKey::nonce_bytes + MessageKey::tag_bytes;

std::string_view mark_of(std::string_view sealed) {
    return sealed.substr(1 + DataKey::id_bytes, DataKey::mark_bytes);
}

/// The type's number is the store's own and stays with it through backups and moves.
std::string context_of(std::string_view head, std::string_view owner,
                       const store::Identity& resource) {
    std::array<char, 16> digits;
    const auto number =
        std::to_chars(digits.data(), digits.data() + digits.size(), resource.type).ptr;
    std::string context;
    context.reserve(head.size() + owner.size() + digits.size() + resource.id.size() + 2);
    context.append(head).append(owner) += '\n';
    context.append(digits.data(), number) += '/';
    return context.append(resource.id);
}

std::string seal_with(const DataKey& key, const store::Identity& resource, std::string_view bytes) {
    std::string sealed;
    sealed.reserve(overhead_bytes + bytes.size());
    sealed += static_cast<char>(sealed_form | static_cast<unsigned char>(key.suite));
    sealed += key.id;
    sealed += key.mark;
    const std::string context = context_of(sealed, key.owner, resource);
    key.key->seal(context, bytes, sealed);
    return sealed;
}

std::unexpected<Error> damaged() {
    return fail(Category::fault, "a sealed body was altered");
}

Result<std::string> open_with(const DataKey& key, const store::Identity& resource,
                              std::string_view sealed) {
    const std::string_view head = sealed.substr(0, head_bytes);
    if (static_cast<unsigned char>(sealed[0]) !=
            (sealed_form | static_cast<unsigned char>(key.suite)) ||
        mark_of(sealed) != key.mark)
        return damaged();
    return key.key->open(context_of(head, key.owner, resource), sealed.substr(head_bytes));
}

class BodyCipher final : public fhir::Cipher, public fhir::TokenKeySource {
 public:
    explicit BodyCipher(std::shared_ptr<KeyRing> ring) : ring_(std::move(ring)) {}

    bool is_plain() const override { return false; }
    std::optional<SipKey> token_key() const override { return ring_->token_key(); }

    Result<std::string> seal(const Home& home, const store::Identity& resource,
                             std::string bytes) const override {
        const DataKeyPointer key = TRY(ring_->key_for(home.patient, home.organisation));
        return seal_with(*key, resource, bytes);
    }

    Result<std::string> open(const store::Stored& stored) const override {
        if (!is_sealed(stored.body)) return stored.body;
        if (stored.body.size() < overhead_bytes) return damaged();
        const DataKeyPointer key = TRY(ring_->key_with(key_id_of(stored.body)));
        return open_with(*key, {stored.type, stored.id}, stored.body);
    }

    bool opens_at_once(const store::Stored& stored) const override {
        return !is_sealed(stored.body) || stored.body.size() < overhead_bytes ||
               ring_->key_at_hand(key_id_of(stored.body)) != nullptr;
    }

    Result<bool> add_keys(store::Commit& commit) const override {
        for (const DataKeyPointer& key : TRY(keys_to_store(commit.changes)))
            commit.private_rows.push_back(TRY(ring_->row_to_store(*key)));
        return !has_strangers(commit.changes);
    }

    void settle(std::span<const store::PrivateRow> keys, bool is_written) const override {
        for (const store::PrivateRow& row : keys) {
            const DataKeyPointer key = ring_->remembered_key(KeyRing::id_in(row.key));
            if (!key || key->is_stored) continue;
            if (is_written && key->row_value == row.value) {
                key->is_stored = true;
            } else {
                // When even that fails, the next commit that brings the key finds out.
                (void)ring_->settle(key);
            }
        }
    }

    Result<void> keep_keys(std::span<store::Change> changes) const override {
        for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
            TRY(seal_strangers_again(changes));
            const auto keys = TRY(keys_to_store(changes));
            if (keys.empty()) return {};
            std::vector<store::PrivateRow> rows;
            rows.reserve(keys.size());
            for (const DataKeyPointer& key : keys) rows.push_back(TRY(ring_->row_to_store(*key)));
            const bool is_written = TRY(ring_->rows().save(std::move(rows)));
            for (const DataKeyPointer& key : keys) {
                if (is_written) {
                    key->is_stored = true;
                } else {
                    TRY(ring_->settle(key));
                }
            }
            if (is_written && !has_strangers(changes)) return {};
        }
        return fail(Category::busy, "others kept making the same patients' keys; try again");
    }

 private:
    /// Each key once that bodies lie under and that is stored nowhere yet.
    Result<std::vector<DataKeyPointer>> keys_to_store(
        std::span<const store::Change> changes) const {
        std::vector<DataKeyPointer> keys;
        std::unordered_set<std::string_view> seen;
        for (const store::Change& change : changes) {
            if (!is_sealed(change.body) || !seen.insert(key_id_of(change.body)).second) continue;
            const DataKeyPointer key = TRY(ring_->key_with(key_id_of(change.body)));
            if (!key->is_stored) keys.push_back(key);
        }
        return keys;
    }

    bool is_stranger(const store::Change& change) const {
        if (!is_sealed(change.body)) return false;
        const DataKeyPointer key = ring_->remembered_key(key_id_of(change.body));
        return !key || key->mark != mark_of(change.body);
    }

    /// Whether a body lies under a key that its owner has not got.
    bool has_strangers(std::span<const store::Change> changes) const {
        return std::any_of(changes.begin(), changes.end(),
                           [this](const store::Change& change) { return is_stranger(change); });
    }

    Result<void> seal_strangers_again(std::span<store::Change> changes) const {
        for (store::Change& change : changes) {
            if (!is_stranger(change)) continue;
            const DataKeyPointer key = TRY(ring_->key_with(key_id_of(change.body)));
            if (key->mark == mark_of(change.body)) continue;
            const DataKeyPointer lost =
                ring_->lost_key(key_id_of(change.body), mark_of(change.body));
            if (!lost)
                return fail(Category::busy,
                            "another server made this patient's key first; send it again");
            change.body = seal_with(*key, change.identity,
                                    TRY(open_with(*lost, change.identity, change.body)));
        }
        return {};
    }

    std::shared_ptr<KeyRing> ring_;
};

class LockedCipher final : public fhir::Cipher {
 public:
    bool is_plain() const override { return false; }
    Result<std::string> seal(const Home&, const store::Identity&, std::string) const override {
        return locked();
    }
    Result<std::string> open(const store::Stored& stored) const override {
        if (is_sealed(stored.body)) return locked();
        return stored.body;
    }

 private:
    static std::unexpected<Error> locked() {
        return fail(Category::conflict,
                    "the record is encrypted and its keys are not here: give the file that "
                    "`meridian keys export` made");
    }
};

}  // namespace

std::shared_ptr<const fhir::Cipher> body_cipher(std::shared_ptr<KeyRing> ring) {
    return std::make_shared<const BodyCipher>(std::move(ring));
}

std::shared_ptr<const fhir::Cipher> locked_cipher() {
    return std::make_shared<const LockedCipher>();
}

bool is_sealed(std::string_view body) {
    return !body.empty() && (static_cast<unsigned char>(body.front()) & 0xF0) == sealed_form;
}

std::string_view key_id_of(std::string_view sealed) {
    return sealed.substr(std::min<std::size_t>(1, sealed.size()), DataKey::id_bytes);
}

}  // namespace meridian::trust
