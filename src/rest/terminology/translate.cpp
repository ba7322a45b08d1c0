// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "rest/terminology/operations.hpp"
#include "rest/terminology/parameters_out.hpp"

namespace meridian::rest::terminology {

namespace {

using fhir::terminology::ConceptMap;

Result<std::vector<std::shared_ptr<const ConceptMap>>> maps_asked(Service& service,
                                                                  const Terminology& terminology,
                                                                  const Exchange& exchange,
                                                                  const Arguments& arguments) {
    std::vector<std::shared_ptr<const ConceptMap>> maps;
    if (on_instance(exchange)) {
        maps.push_back(TRY(ConceptMap::load(TRY(addressed(service, exchange)).root())));
    } else if (const Json* given = arguments.resource("conceptMap")) {
        maps.push_back(TRY(ConceptMap::load(*given)));
    } else if (arguments.has("url")) {
        std::string url(arguments.text("url"));
        if (const std::string_view version = arguments.text("conceptMapVersion"); !version.empty())
            url += fmt::format("|{}", version);
        maps.push_back(TRY(terminology.concept_map(url)));
    } else {
        maps = TRY(terminology.concept_maps());
    }
    // Without a map the scopes choose: of two value sets, or all maps that know the systems.
    const std::string_view source = arguments.text("source"), target = arguments.text("target");
    if (maps.size() > 1) {
        std::erase_if(maps, [&](const auto& map) {
            return (!source.empty() && map->source() != source) ||
                   (!target.empty() && map->target() != target);
        });
    }
    return maps;
}

Json match_parts(Out& out, const ConceptMap& map, const ConceptMap::Match& match) {
    JsonDocument& document = out.document;
    Json parts = document.array();
    document.append(parts,
                    out.part("equivalence", "valueCode", document.string(match.equivalence)));
    Json coding = document.object();
    set_text(document, coding, "system", match.system);
    set_text(document, coding, "version", match.version);
    set_text(document, coding, "code", match.code);
    set_text(document, coding, "display", match.display);
    document.append(parts, out.part("concept", "valueCoding", coding));
    if (match.target != nullptr) {
        for (const Json& product : (*match.target)["product"].items()) {
            Json inner = document.array(), value = document.object();
            document.append(inner, out.part("element", "valueUri",
                                            document.string(product.string_at("property"))));
            set_text(document, value, "system", product.string_at("system"));
            set_text(document, value, "code", product.string_at("value"));
            set_text(document, value, "display", product.string_at("display"));
            document.append(inner, out.part("concept", "valueCoding", value));
            document.append(parts, out.part("product", "part", inner));
        }
    }
    if (!map.url().empty())
        document.append(parts, out.part("source", "valueUri", document.string(map.url())));
    return parts;
}

}  // namespace

Result<Answer> translate(Service& service, const Terminology& terminology,
                         const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(
        arguments.allow("url conceptMap conceptMapVersion code system version source coding "
                        "codeableConcept target targetsystem targetSystem reverse"));
    const auto asked = TRY(codes_asked(arguments));
    const bool reverse = TRY(arguments.boolean("reverse"));
    std::string_view target_system = arguments.text("targetsystem");
    if (target_system.empty()) target_system = arguments.text("targetSystem");
    const auto maps = TRY(maps_asked(service, terminology, exchange, arguments));
    Out out;
    bool is_mapped = false;
    std::vector<Json> matches;
    for (const auto& map : maps) {
        for (const CodeAsked& code : asked) {
            for (const auto& match :
                 map->translate(code.system, code.code, target_system, reverse)) {
                is_mapped = is_mapped || match.is_mapped();
                if (matches.size() < limits::translations_max)
                    matches.push_back(match_parts(out, *map, match));
            }
        }
    }
    out.add("result", "valueBoolean", out.document.boolean(is_mapped));
    if (!is_mapped)
        out.add_text("message", "valueString",
                     maps.empty()
                         ? "no concept map here fits the question"
                         : fmt::format("no translation of \"{}\" was found", asked.front().code));
    for (const Json& match : matches) out.add_parts("match", match);
    return out.answer();
}

}  // namespace meridian::rest::terminology
