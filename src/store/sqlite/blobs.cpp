// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/blobs.hpp"

#include <filesystem>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::sqlite {

namespace {

constexpr std::string_view magic = "mrdnblob";
constexpr std::int64_t head_size = 48;
constexpr const char* index_schema =
    "CREATE TABLE IF NOT EXISTS blob(hash BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER "
    "NOT NULL, size INTEGER NOT NULL) "
    "WITHOUT ROWID; CREATE TABLE IF NOT EXISTS pack(id INTEGER PRIMARY KEY, end INTEGER NOT NULL);";

std::string_view bytes_of(const Sha256& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::int64_t number_of(const std::filesystem::path& file) {
    const std::string stem = file.stem().string();
    std::int64_t number = 0;
    const auto end = std::from_chars(stem.data(), stem.data() + stem.size(), number);
    return file.extension() == ".pack" && end.ec == std::errc() &&
                   end.ptr == stem.data() + stem.size()
               ? number
               : 0;
}

std::vector<std::int64_t> pack_numbers(const std::string& folder) {
    std::vector<std::int64_t> numbers;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (const std::int64_t number = number_of(entry.path()); number > 0)
            numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace

std::string Blobs::pack_path(const std::string& folder, std::int64_t pack) {
    return fmt::format("{}/{:06}.pack", folder, pack);
}

std::string Blobs::head_bytes(std::int64_t size, const Sha256& hash) {
    std::string head(magic);
    for (int shift = 0; shift < 64; shift += 8)
        head.push_back(static_cast<char>(static_cast<std::uint64_t>(size) >> shift));
    return head.append(bytes_of(hash));
}

std::optional<Blobs::Head> Blobs::read_head(std::string_view bytes) {
    if (bytes.size() < static_cast<std::size_t>(head_size) || !bytes.starts_with(magic))
        return std::nullopt;
    std::uint64_t size = 0;
    for (unsigned index = 0; index < 8; ++index) {
        size |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[magic.size() + index]))
                << (8 * index);
    }
    if (size > limits::blob_bytes_max) return std::nullopt;
    Head head{static_cast<std::int64_t>(size), {}};
    std::memcpy(head.hash.data(), bytes.data() + magic.size() + 8, head.hash.size());
    return head;
}

Result<std::unique_ptr<Blobs>> Blobs::open(Options options) {
    if (options.pack_bytes_max == 0)
        options.pack_bytes_max = static_cast<std::int64_t>(limits::pack_file_bytes_max);
    std::unique_ptr<Blobs> blobs(new Blobs(std::move(options)));
    TRY(blobs->start());
    return blobs;
}

Result<void> Blobs::start() {
    std::error_code ignored;
    const std::string index_path = options_.folder + "/index.db";
    if (options_.read_only && !std::filesystem::exists(index_path, ignored)) return {};
    if (!options_.read_only && std::filesystem::create_directories(options_.folder, ignored)) {
        TRY(sync_folder(std::filesystem::path(options_.folder).parent_path().string()));
    }
    DatabaseOptions database;
    database.create = true;
    database.read_only = options_.read_only;
    database.cache_bytes = 4 << 20;
    index_ = TRY(Database::open(index_path, database));
    if (options_.read_only) return {};
    TRY(index_->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"));
    TRY(index_->execute(index_schema));
    for (const std::int64_t pack : pack_numbers(options_.folder)) TRY(catch_up(pack));
    return {};
}

Result<void> Blobs::catch_up(std::int64_t pack) {
    const auto file = TRY(pack_file(pack));
    const std::int64_t length = TRY(file->size());
    std::int64_t at = TRY(index_->integer("SELECT end FROM pack WHERE id = ?", 0, pack));
    if (at > length) {
        return fail(Category::fault,
                    fmt::format("{} has lost its end: {} bytes of {} are there; restore a backup",
                                pack_path(options_.folder, pack), length, at));
    }
    while (at < length) {
        const auto head = read_head(TRY(file->read(at, static_cast<std::size_t>(head_size))));
        if (!head || at + head_size + head->size > length) break;
        if (sha256(TRY(file->read(at + head_size, static_cast<std::size_t>(head->size)))) !=
            head->hash)
            break;
        const Place place{pack, at + head_size, head->size};
        at = place.offset + place.size;
        TRY(note(head->hash, place, at));
    }
    if (at < length) {
        // Never answered: an answer comes after the fsync of all that stands before it.
        log::warning("a blob at the end of a pack was not written completely and is cut off",
                     {{"pack", pack}, {"bytes", length - at}});
        TRY(file->truncate(at));
        TRY(file->sync());
    }
    last_pack_ = pack;
    end_ = at;
    return {};
}

Result<void> Blobs::note(const Sha256& hash, const Place& place, std::int64_t end) {
    TRY(index_->run("BEGIN"));
    auto written = [&]() -> Result<void> {
        auto insert = TRY(index_->prepare(
            "INSERT OR IGNORE INTO blob(hash, pack, offset, size) VALUES(?, ?, ?, ?)"));
        insert.bind_blob(1, bytes_of(hash))
            .bind(2, place.pack)
            .bind(3, place.offset)
            .bind(4, place.size);
        TRY(insert.run());
        TRY(index_->run("INSERT OR REPLACE INTO pack(id, end) VALUES(?, ?)", place.pack, end));
        return index_->run("COMMIT");
    }();
    if (!written && !index_->in_autocommit()) TRY(index_->run("ROLLBACK"));
    return written;
}

Result<std::shared_ptr<AppendFile>> Blobs::pack_file(std::int64_t pack) {
    std::shared_ptr<AppendFile>& file = files_[pack];
    if (!file)
        file = TRY(AppendFile::open(pack_path(options_.folder, pack), options_.read_only,
                                    options_.faults));
    return file;
}

Result<std::optional<Blobs::Place>> Blobs::place_of(const Sha256& hash) {
    if (!index_) return std::optional<Place>();
    auto row = TRY(index_->prepare("SELECT pack, offset, size FROM blob WHERE hash = ?"));
    row.bind_blob(1, bytes_of(hash));
    if (!TRY(row.step())) return std::optional<Place>();
    return std::optional<Place>(Place{row.integer(0), row.integer(1), row.integer(2)});
}

Result<void> Blobs::next_pack() {
    const std::int64_t number = last_pack_ + 1;
    TRY(pack_file(number));
    TRY(sync_folder(options_.folder));
    last_pack_ = number;
    end_ = 0;
    return {};
}

Result<Sha256> Blobs::put(std::string_view data) {
    if (data.size() > limits::blob_bytes_max) {
        return fail(
            Category::too_large,
            fmt::format("a blob has {} bytes, more than limits::blob_bytes_max", data.size()));
    }
    const Sha256 hash = sha256(data);
    const std::lock_guard lock(mutex_);
    if (options_.read_only)
        return fail(Category::unavailable, "the store is open for reading only");
    if (broken_) return std::unexpected(*broken_);
    if (TRY(place_of(hash))) return hash;
    auto appended = append(data, hash);
    if (!appended && appended.error().category != Category::storage_full) {
        // The end of the pack is unknown now; the next start reads it again.
        broken_ = Error{Category::unavailable,
                        "the store stopped writing blobs after a disk error: " +
                            appended.error().message + "; check the disk, then restart"};
        return std::unexpected(*broken_);
    }
    TRY(std::move(appended));
    return hash;
}

Result<void> Blobs::append(std::string_view data, const Sha256& hash) {
    const auto size = static_cast<std::int64_t>(data.size());
    if (last_pack_ == 0 || (end_ > 0 && end_ + head_size + size > options_.pack_bytes_max))
        TRY(next_pack());
    const auto file = TRY(pack_file(last_pack_));
    auto written = file->write(end_, head_bytes(size, hash));
    if (written) written = file->write(end_ + head_size, data);
    if (written) written = file->sync();
    const Place place{last_pack_, end_ + head_size, size};
    // Only a noted blob counts: one that is there but was refused is written over by the next.
    if (written) written = note(hash, place, place.offset + size);
    if (written) {
        end_ = place.offset + size;
    } else if (written.error().category == Category::storage_full) {
        TRY(file->truncate(end_));
    }
    return written;
}

Result<std::optional<std::string>> Blobs::get(const Sha256& hash) {
    std::optional<Place> place;
    std::shared_ptr<AppendFile> file;
    {
        const std::lock_guard lock(mutex_);
        place = TRY(place_of(hash));
        if (!place) return std::optional<std::string>();
        file = TRY(pack_file(place->pack));
    }
    std::string data = TRY(file->read(place->offset, static_cast<std::size_t>(place->size)));
    if (data.size() != static_cast<std::size_t>(place->size) || sha256(data) != hash) {
        return fail(
            Category::fault,
            fmt::format("the blob {} is damaged ({} at byte {}); restore it from a backup",
                        to_hex(hash), pack_path(options_.folder, place->pack), place->offset));
    }
    return std::optional<std::string>(std::move(data));
}

Result<Blobs::Totals> Blobs::verify() {
    Totals totals;
    const auto problem = [&totals](std::string text) {
        if (totals.problems++ == 0) totals.first_problem = std::move(text);
    };
    const std::lock_guard lock(mutex_);
    if (!index_) return totals;
    auto packs = TRY(index_->prepare("SELECT id, end FROM pack ORDER BY id"));
    while (TRY(packs.step())) {
        const std::int64_t pack = packs.integer(0);
        const std::string path = pack_path(options_.folder, pack);
        const auto file = TRY(AppendFile::open(path, true, options_.faults));
        for (std::int64_t at = 0; at < packs.integer(1);) {
            const auto head = read_head(TRY(file->read(at, static_cast<std::size_t>(head_size))));
            if (!head) {
                problem(
                    fmt::format("blob in {} at byte {}: its head is damaged, the rest of the pack "
                                "cannot be read",
                                path, at));
                break;
            }
            const std::string data =
                TRY(file->read(at + head_size, static_cast<std::size_t>(head->size)));
            const auto place = TRY(place_of(head->hash));
            if (sha256(data) != head->hash)
                problem(fmt::format("blob {} in {} at byte {}: the bytes have another hash",
                                    to_hex(head->hash), path, at));
            else if (!place)
                problem(fmt::format("blob {} in {} at byte {}: the index does not know it",
                                    to_hex(head->hash), path, at));
            ++totals.blobs;
            totals.bytes += head->size;
            at += head_size + head->size;
        }
    }
    const std::int64_t known = TRY(index_->integer("SELECT count(*) FROM blob", 0));
    if (totals.problems == 0 && known != totals.blobs) {
        problem(fmt::format("the index of blobs has {} entries, the packs hold {} blobs", known,
                            totals.blobs));
    }
    return totals;
}

Result<std::map<std::int64_t, std::int64_t>> Blobs::packs() {
    const std::lock_guard lock(mutex_);
    std::map<std::int64_t, std::int64_t> lengths;
    if (!index_) return lengths;
    auto row = TRY(index_->prepare("SELECT id, end FROM pack"));
    while (TRY(row.step())) lengths[row.integer(0)] = row.integer(1);
    return lengths;
}

}  // namespace meridian::store::sqlite
