// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

/// Faults of the disk, made on purpose: the store's files go through a layer that asks this class
/// before each operation. Only tests use it.
namespace meridian::store {

enum class FileOperation : unsigned char { write, sync, truncate };

struct FileEvent {
    FileOperation operation;
    std::string_view path;
    std::int64_t offset = 0;
    std::size_t bytes = 0;
};

enum class Fault : unsigned char {
    none,
    fail,  ///< an I/O error; nothing was done
    full,  ///< no space left on the device; nothing was done
    torn,  ///< the first half was written, then an I/O error
};

class FileFaults {
 public:
    virtual ~FileFaults() = default;
    /// Called before each operation, from any thread.
    virtual Fault before(const FileEvent& event) = 0;
    /// True when writes since the last sync of a file shall be remembered, so that crash() can undo
    /// some.
    virtual bool remembers_writes() const { return false; }
};

/// A disk that loses power: writes that were not synced survive or not as a random generator
/// decides, each on its own, so later ones may survive earlier ones; the last may be torn.
class LosingDisk final : public FileFaults {
 public:
    LosingDisk();
    ~LosingDisk() override;
    Fault before(const FileEvent& event) override;
    bool remembers_writes() const override { return true; }
    /// From now on every operation fails, as if the machine were gone. Close the store next.
    void lose_power();
    /// After the store was closed: brings its files into a state that such a crash may leave.
    void settle(std::uint64_t seed);

    struct Memory;
    Memory& memory() { return *memory_; }

 private:
    std::unique_ptr<Memory> memory_;
};

}  // namespace meridian::store
