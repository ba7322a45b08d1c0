// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/value.hpp"

#include <new>
#include <variant>

#include "fhir/path/temporal.hpp"

namespace meridian::fhir::path {

struct Item::Computed {
    std::variant<Decimal, std::string, PartialDate, Quantity, TypeInfo> value;
};

namespace {

constexpr std::string_view ucum_system = "http://unitsofmeasure.org";

bool is_quantity_type(const Type* type) {
    for (; type != nullptr; type = type->base) {
        if (type->name == "Quantity") return true;
    }
    return false;
}

/// The JSON kind decides when the definitions do not know an element.
Kind kind_of_untyped(const Json* node) {
    if (node == nullptr) return Kind::none;
    switch (node->kind()) {
        case Json::Kind::boolean:
            return Kind::boolean;
        case Json::Kind::string:
            return Kind::string;
        case Json::Kind::number:
            return node->text().find_first_of(".eE") == std::string_view::npos ? Kind::integer
                                                                               : Kind::decimal;
        default:
            return Kind::none;
    }
}

std::string_view system_name(Kind kind) {
    switch (kind) {
        case Kind::boolean:
            return "Boolean";
        case Kind::integer:
            return "Integer";
        case Kind::decimal:
            return "Decimal";
        case Kind::string:
            return "String";
        case Kind::date:
            return "Date";
        case Kind::date_time:
            return "DateTime";
        case Kind::time:
            return "Time";
        case Kind::quantity:
            return "Quantity";
        case Kind::type_info:
            return "TypeInfo";
        case Kind::none:
            break;
    }
    return "Any";
}

std::string_view untyped_name(const Json* node) {
    switch (kind_of_untyped(node)) {
        case Kind::boolean:
            return "boolean";
        case Kind::integer:
            return "integer";
        case Kind::decimal:
            return "decimal";
        case Kind::string:
            return "string";
        default:
            break;
    }
    std::string_view resource_type =
        node != nullptr ? node->string_at("resourceType") : std::string_view();
    return resource_type.empty() ? "Element" : resource_type;
}

std::string quantity_text(const Quantity& quantity) {
    std::string text = quantity.value.to_text();
    if (!quantity.calendar) return text + " '" + quantity.unit + "'";
    return text + " " + quantity.unit + (quantity.plural ? "s" : "");
}

}  // namespace

Kind system_kind(const Type* type) {
    if (type == nullptr || !type->is_primitive()) return Kind::none;
    std::string_view name = type->name;
    if (name == "boolean") return Kind::boolean;
    if (name == "integer" || name == "positiveInt" || name == "unsignedInt") return Kind::integer;
    if (name == "decimal") return Kind::decimal;
    if (name == "date") return Kind::date;
    if (name == "dateTime" || name == "instant") return Kind::date_time;
    if (name == "time") return Kind::time;
    return Kind::string;
}

Item Item::element(const Json* node, const Json* companion, const Type* type) {
    Item item;
    item.node_ = node;
    item.companion_ = companion;
    item.type_ = type;
    item.is_node_ = true;
    return item;
}

Item Item::resource(const Json& node) {
    return element(&node, nullptr, definitions().find(node.string_at("resourceType")));
}

Item Item::boolean(bool value) {
    Item item;
    item.scalar_ = value ? 1 : 0;
    item.kind_ = Kind::boolean;
    return item;
}

Item Item::integer(std::int64_t value) {
    Item item;
    item.scalar_ = value;
    item.kind_ = Kind::integer;
    return item;
}

Item Item::decimal(const Decimal& value) {
    Item item;
    item.computed_ = std::make_shared<const Computed>(Computed{value});
    item.kind_ = Kind::decimal;
    return item;
}

Item Item::string(std::string value) {
    Item item;
    item.computed_ = std::make_shared<const Computed>(Computed{std::move(value)});
    item.kind_ = Kind::string;
    return item;
}

Item Item::temporal(Kind kind, const PartialDate& value) {
    Item item;
    item.computed_ = std::make_shared<const Computed>(Computed{value});
    item.kind_ = kind;
    return item;
}

Item Item::quantity(Quantity value) {
    Item item;
    item.computed_ = std::make_shared<const Computed>(Computed{std::move(value)});
    item.kind_ = Kind::quantity;
    return item;
}

Item Item::type_info(TypeInfo value) {
    Item item;
    item.computed_ = std::make_shared<const Computed>(Computed{std::move(value)});
    item.kind_ = Kind::type_info;
    return item;
}

std::string_view Item::type_name() const {
    if (!is_node_) return system_name(kind_);
    return type_ != nullptr ? type_->name : untyped_name(node_);
}

Kind Item::kind() const {
    if (!is_node_) return kind_;
    return type_ != nullptr ? system_kind(type_) : kind_of_untyped(node_);
}

std::optional<bool> Item::boolean() const {
    if (kind() != Kind::boolean) return std::nullopt;
    if (!is_node_) return scalar_ != 0;
    if (node_ == nullptr || !node_->is_boolean()) return std::nullopt;
    return node_->boolean();
}

std::optional<std::int64_t> Item::integer() const {
    if (kind() != Kind::integer) return std::nullopt;
    if (!is_node_) return scalar_;
    if (node_ == nullptr || !node_->is_number()) return std::nullopt;
    auto number = Decimal::parse(node_->text());
    if (!number) return std::nullopt;
    auto value = number->to_integer();
    return value ? std::optional(*value) : std::nullopt;
}

std::optional<Decimal> Item::decimal() const {
    Kind own = kind();
    if (own != Kind::decimal && own != Kind::integer) return std::nullopt;
    if (!is_node_)
        return own == Kind::integer ? Decimal(scalar_) : std::get<Decimal>(computed_->value);
    if (node_ == nullptr || !node_->is_number()) return std::nullopt;
    auto number = Decimal::parse(node_->text());
    return number ? std::optional(*number) : std::nullopt;
}

std::optional<std::string_view> Item::string() const {
    if (kind() != Kind::string) return std::nullopt;
    if (!is_node_) return std::string_view(std::get<std::string>(computed_->value));
    if (node_ == nullptr || !node_->is_string()) return std::nullopt;
    return node_->text();
}

std::optional<PartialDate> Item::date() const {
    Kind own = kind();
    if (own != Kind::date && own != Kind::date_time) return std::nullopt;
    if (!is_node_) return std::get<PartialDate>(computed_->value);
    if (node_ == nullptr || !node_->is_string()) return std::nullopt;
    return temporal::parse(own, node_->text());
}

std::optional<PartialDate> Item::time() const {
    if (kind() != Kind::time) return std::nullopt;
    if (!is_node_) return std::get<PartialDate>(computed_->value);
    if (node_ == nullptr || !node_->is_string()) return std::nullopt;
    return temporal::parse(Kind::time, node_->text());
}

std::optional<Quantity> Item::quantity() const {
    if (!is_node_) {
        if (kind_ != Kind::quantity) return std::nullopt;
        return std::get<Quantity>(computed_->value);
    }
    if (node_ == nullptr || !node_->is_object() || !is_quantity_type(type_)) return std::nullopt;
    const Json* value = node_->find("value");
    if (value == nullptr || !value->is_number() || node_->find("comparator") != nullptr)
        return std::nullopt;
    auto number = Decimal::parse(value->text());
    if (!number) return std::nullopt;
    Quantity quantity{*number};
    quantity.from_element = true;
    std::string_view code = node_->string_at("code");
    std::string_view system = node_->string_at("system");
    if (!code.empty() && (system.empty() || system == ucum_system)) {
        quantity.unit = code;
    } else if (code.empty()) {
        quantity.unit = node_->string_at("unit", "1");
    } else {
        return std::nullopt;  // a code of another system is no UCUM unit
    }
    return quantity;
}

const TypeInfo* Item::type_info() const {
    return !is_node_ && kind_ == Kind::type_info ? &std::get<TypeInfo>(computed_->value) : nullptr;
}

Json Item::to_json(JsonDocument& document) const {
    if (is_node_) return node_ != nullptr ? document.copy(*node_) : document.null();
    switch (kind_) {
        case Kind::boolean:
            return document.boolean(scalar_ != 0);
        case Kind::integer:
            return document.number(scalar_);
        case Kind::decimal:
            return document.number(std::get<Decimal>(computed_->value).to_text());
        case Kind::quantity: {
            const auto& quantity = std::get<Quantity>(computed_->value);
            Json object = document.object();
            document.set(object, "value", document.number(quantity.value.to_text()));
            document.set(object, "unit", document.string(quantity.unit));
            if (!quantity.calendar) {
                document.set(object, "system", document.string(ucum_system));
                document.set(object, "code", document.string(quantity.unit));
            }
            return object;
        }
        case Kind::type_info: {
            const auto& info = std::get<TypeInfo>(computed_->value);
            Json object = document.object();
            document.set(object, "namespace", document.string(info.space));
            document.set(object, "name", document.string(info.name));
            return object;
        }
        default:
            return document.string(to_text().value_or(""));
    }
}

std::optional<std::string> Item::to_text() const {
    if (is_node_) {
        if (auto own = quantity()) return quantity_text(*own);
        if (kind() == Kind::none || node_ == nullptr) return std::nullopt;
        if (node_->is_boolean()) return node_->boolean() ? "true" : "false";
        if (node_->is_string() || node_->is_number()) return std::string(node_->text());
        return std::nullopt;
    }
    switch (kind_) {
        case Kind::boolean:
            return scalar_ != 0 ? "true" : "false";
        case Kind::integer:
            return std::to_string(scalar_);
        case Kind::decimal:
            return std::get<Decimal>(computed_->value).to_text();
        case Kind::string:
            return std::get<std::string>(computed_->value);
        case Kind::date:
        case Kind::date_time:
        case Kind::time:
            return temporal::to_text(kind_, std::get<PartialDate>(computed_->value));
        case Kind::quantity:
            return quantity_text(std::get<Quantity>(computed_->value));
        case Kind::type_info: {
            const auto& info = std::get<TypeInfo>(computed_->value);
            return info.space + "." + info.name;
        }
        case Kind::none:
            break;
    }
    return std::nullopt;
}

// --- Collection ---

Collection::Collection(std::initializer_list<Item> items) {
    reserve(items.size());
    for (const Item& item : items) push_back(item);
}

Collection::Collection(const Collection& other) {
    append(other);
}

Collection::Collection(Collection&& other) noexcept {
    take(other);
}

Collection& Collection::operator=(const Collection& other) {
    if (this != &other) {
        clear();
        append(other);
    }
    return *this;
}

Collection& Collection::operator=(Collection&& other) noexcept {
    if (this != &other) {
        clear();
        if (items_ != inline_items()) {
            ::operator delete(items_);
            items_ = inline_items();
            capacity_ = inline_capacity;
        }
        take(other);
    }
    return *this;
}

Collection::~Collection() {
    clear();
    if (items_ != inline_items()) ::operator delete(items_);
}

/// Empties `other` into this empty collection that owns no heap memory.
void Collection::take(Collection& other) noexcept {
    if (other.items_ != other.inline_items()) {
        items_ = other.items_;
        size_ = other.size_;
        capacity_ = other.capacity_;
        other.items_ = other.inline_items();
        other.size_ = 0;
        other.capacity_ = inline_capacity;
        return;
    }
    for (std::size_t i = 0; i < other.size_; ++i) new (items_ + i) Item(std::move(other.items_[i]));
    size_ = other.size_;
    other.clear();
}

void Collection::push_back(Item item) {
    if (size_ == capacity_) reserve(capacity_ * 2);
    new (items_ + size_) Item(std::move(item));
    ++size_;
}

void Collection::append(const Collection& other) {
    if (size_ + other.size_ > capacity_) reserve(std::max(size_ + other.size_, capacity_ * 2));
    for (const Item& item : other) push_back(item);
}

void Collection::clear() {
    for (std::size_t i = 0; i < size_; ++i) items_[i].~Item();
    size_ = 0;
}

void Collection::reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    auto* grown = static_cast<Item*>(::operator new(capacity * sizeof(Item)));
    for (std::size_t i = 0; i < size_; ++i) {
        new (grown + i) Item(std::move(items_[i]));
        items_[i].~Item();
    }
    if (items_ != inline_items()) ::operator delete(items_);
    items_ = grown;
    capacity_ = capacity;
}

}  // namespace meridian::fhir::path
