// SPDX-License-Identifier: Apache-2.0
#include "trust/store_vault.hpp"

#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

/// A value can be read only in the place that it was written to.
std::string context_of(std::string_view space, std::string_view key) {
    return fmt::format("{}\n{}", space, key);
}

class StoreVault final : public Vault {
 public:
    StoreVault(store::Store& store, const SecretKey& master)
        : store_(store), key_(derive_key(master, "vault")) {}

    Result<std::optional<Entry>> get(std::string_view space, std::string_view key) override {
        const auto row = TRY(store_.private_row(space, key));
        if (!row) return std::optional<Entry>();
        return std::optional(TRY(entry_of(*row)));
    }

    Result<bool> put(std::vector<Entry> entries) override {
        std::vector<store::PrivateRow> rows;
        rows.reserve(entries.size());
        for (const Entry& entry : entries) rows.push_back(TRY(sealed(entry)));
        return store_.save_private(std::move(rows));
    }

    Result<std::vector<Entry>> list(std::string_view space, std::string_view after,
                                    std::size_t limit) override {
        std::vector<Entry> entries;
        for (const store::PrivateRow& row : TRY(store_.private_rows(space, after, limit)))
            entries.push_back(TRY(entry_of(row)));
        return entries;
    }

    Result<store::PrivateRow> sealed(const Entry& entry) const override {
        if (entry.key.size() > limits::vault_key_bytes_max)
            return fail(Category::incorrect,
                        fmt::format("a key of {} bytes is too long: expected at most {}",
                                    entry.key.size(), limits::vault_key_bytes_max));
        if (entry.value.size() > limits::vault_value_bytes_max)
            return fail(Category::incorrect,
                        fmt::format("a document of {} bytes is too large: expected at most {}",
                                    entry.value.size(), limits::vault_value_bytes_max));
        store::PrivateRow row{.space = entry.space, .key = entry.key, .version = entry.version};
        row.removed = entry.removed;
        if (entry.expires) row.expires = entry.expires->milliseconds;
        if (!row.removed) row.value = seal(key_, context_of(entry.space, entry.key), entry.value);
        return row;
    }

 private:
    Result<Entry> entry_of(const store::PrivateRow& row) const {
        Entry entry{.space = row.space, .key = row.key, .version = row.version};
        entry.value = TRY(unseal(key_, context_of(row.space, row.key), row.value));
        if (row.expires != store::PrivateRow{}.expires) entry.expires = Instant{row.expires};
        return entry;
    }

    store::Store& store_;
    SecretKey key_;
};

}  // namespace

std::unique_ptr<Vault> store_vault(store::Store& store, const SecretKey& master) {
    return std::make_unique<StoreVault>(store, master);
}

}  // namespace meridian::trust
