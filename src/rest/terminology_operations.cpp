// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology_operations.hpp"

#include "rest/terminology/operations.hpp"

namespace meridian::rest {

using fhir::terminology::Closures;
using fhir::terminology::Terminology;

void add_terminology_operations(Service& service, std::shared_ptr<const Terminology> concepts) {
    using Run = Result<Answer> (*)(Service&, const Terminology&, const Exchange&);
    const auto add = [&](const char* name, const char* type, const char* definition, Run run) {
        service.add_operation(
            {.name = name,
             .on_type = true,
             .on_instance = true,
             .types = {type},
             .definition = fmt::format("http://hl7.org/fhir/OperationDefinition/{}", definition),
             .run = [concepts, run](Service& s, const Exchange& e) {
                 return run(s, *concepts, e);
             }});
    };
    add("expand", "ValueSet", "ValueSet-expand", terminology::expand);
    add("validate-code", "ValueSet", "ValueSet-validate-code", terminology::validate_in_value_set);
    add("validate-code", "CodeSystem", "CodeSystem-validate-code", terminology::validate_in_system);
    add("lookup", "CodeSystem", "CodeSystem-lookup", terminology::lookup);
    add("subsumes", "CodeSystem", "CodeSystem-subsumes", terminology::subsumes);
    add("translate", "ConceptMap", "ConceptMap-translate", terminology::translate);
    // No operation of its own: /metadata?mode=terminology asks for it.
    service.add_operation(
        {.name = "terminology-capabilities", .run = terminology::terminology_capabilities});
    const auto closures = std::make_shared<Closures>(service.repository().store(), concepts);
    service.add_operation(
        {.name = "closure",
         .on_system = true,
         .definition = "http://hl7.org/fhir/OperationDefinition/ConceptMap-closure",
         .changes_state = true,
         .run = [closures](Service&, const Exchange& e) {
             return terminology::closure(*closures, e);
         }});
}

}  // namespace meridian::rest
