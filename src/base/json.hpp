// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace meridian {

struct JsonMember;

/// One node of a JSON document: 16 bytes, trivially copyable. Strings, numbers and children lie in
/// the memory of the JsonDocument that made it (or that it was deep-copied into) and live as long
/// as that document.
///
/// Numbers keep the text they were written with ("1.50" stays "1.50"), members keep their order.
class Json {
 public:
    enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

    constexpr Json() = default;

    Kind kind() const { return kind_; }
    bool is_null() const { return kind_ == Kind::null; }
    bool is_boolean() const { return kind_ == Kind::boolean; }
    bool is_number() const { return kind_ == Kind::number; }
    bool is_string() const { return kind_ == Kind::string; }
    bool is_array() const { return kind_ == Kind::array; }
    bool is_object() const { return kind_ == Kind::object; }

    /// The boolean's value; false for every other kind.
    bool boolean() const { return kind_ == Kind::boolean && flag_; }
    /// A string's characters (UTF-8, unescaped) or a number's digits as written; empty for every
    /// other kind.
    std::string_view text() const {
        return kind_ == Kind::string || kind_ == Kind::number ? std::string_view(text_, size_)
                                                              : std::string_view();
    }
    /// An array's items; empty for every other kind.
    std::span<const Json> items() const {
        return kind_ == Kind::array ? std::span<const Json>(items_, size_)
                                    : std::span<const Json>();
    }
    /// An object's members in written order; empty for every other kind.
    std::span<const JsonMember> members() const;
    /// Number of items or members; 0 for scalars.
    std::size_t size() const { return kind_ == Kind::array || kind_ == Kind::object ? size_ : 0; }

    /// The member called `key`, or nullptr when this is no object or has none.
    const Json* find(std::string_view key) const;
    /// The string member called `key`, or `otherwise`.
    std::string_view string_at(std::string_view key, std::string_view otherwise = {}) const;
    /// The member called `key`, or a null node.
    const Json& operator[](std::string_view key) const;

    /// Mutable access for JsonDocument's editing functions. Callers own the document.
    std::span<Json> mutable_items() {
        return kind_ == Kind::array ? std::span<Json>(items_, size_) : std::span<Json>();
    }
    std::span<JsonMember> mutable_members();
    Json* find_mutable(std::string_view key);

 private:
    friend class JsonDocument;
    friend struct JsonBuilder;
    Kind kind_ = Kind::null;
    bool flag_ = false;
    std::uint8_t capacity_power_ =
        0;  ///< an edited container has room for 2^capacity_power_ nodes; 0: for exactly size_
    std::uint32_t size_ = 0;
    union {
        const char* text_ = nullptr;
        Json* items_;
        JsonMember* members_;
    };
};
static_assert(sizeof(Json) == 16);

struct JsonMember {
    std::string_view key;
    Json value;
};

/// Same content: members in any order, numbers compared by value with digits ignored beyond it (1.0
/// equals 1.00 is false: FHIR decimals differ by precision, so numbers are compared by their text).
bool equal(const Json& left, const Json& right);

/// Owns the memory of a JSON tree: an arena that only grows. Movable; not safe to edit from two
/// threads, safe to read from many.
class JsonDocument {
 public:
    JsonDocument();
    JsonDocument(JsonDocument&&) noexcept;
    JsonDocument& operator=(JsonDocument&&) noexcept;
    ~JsonDocument();

    /// Parses one JSON text (RFC 8259).
    ///
    /// Errors: `incorrect` with the place for invalid syntax, invalid UTF-8, a key that stands
    /// twice in one object, trailing characters, nesting deeper than limits::json_depth_max, a
    /// number longer than limits::number_length_max; `too_large` beyond limits::json_bytes_max.
    /// Blocking: never.
    static Result<JsonDocument> parse(std::string_view text);

    const Json& root() const { return root_; }
    Json& root() { return root_; }
    void set_root(Json root) { root_ = root; }

    // --- making nodes; all memory is this document's ---
    Json string(std::string_view value);       ///< copies `value`
    Json string_view(std::string_view value);  ///< keeps a view: `value` must outlive the document
    Json number(std::string_view digits);      ///< copies; `digits` must satisfy is_json_number
    Json number(std::int64_t value);
    Json boolean(bool value);
    Json null();
    Json object();
    Json array();
    /// A deep copy of a node of another document into this one.
    Json copy(const Json& other);

    // --- editing; `object` and `array` must be nodes of this document, and references into them
    // end with the next edit. A node is a handle: copies of one container share its children, so
    // edit through the one in the tree only. ---
    /// Sets or replaces a member; a new one goes to the end. `key` is copied. Returns the place of
    /// the value.
    Json& set(Json& object, std::string_view key, Json value);
    /// Like set, but a new member goes to the front.
    Json& set_first(Json& object, std::string_view key, Json value);
    /// Removes a member; false when there was none.
    bool remove(Json& object, std::string_view key);
    Json& append(Json& array, Json value);
    Json& insert(Json& array, std::size_t index, Json value);  ///< index ≤ size
    void erase(Json& array, std::size_t index);                ///< index < size

    /// Bytes held by this document's memory.
    std::size_t memory_bytes() const;

 private:
    friend struct JsonBuilder;
    struct Arena;
    std::unique_ptr<Arena> arena_;
    Json root_;
};

/// True when `text` is a number by the grammar of RFC 8259 §6, whatever its magnitude or length.
bool is_json_number(std::string_view text);

/// Appends `value` as JSON text: no white space, or two-space indentation when `pretty`.
void write(const Json& value, std::string& out, bool pretty = false);
std::string to_text(const Json& value, bool pretty = false);
/// Appends `value` as a quoted, escaped JSON string. `value` must be UTF-8.
void write_string(std::string_view value, std::string& out);

}  // namespace meridian
