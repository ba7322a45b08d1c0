// SPDX-License-Identifier: Apache-2.0
#include "fhir/references.hpp"

#include "base/ids.hpp"
#include "fhir/definitions/definitions.hpp"

namespace meridian::fhir {

namespace {

enum class Place : unsigned char { reference, address, narrative };

/// Visits every string of `resource` that can name another resource. Depth is bounded by the parser
/// (limits::json_depth_max).
class Walker {
 public:
    using Visit = std::function<Result<void>(Place, Json&)>;
    explicit Walker(Visit visit) : visit_(std::move(visit)) {}

    Result<void> resource(Json& node) {
        const Type* type = definitions().resource(node.string_at("resourceType"));
        if (type == nullptr) return {};  // not ours to judge here: validation says so
        return object(node, *type);
    }

 private:
    Result<void> object(Json& node, const Type& type) {
        const bool is_reference = type.name == "Reference";
        for (JsonMember& member : node.mutable_members()) {
            if (is_reference && member.key == "reference" && member.value.is_string()) {
                TRY(visit_(Place::reference, member.value));
                continue;
            }
            const Type::Property property = type.find(member.key);
            if (property.type == nullptr || property.type->type == nullptr) continue;
            TRY(value(member.value, *property.type->type));
        }
        return {};
    }

    Result<void> value(Json& node, const Type& type) {
        if (node.is_array()) {
            for (Json& item : node.mutable_items()) TRY(value(item, type));
            return {};
        }
        if (node.is_object()) {
            // contained resources and Bundle entries say themselves what they are
            return type.is_resource() ? resource(node) : object(node, type);
        }
        if (!node.is_string()) return {};
        if (type.name == "uri" || type.name == "url" || type.name == "oid" || type.name == "uuid") {
            return visit_(Place::address, node);
        }
        if (type.name == "xhtml") return visit_(Place::narrative, node);
        return {};
    }

    Visit visit_;
};

/// The new text of a reference or address, or nothing when it names no entry.
std::optional<std::string> rewritten(std::string_view text, const FullUrls& full_urls) {
    const std::size_t hash = text.find('#');
    std::string_view address = text.substr(0, hash);
    const std::string_view fragment =
        hash == std::string_view::npos ? std::string_view() : text.substr(hash);
    std::string_view version;
    auto found = full_urls.find(std::string(address));
    if (found == full_urls.end()) {
        const std::size_t history = address.find("/_history/");
        if (history == std::string_view::npos) return std::nullopt;
        version = address.substr(history);
        found = full_urls.find(std::string(address.substr(0, history)));
        if (found == full_urls.end()) return std::nullopt;
    }
    return fmt::format("{}{}{}", found->second, version, fragment);
}

/// Replaces the values of href and src attributes that name an entry.
std::optional<std::string> rewritten_narrative(std::string_view html, const FullUrls& full_urls) {
    std::string out;
    bool changed = false;
    std::size_t done = 0;
    for (std::size_t at = 0; at < html.size();) {
        const std::size_t equals = html.find('=', at);
        if (equals == std::string_view::npos || equals + 1 >= html.size()) break;
        at = equals + 1;
        const std::string_view before = html.substr(0, equals);
        if (!before.ends_with("href") && !before.ends_with("src")) continue;
        const char quote = html[equals + 1];
        if (quote != '"' && quote != '\'') continue;
        const std::size_t end = html.find(quote, equals + 2);
        if (end == std::string_view::npos) break;
        if (auto text = rewritten(html.substr(equals + 2, end - equals - 2), full_urls)) {
            out += html.substr(done, equals + 2 - done);
            out += *text;
            done = end;
            changed = true;
        }
        at = end + 1;
    }
    if (!changed) return std::nullopt;
    out += html.substr(done);
    return out;
}

bool is_conditional(std::string_view reference) {
    const std::size_t question = reference.find('?');
    return question != std::string_view::npos && question > 0 &&
           reference.substr(0, question).find(':') == std::string_view::npos;
}

}  // namespace

void rewrite_full_urls(JsonDocument& document, Json& resource, const FullUrls& full_urls) {
    if (full_urls.empty()) return;
    Walker walker([&](Place place, Json& node) -> Result<void> {
        const auto text = place == Place::narrative ? rewritten_narrative(node.text(), full_urls)
                                                    : rewritten(node.text(), full_urls);
        if (text) node = document.string(*text);
        return {};
    });
    (void)walker.resource(resource);  // this visitor cannot fail
}

Result<void> resolve_conditional_references(
    JsonDocument& document, Json& resource,
    const std::function<Result<std::string>(std::string_view)>& resolve) {
    Walker walker([&](Place place, Json& node) -> Result<void> {
        if (place != Place::reference || !is_conditional(node.text())) return {};
        const std::string answer = TRY(resolve(node.text()));
        node = document.string(answer);
        return {};
    });
    return walker.resource(resource);
}

void make_relative(JsonDocument& document, Json& resource, std::string_view base_url) {
    while (base_url.ends_with('/')) base_url.remove_suffix(1);
    if (base_url.empty()) return;
    Walker walker([&](Place place, Json& node) -> Result<void> {
        std::string_view rest = node.text();
        if (place != Place::reference || !rest.starts_with(base_url)) return {};
        rest.remove_prefix(base_url.size());
        const std::size_t slash = rest.find('/', 1);
        if (!rest.starts_with('/') || slash == std::string_view::npos) return {};
        if (definitions().resource(rest.substr(1, slash - 1)) == nullptr ||
            !is_fhir_id(rest.substr(slash + 1)))
            return {};
        node = document.string(std::string(rest.substr(1)));
        return {};
    });
    (void)walker.resource(resource);  // this visitor cannot fail
}

std::string_view first_reference_to(const Json& resource,
                                    const std::function<bool(std::string_view)>& is_meant) {
    for (const Json& item : resource.items()) {
        if (item.is_string()) continue;
        if (const auto found = first_reference_to(item, is_meant); !found.empty()) return found;
    }
    for (const JsonMember& member : resource.members()) {
        if (member.value.is_string()) {
            if (member.key == "reference" && is_meant(member.value.text()))
                return member.value.text();
        } else if (const auto found = first_reference_to(member.value, is_meant); !found.empty()) {
            return found;
        }
    }
    return {};
}

bool has_conditional_references(const Json& resource) {
    return !first_reference_to(resource, is_conditional).empty();
}

}  // namespace meridian::fhir
