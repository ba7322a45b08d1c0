// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/decimal.hpp"
#include "base/instant.hpp"
#include "base/json.hpp"
#include "fhir/definitions/definitions.hpp"

namespace meridian::fhir::path {

/// The System types of FHIRPath (N1 §Literals), and `none` for what has no single value (a
/// HumanName, a resource).
enum class Kind : unsigned char {
    none,
    boolean,
    integer,
    decimal,
    string,
    date,
    date_time,
    time,
    quantity,
    type_info
};

/// A System.Quantity. `unit` is a UCUM code ("mg"), or a calendar word in the singular ("year")
/// when `calendar`.
struct Quantity {
    Decimal value;
    std::string unit{"1"};
    bool calendar = false;
    /// True when the calendar word was written in the plural: "4 days".
    bool plural = false;
    /// True when it came from a FHIR Quantity element, whose codes 'a' and 'mo' stand for calendar
    /// years and months too (FHIR R4 §FHIRPath "Using FHIR Quantity").
    bool from_element = false;
};

/// What type() answers: System.Boolean, FHIR.Patient.
struct TypeInfo {
    std::string space;
    std::string name;
};

/// One item of a collection: an element of a resource (a node with its FHIR type), or a value that
/// an expression computed. Copying is cheap. A node points into the document it came from, which
/// must outlive the item; a computed value is shared.
struct Item {
 public:
    Item() = default;

    // --- making items ---
    /// An element: `node` its JSON value or null when only the companion is there, `companion` the
    /// "_name" twin of a primitive or null, `type` its FHIR type or null when the definitions do
    /// not know it.
    static Item element(const Json* node, const Json* companion, const Type* type);
    /// A whole resource; its type comes from "resourceType".
    static Item resource(const Json& node);
    static Item boolean(bool value);
    static Item integer(std::int64_t value);
    static Item decimal(const Decimal& value);
    static Item string(std::string value);
    /// `kind` is date, date_time or time; of a time only hour, minute, second and millisecond
    /// count.
    static Item temporal(Kind kind, const PartialDate& value);
    static Item quantity(Quantity value);
    static Item type_info(TypeInfo value);

    // --- what it is ---
    bool is_node() const { return is_node_; }
    /// The element's JSON value; null for a computed value and for a primitive that has only
    /// extensions.
    const Json* node() const { return is_node_ ? node_ : nullptr; }
    /// The "_name" twin of a primitive element, which carries its id and extensions; null when
    /// there is none.
    const Json* companion() const { return is_node_ ? companion_ : nullptr; }
    /// The FHIR type; null for computed values and unknown elements.
    const Type* type() const { return type_; }
    /// "Quantity", "string", "Patient.contact" for elements; "Boolean", "Integer", "DateTime" … for
    /// computed values.
    std::string_view type_name() const;
    /// "FHIR" or "System".
    std::string_view type_space() const { return is_node_ ? "FHIR" : "System"; }
    /// The System type that this is, or that this primitive element converts to implicitly; `none`
    /// for complex elements. A FHIR Quantity element is `none`: ask quantity().
    Kind kind() const;
    /// True for an element of a primitive type with a value, and for every computed value.
    bool has_value() const {
        return kind() != Kind::none && (!is_node_ || (node_ != nullptr && !node_->is_null()));
    }

    // --- its value; nothing when it is of another kind, has no value, or the element's text is
    // malformed ---
    std::optional<bool> boolean() const;
    std::optional<std::int64_t> integer() const;
    /// Of integers as well.
    std::optional<Decimal> decimal() const;
    /// A view into the document or into this item.
    std::optional<std::string_view> string() const;
    /// Of kind date and date_time.
    std::optional<PartialDate> date() const;
    /// Of kind time.
    std::optional<PartialDate> time() const;
    /// A System.Quantity, or a FHIR Quantity element (Age, Duration, … too) without comparator
    /// whose unit is UCUM or absent.
    std::optional<Quantity> quantity() const;
    const TypeInfo* type_info() const;

    /// The value as JSON in `document`: an element is copied as it is (a primitive's companion is
    /// dropped), a Boolean, Integer, Decimal and String become scalars, dates and times their text,
    /// a Quantity {"value", "unit", "system", "code"}.
    Json to_json(JsonDocument& document) const;
    /// What toString() gives: the text of a primitive or computed value ("1.50", "2015-02", "4
    /// days", "1 'mg'"); nothing for complex elements.
    std::optional<std::string> to_text() const;

 private:
    struct Computed;
    union {
        const Json* node_ = nullptr;
        std::int64_t scalar_;
    };
    const Json* companion_ = nullptr;
    const Type* type_ = nullptr;
    std::shared_ptr<const Computed> computed_{};
    Kind kind_ = Kind::none;
    bool is_node_ = false;
};

/// An ordered collection. Up to two items lie inside it, more on the heap.
class Collection {
 public:
    using value_type = Item;
    using iterator = Item*;
    using const_iterator = const Item*;

    Collection() = default;
    Collection(std::initializer_list<Item> items);
    explicit Collection(Item item) { push_back(std::move(item)); }
    Collection(const Collection& other);
    Collection(Collection&& other) noexcept;
    Collection& operator=(const Collection& other);
    Collection& operator=(Collection&& other) noexcept;
    ~Collection();

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    Item* data() { return items_; }
    const Item* data() const { return items_; }
    iterator begin() { return items_; }
    iterator end() { return items_ + size_; }
    const_iterator begin() const { return items_; }
    const_iterator end() const { return items_ + size_; }
    Item& operator[](std::size_t index) { return items_[index]; }
    const Item& operator[](std::size_t index) const { return items_[index]; }
    const Item& front() const { return items_[0]; }
    const Item& back() const { return items_[size_ - 1]; }

    void push_back(Item item);
    void append(const Collection& other);
    void clear();
    void reserve(std::size_t capacity);

 private:
    static constexpr std::size_t inline_capacity = 2;
    Item* inline_items() { return reinterpret_cast<Item*>(storage_); }
    void take(Collection& other) noexcept;

    Item* items_ = reinterpret_cast<Item*>(storage_);
    std::size_t size_ = 0;
    std::size_t capacity_ = inline_capacity;
    alignas(Item) std::byte storage_[inline_capacity * sizeof(Item)];
};

/// The System type that a FHIR primitive converts to (FHIR R4 §FHIRPath "Using FHIR types"): code →
/// string, instant → date_time; `none` for null and for types that are not primitive.
Kind system_kind(const Type* type);

}  // namespace meridian::fhir::path
