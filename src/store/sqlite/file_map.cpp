// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/file_map.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace meridian::store::sqlite {

namespace {

using FileKey = std::pair<dev_t, ino_t>;

struct Registry {
    std::mutex mutex;
    std::map<FileKey, std::weak_ptr<FileMap>> maps;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

}  // namespace

std::shared_ptr<FileMap> FileMap::of(const std::string& path, std::int64_t bytes_max) {
    struct stat state{};
    if (bytes_max <= 0 || ::stat(path.c_str(), &state) != 0) return nullptr;
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    std::weak_ptr<FileMap>& place = all.maps[{state.st_dev, state.st_ino}];
    if (auto known = place.lock()) return known;
    std::erase_if(all.maps, [&](const auto& entry) {
        return entry.second.expired() && &entry.second != &place;
    });
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* base =
        ::mmap(nullptr, static_cast<std::size_t>(bytes_max), PROT_READ, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        // The descriptor stays open on purpose: closing it would drop locks that SQLite holds on
        // the file.
        return nullptr;
    }
    std::shared_ptr<FileMap> map(new FileMap(file, static_cast<char*>(base), bytes_max));
    place = map;
    return map;
}

FileMap::~FileMap() {
    ::munmap(base_, static_cast<std::size_t>(bytes_));
    ::close(file_);
}

void* FileMap::at(std::int64_t offset, std::int64_t size) {
    const std::int64_t end = offset + size;
    if (end > bytes_) return nullptr;
    if (end > reached_.load(std::memory_order_relaxed)) {
        struct stat state{};
        if (::fstat(file_, &state) != 0 || end > state.st_size) return nullptr;
        reached_.store(state.st_size, std::memory_order_relaxed);
    }
    return base_ + offset;
}

}  // namespace meridian::store::sqlite
