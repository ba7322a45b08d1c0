// SPDX-License-Identifier: Apache-2.0
#include "fhir/patch/json_patch.hpp"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "fhir/path/compare.hpp"

namespace meridian::fhir::patch {
namespace {

/// A JSON Pointer (RFC 6901) as its unescaped steps.
using Pointer = std::vector<std::string>;

bool is_deeper_than(const Json& node, unsigned levels) {
    if (node.is_array()) {
        if (levels == 0) return true;
        for (const Json& item : node.items()) {
            if (is_deeper_than(item, levels - 1)) return true;
        }
    } else if (node.is_object()) {
        if (levels == 0) return true;
        for (const JsonMember& member : node.members()) {
            if (is_deeper_than(member.value, levels - 1)) return true;
        }
    }
    return false;
}

/// One operation with what its errors need to say.
class Operation {
 public:
    Operation(JsonDocument& target, const Json& json, std::size_t index)
        : target_(target),
          json_(json),
          index_(index),
          verb_(json.string_at("op")),
          path_(json.string_at("path")) {}

    Result<void> run() {
        if (!json_.is_object()) return malformed("it is no object");
        const Json* path = json_.find("path");
        if (path == nullptr || !path->is_string()) return malformed("\"path\" is missing");
        Pointer pointer = TRY(parse(path_));
        if (verb_ == "remove") return remove(pointer);
        if (verb_ == "move" || verb_ == "copy") return move_or_copy(pointer);
        const Json* value = json_.find("value");
        if (verb_ != "add" && verb_ != "replace" && verb_ != "test") {
            return malformed(fmt::format(
                "\"{}\" is no operation (expected add, remove, replace, move, copy or test)",
                verb_));
        }
        if (value == nullptr) return malformed("\"value\" is missing");
        if (verb_ == "add") return add(pointer, target_.copy(*value));
        if (verb_ == "replace") return replace(pointer, *value);
        const Json* node = find(pointer);
        if (node == nullptr) return refused("there is nothing at this path");
        if (!path::same_json(*node, *value))
            return refused("the test failed: the value is another");
        return {};
    }

 private:
    std::string place() const { return fmt::format("operation {}", index_); }
    std::unexpected<Error> malformed(std::string_view why) const {
        return fail(Category::incorrect, fmt::format("JSON Patch operation {}: {}", index_, why),
                    place());
    }
    std::unexpected<Error> refused(std::string_view why) const {
        return fail(Category::unprocessable,
                    fmt::format("JSON Patch operation {} ({} {}): {}", index_, verb_, path_, why),
                    place());
    }

    /// RFC 6901 §3 and §4: "/" separates, "~1" is "/", "~0" is "~".
    Result<Pointer> parse(std::string_view text) const {
        Pointer pointer;
        if (text.empty()) return pointer;
        if (text[0] != '/')
            return malformed(fmt::format("\"{}\" is no JSON Pointer (it must start with /)", text));
        for (std::size_t start = 1; start <= text.size();) {
            auto end = std::min(text.find('/', start), text.size());
            std::string step;
            for (std::size_t i = start; i < end; ++i) {
                if (text[i] != '~') {
                    step += text[i];
                    continue;
                }
                char next = i + 1 < end ? text[i + 1] : '\0';
                if (next != '0' && next != '1')
                    return malformed("\"~\" in a JSON Pointer must be ~0 or ~1");
                step += next == '0' ? '~' : '/';
                ++i;
            }
            pointer.push_back(std::move(step));
            if (pointer.size() > limits::json_depth_max)
                return fail(Category::too_large, "a JSON Pointer is too deep", place());
            start = end + 1;
        }
        return pointer;
    }

    /// "0" or digits without a leading zero, below `bound`.
    static std::optional<std::size_t> index_of(std::string_view step, std::size_t bound) {
        if (step.empty() || (step.size() > 1 && step[0] == '0')) return std::nullopt;
        std::size_t index = 0;
        auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
        if (error != std::errc() || end != step.data() + step.size() || index >= bound)
            return std::nullopt;
        return index;
    }

