// SPDX-License-Identifier: Apache-2.0
#include <pugixml.hpp>

#include "base/limits.hpp"
#include "base/message.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/format/xml.hpp"
#include "fhir/format/xml_text.hpp"

namespace meridian::fhir {

namespace {

/// -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?: the same for R4's decimal and for a JSON number.
bool is_number(std::string_view text) {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t start = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
        return at - start;
    };
    if (at < text.size() && text[at] == '-') ++at;
    const bool starts_with_zero = at < text.size() && text[at] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (starts_with_zero && whole > 1)) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (digits() == 0) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (digits() == 0) return false;
    }
    return at == text.size();
}

bool is_namespace_declaration(std::string_view name) {
    return name == "xmlns" || name.starts_with("xmlns:");
}

class XmlReader {
 public:
    explicit XmlReader(std::string_view text) : text_(text) {}

    Result<JsonDocument> read() {
        // A byte order mark is no content; without it, offsets of the parser are offsets in text_.
        if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
        TRY(detail::check_xml_text(text_));
        pugi::xml_document document;
        constexpr unsigned flags = pugi::parse_default | pugi::parse_declaration;
        const auto outcome =
            document.load_buffer(text_.data(), text_.size(), flags, pugi::encoding_utf8);
        if (!outcome) {
            return fail(Category::incorrect,
                        fmt::format("This is no well-formed XML: {}.", outcome.description()),
                        fmt::format("byte {}", outcome.offset));
        }
        const pugi::xml_node root = TRY(root_of(document));
        json_.set_root(TRY(read_resource(root, 1, 1)));
        return std::move(json_);
    }

 private:
    using Value = Result<Json>;

    static Result<pugi::xml_node> root_of(const pugi::xml_document& document) {
        pugi::xml_node root;
        for (const pugi::xml_node node : document.children()) {
            if (node.type() == pugi::node_declaration) {
                const std::string_view encoding = node.attribute("encoding").value();
                if (encoding.empty() || encoding == "UTF-8" || encoding == "utf-8") continue;
                return fail(Category::incorrect,
                            fmt::format("The XML declares the encoding \"{}\": FHIR XML is UTF-8.",
                                        shown_in_message(encoding)));
            }
            if (node.type() != pugi::node_element || root)
                return fail(Category::incorrect, "The XML holds more than one root element.");
            root = node;
        }
        if (!root) return fail(Category::incorrect, "The XML holds no element.");
        return root;
    }

    template <class... Parts>
    std::unexpected<Error> refuse(fmt::format_string<Parts...> message, Parts&&... details) const {
        return fail(Category::incorrect, fmt::format(message, std::forward<Parts>(details)...),
                    path_);
    }

    Result<void> check_depth(unsigned xml_depth, unsigned json_depth) const {
        if (xml_depth <= limits::xml_depth_max && json_depth <= limits::json_depth_max) return {};
        return refuse("The XML nests deeper than {} elements.", limits::xml_depth_max);
    }

    /// The name without the prefix that stands for the FHIR namespace.
    Result<std::string_view> local_name(const pugi::xml_node& node) const {
        const std::string_view name = node.name();
        const std::size_t colon = name.find(':');
        const std::string_view prefix =
            colon == std::string_view::npos ? std::string_view() : name.substr(0, colon);
        if (prefix != prefix_)
            return refuse("<{}> is not in the namespace {}.", shown_in_message(name),
                          detail::fhir_namespace);
        return colon == std::string_view::npos ? name : name.substr(colon + 1);
    }

    /// Finds out which prefix (mostly none) stands for the FHIR namespace.
    Result<void> take_namespace(const pugi::xml_node& root) {
        const std::string_view name = root.name();
        const std::size_t colon = name.find(':');
        prefix_ = colon == std::string_view::npos ? std::string_view() : name.substr(0, colon);
        const std::string attribute =
            prefix_.empty() ? std::string("xmlns") : fmt::format("xmlns:{}", prefix_);
        if (root.attribute(attribute.c_str()).value() == detail::fhir_namespace) return {};
        return fail(
            Category::incorrect,
            fmt::format(
                "The root element <{}> is not in the FHIR namespace: expected xmlns=\"{}\".",
                shown_in_message(name), detail::fhir_namespace));
    }

    /// Checks that `node` has only the attributes named, and no second one of a name.
    Result<void> check_attributes(const pugi::xml_node& node,
                                  std::initializer_list<std::string_view> allowed) const {
        for (const pugi::xml_attribute attribute : node.attributes()) {
            const std::string_view name = attribute.name();
            for (pugi::xml_attribute other = attribute.next_attribute(); other;
                 other = other.next_attribute()) {
                if (name == other.name())
                    return refuse("The attribute {} stands twice.", shown_in_message(name));
            }
            if (is_namespace_declaration(name)) {
                const bool redefines =
                    name == "xmlns" ? prefix_.empty() : name.substr(6) == prefix_;
                if (redefines && attribute.value() != detail::fhir_namespace) {
                    return refuse("<{}> leaves the namespace {}.", shown_in_message(node.name()),
                                  detail::fhir_namespace);
                }
                continue;
            }
            if (name == "xsi:schemaLocation") continue;
            if (std::ranges::find(allowed, name) == allowed.end())
                return refuse("R4 has no attribute {} here.", shown_in_message(name));
        }
        return {};
    }

