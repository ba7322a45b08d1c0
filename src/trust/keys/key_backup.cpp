// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/key_backup.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view first_line = "meridian keys 1\n";
constexpr std::string_view sum_stem = "sum ";
constexpr std::string_view data_stem = "data/", ring_row = "ring";

std::string sum_of(const KeyRing& ring, std::string_view text) {
    return to_hex(hmac_sha256(ring.keyed_hash("key backup", {}), text));
}

Result<store::PrivateRow> parse_line(std::string_view line) {
    const std::size_t space = line.find(' ');
    store::PrivateRow row{.space = std::string(store::space_of_keys), .version = 1};
    if (space == std::string_view::npos || !base64_decode(line.substr(space + 1), row.value))
        return fail(Category::incorrect, "the file of keys has a line that is none");
    row.key = line.substr(0, space);
    return row;
}

/// Saves `wanted`, rows that are there as they are: each has version 0, or that of what it
/// replaces.
Result<bool> save_in_parts(KeyRows& into, const std::vector<store::PrivateRow>& wanted) {
    for (std::size_t at = 0; at < wanted.size(); at += limits::key_rows_at_once) {
        const auto begin = wanted.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(limits::key_rows_at_once, wanted.size() - at);
        if (!TRY(into.save({begin, begin + static_cast<std::ptrdiff_t>(count)}))) return false;
    }
    return true;
}

}  // namespace

Result<std::int64_t> export_keys(KeyRing& ring, const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored))
        return fail(Category::conflict, "there is a file of this name already", path);
    std::string text(first_line);
    std::int64_t keys = 0;
    for (std::string after;;) {
        const auto rows = TRY(ring.rows().rows({}, after, limits::key_rows_at_once));
        if (rows.empty()) break;
        after = rows.back().key;
        for (const store::PrivateRow& row : rows) {
            if (row.key.starts_with(data_stem) && !KeyRing::is_tombstone(row)) ++keys;
            text += fmt::format("{} {}\n", row.key, base64_encode(row.value));
        }
    }
    text += fmt::format("{}{}\n", sum_stem, sum_of(ring, text));
    const auto folder = std::filesystem::absolute(path).parent_path();
    if (!std::filesystem::is_directory(folder, ignored))
        return fail(Category::not_found, "there is no such folder", folder.string());
    const auto before = ::umask(S_IRWXG | S_IRWXO);
    const auto written = write_file_atomically(path, text);
    ::umask(before);
    if (!written) return std::unexpected(written.error());
    return keys;
}

Result<KeyFile> read_key_backup(const std::string& path, const std::vector<std::string>& erased) {
    std::string content = TRY(read_file(path, limits::key_backup_bytes_max));
    if (!content.starts_with(first_line))
        return fail(Category::incorrect, "this is no file of `meridian keys export`", path);
    const std::size_t sum_at = content.rfind(fmt::format("\n{}", sum_stem));
    if (sum_at == std::string::npos)
        return fail(Category::incorrect, "the file of keys was cut", path);
    KeyFile file;
    file.sum = content.substr(sum_at + 1 + sum_stem.size());
    while (file.sum.ends_with('\n')) file.sum.pop_back();
    content.resize(sum_at + 1);
    file.text = std::move(content);
    const std::set<std::string> shredded(erased.begin(), erased.end());
    std::string_view rest = std::string_view(file.text).substr(first_line.size());
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        store::PrivateRow row = TRY(parse_line(rest.substr(0, end)));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (row.key.starts_with(data_stem) && !KeyRing::is_tombstone(row) &&
            shredded.contains(KeyRing::id_in(row.key)))
            row = KeyRing::tombstone_of(KeyRing::id_in(row.key), 1);
        file.rows.emplace(row.key, std::move(row));
    }
    return file;
}

Result<std::unique_ptr<KeyRing>> ring_of(const KeyFile& file, std::unique_ptr<KekProvider> keks) {
    auto ring = TRY(KeyRing::open(key_rows_of(file.rows), std::move(keks), {.create = false}));
    if (sum_of(*ring, file.text) == file.sum) return ring;
    return fail(Category::forbidden, "the file of keys was altered");
}

Result<ImportedKeys> import_keys(const KeyFile& file, std::unique_ptr<KekProvider> keks,
                                 const std::shared_ptr<KeyRows>& into,
                                 const std::vector<std::string>& erased) {
    if (TRY(into->row(ring_row))) {
        const auto there = TRY(KeyRing::open(into, std::move(keks), {.create = false}));
        if (sum_of(*there, file.text) != file.sum)
            return fail(Category::conflict,
                        "the store has other keys already: import into a restored store before a "
                        "server writes to it");
    }
    ImportedKeys imported;
    std::vector<store::PrivateRow> wanted;
    std::set<std::string> known;
    for (const auto& [key, row] : file.rows) {
        const auto there = TRY(into->row(key));
        const bool is_tombstone = key.starts_with(data_stem) && KeyRing::is_tombstone(row);
        if (key.starts_with(data_stem)) known.insert(KeyRing::id_in(key));
        if (is_tombstone) ++imported.tombstones;
        if (there && (!is_tombstone || KeyRing::is_tombstone(*there))) continue;
        wanted.push_back(row);
        wanted.back().version = there ? there->version : 0;
        if (!is_tombstone && key.starts_with(data_stem)) ++imported.keys;
    }
    for (const std::string& id : erased) {
        if (known.contains(id) || TRY(into->row(KeyRing::row_key_of(id)))) continue;
        wanted.push_back(KeyRing::tombstone_of(id, 0));
        ++imported.tombstones;
    }
    if (TRY(save_in_parts(*into, wanted))) return imported;
    return fail(Category::busy, "a server changed keys at the same time; try again");
}

Result<std::shared_ptr<KeyRing>> open_keys(store::Store& store, const std::string& folder,
                                           const KeyRing::Options& options) {
    auto rows = key_rows_of(store);
    KeyRing::Options made = options;
    if (!TRY(rows->row(ring_row))) {
        made.hashes_tokens = TRY(store.snapshot())->position() < 0;
        store::HistoryScope newest;
        newest.limit = limits::key_backup_versions_looked_at;
        for (const auto& stored : TRY(TRY(store.snapshot())->history(newest))) {
            if (is_sealed(stored.body))
                return fail(Category::conflict,
                            "the record is encrypted and its keys are not here: bring them back "
                            "with `meridian keys import`");
        }
    }
    auto ring = TRY(KeyRing::open(std::move(rows), TRY(keks_of(folder)), made));
    if (ring->tokens() != KeyRing::Tokens::moving || options.moves_tokens)
        return std::shared_ptr<KeyRing>(std::move(ring));
    return fail(Category::conflict,
                "the hashes of the index are being put under the record's keys and are not all "
                "there: go on with `meridian keys tokens`");
}

Result<std::shared_ptr<const fhir::Cipher>> cipher_of(std::shared_ptr<store::Store> store,
                                                      const std::string& folder) {
    const auto rows = key_rows_of(std::move(store));
    if (!TRY(rows->row(ring_row))) return locked_cipher();
    return body_cipher(TRY(KeyRing::open(rows, TRY(keks_of(folder)), {.create = false})));
}

}  // namespace meridian::trust
