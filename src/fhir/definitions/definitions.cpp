// SPDX-License-Identifier: Apache-2.0
#include "fhir/definitions/definitions.hpp"

#include <climits>
#include <stdexcept>

#include "fhir/definitions/embedded.hpp"

namespace meridian::fhir {

/// Names of a type's elements in a hash table with open addressing: JSON properties
/// ("valueQuantity") and, for a choice, also the element's own name ("value"), which stands without
/// a type.
struct Type::Lookup {
    struct Slot {
        std::string_view name;
        const Element* element = nullptr;
        const ElementType* type = nullptr;
    };
    std::vector<Slot> slots;  ///< a power of two, at most half full

    static std::size_t hash(std::string_view name) {
        std::uint64_t value = 0xcbf29ce484222325u;  // FNV-1a: names are short and come from the
                                                    // definitions, not from clients
        for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
        return static_cast<std::size_t>(value ^ (value >> 29));
    }

    void reserve(std::size_t names) {
        slots.resize(std::bit_ceil(std::max<std::size_t>(names * 2, 2)));
    }

    void insert(std::string_view key, const Element* element, const ElementType* type) {
        std::size_t at = hash(key) & (slots.size() - 1);
        while (slots[at].element != nullptr) at = (at + 1) & (slots.size() - 1);
        slots[at] = {key, element, type};
    }

    const Slot* find(std::string_view key) const {
        for (std::size_t at = hash(key) & (slots.size() - 1); slots[at].element != nullptr;
             at = (at + 1) & (slots.size() - 1)) {
            if (slots[at].name == key) return &slots[at];
        }
        return nullptr;
    }
};

Type::Property Type::find(std::string_view property) const {
    const Lookup::Slot* slot = lookup->find(property);
    if (slot == nullptr || slot->type == nullptr) return {};
    return {slot->element, slot->type};
}

const Element* Type::element(std::string_view element_name) const {
    const Lookup::Slot* slot = lookup->find(element_name);
    return slot != nullptr && slot->name == slot->element->name ? slot->element : nullptr;
}

bool Type::is_a(const Type& ancestor) const {
    for (const Type* type = this; type != nullptr; type = type->base) {
        if (type == &ancestor) return true;
    }
    return false;
}

const CompartmentMember* Compartment::find(std::string_view type) const {
    const auto at = std::ranges::lower_bound(members, type, {}, &CompartmentMember::type);
    return at != members.end() && at->type == type ? &*at : nullptr;
}

namespace {

using Fields = std::array<std::string_view, 10>;

/// The damage can only come from a wrong build, so it is a bug and no Error.
[[noreturn]] void damaged(std::string_view what) {
    throw std::runtime_error(
        fmt::format("The embedded FHIR definitions are damaged ({}): build the program again from "
                    "an intact data/r4.",
                    what));
}

Fields split_fields(std::string_view line) {
    Fields fields;
    for (std::string_view& field : fields) {
        const std::size_t tab = line.find('\t');
        field = line.substr(0, tab);
        if (tab == std::string_view::npos) return fields;
        line.remove_prefix(tab + 1);
    }
    damaged("a line has too many fields");
}

/// Calls `use` with each non-empty part of `list` between `separator`s.
template <class Use>
void for_each_part(std::string_view list, char separator, Use use) {
    while (!list.empty()) {
        const std::size_t end = list.find(separator);
        if (const std::string_view part = list.substr(0, end); !part.empty()) use(part);
        if (end == std::string_view::npos) return;
        list.remove_prefix(end + 1);
    }
}

std::vector<std::string_view> parts(std::string_view list, char separator = ' ') {
    std::vector<std::string_view> result;
    for_each_part(list, separator, [&](std::string_view part) { result.push_back(part); });
    return result;
}

template <class Number = std::size_t>
Number number(std::string_view digits) {
    Number value = 0;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failure != std::errc() || end != digits.data() + digits.size())
        damaged("a number was expected");
    return value;
}

std::string_view without_version(std::string_view canonical) {
    return canonical.substr(0, canonical.find('|'));
}

Binding binding_of(std::string_view letter) {
    if (letter == "r") return Binding::required;
    if (letter == "e") return Binding::extensible;
    if (letter == "p") return Binding::preferred;
    return letter == "x" ? Binding::example : Binding::none;
}

SearchType search_type_of(std::string_view name) {
    static constexpr std::array<std::string_view, 9> names = {"number",   "date",      "string",
                                                              "token",    "reference", "composite",
                                                              "quantity", "uri",       "special"};
    const auto at = std::ranges::find(names, name);
    if (at == names.end()) damaged("a search parameter has an unknown type");
    return static_cast<SearchType>(at - names.begin());
}

class EmbeddedDefinitions final : public Definitions {
 public:
    EmbeddedDefinitions();

