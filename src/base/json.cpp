// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/json_arena.hpp"

namespace meridian {

namespace {

constexpr Json null_node{};

/// Objects with more members than this are compared through a sorted index instead of pair by pair.
constexpr std::size_t linear_members_max = 64;

bool equal_members(std::span<const JsonMember> left, std::span<const JsonMember> right);

}  // namespace

std::span<const JsonMember> Json::members() const {
    return kind_ == Kind::object ? std::span<const JsonMember>(members_, size_)
                                 : std::span<const JsonMember>();
}

std::span<JsonMember> Json::mutable_members() {
    return kind_ == Kind::object ? std::span<JsonMember>(members_, size_) : std::span<JsonMember>();
}

const Json* Json::find(std::string_view key) const {
    if (kind_ != Kind::object) return nullptr;
    const JsonMember* const end = members_ + size_;
    for (const JsonMember* member = members_; member != end; ++member) {
        if (member->key.size() == key.size() &&
            std::memcmp(member->key.data(), key.data(), key.size()) == 0) {
            return &member->value;
        }
    }
    return nullptr;
}

Json* Json::find_mutable(std::string_view key) {
    return const_cast<Json*>(find(key));
}

std::string_view Json::string_at(std::string_view key, std::string_view otherwise) const {
    const Json* value = find(key);
    return value != nullptr && value->is_string() ? value->text() : otherwise;
}

const Json& Json::operator[](std::string_view key) const {
    const Json* value = find(key);
    return value != nullptr ? *value : null_node;
}

bool equal(const Json& left, const Json& right) {
    if (left.kind() != right.kind()) return false;
    switch (left.kind()) {
        case Json::Kind::null:
            return true;
        case Json::Kind::boolean:
            return left.boolean() == right.boolean();
        case Json::Kind::number:
        case Json::Kind::string:
            return left.text() == right.text();
        case Json::Kind::array:
            return std::ranges::equal(left.items(), right.items(), equal);
        case Json::Kind::object:
            return equal_members(left.members(), right.members());
    }
    return false;
}

namespace {

std::vector<const JsonMember*> sorted_by_key(std::span<const JsonMember> members) {
    std::vector<const JsonMember*> sorted;
    sorted.reserve(members.size());
    for (const JsonMember& member : members) sorted.push_back(&member);
    std::ranges::sort(sorted, {}, [](const JsonMember* member) { return member->key; });
    return sorted;
}

bool equal_members(std::span<const JsonMember> left, std::span<const JsonMember> right) {
    if (left.size() != right.size()) return false;
    if (left.size() > linear_members_max) {
        return std::ranges::equal(sorted_by_key(left), sorted_by_key(right),
                                  [](const JsonMember* a, const JsonMember* b) {
                                      return a->key == b->key && equal(a->value, b->value);
                                  });
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
        // Most often both stand in the same order.
        const JsonMember* match = left[i].key == right[i].key ? &right[i] : nullptr;
        for (std::size_t j = 0; match == nullptr && j < right.size(); ++j) {
            if (right[j].key == left[i].key) match = &right[j];
        }
        if (match == nullptr || !equal(left[i].value, match->value)) return false;
    }
    return true;
}

}  // namespace

JsonDocument::JsonDocument() : arena_(std::make_unique<Arena>()) {}
JsonDocument::JsonDocument(JsonDocument&& other) noexcept
    : arena_(std::move(other.arena_)), root_(other.root_) {
    other.root_ = Json();
}
JsonDocument& JsonDocument::operator=(JsonDocument&& other) noexcept {
    arena_ = std::move(other.arena_);
    root_ = std::exchange(other.root_, Json());
    return *this;
}
JsonDocument::~JsonDocument() = default;

std::size_t JsonDocument::memory_bytes() const {
    return sizeof(*this) + (arena_ != nullptr ? sizeof(Arena) + arena_->held() : 0);
}

Json JsonDocument::string(std::string_view value) {
    return string_view({arena_->copy(value), value.size()});
}

Json JsonDocument::string_view(std::string_view value) {
    Json node;
    node.kind_ = Json::Kind::string;
    node.size_ = static_cast<std::uint32_t>(value.size());
    node.text_ = value.data();
    return node;
}

Json JsonDocument::number(std::string_view digits) {
    Json node = string(digits);
    node.kind_ = Json::Kind::number;
    return node;
}

Json JsonDocument::number(std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
    return number(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

Json JsonDocument::boolean(bool value) {
    Json node;
    node.kind_ = Json::Kind::boolean;
    node.flag_ = value;
    return node;
}

Json JsonDocument::null() {
    return {};
}

Json JsonDocument::object() {
    Json node;
    node.kind_ = Json::Kind::object;
    node.members_ = nullptr;
    return node;
}

Json JsonDocument::array() {
    Json node;
    node.kind_ = Json::Kind::array;
    node.items_ = nullptr;
    return node;
}

Json JsonDocument::copy(const Json& other) {
    Json node = other;
    node.capacity_power_ = 0;
    switch (other.kind_) {
        case Json::Kind::null:
        case Json::Kind::boolean:
            break;
        case Json::Kind::number:
        case Json::Kind::string:
            node.text_ = arena_->copy(other.text());
            break;
        case Json::Kind::array:
            node.items_ = arena_->nodes<Json>(other.size_);
            for (std::uint32_t i = 0; i < other.size_; ++i)
                new (&node.items_[i]) Json(copy(other.items_[i]));
            break;
        case Json::Kind::object:
            node.members_ = arena_->nodes<JsonMember>(other.size_);
            for (std::uint32_t i = 0; i < other.size_; ++i) {
                const JsonMember& member = other.members_[i];
                new (&node.members_[i])
                    JsonMember{{arena_->copy(member.key), member.key.size()}, copy(member.value)};
            }
            break;
    }
    return node;
}

namespace {

/// Moves the `size` children of a container to a place with room for one more when it is full.
template <class Node, class Arena>
Node* with_room_for_one_more(Arena& arena, Node* nodes, std::uint32_t size,
                             std::uint8_t& capacity_power) {
    constexpr std::uint8_t first_power = 2;
    if (capacity_power != 0 && size < (std::uint64_t{1} << capacity_power)) return nodes;
    capacity_power =
        std::max<std::uint8_t>(first_power, static_cast<std::uint8_t>(std::bit_width(size)));
    Node* wider = arena.template nodes<Node>(std::size_t{1} << capacity_power);
    if (size != 0) std::memcpy(static_cast<void*>(wider), nodes, size * sizeof(Node));
    return wider;
}

}  // namespace

Json& JsonDocument::set(Json& object, std::string_view key, Json value) {
    if (Json* present = object.find_mutable(key)) return *present = value;
    object.members_ =
        with_room_for_one_more(*arena_, object.members_, object.size_, object.capacity_power_);
    JsonMember* place = object.members_ + object.size_++;
    new (place) JsonMember{{arena_->copy(key), key.size()}, value};
    return place->value;
}

Json& JsonDocument::set_first(Json& object, std::string_view key, Json value) {
    if (Json* present = object.find_mutable(key)) return *present = value;
    set(object, key, value);
    std::rotate(object.members_, object.members_ + object.size_ - 1,
                object.members_ + object.size_);
    return object.members_[0].value;
}

bool JsonDocument::remove(Json& object, std::string_view key) {
    Json* present = object.find_mutable(key);
    if (present == nullptr) return false;
    JsonMember* const end = object.members_ + object.size_;
    JsonMember* const place = std::find_if(
        object.members_, end, [&](const JsonMember& member) { return &member.value == present; });
    std::copy(place + 1, end, place);
    --object.size_;
    return true;
}

Json& JsonDocument::append(Json& array, Json value) {
    return insert(array, array.size_, value);
}

Json& JsonDocument::insert(Json& array, std::size_t index, Json value) {
    array.items_ =
        with_room_for_one_more(*arena_, array.items_, array.size_, array.capacity_power_);
    Json* const end = array.items_ + array.size_++;
    new (end) Json(value);
    std::rotate(array.items_ + index, end, end + 1);
    return array.items_[index];
}

void JsonDocument::erase(Json& array, std::size_t index) {
    std::copy(array.items_ + index + 1, array.items_ + array.size_, array.items_ + index);
    --array.size_;
}

}  // namespace meridian