    Value read_resource(const pugi::xml_node& node, unsigned xml_depth, unsigned json_depth) {
        if (xml_depth == 1) TRY(take_namespace(node));
        const std::string_view name = TRY(local_name(node));
        const Type* type = definitions().resource(name);
        if (type == nullptr)
            return refuse("R4 has no resource type \"{}\".", shown_in_message(name));
        const std::size_t path_length = path_.size();
        if (path_.empty()) path_ = name;
        TRY(check_attributes(node, {}));
        Json object = json_.object();
        json_.set(object, "resourceType", json_.string(name));
        TRY(read_children(*type, node, object, xml_depth, json_depth));
        path_.resize(path_length);
        return object;
    }

    /// A wrapper (contained, Bundle.entry.resource) around exactly one resource.
    Value read_wrapped_resource(const pugi::xml_node& node, unsigned xml_depth,
                                unsigned json_depth) {
        TRY(check_attributes(node, {}));
        const pugi::xml_node inner = node.first_child();
        if (!inner || inner.type() != pugi::node_element || inner.next_sibling())
            return refuse("Exactly one resource is expected inside of this element.");
        TRY(check_depth(xml_depth + 1, json_depth));
        return read_resource(inner, xml_depth + 1, json_depth);
    }

    /// The child elements of one name.
    struct Group {
        Type::Property property;
        std::vector<pugi::xml_node> nodes;
    };

    /// Reads the child elements of `node` into `object`. Their order is not checked: published
    /// examples break it, and nothing but the order among those of one name carries a meaning.
    Result<void> read_children(const Type& type, const pugi::xml_node& node, Json& object,
                               unsigned xml_depth, unsigned json_depth) {
        std::vector<Group> groups;
        const std::size_t path_length = path_.size();
        std::string_view name;
        for (const pugi::xml_node child : node.children()) {
            if (child.type() != pugi::node_element)
                return refuse(
                    "Text is not allowed here: FHIR values stand in the attribute \"value\".");
            if (groups.empty() || name != child.name()) {
                name = child.name();
                const Type::Property property = TRY(property_of(type, child));
                const auto known = std::ranges::find(
                    groups, property.type, [](const Group& group) { return group.property.type; });
                if (known == groups.end()) {
                    groups.push_back({property, {}});
                } else {
                    std::rotate(known, known + 1, groups.end());
                }
            }
            groups.back().nodes.push_back(child);
        }
        // Two types of one choice are a fault that the validator reports: they only need some fixed
        // order.
        const auto order = [&](const Group& group) {
            return std::pair(
                std::ranges::find(type.elements, group.property.element) - type.elements.begin(),
                group.property.type);
        };
        std::ranges::sort(groups, {}, order);
        for (const Group& group : groups) {
            const bool is_array = group.property.element->is_array();
            path_.append(".").append(group.property.type->property);
            if (!is_array && group.nodes.size() > 1)
                return refuse("This element may stand only once.");
            TRY(read_group(group, object, xml_depth + 1, json_depth + (is_array ? 2 : 1)));
            path_.resize(path_length);
        }
        return {};
    }

    Result<Type::Property> property_of(const Type& type, const pugi::xml_node& child) const {
        const std::string_view name = child.name();
        const bool is_div = type.name == "Narrative" && (name == "div" || name.ends_with(":div"));
        const std::string_view local = is_div ? std::string_view("div") : TRY(local_name(child));
        const Type::Property property = type.find(local);
        const bool is_attribute =
            property.element != nullptr && is_xml_attribute(type, *property.element);
        if (property.element == nullptr || is_attribute)
            return refuse("R4 has no element \"{}\" in {}.", shown_in_message(local), type.name);
        return property;
    }

    /// id of everything but resources, and Extension.url, are attributes:
    /// https://hl7.org/fhir/R4/xml.html
    static bool is_xml_attribute(const Type& type, const Element& element) {
        return (element.name == "id" && !type.is_resource()) ||
               (element.name == "url" && type.name == "Extension");
    }

