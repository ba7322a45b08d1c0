// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/file_map.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace meridian::store::sqlite {

namespace {

using FileKey = std::pair<dev_t, ino_t>;

struct Registry {
    std::mutex mutex;
    std::map<FileKey, std::weak_ptr<FileMap>> maps;
};

/// Address space for the longest database; what lies behind is read in the ordinary way.
constexpr std::int64_t length_max = 256LL << 30;
/// What is given back at once.
constexpr std::int64_t part_bytes = 32LL << 20;
/// Each thread looks at the process's size once in so many uses.
constexpr unsigned uses_per_look = 1'024;

/// Bytes of mapped files (and of shared memory) in this process: proc(5), statm.
std::int64_t mapped_bytes() {
    std::ifstream file("/proc/self/statm");
    std::int64_t size = 0, resident = 0, shared = 0;
    file >> size >> resident >> shared;
    return shared * ::sysconf(_SC_PAGESIZE);
}

Registry& registry() {
    static Registry instance;
    return instance;
}

}  // namespace

std::shared_ptr<FileMap> FileMap::of(const std::string& path, std::int64_t resident_max) {
    struct stat state{};
    if (resident_max <= 0 || ::stat(path.c_str(), &state) != 0) return nullptr;
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
        ::mmap(nullptr, static_cast<std::size_t>(length_max), PROT_READ, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) {
        // The descriptor stays open on purpose: closing it would drop locks that SQLite holds on
        // the file.
        return nullptr;
    }
    std::shared_ptr<FileMap> map(new FileMap(file, static_cast<char*>(base), resident_max));
    place = map;
    return map;
}

FileMap::~FileMap() {
    ::munmap(base_, static_cast<std::size_t>(length_max));
    ::close(file_);
}

void* FileMap::at(std::int64_t offset, std::int64_t size) {
    const std::int64_t end = offset + size;
    if (end > length_max) return nullptr;
    if (end > reached_.load(std::memory_order_relaxed)) {
        struct stat state{};
        if (::fstat(file_, &state) != 0 || end > state.st_size) return nullptr;
        reached_.store(state.st_size, std::memory_order_relaxed);
    }
    thread_local unsigned uses = 0;
    if (++uses % uses_per_look == 0) give_back();
    return base_ + offset;
}

/// Takes parts of the map out of the process until what is left keeps the bound.
void FileMap::give_back() {
    const std::int64_t reached = reached_.load(std::memory_order_relaxed);
    if (reached <= resident_max_) return;
    const std::unique_lock lock(giving_back_, std::try_to_lock);
    if (!lock) return;  // somebody is at it
    for (std::int64_t given = 0; given < reached && mapped_bytes() > resident_max_;
         given += part_bytes) {
        if (next_to_give_ >= reached) next_to_give_ = 0;
        ::madvise(base_ + next_to_give_, static_cast<std::size_t>(part_bytes), MADV_DONTNEED);
        next_to_give_ += part_bytes;
    }
}

}  // namespace meridian::store::sqlite
