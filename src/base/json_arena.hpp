// SPDX-License-Identifier: Apache-2.0
// Private to json*.cpp: the memory of a JsonDocument.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "base/json.hpp"

namespace meridian {

/// A bump allocator over a chain of blocks; nothing is freed before the whole document is.
struct JsonDocument::Arena {
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() {
        while (last_ != nullptr) {
            Block* previous = last_->previous;
            std::free(last_);
            last_ = previous;
        }
    }

    /// `bytes` of memory aligned to `alignment` (a power of two, at most 16).
    char* allocate(std::size_t bytes, std::size_t alignment) {
        auto place = (reinterpret_cast<std::uintptr_t>(cursor_) + alignment - 1) & ~(alignment - 1);
        if (cursor_ == nullptr || place + bytes > reinterpret_cast<std::uintptr_t>(end_)) {
            add_block(bytes + alignment);
            place = (reinterpret_cast<std::uintptr_t>(cursor_) + alignment - 1) & ~(alignment - 1);
        }
        cursor_ = reinterpret_cast<char*>(place + bytes);
        return reinterpret_cast<char*>(place);
    }

    template <class Node>
    Node* nodes(std::size_t count) {
        return reinterpret_cast<Node*>(allocate(count * sizeof(Node), alignof(Node)));
    }

    const char* copy(std::string_view text) {
        char* place = allocate(text.size(), 1);
        if (!text.empty()) std::memcpy(place, text.data(), text.size());
        return place;
    }

    /// Makes room for at least `bytes` in one block.
    void add_block(std::size_t bytes) {
        const std::size_t wished = held_ < block_bytes_max ? held_ : block_bytes_max;
        std::size_t size = bytes > wished ? bytes : wished;
        if (size < block_bytes_min) size = block_bytes_min;
        auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
        if (block == nullptr) throw std::bad_alloc();
        block->previous = last_;
        last_ = block;
        cursor_ = reinterpret_cast<char*>(block + 1);
        end_ = cursor_ + size;
        held_ += sizeof(Block) + size;
    }

    std::size_t held() const { return held_; }

 private:
    struct alignas(16) Block {
        Block* previous;
    };
    static constexpr std::size_t block_bytes_min = 1000;
    static constexpr std::size_t block_bytes_max = 1u << 20;

    Block* last_ = nullptr;
    char* cursor_ = nullptr;
    char* end_ = nullptr;
    std::size_t held_ = 0;
};

}  // namespace meridian
