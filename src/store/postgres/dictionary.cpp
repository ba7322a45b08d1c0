// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/dictionary.hpp"

#include <thread>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/keys.hpp"

namespace meridian::store::postgres {

namespace {

std::string hash_of(std::string_view text) {
    const Sha256 hash = sha256(text);
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

}  // namespace

void Dictionary::put(NameKind kind, Name id, std::string_view text) const {
    Kind& names = all_[static_cast<std::size_t>(kind)];
    // Nodes of an unordered_map stay where they are, so texts may point at the keys.
    const auto [place, added] = names.ids.emplace(std::string(text), id);
    const auto index = static_cast<std::size_t>(id) - 1;
    if (names.texts.size() <= index) names.texts.resize(index + 1, nullptr);
    if (added) names.texts[index] = &place->first;
}

Result<void> Dictionary::read_new(Connection& connection) const {
    std::vector<std::int32_t> known(kinds);
    {
        const std::shared_lock lock(mutex_);
        for (std::size_t kind = 0; kind < kinds; ++kind) {
            // Up to the first that another server has given.
            const auto& texts = all_[kind].texts;
            known[kind] = static_cast<std::int32_t>(
                std::distance(texts.begin(), std::find(texts.begin(), texts.end(), nullptr)));
        }
    }
    const Answer rows =
        TRY(connection.ask("SELECT n.kind, n.id, n.text FROM meridian.name n "
                           "JOIN unnest($1::integer[]) WITH ORDINALITY AS k(last, number) "
                           "ON n.kind = k.number - 1 AND n.id > k.last ORDER BY n.kind, n.id",
                           std::move(Parameters().smalls(known))));
    const std::unique_lock lock(mutex_);
    for (int row = 0; row < rows.size(); ++row) {
        const std::int64_t kind = rows.integer(row, 0);
        const std::int64_t id = rows.integer(row, 1);
        if (kind < 0 || kind >= static_cast<std::int64_t>(kinds) || id < 1 || id > INT32_MAX) {
            return fail(
                Category::fault,
                fmt::format("the table name has the impossible row (kind {}, id {})", kind, id));
        }
        put(static_cast<NameKind>(kind), static_cast<Name>(id), rows.bytes(row, 2));
    }
    return {};
}

Result<void> Dictionary::refresh() const {
    return pool_.read([this](Connection& connection) { return read_new(connection); });
}

Result<void> Dictionary::load() {
    TRY(refresh());
    return pool_.read([this](Connection& connection) -> Result<void> {
        const Answer key =
            TRY(connection.ask("SELECT value FROM meridian.setting WHERE key = 'token_key'"));
        if (key.empty() || key.bytes(0, 0).size() != token_key_.size()) {
            return fail(Category::fault,
                        "the store has lost the key of its token hashes (setting token_key); "
                        "restore a backup");
        }
        std::memcpy(token_key_.data(), key.bytes(0, 0).data(), token_key_.size());
        return {};
    });
}

Name Dictionary::find_known(NameKind kind, std::string_view text) const {
    const std::shared_lock lock(mutex_);
    const auto& ids = all_[static_cast<std::size_t>(kind)].ids;
    const auto found = ids.find(text);
    return found == ids.end() ? 0 : found->second;
}

Name Dictionary::find(NameKind kind, std::string_view text) const {
    if (const Name known = find_known(kind, text); known != 0) return known;
    // Another server may have given it an id since.
    const auto looked_up = pool_.read([&](Connection& connection) {
        return connection.integer(
            "SELECT id FROM meridian.name WHERE kind = $1::integer AND hash = $2", 0,
            std::move(Parameters().small(static_cast<int>(kind)).bytes(hash_of(text))));
    });
    // What cannot be looked up is not unknown: a search for it would find nothing and say so.
    if (!looked_up) throw NamesAway(looked_up.error().message);
    if (*looked_up == 0) return 0;
    if (const auto read = refresh(); !read) throw NamesAway(read.error().message);
    return find_known(kind, text);
}

Result<Answer> Dictionary::give(Connection& connection, NameKind kind, std::string_view text) {
    std::shared_lock lock(giving_mutex_);
    const bool waits_for_disk = settled_;
    if (waits_for_disk) lock.unlock();
    connection.send("BEGIN");
    connection.send(waits_for_disk ? "SET LOCAL synchronous_commit = on"
                                   : "SET LOCAL synchronous_commit = off");
    // Two servers that give the same id wait for one another, and the second gives none: so ids
    // are dense, and whoever sees one sees all before it.
    connection.send(
        "INSERT INTO meridian.name(kind, id, hash, text) "
        "SELECT $1::integer, coalesce((SELECT max(id) FROM meridian.name WHERE kind = "
        "$1::integer), 0) + 1, $2, $3 "
        "WHERE NOT EXISTS (SELECT FROM meridian.name WHERE kind = $1::integer AND hash = $2) "
        "ON CONFLICT DO NOTHING RETURNING id",
        std::move(Parameters()
                      .small(static_cast<std::int32_t>(kind))
                      .bytes(hash_of(text))
                      .text(text_of(text))));
    connection.send("COMMIT");
    return std::move(TRY(connection.flush())[2]);
}

Result<void> Dictionary::settle() {
    if (settled_) return {};
    const std::unique_lock lock(giving_mutex_);
    if (settled_) return {};
    auto loan = TRY(pool_.take());
    // A commit that waits for the disk takes all before it along.
    TRY(loan->ask("SELECT pg_logical_emit_message(true, 'meridian', 'names')"));
    if (const std::size_t lost = TRY(count_lost(*loan)); lost != 0) {
        return fail(Category::fault,
                    fmt::format("the database has lost {} of the names that this server gave when "
                                "it started; start it again",
                                lost));
    }
    settled_ = true;
    return {};
}

Result<std::size_t> Dictionary::count_lost(Connection& connection) const {
    const Answer rows = TRY(connection.ask("SELECT kind, id, text FROM meridian.name"));
    const std::shared_lock lock(mutex_);
    std::size_t known = 0, kept = 0;
    for (const Kind& kind : all_) known += kind.ids.size();
    for (int row = 0; row < rows.size(); ++row) {
        const auto kind = static_cast<std::size_t>(rows.integer(row, 0));
        const auto index = static_cast<std::size_t>(rows.integer(row, 1)) - 1;
        if (kind >= kinds || index >= all_[kind].texts.size()) continue;
        const std::string* text = all_[kind].texts[index];
        kept += text != nullptr && *text == rows.bytes(row, 2);
    }
    return known - kept;
}

Result<Name> Dictionary::intern_in_database(NameKind kind, std::string_view text) {
    auto loan = TRY(pool_.take());
    const Answer given = TRY(give(*loan, kind, text));
    if (given.empty()) {
        TRY(read_new(*loan));
        const Name id = find_known(kind, text);
        if (id != 0) return id;
        return fail(Category::busy, "another server gave a name at the same moment");
    }
    const auto id = static_cast<Name>(given.integer(0, 0));
    const std::unique_lock lock(mutex_);
    // Those of other servers that came in between are read when they are asked for.
    put(kind, id, text);
    return id;
}

Name Dictionary::intern(NameKind kind, std::string_view text) {
    if (const Name known = find_known(kind, text); known != 0) return known;
    const auto give_up_at = std::chrono::steady_clock::now() +
                            std::chrono::seconds(limits::database_connection_wait_seconds);
    for (;;) {
        auto id = intern_in_database(kind, text);
        if (id) return *id;
        const bool is_passing =
            id.error().category == Category::unavailable || id.error().category == Category::busy;
        if (!is_passing || std::chrono::steady_clock::now() > give_up_at)
            throw NamesAway("a new name cannot be kept: " + id.error().message);
        const std::chrono::milliseconds pause{id.error().category == Category::busy ? 1 : 200};
        std::this_thread::sleep_for(pause);
    }
}

std::string Dictionary::text(NameKind kind, Name name) const {
    const auto known = [&] {
        const std::shared_lock lock(mutex_);
        const auto& texts = all_[static_cast<std::size_t>(kind)].texts;
        const auto index = static_cast<std::size_t>(name) - 1;
        return name < 1 || index >= texts.size() || texts[index] == nullptr ? std::string()
                                                                            : *texts[index];
    };
    std::string text = known();
    if (text.empty() && name > 0 && refresh()) text = known();
    return text;
}

std::size_t Dictionary::coding_count() const {
    const std::shared_lock lock(mutex_);
    const auto known = [this](NameKind kind) {
        return all_[static_cast<std::size_t>(kind)].ids.size();
    };
    return known(NameKind::system) + known(NameKind::unit);
}

std::vector<Name> Dictionary::all(NameKind kind) const {
    const std::shared_lock lock(mutex_);
    std::vector<Name> ids;
    const auto& texts = all_[static_cast<std::size_t>(kind)].texts;
    ids.reserve(texts.size());
    for (std::size_t index = 0; index < texts.size(); ++index) {
        if (texts[index] != nullptr) ids.push_back(static_cast<Name>(index) + 1);
    }
    return ids;
}

}  // namespace meridian::store::postgres
