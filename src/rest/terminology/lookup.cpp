// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology/operations.hpp"
#include "rest/terminology/parameters_out.hpp"

namespace meridian::rest::terminology {

namespace {

using fhir::terminology::ConceptIndex;
using fhir::terminology::no_concept;

void add_property(Out& out, std::string_view code, std::string_view member, Json value,
                  std::string_view description = {}) {
    Json parts = out.document.array();
    out.document.append(parts, out.part("code", "valueCode", out.document.string(code)));
    out.document.append(parts, out.part("value", member, value));
    if (!description.empty())
        out.document.append(
            parts, out.part("description", "valueString", out.document.string(description)));
    out.add_parts("property", parts);
}

void add_designation(Out& out, const CodeSystem::Designation& designation) {
    Json parts = out.document.array();
    if (!designation.language.empty())
        out.document.append(
            parts, out.part("language", "valueCode", out.document.string(designation.language)));
    if (!designation.use.empty())
        out.document.append(parts,
                            out.part("use", "valueCoding", parsed(out.document, designation.use)));
    out.document.append(parts,
                        out.part("value", "valueString", out.document.string(designation.value)));
    out.add_parts("designation", parts);
}

/// value[x] of a stored property.
Json property_value(JsonDocument& document, const CodeSystem::Property& property) {
    if (property.kind == "Boolean") return document.boolean(property.value == "true");
    if (property.kind == "Integer" || property.kind == "Decimal")
        return document.number(property.value);
    if (property.kind == "Coding") return parsed(document, property.value);
    return document.string(property.value);
}

void add_properties(Out& out, const CodeSystem& codes, ConceptIndex at,
                    const std::vector<std::string>& wanted) {
    const auto is_wanted = [&](std::string_view name, bool by_default) {
        return wanted.empty() ? by_default
                              : std::find(wanted.begin(), wanted.end(), name) != wanted.end() ||
                                    std::find(wanted.begin(), wanted.end(), "*") != wanted.end();
    };
    if (is_wanted("definition", true) && !codes.definition(at).empty())
        add_property(out, "definition", "valueString", out.document.string(codes.definition(at)));
    if (is_wanted("inactive", true))
        add_property(out, "inactive", "valueBoolean", out.document.boolean(codes.is_inactive(at)));
    if (is_wanted("parent", true)) {
        for (const ConceptIndex parent : codes.parents(at))
            add_property(out, "parent", "valueCode", out.document.string(codes.code(parent)),
                         codes.display(parent));
    }
    if (is_wanted("child", true)) {
        for (const ConceptIndex child : codes.children(at))
            add_property(out, "child", "valueCode", out.document.string(codes.code(child)),
                         codes.display(child));
    }
    for (const auto& property : codes.properties(at)) {
        if (property.code == "parent" || property.code == "child" || property.code == "inactive" ||
            !is_wanted(property.code, true))
            continue;
        add_property(out, property.code, fmt::format("value{}", property.kind),
                     property_value(out.document, property));
    }
}

}  // namespace

Result<Answer> lookup(Service& service, const Terminology& terminology, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("code system version coding date displayLanguage property"));
    const auto asked = TRY(codes_asked(arguments));
    const CodeAsked& code = asked.front();
    const auto codes =
        TRY(system_asked(service, terminology, exchange, arguments, code.system, code.version));
    const ConceptIndex at = codes->find(code.code);
    if (at == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\"", codes->url(), code.code.substr(0, 80)),
                    "code");
    const auto wanted = arguments.texts("property");
    Out out;
    out.add_text("name", "valueString", codes->name().empty() ? codes->url() : codes->name());
    out.add_text("version", "valueString", codes->version());
    const Member member{codes.get(),        at,     codes->url(), codes->version(), codes->code(at),
                        codes->display(at), nullptr};
    const std::string_view display = display_in(member, arguments.text("displayLanguage"));
    out.add_text("display", "valueString", display.empty() ? codes->code(at) : display);
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), "designation") != wanted.end()) {
        for (const auto& designation : codes->designations(at)) add_designation(out, designation);
    }
    add_properties(out, *codes, at, wanted);
    return out.answer();
}

}  // namespace meridian::rest::terminology
