// SPDX-License-Identifier: Apache-2.0
#include "fhir/definitions/definitions.hpp"

#include <gtest/gtest.h>

#include <climits>

#include "base/json.hpp"

namespace meridian::fhir {
namespace {

using Membership = Definitions::Membership;

const Type& type(std::string_view name) {
    const Type* found = definitions().find(name);
    EXPECT_NE(found, nullptr) << name;
    return *found;
}

std::vector<std::string_view> element_names(const Type& of) {
    std::vector<std::string_view> names;
    for (const Element* element : of.elements) names.push_back(element->name);
    return names;
}

TEST(Definitions, KnowsAllResourceTypesOfR4) {
    EXPECT_EQ(definitions().resources().size(), 146u);
    EXPECT_NE(definitions().resource("Patient"), nullptr);
    EXPECT_EQ(definitions().resource("DomainResource"), nullptr) << "abstract";
    EXPECT_EQ(definitions().resource("HumanName"), nullptr) << "a data type";
    EXPECT_EQ(definitions().resource("Subscriptiontopic"), nullptr) << "R5";
    EXPECT_TRUE(std::ranges::is_sorted(definitions().resources(), {},
                                       [](const Type* t) { return t->name; }));
}

TEST(Definitions, InheritedElementsComeFirstInTheOrderOfTheDefinition) {
    const std::vector<std::string_view> names = element_names(type("Patient"));
    const std::vector<std::string_view> start = {
        "id",        "meta",      "implicitRules",     "language",   "text",
        "contained", "extension", "modifierExtension", "identifier", "active"};
    ASSERT_GT(names.size(), start.size());
    EXPECT_TRUE(std::equal(start.begin(), start.end(), names.begin()));
    EXPECT_EQ(names.back(), "link");
    EXPECT_EQ(
        element_names(type("Patient.link")),
        (std::vector<std::string_view>{"id", "extension", "modifierExtension", "other", "type"}));
    EXPECT_EQ(element_names(type("Age")), element_names(type("Quantity")));
}

TEST(Definitions, DerivationReachesTheRoot) {
    EXPECT_TRUE(type("Patient").is_a(type("Resource")));
    EXPECT_TRUE(type("positiveInt").is_a(type("integer")));
    EXPECT_TRUE(type("positiveInt").is_primitive());
    EXPECT_FALSE(type("Bundle").is_a(type("DomainResource")));
    EXPECT_TRUE(type("Patient.contact").is_a(type("BackboneElement")));
    EXPECT_EQ(type("Timing.repeat").kind, TypeKind::backbone);
}

TEST(Definitions, AChoiceHasOnePropertyPerType) {
    const Type& observation = type("Observation");
    const Type::Property quantity = observation.find("valueQuantity");
    ASSERT_NE(quantity.element, nullptr);
    EXPECT_EQ(quantity.element->path, "Observation.value[x]");
    EXPECT_EQ(quantity.type->type, &type("Quantity"));
    EXPECT_EQ(observation.element("value"), quantity.element);
    EXPECT_EQ(observation.find("value").element, nullptr) << "JSON never says just value";
    EXPECT_EQ(observation.element("valueQuantity"), nullptr) << "FHIRPath never says valueQuantity";
    EXPECT_EQ(observation.find("valueAddress").element, nullptr);
    EXPECT_EQ(type("Extension").element("value")->types.size(), 50u);
    EXPECT_EQ(type("Extension").find("valueBase64Binary").type->type, &type("base64Binary"));
}

TEST(Definitions, EveryNameLeadsBackToItsElement) {
    for (const Type* resource : definitions().resources()) {
        for (const Element* element : resource->elements) {
            EXPECT_EQ(resource->element(element->name), element) << element->path;
            for (const ElementType& choice : element->types) {
                ASSERT_NE(choice.type, nullptr) << element->path;
                EXPECT_EQ(resource->find(choice.property).element, element) << element->path;
                EXPECT_EQ(resource->find(choice.property).type, &choice) << element->path;
            }
        }
        EXPECT_EQ(resource->find("").element, nullptr);
        EXPECT_EQ(resource->find("noSuchElement").element, nullptr);
    }
}

TEST(Definitions, ContentReferencesLeadToTheRightBackbone) {
    EXPECT_EQ(type("Questionnaire.item").find("item").type->type, &type("Questionnaire.item"));
    EXPECT_EQ(type("Bundle.entry").find("link").type->type, &type("Bundle.link"));
    EXPECT_EQ(type("Parameters.parameter").find("part").type->type, &type("Parameters.parameter"));
    EXPECT_EQ(type("Observation.component").find("referenceRange").type->type,
              &type("Observation.referenceRange"));
}

TEST(Definitions, CardinalityFlagsTargetsAndBindings) {
    const Type& observation = type("Observation");
    EXPECT_EQ(observation.element("status")->min, 1u);
    EXPECT_EQ(observation.element("status")->max, 1u);
    EXPECT_FALSE(observation.element("status")->is_array());
    EXPECT_EQ(observation.element("category")->max, UINT_MAX);
    EXPECT_TRUE(observation.element("category")->is_array());
    EXPECT_TRUE(observation.element("status")->is_modifier);
    EXPECT_TRUE(observation.element("code")->is_summary);
    EXPECT_FALSE(observation.element("note")->is_summary);
    EXPECT_EQ(observation.element("status")->binding, Binding::required);
    EXPECT_EQ(observation.element("status")->value_set,
              "http://hl7.org/fhir/ValueSet/observation-status");
    EXPECT_EQ(observation.find("subject").type->targets,
              (std::vector<std::string_view>{"Patient", "Group", "Device", "Location"}));
    EXPECT_TRUE(observation.find("focus").type->targets.empty()) << "any resource";
    EXPECT_EQ(type("Resource").find("id").type->type, &type("id"));
    EXPECT_EQ(type("Element").find("id").type->type, &type("string"));
    EXPECT_EQ(type("Extension").find("url").type->type, &type("uri"));
    EXPECT_EQ(type("Extension").element("url")->min, 1u);
    EXPECT_EQ(element_names(type("string")), (std::vector<std::string_view>{"id", "extension"}));
}

TEST(Definitions, InvariantsStandWhereTheyApply) {
    const auto has = [](const std::vector<Invariant>& invariants, std::string_view key) {
        return std::ranges::find(invariants, key, &Invariant::key) != invariants.end();
    };
    EXPECT_TRUE(has(type("Patient.contact").invariants, "pat-1"));
    EXPECT_TRUE(has(type("Patient").invariants, "dom-2"));
    EXPECT_TRUE(has(type("Observation").invariants, "obs-7"));
    EXPECT_TRUE(has(type("Questionnaire.item").invariants, "que-1"));
    EXPECT_TRUE(has(type("Element").invariants, "ele-1"));
    EXPECT_TRUE(has(type("Reference").invariants, "ref-1"));
}

TEST(Definitions, SearchParametersAreOnePerBase) {
    std::set<std::pair<std::string_view, std::string_view>> keys;
    for (const SearchDefinition& parameter : definitions().search_parameters()) {
        EXPECT_TRUE(keys.emplace(parameter.base, parameter.code).second)
            << parameter.base << "." << parameter.code;
        EXPECT_NE(definitions().find(parameter.base), nullptr) << parameter.base;
        EXPECT_EQ(parameter.type == SearchType::composite, !parameter.components.empty())
            << parameter.url;
    }
    EXPECT_TRUE(keys.contains({"Patient", "birthdate"}));
    EXPECT_TRUE(keys.contains({"Resource", "_lastUpdated"}));
    EXPECT_TRUE(keys.contains({"Observation", "component-code-value-quantity"}));
    EXPECT_GT(keys.size(), 1600u);
}

TEST(Definitions, Compartments) {
    for (const std::string_view owner :
         {"Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"}) {
        ASSERT_NE(definitions().compartment(owner), nullptr) << owner;
    }
    const Compartment& patient = *definitions().compartment("Patient");
    ASSERT_NE(patient.find("Observation"), nullptr);
    EXPECT_EQ(patient.find("Observation")->params,
              (std::vector<std::string_view>{"subject", "performer"}));
    EXPECT_EQ(patient.find("Location"), nullptr);
    EXPECT_EQ(definitions().compartment("Location"), nullptr);
}

TEST(Definitions, Operations) {
    const auto operations = definitions().operations();
    const auto lastn = std::ranges::find(operations, "lastn", &OperationDefinition::code);
    ASSERT_NE(lastn, operations.end());
    EXPECT_TRUE(lastn->on_type);
    EXPECT_FALSE(lastn->system);
    EXPECT_EQ(lastn->types, std::vector<std::string_view>{"Observation"});
}

TEST(Definitions, MembershipOfRequiredBindings) {
    const Definitions& all = definitions();
    constexpr std::string_view status = "http://hl7.org/fhir/ValueSet/observation-status";
    EXPECT_EQ(all.in_value_set(status, "", "final"), Membership::yes);
    EXPECT_EQ(
        all.in_value_set("http://hl7.org/fhir/ValueSet/observation-status|4.0.1", "", "final"),
        Membership::yes);
    EXPECT_EQ(all.in_value_set(status, "http://hl7.org/fhir/observation-status", "final"),
              Membership::yes);
    EXPECT_EQ(all.in_value_set(status, "http://example.org/other", "final"), Membership::no);
    EXPECT_EQ(all.in_value_set(status, "", "Final"), Membership::no);
    EXPECT_EQ(all.in_value_set(status, "", ""), Membership::no);
    EXPECT_EQ(all.in_value_set("http://hl7.org/fhir/ValueSet/all-types", "", "DomainResource"),
              Membership::yes);
    EXPECT_EQ(all.in_value_set("http://hl7.org/fhir/ValueSet/currencies", "", "CNY"),
              Membership::yes);
    EXPECT_EQ(all.in_value_set("http://hl7.org/fhir/ValueSet/mimetypes", "", "text/plain"),
              Membership::unknown);
    EXPECT_EQ(all.in_value_set("http://example.org/none", "", "x"), Membership::unknown);
}

TEST(Definitions, AllRequiredBindingsButSyntaxOnesAreEnumerable) {
    std::set<std::string_view> unknown;
    std::deque<const Type*> types(definitions().resources().begin(),
                                  definitions().resources().end());
    std::set<const Type*> seen;
    while (!types.empty()) {
        const Type* of = types.front();
        types.pop_front();
        if (!seen.insert(of).second) continue;
        for (const Element* element : of->elements) {
            for (const ElementType& choice : element->types) types.push_back(choice.type);
            if (element->binding == Binding::required &&
                definitions().in_value_set(element->value_set, "", "x") == Membership::unknown) {
                unknown.insert(element->value_set);
            }
        }
    }
    EXPECT_EQ(unknown, (std::set<std::string_view>{"http://hl7.org/fhir/ValueSet/mimetypes",
                                                   "http://hl7.org/fhir/ValueSet/ucum-units",
                                                   "http://loinc.org/vs/LL379-9"}));
}

TEST(Definitions, CaseSensitivityIsTakenFromTheCodeSystem) {
    EXPECT_TRUE(definitions().is_case_sensitive("http://hl7.org/fhir/observation-status"));
    EXPECT_TRUE(definitions().is_case_sensitive("http://unitsofmeasure.org"));
    EXPECT_FALSE(definitions().is_case_sensitive("http://example.org/in-doubt"));
}

TEST(Definitions, ConformanceResourcesAreTheOnesAskedFor) {
    for (const std::string_view kind :
         {"CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition"}) {
        const std::vector<std::string_view> urls = definitions().conformance_urls(kind);
        ASSERT_GT(urls.size(), 50u) << kind;
        for (std::size_t index = 0; index < urls.size(); index += 37) {
            const Result<JsonDocument> document =
                JsonDocument::parse(definitions().conformance_resource(kind, urls[index]));
            ASSERT_TRUE(document) << urls[index];
            EXPECT_EQ(document->root().string_at("resourceType"), kind);
            EXPECT_EQ(document->root().string_at("url"), urls[index]);
            EXPECT_EQ(document->root().find("text"), nullptr) << "narratives are left out";
        }
    }
    EXPECT_FALSE(
        definitions()
            .conformance_resource("StructureDefinition",
                                  "http://hl7.org/fhir/StructureDefinition/vitalsigns|4.0.1")
            .empty());
    EXPECT_TRUE(definitions().conformance_resource("ValueSet", "http://example.org/none").empty());
    EXPECT_TRUE(definitions().conformance_resource("Patient", "x").empty());
    EXPECT_TRUE(definitions().conformance_urls("Patient").empty());
}

}  // namespace
}  // namespace meridian::fhir
