// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/sealed_blobs.hpp"

#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// Form, id and mark of the key, as in a body; then what the key sealed.
constexpr unsigned char blob_form = 0xB0;
constexpr std::size_t head_bytes = 1 + DataKey::id_bytes + DataKey::mark_bytes;

std::string context_of(std::string_view head, std::string_view owner) {
    return fmt::format("blob\n{}\n{}", owner, head);
}

}  // namespace

Result<DataKeyPointer> SealedBlobs::stored_key(const fhir::Cipher::Home& home) {
    for (unsigned attempt = 0; attempt < limits::key_attempts_max; ++attempt) {
        const DataKeyPointer key = TRY(ring_->key_for(home.patient, home.organisation));
        if (key->is_stored) return key;
        // A blob is in no commit: its key is stored first.
        if (TRY(ring_->rows().save({TRY(ring_->row_to_store(*key))}))) {
            key->is_stored = true;
            return key;
        }
        TRY(ring_->settle(key));
    }
    return fail(Category::busy, "others kept making the same patient's key; try again");
}

Result<Sha256> SealedBlobs::put(const fhir::Cipher::Home& home, std::string_view data) {
    const DataKeyPointer key = TRY(stored_key(home));
    std::string sealed;
    sealed.reserve(head_bytes + MessageKey::nonce_bytes + data.size() + MessageKey::tag_bytes);
    sealed += static_cast<char>(blob_form | static_cast<unsigned char>(key->suite));
    sealed += key->id + key->mark;
    const std::string context = context_of(sealed, key->owner);
    key->key->seal_equal(context, data, sealed);
    return store_.put_blob(sealed);
}

Result<std::string> SealedBlobs::get(const Sha256& address) {
    const auto sealed = TRY(store_.blob(address));
    if (!sealed) return fail(Category::not_found, "there is no such blob");
    if (sealed->size() < head_bytes ||
        (static_cast<unsigned char>(sealed->front()) & 0xF0) != blob_form)
        return fail(Category::fault, "a blob is not sealed");
    const std::string_view head = std::string_view(*sealed).substr(0, head_bytes);
    const DataKeyPointer key = TRY(ring_->key_with(head.substr(1, DataKey::id_bytes)));
    return key->key->open(context_of(head, key->owner),
                          std::string_view(*sealed).substr(head_bytes));
}

}  // namespace meridian::trust
