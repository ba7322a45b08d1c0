// SPDX-License-Identifier: Apache-2.0
#include "base/json_place.hpp"

#include <algorithm>
#include <vector>

#include "base/message.hpp"

namespace meridian {

namespace {

constexpr std::size_t shown_path_bytes_max = 240;

/// Follows a JSON text up to an offset and keeps the open containers.
class PathFinder {
 public:
    explicit PathFinder(std::string_view text) : text_(text) {}

    std::string path_at(std::size_t offset) {
        while (at_ < offset) step(offset);
        std::string path = shown_in_message(resource_type_);
        for (const Level& level : levels_) {
            if (!level.is_object) {
                path += '[' + std::to_string(level.index) + ']';
            } else if (!level.key.empty()) {
                if (!path.empty()) path += '.';
                path += shown_in_message(level.key);
            }
            if (path.size() > shown_path_bytes_max) {
                path.resize(shown_path_bytes_max);
                path += "…";
                return path;
            }
        }
        return path;
    }

 private:
    struct Level {
        bool is_object;
        bool key_expected = true;
        std::size_t index = 0;
        std::string_view key{};
    };

    void step(std::size_t offset) {
        const char c = text_[at_++];
        switch (c) {
            case '{':
            case '[':
                levels_.push_back({.is_object = c == '{'});
                break;
            case '}':
            case ']':
                if (!levels_.empty()) levels_.pop_back();
                break;
            case ',':
                if (levels_.empty()) break;
                ++levels_.back().index;
                levels_.back().key_expected = true;
                levels_.back().key = {};
                break;
            case '"':
                read_string(offset);
                break;
            default:
                break;
        }
    }

    void read_string(std::size_t offset) {
        const std::size_t start = at_;
        while (at_ < offset && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
        if (at_ >= offset) return;  // the place lies inside this string
        const std::string_view content = text_.substr(start, at_++ - start);
        if (levels_.empty()) return;
        Level& level = levels_.back();
        if (level.is_object && level.key_expected) {
            level.key = content;
            level.key_expected = false;
        } else if (levels_.size() == 1 && level.key == "resourceType") {
            resource_type_ = content;
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<Level> levels_;
    std::string_view resource_type_;
};

}  // namespace

JsonPlace place_in_json(std::string_view text, std::size_t offset) {
    offset = std::min(offset, text.size());
    const std::string_view before = text.substr(0, offset);
    const std::size_t line_start =
        before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return {.path = PathFinder(text).path_at(offset),
            .line = static_cast<std::size_t>(std::ranges::count(before, '\n')) + 1,
            .column = static_cast<std::size_t>(
                          std::ranges::count_if(before.substr(line_start), is_start)) +
                      1};
}

}  // namespace meridian
