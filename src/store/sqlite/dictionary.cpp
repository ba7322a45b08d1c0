// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/dictionary.hpp"

namespace meridian::store::sqlite {

void Dictionary::put(Kind& kind, Name id, std::string_view text) {
    // Nodes of an unordered_map stay where they are, so texts may point at the keys.
    const auto [place, added] = kind.ids.emplace(std::string(text), id);
    const auto index = static_cast<std::size_t>(id) - 1;
    if (kind.texts.size() <= index) kind.texts.resize(index + 1, nullptr);
    if (added) kind.texts[index] = &place->first;
}

Result<void> Dictionary::load(Database& database) {
    const std::unique_lock lock(mutex_);
    auto rows = TRY(database.prepare("SELECT kind, id, text FROM name"));
    while (TRY(rows.step())) {
        const std::int64_t kind = rows.integer(0);
        const std::int64_t id = rows.integer(1);
        if (kind < 0 || kind >= static_cast<std::int64_t>(kinds) || id < 1 || id > INT32_MAX) {
            return fail(
                Category::fault,
                fmt::format("the table name has the impossible row (kind {}, id {})", kind, id));
        }
        put(all_[static_cast<std::size_t>(kind)], static_cast<Name>(id), rows.text(2));
    }
    auto key = TRY(database.prepare("SELECT value FROM setting WHERE key = 'token_key'"));
    if (!TRY(key.step()) || key.blob(0).size() != token_key_.size()) {
        return fail(
            Category::fault,
            "the store has lost the key of its token hashes (setting token_key); restore a backup");
    }
    std::memcpy(token_key_.data(), key.blob(0).data(), token_key_.size());
    return {};
}

Name Dictionary::find(NameKind kind, std::string_view text) const {
    const std::shared_lock lock(mutex_);
    const auto& ids = of(kind).ids;
    const auto found = ids.find(text);
    return found == ids.end() ? 0 : found->second;
}

Name Dictionary::intern(NameKind kind, std::string_view text) {
    if (const Name known = find(kind, text); known != 0) return known;
    const std::unique_lock lock(mutex_);
    Kind& names = of(kind);
    if (const auto found = names.ids.find(text); found != names.ids.end()) return found->second;
    const Name id = static_cast<Name>(names.texts.size()) + 1;
    put(names, id, text);
    unsaved_.push_back({kind, id, std::string(text)});
    return id;
}

std::string Dictionary::text(NameKind kind, Name name) const {
    const std::shared_lock lock(mutex_);
    const auto& texts = of(kind).texts;
    const auto index = static_cast<std::size_t>(name) - 1;
    return name < 1 || index >= texts.size() || texts[index] == nullptr ? std::string()
                                                                        : *texts[index];
}

std::size_t Dictionary::coding_count() const {
    const std::shared_lock lock(mutex_);
    return of(NameKind::system).texts.size() + of(NameKind::unit).texts.size();
}

std::vector<Name> Dictionary::all(NameKind kind) const {
    const std::shared_lock lock(mutex_);
    std::vector<Name> ids;
    const auto& texts = of(kind).texts;
    ids.reserve(texts.size());
    for (std::size_t index = 0; index < texts.size(); ++index) {
        if (texts[index] != nullptr) ids.push_back(static_cast<Name>(index) + 1);
    }
    return ids;
}

Result<void> Dictionary::save(Database& database) {
    {
        const std::unique_lock lock(mutex_);
        std::move(unsaved_.begin(), unsaved_.end(), std::back_inserter(saving_));
        unsaved_.clear();
    }
    if (saving_.empty()) return {};
    auto insert = TRY(database.prepare("INSERT INTO name(kind, id, text) VALUES(?, ?, ?)"));
    for (const Entry& entry : saving_) TRY(insert.bind_all(entry.kind, entry.id, entry.text).run());
    return {};
}

void Dictionary::saved(bool committed) {
    const std::unique_lock lock(mutex_);
    if (!committed) unsaved_.insert(unsaved_.begin(), saving_.begin(), saving_.end());
    saving_.clear();
}

bool Dictionary::has_unsaved() const {
    const std::shared_lock lock(mutex_);
    return !unsaved_.empty();
}

}  // namespace meridian::store::sqlite