    /// The siblings of one name, as a JSON member and, for ids and extensions of primitives, its
    /// companion "_name".
    Result<void> read_group(const Group& group, Json& object, unsigned xml_depth,
                            unsigned json_depth) {
        TRY(check_depth(xml_depth, json_depth));
        const Type::Property& property = group.property;
        const bool is_array = property.element->is_array();
        const Type& type = *property.type->type;
        Json values = json_.array();
        Json companions = json_.array();
        bool has_values = false;
        bool has_companions = false;
        const std::size_t path_length = path_.size();
        for (std::size_t index = 0; index < group.nodes.size(); ++index) {
            if (is_array) path_ += fmt::format("[{}]", index);
            Json companion;
            const Json value =
                TRY(read_value(type, group.nodes[index], companion, xml_depth, json_depth));
            has_values = has_values || !value.is_null();
            has_companions = has_companions || !companion.is_null();
            json_.append(values, value);
            json_.append(companions, companion);
            path_.resize(path_length);
        }
        const std::string_view name = property.type->property;
        if (has_values) json_.set(object, name, is_array ? values : values.items()[0]);
        if (has_companions)
            json_.set(object, fmt::format("_{}", name),
                      is_array ? companions : companions.items()[0]);
        return {};
    }

    Value read_value(const Type& type, const pugi::xml_node& node, Json& companion,
                     unsigned xml_depth, unsigned json_depth) {
        if (type.is_resource()) return read_wrapped_resource(node, xml_depth, json_depth);
        if (type.name == "xhtml") return read_narrative(node);
        if (type.is_primitive())
            return read_primitive(type, node, companion, xml_depth, json_depth);
        return read_complex(type, node, xml_depth, json_depth);
    }

    Value read_complex(const Type& type, const pugi::xml_node& node, unsigned xml_depth,
                       unsigned json_depth) {
        const bool is_extension = type.name == "Extension";
        if (is_extension) {
            TRY(check_attributes(node, {"id", "url"}));
        } else {
            TRY(check_attributes(node, {"id"}));
        }
        Json object = json_.object();
        if (const pugi::xml_attribute id = node.attribute("id"))
            json_.set(object, "id", json_.string(id.value()));
        if (const pugi::xml_attribute url = node.attribute("url"))
            json_.set(object, "url", json_.string(url.value()));
        TRY(read_children(type, node, object, xml_depth, json_depth));
        return object;
    }

    Value read_primitive(const Type& type, const pugi::xml_node& node, Json& companion,
                         unsigned xml_depth, unsigned json_depth) {
        TRY(check_attributes(node, {"id", "value"}));
        Json extra = json_.object();
        if (const pugi::xml_attribute id = node.attribute("id"))
            json_.set(extra, "id", json_.string(id.value()));
        TRY(read_children(type, node, extra, xml_depth, json_depth));
        if (extra.size() > 0) companion = extra;
        const pugi::xml_attribute value = node.attribute("value");
        if (value) return primitive_value(type, value.value());
        if (companion.is_null())
            return refuse("This element has neither a value nor an extension.");
        return Json();
    }

    Value primitive_value(const Type& type, std::string_view value) {
        static const Type* const integer = definitions().find("integer");
        if (type.name == "boolean") {
            if (value != "true" && value != "false")
                return refuse("\"{}\" is no boolean: expected true or false.",
                              shown_in_message(value));
            return json_.boolean(value == "true");
        }
        if (type.name != "decimal" && !type.is_a(*integer)) return json_.string(value);
        if (!is_number(value) || value.size() > limits::number_length_max) {
            return refuse("\"{}\" is no number of type {}.", shown_in_message(value), type.name);
        }
        return json_.number(value);
    }

    /// The div as it was written: its own characters, quotes and white space.
    Value read_narrative(const pugi::xml_node& node) {
        const std::string_view name = node.name();
        if (name != "div")
            return refuse("<{}> must be a div without a prefix, with xmlns=\"{}\".",
                          shown_in_message(name), detail::xhtml_namespace);
        const pugi::xml_attribute own = node.attribute("xmlns");
        if (own && own.value() != detail::xhtml_namespace)
            return refuse("<div> must be in the namespace {}.", detail::xhtml_namespace);
        const std::ptrdiff_t offset = node.offset_debug();  // of the name, behind '<'
        if (offset < 1)
            return fail(Category::fault, "The XML parser did not tell where the narrative starts.",
                        path_);
        const std::string_view div =
            detail::element_text(text_, static_cast<std::size_t>(offset) - 1);
        if (!detail::is_narrative(div)) return refuse("The narrative is no well-formed XHTML.");
        return json_.string(detail::with_xhtml_namespace(div));
    }

    std::string_view text_;
    JsonDocument json_;
    std::string_view prefix_;
    std::string path_;
};

}  // namespace

Result<JsonDocument> from_xml(std::string_view text) {
    if (text.size() > limits::xml_bytes_max) {
        return fail(Category::too_large,
                    fmt::format("The XML is {} bytes long: at most {} are read.", text.size(),
                                limits::xml_bytes_max));
    }
    return XmlReader(text).read();
}

}  // namespace meridian::fhir
