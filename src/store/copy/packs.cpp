// SPDX-License-Identifier: Apache-2.0
#include "store/copy/packs.hpp"

#include <filesystem>

#include "store/disk.hpp"
#include "store/sqlite/blobs.hpp"
#include "store/sqlite/folder.hpp"

namespace meridian::store::copy {

namespace {

constexpr std::int64_t bytes_at_once = 4 << 20;

Result<std::int64_t> copy_pack(const std::string& from, const std::string& to,
                               std::int64_t length) {
    const auto source = TRY(AppendFile::open(from, true, nullptr));
    const auto target = TRY(AppendFile::open(to, false, nullptr));
    const std::int64_t begin = TRY(target->size());
    if (begin > length) {
        return fail(Category::conflict,
                    fmt::format("{} is longer than what is moved there; use a new folder", to));
    }
    for (std::int64_t at = begin; at < length;) {
        const auto step = static_cast<std::size_t>(std::min(bytes_at_once, length - at));
        const std::string part = TRY(source->read(at, step));
        if (part.empty())
            return fail(Category::fault,
                        fmt::format("{} ends after {} bytes of {}", from, at, length));
        TRY(target->write(at, part));
        at += static_cast<std::int64_t>(part.size());
    }
    if (begin < length) TRY(target->sync());
    return length - begin;
}

}  // namespace

Result<std::int64_t> copy_packs(const std::string& from, const std::string& to) {
    const auto blobs = TRY(sqlite::Blobs::open({.folder = from, .read_only = true}));
    const auto lengths = TRY(blobs->packs());
    if (lengths.empty()) return 0;
    std::error_code ignored;
    std::filesystem::create_directories(to, ignored);
    std::int64_t copied = 0;
    for (const auto& [pack, length] : lengths) {
        copied += TRY(copy_pack(sqlite::Blobs::pack_path(from, pack),
                                sqlite::Blobs::pack_path(to, pack), length));
    }
    TRY(sqlite::sync_folder(to));
    return copied;
}

}  // namespace meridian::store::copy