    static Json* child(Json& node, const std::string& step) {
        if (node.is_object()) return node.find_mutable(step);
        auto items = node.mutable_items();
        auto index = index_of(step, items.size());
        return index ? &items[*index] : nullptr;
    }

    Json* find(const Pointer& pointer, std::size_t steps) const {
        Json* node = &target_.root();
        for (std::size_t i = 0; i < steps && node != nullptr; ++i) node = child(*node, pointer[i]);
        return node;
    }
    Json* find(const Pointer& pointer) const { return find(pointer, pointer.size()); }

    Result<void> check_depth(const Pointer& pointer, const Json& value) const {
        if (!is_deeper_than(value, limits::json_depth_max - static_cast<unsigned>(pointer.size())))
            return {};
        return fail(
            Category::too_large,
            fmt::format("the patched document is nested more than {} deep", limits::json_depth_max),
            place());
    }

    Result<void> add(const Pointer& pointer, Json value) {
        TRY(check_depth(pointer, value));
        if (pointer.empty()) {
            target_.set_root(value);
            return {};
        }
        Json* parent = find(pointer, pointer.size() - 1);
        if (parent == nullptr) return refused("the parent of this path does not exist");
        const std::string& step = pointer.back();
        if (parent->is_object()) {
            target_.set(*parent, step, value);
            return {};
        }
        if (!parent->is_array())
            return refused("the parent of this path is neither an object nor an array");
        if (step == "-") {
            target_.append(*parent, value);
            return {};
        }
        auto index = index_of(step, parent->size() + 1);
        if (!index)
            return refused(
                fmt::format("\"{}\" is no index of an array of {} items", step, parent->size()));
        target_.insert(*parent, *index, value);
        return {};
    }

    Result<void> replace(const Pointer& pointer, const Json& value) {
        Json* node = find(pointer);
        if (node == nullptr) return refused("there is nothing at this path");
        TRY(check_depth(pointer, value));
        *node = target_.copy(value);
        return {};
    }

    Result<void> remove(const Pointer& pointer) {
        if (pointer.empty()) return refused("the whole document cannot be removed");
        if (find(pointer) == nullptr) return refused("there is nothing at this path");
        Json* parent = find(pointer, pointer.size() - 1);
        if (parent->is_object()) {
            target_.remove(*parent, pointer.back());
        } else {
            target_.erase(*parent, *index_of(pointer.back(), parent->size()));
        }
        return {};
    }

    Result<void> move_or_copy(const Pointer& pointer) {
        const Json* from = json_.find("from");
        if (from == nullptr || !from->is_string()) return malformed("\"from\" is missing");
        Pointer source = TRY(parse(from->text()));
        const Json* node = find(source);
        if (node == nullptr)
            return refused(fmt::format("there is nothing at \"{}\"", from->text()));
        if (verb_ == "copy") return add(pointer, target_.copy(*node));
        if (source == pointer) return {};
        // RFC 6902 §4.4: nothing can be moved into one of its children.
        if (source.size() < pointer.size() &&
            std::equal(source.begin(), source.end(), pointer.begin())) {
            return refused("a value cannot be moved into itself");
        }
        Json value = *node;  // a handle; its content stays where it is
        TRY(remove(source));
        return add(pointer, value);
    }

    JsonDocument& target_;
    const Json& json_;
    std::size_t index_;
    std::string_view verb_;
    std::string_view path_;
};

}  // namespace

Result<void> apply_json_patch(JsonDocument& target, const Json& patch) {
    if (!patch.is_array())
        return fail(Category::incorrect, "a JSON Patch is an array of operations");
    if (patch.size() > limits::patch_operations_max) {
        return fail(Category::too_large, fmt::format("a patch may have at most {} operations",
                                                     limits::patch_operations_max));
    }
    std::size_t index = 0;
    for (const Json& operation : patch.items()) {
        TRY(Operation(target, operation, index++).run());
        // Copies of copies grow without end.
        if (target.memory_bytes() > limits::json_bytes_max)
            return fail(Category::too_large, "the patched document is too large");
    }
    return {};
}

}  // namespace meridian::fhir::patch
