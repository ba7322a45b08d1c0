// SPDX-License-Identifier: Apache-2.0
#include "fhir/validate/profile_definition.hpp"

#include <charconv>

namespace meridian::fhir {

namespace {

/// Takes the next part of "Observation.component:a/b.value[x]:valueQuantity".
std::string_view next_part(std::string_view& id) {
    const std::size_t end = std::min(id.find('.'), id.size());
    const std::string_view part = id.substr(0, end);
    id.remove_prefix(std::min(end + 1, id.size()));
    return part;
}

struct Part {
    std::string_view name, slice;
    bool is_choice;
};

Part split(std::string_view part) {
    const std::size_t colon = part.find(':');
    Part made{part.substr(0, colon),
              colon == std::string_view::npos ? std::string_view() : part.substr(colon + 1), false};
    made.is_choice = made.name.ends_with("[x]");
    if (made.is_choice) made.name.remove_suffix(3);
    return made;
}

ProfileElement* find_child(ProfileElement& above, const Part& part) {
    for (const auto& child : above.children) {
        if (child->name != part.name) continue;
        if (part.slice.empty()) return child.get();
        for (const auto& slice : child->slices) {
            if (slice->slice == part.slice) return slice.get();
        }
    }
    return nullptr;
}

unsigned maximum(std::string_view text) {
    unsigned number = UINT_MAX;
    if (!text.empty() && text != "*")
        std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

void fill(ProfileElement& element, const Json& definition, const Part& part) {
    element.definition = &definition;
    element.name = part.name;
    element.slice = part.slice;
    element.is_choice = part.is_choice;
    const std::string_view min = definition["min"].text();
    std::from_chars(min.data(), min.data() + min.size(), element.min);
    element.max = maximum(definition.string_at("max"));
}

}  // namespace

const ProfileElement* ProfileElement::child(std::string_view wanted) const {
    for (const auto& one : children) {
        if (one->name == wanted) return one.get();
    }
    return nullptr;
}

const Json* ProfileElement::prefixed(std::string_view prefix) const {
    for (const JsonMember& member : definition->members()) {
        if (member.key.size() > prefix.size() && member.key.starts_with(prefix))
            return &member.value;
    }
    return nullptr;
}

const ProfileElement* Profile::find(std::string_view id) const {
    next_part(id);
    ProfileElement* at = const_cast<ProfileElement*>(&root);
    while (at != nullptr && !id.empty()) at = find_child(*at, split(next_part(id)));
    return at;
}

Result<std::shared_ptr<const Profile>> Profile::load(JsonDocument document) {
    auto made = std::make_shared<Profile>();
    made->document = std::move(document);
    const Json& source = std::as_const(made->document).root();
    made->url = source.string_at("url");
    made->type = source.string_at("type");
    const Json& elements = source["snapshot"]["element"];
    if (elements.size() == 0)
        return fail(Category::unprocessable,
                    fmt::format("the profile {} has no snapshot: store it with one", made->url));
    for (const Json& definition : elements.items()) {
        std::string_view id = definition.string_at("id", definition.string_at("path"));
        const std::string_view whole = id;
        Part part = split(next_part(id));
        ProfileElement* above = &made->root;
        if (id.empty()) {
            fill(made->root, definition, part);
            continue;
        }
        for (part = split(next_part(id)); above != nullptr && !id.empty();
             part = split(next_part(id)))
            above = find_child(*above, part);
        if (above == nullptr)
            return fail(Category::unprocessable,
                        fmt::format("the snapshot of {} has an element without a parent: {}",
                                    made->url, whole));
        auto element = std::make_unique<ProfileElement>();
        fill(*element, definition, part);
        ProfileElement* sliced =
            part.slice.empty() ? nullptr : find_child(*above, {part.name, {}, part.is_choice});
        if (!part.slice.empty() && sliced == nullptr)
            return fail(Category::unprocessable,
                        fmt::format("the snapshot of {} has a slice without its element: {}",
                                    made->url, whole));
        (sliced != nullptr ? sliced->slices : above->children).push_back(std::move(element));
    }
    if (made->root.definition == nullptr)
        return fail(Category::unprocessable,
                    fmt::format("the snapshot of {} has no root", made->url));
    return std::shared_ptr<const Profile>(std::move(made));
}

}  // namespace meridian::fhir
