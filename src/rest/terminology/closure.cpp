// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/closure.hpp"

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "rest/terminology/operations.hpp"

namespace meridian::rest::terminology {

namespace {

using fhir::terminology::ClosureAnswer;
using fhir::terminology::Closures;

/// The rows as a ConceptMap: the target subsumes the source.
Answer closure_map(std::string_view name, const ClosureAnswer& rows) {
    JsonDocument document;
    Json map = document.object(), groups = document.array();
    document.set(map, "resourceType", document.string("ConceptMap"));
    document.set(map, "id", document.string(new_uuid()));
    document.set(map, "version", document.string(std::to_string(rows.version)));
    document.set(map, "title", document.string(name));
    document.set(map, "status", document.string("active"));
    document.set(map, "experimental", document.boolean(true));
    document.set(map, "date", document.string(to_text(now())));
    // The rows are sorted: by system, then code.
    for (auto row = rows.entries.begin(); row != rows.entries.end();) {
        const std::string& system = row->system;
        Json elements = document.array();
        while (row != rows.entries.end() && row->system == system) {
            const std::string& code = row->code;
            Json element = document.object(), targets = document.array();
            for (; row != rows.entries.end() && row->system == system && row->code == code; ++row) {
                Json target = document.object();
                document.set(target, "code", document.string(row->ancestor));
                document.set(target, "equivalence", document.string("subsumes"));
                document.append(targets, target);
            }
            document.set(element, "code", document.string(code));
            document.set(element, "target", targets);
            document.append(elements, element);
        }
        Json group = document.object();
        document.set(group, "source", document.string(system));
        document.set(group, "target", document.string(system));
        document.set(group, "element", elements);
        document.append(groups, group);
    }
    if (groups.size() > 0) document.set(map, "group", groups);
    Answer answer;
    answer.json = to_text(map);
    return answer;
}

}  // namespace

/// https://hl7.org/fhir/R4/conceptmap-operation-closure.html: a name alone starts (or empties) the
/// table, concepts add to it, a version asks for what came since.
Result<Answer> closure(Closures& closures, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("name concept version"));
    const std::string_view name = arguments.text("name");
    if (name.empty()) return fail(Category::incorrect, "expected the name of a closure", "name");
    const auto concepts = arguments.values("concept");
    if (arguments.has("version") && arguments.has("concept"))
        return fail(Category::incorrect,
                    "give concepts to add, or a version to go on from, not both", "version");
    if (arguments.has("version"))
        return closure_map(name, TRY(closures.since(name, arguments.text("version"))));
    if (!arguments.has("concept")) return closure_map(name, TRY(closures.start(name)));
    std::vector<fhir::terminology::ClosureConcept> asked;
    for (const Json* coding : concepts)
        asked.push_back({std::string(coding->string_at("system")),
                         std::string(coding->string_at("version")),
                         std::string(coding->string_at("code"))});
    return closure_map(name, TRY(closures.add(name, asked)));
}

}  // namespace meridian::rest::terminology