    const Type* find(std::string_view name) const override {
        const auto at = by_name_.find(name);
        return at != by_name_.end() ? at->second : nullptr;
    }
    const Type* resource(std::string_view name) const override {
        const Type* type = find(name);
        return type != nullptr && type->is_resource() && !type->is_abstract ? type : nullptr;
    }
    std::span<const Type* const> resources() const override { return resources_; }
    std::span<const SearchDefinition> search_parameters() const override {
        return search_parameters_;
    }
    const Compartment* compartment(std::string_view owner) const override {
        const auto at = std::ranges::find(compartments_, owner, &Compartment::owner);
        return at != compartments_.end() ? &*at : nullptr;
    }
    std::span<const OperationDefinition> operations() const override { return operations_; }
    Membership in_value_set(std::string_view value_set, std::string_view system,
                            std::string_view code) const override;
    bool is_case_sensitive(std::string_view system) const override {
        return case_sensitive_.contains(system);
    }
    std::string conformance_resource(std::string_view type, std::string_view url) const override;
    std::vector<std::string_view> conformance_urls(std::string_view type) const override;

 private:
    /// Codes of one system, sorted by their bytes.
    struct CodeList {
        std::string_view system;
        std::vector<std::string_view> codes;
    };
    /// Where a frame lies in terminology.zst.
    struct Frame {
        std::size_t offset, packed_size, size;
    };
    /// Where a resource lies in an unpacked frame.
    struct Place {
        std::size_t frame, offset, size;
    };

    void read_line(std::string_view line);
    void read_type(const Fields& fields);
    void read_element(const Fields& fields);
    void read_search_parameter(const Fields& fields);
    void read_operation(const Fields& fields);
    void read_value_set(const Fields& fields);
    std::vector<Invariant> invariants_of(std::string_view indices) const;
    void link_types();
    void link_element(Element& element, std::string_view types);
    std::string_view property_name(std::string_view element, std::string_view type);
    static void index_names(Type& type);

