// SPDX-License-Identifier: Apache-2.0
#include "fhir/format/subset.hpp"

#include "fhir/definitions/definitions.hpp"

namespace meridian::fhir {

namespace {

constexpr std::string_view tag_system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
constexpr std::string_view tag_code = "SUBSETTED";
constexpr std::string_view tag_text =
    R"({"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED","display":"Resource encoded in summary mode"})";

class SubsetWriter {
 public:
    SubsetWriter(Page::Summary summary, std::span<const std::string> elements, std::string& out)
        : summary_(summary), elements_(elements), out_(out) {}

    void write_root(const Json& resource) {
        root_ = definitions().resource(resource.string_at("resourceType"));
        const bool is_whole = elements_.empty() &&
                              (summary_ == Page::Summary::off || summary_ == Page::Summary::count);
        if (root_ == nullptr || is_whole) {
            write(resource, out_);
            return;
        }
        // meta stands where it stood, or directly behind the type and the id.
        bool has_tag = false;
        const bool has_meta = resource.find("meta") != nullptr;
        open();
        for (const JsonMember& member : resource.members()) {
            if (!has_meta && !has_tag && member.key != "resourceType" && member.key != "id")
                has_tag = write_new_meta();
            if (member.key == "meta") {
                has_tag = true;
                write_key(member.key);
                write_meta(member.value);
            } else if (member.key == "resourceType" || keeps_at_root(member.key)) {
                write_key(member.key);
                write_member(*root_, member);
            }
        }
        if (!has_tag) write_new_meta();
        close();
    }

 private:
    static std::string_view property_of(std::string_view key) {
        return key.starts_with('_') ? key.substr(1) : key;
    }

    bool keeps_at_root(std::string_view key) const {
        const Type::Property property = root_->find(property_of(key));
        if (property.element == nullptr) return false;
        const Element& element = *property.element;
        if (element.name == "id") return true;
        if (!elements_.empty())
            return element.min > 0 || element.is_modifier || is_wanted(element, property_of(key));
        switch (summary_) {
            case Page::Summary::text:
                return element.min > 0 || element.name == "text";
            case Page::Summary::data:
                return element.name != "text";
            default:
                return keeps_in_summary(element);
        }
    }

    static bool keeps_in_summary(const Element& element) {
        return element.is_summary || element.min > 0 || element.is_modifier;
    }

    bool is_wanted(const Element& element, std::string_view property) const {
        return std::ranges::any_of(elements_, [&](std::string_view wanted) {
            if (wanted.starts_with(root_->name) &&
                wanted.substr(root_->name.size()).starts_with('.')) {
                wanted.remove_prefix(root_->name.size() + 1);
            }
            return wanted == element.name || wanted == property;
        });
    }

    /// A kept member: whole, or under _summary=true reduced to its own summary elements.
    void write_member(const Type& owner, const JsonMember& member) {
        const Type::Property property = owner.find(member.key);
        const bool is_reduced =
            elements_.empty() && summary_ == Page::Summary::on && property.type != nullptr;
        if (!is_reduced) {
            write(member.value, out_);
        } else if (member.value.is_array()) {
            out_ += '[';
            for (const Json& item : member.value.items()) {
                if (out_.back() != '[') out_ += ',';
                write_reduced(*property.type->type, item);
            }
            out_ += ']';
        } else {
            write_reduced(*property.type->type, member.value);
        }
    }

    void write_reduced(const Type& declared, const Json& value) {
        const Type* type = &declared;
        if (value.is_object() && type->is_resource())
            type = definitions().resource(value.string_at("resourceType"));
        // An extension that is kept is one that changes the meaning: it is kept whole.
        if (!value.is_object() || type == nullptr || type->name == "Extension") {
            write(value, out_);
            return;
        }
        const auto is_kept = [&](const JsonMember& member) {
            const Type::Property property = type->find(property_of(member.key));
            return property.element != nullptr && keeps_in_summary(*property.element);
        };
        // An element may not be empty: one that says all it says in an extension stays as it is.
        if (std::ranges::none_of(value.members(), is_kept)) {
            write(value, out_);
            return;
        }
        open();
        for (const JsonMember& member : value.members()) {
            if (!is_kept(member) && member.key != "resourceType") continue;
            write_key(member.key);
            write_member(*type, member);
        }
        close();
    }

    void write_meta(const Json& meta) {
        open();
        bool has_tags = false;
        for (const JsonMember& member : meta.members()) {
            write_key(member.key);
            if (member.key != "tag") {
                write(member.value, out_);
                continue;
            }
            has_tags = true;
            write_tags(member.value);
        }
        if (!has_tags) {
            write_key("tag");
            write_tags(Json());
        }
        close();
    }

    void write_tags(const Json& tags) {
        out_ += '[';
        bool has_tag = false;
        for (const Json& tag : tags.items()) {
            write(tag, out_);
            out_ += ',';
            has_tag = has_tag ||
                      (tag.string_at("code") == tag_code && tag.string_at("system") == tag_system);
        }
        if (has_tag) {
            out_.back() = ']';
        } else {
            out_.append(tag_text).append("]");
        }
    }

    bool write_new_meta() {
        write_key("meta");
        write_meta(Json());
        return true;
    }

    void open() {
        out_ += '{';
        is_first_ = true;
    }
    void close() {
        out_ += '}';
        is_first_ = false;
    }
    void write_key(std::string_view key) {
        if (!is_first_) out_ += ',';
        is_first_ = false;
        write_string(key, out_);
        out_ += ':';
    }

    Page::Summary summary_;
    std::span<const std::string> elements_;
    std::string& out_;
    const Type* root_ = nullptr;
    bool is_first_ = true;
};

}  // namespace

void write_subset(const Json& resource, Page::Summary summary,
                  std::span<const std::string> elements, std::string& out) {
    SubsetWriter(summary, elements, out).write_root(resource);
}

Result<std::string> subset(std::string_view json, Page::Summary summary,
                           std::span<const std::string> elements) {
    const JsonDocument document = TRY(JsonDocument::parse(json));
    std::string out;
    out.reserve(json.size());
    write_subset(document.root(), summary, elements, out);
    return out;
}

}  // namespace meridian::fhir
