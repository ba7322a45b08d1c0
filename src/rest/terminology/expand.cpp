// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/limits.hpp"
#include "rest/terminology/operations.hpp"

namespace meridian::rest::terminology {

namespace {

using fhir::terminology::no_concept;
using fhir::terminology::SystemVersions;
using fhir::terminology::ValueSet;

Json designations_of(JsonDocument& document, const Member& member) {
    Json list = document.array();
    if (member.listed != nullptr) {
        for (const Json& item : (*member.listed)["designation"].items())
            document.append(list, document.copy(item));
    }
    if (member.codes == nullptr || member.at == no_concept) return list;
    for (const auto& item : member.codes->designations(member.at)) {
        Json made = document.object();
        set_text(document, made, "language", item.language);
        if (!item.use.empty()) document.set(made, "use", parsed(document, item.use));
        document.set(made, "value", document.string(item.value));
        document.append(list, made);
    }
    return list;
}

Json entry_of(JsonDocument& document, const Member& member, std::string_view language,
              bool with_designations) {
    Json entry = document.object();
    set_text(document, entry, "system", member.system);
    if (member.codes != nullptr && member.at != no_concept) {
        if (member.codes->is_abstract(member.at))
            document.set(entry, "abstract", document.boolean(true));
        if (member.codes->is_inactive(member.at))
            document.set(entry, "inactive", document.boolean(true));
    }
    set_text(document, entry, "version", member.version);
    document.set(entry, "code", document.string(member.code));
    set_text(document, entry, "display", display_in(member, language));
    if (with_designations) {
        if (const Json list = designations_of(document, member); list.size() > 0)
            document.set(entry, "designation", list);
    }
    return entry;
}

constexpr std::string_view expand_parameters =
    "url valueSet valueSetVersion filter offset count activeOnly displayLanguage "
    "includeDesignations includeDefinition excludeNested excludeNotForUI "
    "excludePostCoordinated system-version check-system-version force-system-version date";

struct Expansion {
    ValueSet::Filter filter;
    std::size_t offset = 0;
    std::optional<std::size_t> count;
    std::string_view language;
    bool with_designations = false;
    SystemVersions versions;
};

Result<Expansion> read_expansion(const Arguments& arguments) {
    Expansion asked;
    asked.filter.words = arguments.text("filter");
    asked.filter.active_only = TRY(arguments.boolean("activeOnly"));
    asked.filter.selectable_only = TRY(arguments.boolean("excludeNotForUI"));
    asked.offset = TRY(arguments.number("offset")).value_or(0);
    asked.count = TRY(arguments.number("count"));
    asked.language = arguments.text("displayLanguage");
    asked.with_designations = TRY(arguments.boolean("includeDesignations"));
    TRY(arguments.boolean("includeDefinition"));
    TRY(arguments.boolean("excludeNested"));  // what is answered here is never nested
    asked.versions = {arguments.texts("system-version"), arguments.texts("check-system-version"),
                      arguments.texts("force-system-version")};
    return asked;
}

void add_expansion_parameter(JsonDocument& document, Json& list, std::string_view name,
                             std::string_view member, Json value) {
    Json made = document.object();
    document.set(made, "name", document.string(name));
    document.set(made, member, value);
    document.append(list, made);
}

Json expansion_parameters(JsonDocument& document, const Arguments& arguments, const ValueSet& set) {
    Json list = document.array();
    for (const char* name : {"filter", "displayLanguage"}) {
        if (arguments.has(name))
            add_expansion_parameter(document, list, name, "valueString",
                                    document.string(arguments.text(name)));
    }
    for (const char* name : {"activeOnly", "includeDesignations"}) {
        if (arguments.has(name))
            add_expansion_parameter(document, list, name, "valueBoolean",
                                    document.boolean(arguments.text(name) == "true"));
    }
    for (const char* name : {"offset", "count"}) {
        if (arguments.has(name))
            add_expansion_parameter(
                document, list, name, "valueInteger",
                document.number(std::int64_t(std::stoll("0" + std::string(arguments.text(name))))));
    }
    for (const std::string& used : set.used_systems())
        add_expansion_parameter(document, list, "version", "valueUri", document.string(used));
    return list;
}

/// The set's own description without its definition, then the expansion.
Json expanded_head(JsonDocument& document, const Json& source, bool with_definition) {
    Json root = document.object();
    document.set(root, "resourceType", document.string("ValueSet"));
    for (const JsonMember& member : source.members()) {
        const bool leave_out = member.key == "resourceType" || member.key == "expansion" ||
                               member.key == "text" ||
                               (member.key == "compose" && !with_definition);
        if (!leave_out) document.set(root, member.key, document.copy(member.value));
    }
    if (root.find("status") == nullptr) document.set(root, "status", document.string("active"));
    return root;
}

Result<Answer> answer_expansion(const Arguments& arguments, const Expansion& asked,
                                const ValueSet& set, const Json& source) {
    const std::size_t limit = std::min(asked.count.value_or(limits::expansion_concepts_max),
                                       limits::expansion_concepts_max);
    const std::size_t total = TRY(set.count(asked.filter));
    if (!asked.count && total > asked.offset + limits::expansion_concepts_max) {
        return fail(Category::too_large,
                    fmt::format("too costly: the expansion has {} concepts, more than {}: ask for "
                                "a part with count and offset, or filter",
                                total, limits::expansion_concepts_max));
    }
    JsonDocument document;
    Json contains = document.array();
    std::size_t at = 0;
    if (limit > 0 && asked.offset < total) {
        TRY(set.each(asked.filter, [&](const Member& member) {
            if (at++ < asked.offset) return true;
            document.append(contains,
                            entry_of(document, member, asked.language, asked.with_designations));
            return contains.size() < limit;
        }));
    }
    Json root = expanded_head(document, source, TRY(arguments.boolean("includeDefinition")));
    Json expansion = document.object();
    document.set(expansion, "identifier", document.string("urn:uuid:" + new_uuid()));
    document.set(expansion, "timestamp", document.string(to_text(now())));
    document.set(expansion, "total", document.number(static_cast<std::int64_t>(total)));
    if (arguments.has("offset"))
        document.set(expansion, "offset", document.number(static_cast<std::int64_t>(asked.offset)));
    if (const Json list = expansion_parameters(document, arguments, set); list.size() > 0)
        document.set(expansion, "parameter", list);
    if (contains.size() > 0) document.set(expansion, "contains", contains);
    document.set(root, "expansion", expansion);
    Answer answer;
    answer.json = to_text(root);
    return answer;
}

}  // namespace

Result<Answer> expand(Service& service, const Terminology& terminology, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange, "valueSet"));
    TRY(arguments.allow(expand_parameters));
    const Expansion asked = TRY(read_expansion(arguments));
    const auto meant = TRY(value_set_asked(service, exchange, arguments, "$expand"));
    if (meant->resource != nullptr) {
        return answer_expansion(arguments, asked,
                                *TRY(terminology.compile(*meant->resource, asked.versions)),
                                *meant->resource);
    }
    const JsonDocument document = TRY(terminology.value_set_resource(meant->url));
    const auto set = asked.versions.empty()
                         ? TRY(terminology.value_set(meant->url))
                         : TRY(terminology.compile(document.root(), asked.versions));
    return answer_expansion(arguments, asked, *set, document.root());
}

}  // namespace meridian::rest::terminology