    std::string text_;  ///< every string_view below points into it …
    std::deque<std::string>
        composed_names_;  ///< … or into these ("valueQuantity", "Observation.value[x]")
    std::unordered_map<std::string_view, std::string_view> interned_;
    std::vector<Invariant> invariants_;
    std::deque<Type> types_;
    std::deque<Element> elements_;
    std::vector<std::string_view>
        element_types_;  ///< of elements_, as written; empty again once linked
    std::unordered_map<std::string_view, Type*> by_name_;
    std::vector<const Type*> resources_;
    std::vector<SearchDefinition> search_parameters_;
    std::vector<Compartment> compartments_;
    std::vector<OperationDefinition> operations_;
    std::vector<CodeList> code_lists_;
    std::unordered_map<std::string_view, std::vector<std::uint32_t>> value_sets_;
    std::unordered_set<std::string_view> case_sensitive_;
    std::vector<Frame> frames_;
    std::map<std::string_view, std::map<std::string_view, Place>>
        conformance_;  ///< type → URL → place
};

EmbeddedDefinitions::EmbeddedDefinitions() {
    const std::string_view packed = detail::embedded_definitions();
    // The first bytes of a zstd frame say how long the text is; the generator always writes that.
    Result<std::string> text = detail::unpack(packed, detail::unpacked_size(packed));
    if (!text) damaged(text.error().message);
    text_ = std::move(*text);

    constexpr std::string_view heading = "meridian-definitions\t1\n";
    if (!text_.starts_with(heading)) damaged("not in the format that this program reads");
    for_each_part(std::string_view(text_).substr(heading.size()), '\n',
                  [&](std::string_view line) { read_line(line); });
    link_types();
}

void EmbeddedDefinitions::read_line(std::string_view line) {
    const Fields fields = split_fields(line);
    switch (fields[0].size() == 1 ? fields[0][0] : '?') {
        case 'I':
            invariants_.push_back({fields[1], fields[3], fields[4], fields[2] == "e"});
            return;
        case 'T':
            return read_type(fields);
        case 'E':
            return read_element(fields);
        case 'Q':
            return read_search_parameter(fields);
        case 'C':
            search_parameters_.back().components.push_back({fields[1], fields[2]});
            return;
        case 'K':
            compartments_.push_back({fields[1], {}});
            return;
        case 'M':
            compartments_.back().members.push_back({fields[1], parts(fields[2])});
            return;
        case 'P':
            return read_operation(fields);
        case 'L':
            code_lists_.push_back({fields[1], parts(fields[2])});
            return;
        case 'V':
            return read_value_set(fields);
        case 'S':
            case_sensitive_.insert(fields[1]);
            return;
        case 'F':
            frames_.push_back({number(fields[1]), number(fields[2]), number(fields[3])});
            return;
        case 'R':
            conformance_[fields[1]][fields[2]] = {number(fields[3]), number(fields[4]),
                                                  number(fields[5])};
            return;
        default:
            damaged("a line of an unknown kind");
    }
}

std::vector<Invariant> EmbeddedDefinitions::invariants_of(std::string_view indices) const {
    std::vector<Invariant> result;
    for_each_part(indices, ',',
                  [&](std::string_view index) { result.push_back(invariants_.at(number(index))); });
    result.shrink_to_fit();
    return result;
}

void EmbeddedDefinitions::read_type(const Fields& fields) {
    Type& type = types_.emplace_back();
    type.name = fields[1];
    type.kind = fields[2] == "p"   ? TypeKind::primitive
                : fields[2] == "c" ? TypeKind::complex
                : fields[2] == "b" ? TypeKind::backbone
                                   : TypeKind::resource;
    type.is_abstract = fields[3] == "1";
    if (fields[4] != "-") {
        const auto base = by_name_.find(fields[4]);
        if (base == by_name_.end()) damaged("a type stands before its base");
        type.base = base->second;
        type.elements = base->second->elements;
    }
    type.invariants = invariants_of(fields[5]);
    by_name_.emplace(type.name, &type);
    if (type.is_resource() && !type.is_abstract) resources_.push_back(&type);
}

void EmbeddedDefinitions::read_element(const Fields& fields) {
    if (types_.empty()) damaged("an element stands before its type");
    Type& type = types_.back();
    Element& element = elements_.emplace_back();
    element.name = fields[1];
    element.min = number<unsigned>(fields[2]);
    element.max = fields[3] == "*" ? UINT_MAX : number<unsigned>(fields[3]);
    element.is_choice = fields[4].contains('c');
    element.is_summary = fields[4].contains('s');
    element.is_modifier = fields[4].contains('m');
    element.binding = binding_of(fields[5]);
    element.value_set = fields[6];
    element.invariants = invariants_of(fields[8]);
    element.fixed = fields[9];
    element.path = composed_names_.emplace_back(
        fmt::format("{}.{}{}", type.name, element.name, element.is_choice ? "[x]" : ""));
    element_types_.push_back(fields[7]);

    const auto inherited = std::ranges::find(type.elements, element.name, &Element::name);
    if (inherited != type.elements.end()) {
        *inherited = &element;
    } else {
        type.elements.push_back(&element);
    }
}

void EmbeddedDefinitions::read_search_parameter(const Fields& fields) {
    search_parameters_.push_back({.url = fields[1],
                                  .code = fields[2],
                                  .base = fields[3],
                                  .type = search_type_of(fields[4]),
                                  .expression = fields[5],
                                  .targets = parts(fields[6]),
                                  .components = {}});
}

void EmbeddedDefinitions::read_operation(const Fields& fields) {
    operations_.push_back({.code = fields[1],
                           .url = fields[2],
                           .system = fields[3].contains('s'),
                           .on_type = fields[3].contains('t'),
                           .on_instance = fields[3].contains('i'),
                           .types = parts(fields[4])});
}

void EmbeddedDefinitions::read_value_set(const Fields& fields) {
    std::vector<std::uint32_t>& lists = value_sets_[fields[1]];
    for_each_part(fields[2], ',', [&](std::string_view index) {
        lists.push_back(number<std::uint32_t>(index));
        if (lists.back() >= code_lists_.size()) damaged("a value set names an unknown list");
    });
}

/// "value" and "Quantity" give "valueQuantity"; equal names share their memory.
std::string_view EmbeddedDefinitions::property_name(std::string_view element,
                                                    std::string_view type) {
    std::string name = fmt::format("{}{}", element, type);
    name[element.size()] =
        static_cast<char>(std::toupper(static_cast<unsigned char>(name[element.size()])));
    if (const auto known = interned_.find(name); known != interned_.end()) return known->second;
    const std::string_view kept = composed_names_.emplace_back(std::move(name));
    interned_.emplace(kept, kept);
    return kept;
}

/// `types` as written by the generator: "Reference(Patient|Group) string".
void EmbeddedDefinitions::link_element(Element& element, std::string_view types) {
    element.types.reserve(static_cast<std::size_t>(std::ranges::count(types, ' ')) + 1);
    for_each_part(types, ' ', [&](std::string_view written) {
        const std::size_t open = written.find('(');
        const std::string_view name = written.substr(0, open);
        const auto type = by_name_.find(name);
        if (type == by_name_.end()) damaged("an element has an unknown type");
        ElementType& added = element.types.emplace_back();
        added.type = type->second;
        added.property = element.is_choice ? property_name(element.name, name) : element.name;
        if (open != std::string_view::npos)
            added.targets = parts(written.substr(open + 1, written.size() - open - 2), '|');
    });
    if (element.types.empty()) damaged("an element has no type");
}

void EmbeddedDefinitions::index_names(Type& type) {
    std::size_t names = 0;
    for (const Element* element : type.elements)
        names += element->types.size() + (element->is_choice ? 1 : 0);
    auto lookup = std::make_shared<Type::Lookup>();
    lookup->reserve(names);
    for (const Element* element : type.elements) {
        if (element->is_choice) lookup->insert(element->name, element, nullptr);
        for (const ElementType& choice : element->types)
            lookup->insert(choice.property, element, &choice);
    }
    type.lookup = std::move(lookup);
}

void EmbeddedDefinitions::link_types() {
    for (std::size_t index = 0; index < elements_.size(); ++index)
        link_element(elements_[index], element_types_[index]);
    element_types_ = {};
    interned_ = {};
    for (Type& type : types_) {
        type.elements.shrink_to_fit();
        index_names(type);
    }
    std::ranges::sort(resources_, {}, &Type::name);
}

Definitions::Membership EmbeddedDefinitions::in_value_set(std::string_view value_set,
                                                          std::string_view system,
                                                          std::string_view code) const {
    const auto set = value_sets_.find(without_version(value_set));
    if (set == value_sets_.end()) return Membership::unknown;
    for (const std::uint32_t index : set->second) {
        const CodeList& list = code_lists_[index];
        if (!system.empty() && system != list.system) continue;
        if (std::ranges::binary_search(list.codes, code)) return Membership::yes;
    }
    return Membership::no;
}

std::string EmbeddedDefinitions::conformance_resource(std::string_view type,
                                                      std::string_view url) const {
    const auto of_type = conformance_.find(type);
    if (of_type == conformance_.end()) return {};
    const auto place = of_type->second.find(without_version(url));
    if (place == of_type->second.end()) return {};
    const Frame& frame = frames_.at(place->second.frame);
    Result<std::string> text = detail::unpack(
        detail::embedded_terminology().substr(frame.offset, frame.packed_size), frame.size);
    if (!text) damaged(text.error().message);
    return text->substr(place->second.offset, place->second.size);
}

std::vector<std::string_view> EmbeddedDefinitions::conformance_urls(std::string_view type) const {
    std::vector<std::string_view> urls;
    if (const auto of_type = conformance_.find(type); of_type != conformance_.end()) {
        urls.reserve(of_type->second.size());
        for (const auto& [url, place] : of_type->second) urls.push_back(url);
    }
    return urls;
}

}  // namespace

const Definitions& definitions() {
    static const EmbeddedDefinitions instance;
    return instance;
}

}  // namespace meridian::fhir
