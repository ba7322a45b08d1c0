// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/key_rows.hpp"

namespace meridian::trust {

namespace {

class StoredKeyRows final : public KeyRows {
 public:
    StoredKeyRows(store::Store& store, std::shared_ptr<store::Store> kept)
        : kept_(std::move(kept)), store_(store) {}

    Result<std::optional<store::PrivateRow>> row(std::string_view key) override {
        return store_.private_row(store::space_of_keys, key);
    }
    Result<std::vector<store::PrivateRow>> rows(std::string_view stem, std::string_view after,
                                                std::size_t limit) override {
        auto found = TRY(store_.private_rows(store::space_of_keys, std::max(stem, after), limit));
        std::erase_if(found, [&](const auto& each) { return !each.key.starts_with(stem); });
        return found;
    }
    Result<bool> save(std::vector<store::PrivateRow> rows) override {
        return store_.save_private(std::move(rows));
    }

 private:
    std::shared_ptr<store::Store> kept_;  ///< null when somebody else keeps it
    store::Store& store_;
};

class ReadKeyRows final : public KeyRows {
 public:
    explicit ReadKeyRows(std::map<std::string, store::PrivateRow, std::less<>> rows)
        : rows_(std::move(rows)) {}

    Result<std::optional<store::PrivateRow>> row(std::string_view key) override {
        const auto found = rows_.find(key);
        if (found == rows_.end()) return std::optional<store::PrivateRow>();
        return std::optional(found->second);
    }
    Result<std::vector<store::PrivateRow>> rows(std::string_view stem, std::string_view after,
                                                std::size_t limit) override {
        std::vector<store::PrivateRow> found;
        for (auto each = rows_.upper_bound(std::max(stem, after));
             each != rows_.end() && each->first.starts_with(stem) && found.size() < limit; ++each)
            found.push_back(each->second);
        return found;
    }
    Result<bool> save(std::vector<store::PrivateRow>) override {
        return fail(Category::unavailable, "a file of keys is for reading only");
    }

 private:
    const std::map<std::string, store::PrivateRow, std::less<>> rows_;
};

}  // namespace

std::shared_ptr<KeyRows> key_rows_of(store::Store& store) {
    return std::make_shared<StoredKeyRows>(store, nullptr);
}

std::shared_ptr<KeyRows> key_rows_of(std::shared_ptr<store::Store> store) {
    store::Store& kept = *store;
    return std::make_shared<StoredKeyRows>(kept, std::move(store));
}

std::shared_ptr<KeyRows> key_rows_of(std::map<std::string, store::PrivateRow, std::less<>> rows) {
    return std::make_shared<ReadKeyRows>(std::move(rows));
}

}  // namespace meridian::trust
