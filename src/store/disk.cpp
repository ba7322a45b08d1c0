// SPDX-License-Identifier: Apache-2.0
#include "store/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <random>

namespace meridian::store {

// --- the disk that loses power ---

struct LosingDisk::Memory {
    struct Write {
        std::int64_t offset;
        std::string bytes;
        std::string before;        ///< what stood there; shorter when the file ended
        std::int64_t cut_to = -1;  ///< instead of a write: the file was cut to this size
        std::int64_t size_before = 0;
    };
    std::mutex mutex;
    bool lost = false;
    std::map<std::string, std::vector<Write>, std::less<>> unsynced;

    std::vector<Write>& of(std::string_view path) {
        const auto found = unsynced.find(path);
        return found != unsynced.end() ? found->second : unsynced[std::string(path)];
    }
};

namespace {

std::int64_t length_of(const std::string& path) {
    struct stat state{};
    return ::stat(path.c_str(), &state) == 0 ? state.st_size : 0;
}

void put(int file, std::int64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), offset);
        if (written <= 0) return;
        offset += written;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

LosingDisk::LosingDisk() : memory_(std::make_unique<Memory>()) {}
LosingDisk::~LosingDisk() = default;

Fault LosingDisk::before(const FileEvent&) {
    const std::lock_guard lock(memory_->mutex);
    return memory_->lost ? Fault::fail : Fault::none;
}

void LosingDisk::lose_power() {
    const std::lock_guard lock(memory_->mutex);
    memory_->lost = true;
}

void LosingDisk::settle(std::uint64_t seed) {
    const std::lock_guard lock(memory_->mutex);
    std::mt19937_64 random(seed);
    for (auto& [path, writes] : memory_->unsynced) {
        const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (file < 0) continue;
        // Back to the last sync, then forward again with some of the writes, each of which the disk
        // may have done or not.
        for (auto write = writes.rbegin(); write != writes.rend(); ++write) {
            put(file, write->offset, write->before);
            if (::ftruncate(file, write->size_before) != 0) continue;
        }
        for (const auto& write : writes) {
            const unsigned fate = static_cast<unsigned>(random() % 8);
            if (fate < 4) continue;
            if (write.cut_to >= 0) {
                if (::ftruncate(file, write.cut_to) != 0) continue;
            } else {
                // One in eight is torn at a sector.
                const std::size_t whole = write.bytes.size();
                put(file, write.offset,
                    std::string_view(write.bytes)
                        .substr(0, fate == 4 ? whole / 2 / 512 * 512 : whole));
            }
        }
        ::close(file);
    }
    memory_->unsynced.clear();
    memory_->lost = false;
}

void note_write(FileFaults& faults, std::string_view path, std::int64_t offset,
                std::string_view bytes, std::string before) {
    LosingDisk::Memory& memory = static_cast<LosingDisk&>(faults).memory();
    const std::int64_t length = length_of(std::string(path));
    const std::lock_guard lock(memory.mutex);
    memory.of(path).push_back({offset, std::string(bytes), std::move(before), -1, length});
}

void note_truncate(FileFaults& faults, std::string_view path, std::int64_t size) {
    LosingDisk::Memory& memory = static_cast<LosingDisk&>(faults).memory();
    const std::string name(path);
    const std::int64_t length = length_of(name);
    std::string cut;
    if (length > size) {
        cut.resize(static_cast<std::size_t>(length - size));
        const int file = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            const ssize_t got = ::pread(file, cut.data(), cut.size(), size);
            cut.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
            ::close(file);
        }
    }
    const std::lock_guard lock(memory.mutex);
    memory.of(path).push_back({size, {}, std::move(cut), size, length});
}

void note_sync(FileFaults& faults, std::string_view path) {
    LosingDisk::Memory& memory = static_cast<LosingDisk&>(faults).memory();
    const std::lock_guard lock(memory.mutex);
    memory.of(path).clear();
}

// --- append files ---

Result<std::unique_ptr<AppendFile>> AppendFile::open(const std::string& path, bool read_only,
                                                     std::shared_ptr<FileFaults> faults) {
    const int file =
        ::open(path.c_str(), read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return fail(Category::unavailable,
                    fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    return std::unique_ptr<AppendFile>(new AppendFile(file, path, std::move(faults)));
}

AppendFile::~AppendFile() {
    ::close(file_);
}

std::unexpected<Error> AppendFile::failure(const char* what, int code) const {
    const bool full = code == ENOSPC || code == EDQUOT;
    return fail(full ? Category::storage_full : Category::unavailable,
                fmt::format("cannot {} {}: {}", what, path_, std::strerror(code)));
}

Result<void> AppendFile::write(std::int64_t offset, std::string_view bytes) {
    if (faults_) {
        switch (faults_->before({FileOperation::write, path_, offset, bytes.size()})) {
            case Fault::none:
                break;
            case Fault::full:
                return failure("write to", ENOSPC);
            case Fault::torn:
                put(file_, offset, bytes.substr(0, bytes.size() / 2));
                return failure("write to", EIO);
            case Fault::fail:
                return failure("write to", EIO);
        }
        if (faults_->remembers_writes())
            note_write(*faults_, path_, offset, bytes, TRY(read(offset, bytes.size())));
    }
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failure("write to", written == 0 ? ENOSPC : errno);
        offset += written;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> AppendFile::sync() {
    if (faults_ && faults_->before({FileOperation::sync, path_, 0, 0}) != Fault::none)
        return failure("sync", EIO);
    if (::fdatasync(file_) != 0) {
        const int code = errno;
        return fail(Category::unavailable,
                    fmt::format("cannot sync {}: {}", path_, std::strerror(code)));
    }
    if (faults_ && faults_->remembers_writes()) note_sync(*faults_, path_);
    return {};
}

Result<void> AppendFile::truncate(std::int64_t size) {
    if (faults_) {
        if (faults_->before({FileOperation::truncate, path_, size, 0}) != Fault::none)
            return failure("cut", EIO);
        if (faults_->remembers_writes()) note_truncate(*faults_, path_, size);
    }
    if (::ftruncate(file_, size) != 0) return failure("cut", errno);
    return {};
}

Result<std::string> AppendFile::read(std::int64_t offset, std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
        const ssize_t count =
            ::pread(file_, bytes.data() + got, size - got, offset + static_cast<std::int64_t>(got));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure("read", errno);
        if (count == 0) break;
        got += static_cast<std::size_t>(count);
    }
    bytes.resize(got);
    return bytes;
}

Result<std::int64_t> AppendFile::size() const {
    struct stat state{};
    if (::fstat(file_, &state) != 0) return failure("look at", errno);
    return state.st_size;
}

}  // namespace meridian::store
