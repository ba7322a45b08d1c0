// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/transform.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/decimal.hpp"
#include "base/instant.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/ucum/ucum.hpp"
#include "trust/pseudonym/limits.hpp"

namespace meridian::trust::pseudonym {

namespace {

using fhir::Element;
using fhir::Type;
using fhir::TypeKind;

constexpr std::array shown = std::to_array<std::string_view>({"AdverseEvent",
                                                              "AllergyIntolerance",
                                                              "Appointment",
                                                              "CarePlan",
                                                              "ClinicalImpression",
                                                              "Condition",
                                                              "DetectedIssue",
                                                              "DeviceRequest",
                                                              "DeviceUseStatement",
                                                              "DiagnosticReport",
                                                              "DocumentReference",
                                                              "Encounter",
                                                              "EpisodeOfCare",
                                                              "FamilyMemberHistory",
                                                              "Flag",
                                                              "Goal",
                                                              "ImagingStudy",
                                                              "Immunization",
                                                              "ImmunizationEvaluation",
                                                              "ImmunizationRecommendation",
                                                              "MedicationAdministration",
                                                              "MedicationDispense",
                                                              "MedicationRequest",
                                                              "MedicationStatement",
                                                              "NutritionOrder",
                                                              "Observation",
                                                              "Patient",
                                                              "Procedure",
                                                              "QuestionnaireResponse",
                                                              "RiskAssessment",
                                                              "ServiceRequest",
                                                              "Specimen",
                                                              "SupplyRequest",
                                                              "VisionPrescription"});

constexpr std::array copied = std::to_array<std::string_view>(
    {"ActivityDefinition", "ChargeItemDefinition", "CodeSystem", "ConceptMap", "Library", "Measure",
     "Medication", "MedicationKnowledge", "NamingSystem", "ObservationDefinition", "PlanDefinition",
     "Questionnaire", "SearchParameter", "SpecimenDefinition", "StructureDefinition", "Substance",
     "ValueSet"});

/// Data types that are walked element by element, each by its own rule. A type that is not here,
/// and has no rule of its own below, is left out as a whole.
constexpr std::array walked =
    std::to_array<std::string_view>({"CodeableConcept", "Dosage", "Element", "BackboneElement",
                                     "Money", "Period", "Range", "Ratio", "SampledData", "Timing"});
constexpr std::array quantities = std::to_array<std::string_view>(
    {"Age", "Count", "Distance", "Duration", "MoneyQuantity", "Quantity", "SimpleQuantity"});
constexpr std::array numbers = std::to_array<std::string_view>(
    {"boolean", "decimal", "integer", "positiveInt", "unsignedInt"});
constexpr std::array dates = std::to_array<std::string_view>({"date", "dateTime", "instant"});
constexpr std::array comparators = std::to_array<std::string_view>({"<", "<=", ">=", ">"});
/// References to people are left out; the patient's own and those to things and staff are not.
constexpr std::array persons = std::to_array<std::string_view>({"Person", "RelatedPerson"});
/// A contained resource of these is a person too.
constexpr std::array contained_persons = std::to_array<std::string_view>(
    {"Patient", "Person", "Practitioner", "PractitionerRole", "RelatedPerson"});
/// Strings that are keys and no text.
constexpr std::array kept_strings =
    std::to_array<std::string_view>({"QuestionnaireResponse.item.linkId"});
/// When a relative was born or died would give that person away.
constexpr std::array left_out = std::to_array<std::string_view>(
    {"FamilyMemberHistory.born[x]", "FamilyMemberHistory.deceased[x]"});
/// Of a Patient nothing else, beside age band, province and country.
constexpr std::array patient_members = std::to_array<std::string_view>(
    {"active", "gender", "deceasedBoolean", "deceasedDateTime", "maritalStatus"});

constexpr std::string_view absent_reason =
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
constexpr std::string_view absent_reason_system =
    "http://terminology.hl7.org/CodeSystem/data-absent-reason";

template <std::size_t size>
bool is_in(const std::array<std::string_view, size>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
    return out;
}

/// Printable ASCII without a space: no sentence, and no Chinese name.
bool is_code(std::string_view text) {
    return !text.empty() && text.size() <= limits::pseudonym_code_bytes_max &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7F'; });
}
bool is_time(std::string_view text) {
    return text.size() <= limits::pseudonym_code_bytes_max &&
           text.find_first_not_of("0123456789:.") == std::string_view::npos;
}
bool is_uri(std::string_view text) {
    return text.size() <= limits::pseudonym_uri_bytes_max &&
           (text.starts_with("http://") || text.starts_with("https://") ||
            text.starts_with("urn:")) &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7F'; });
}

/// Makes the copy of one resource.
class Copy {
 public:
    Copy(const ProjectKey& key, const Transformation::Options& options, const Person& person)
        : key_(key), options_(options), person_(person), shift_(key.shift_days(person.id)) {}

    Result<std::string> run(const Json& in) {
        const std::string_view type_name = in.string_at("resourceType");
        const Type* type = fhir::definitions().resource(type_name);
        if (type == nullptr || !is_shown(type_name))
            return fail(Category::unsupported, "resources of this type are not shown in projects",
                        std::string(type_name.substr(0, 64)));
        if (has_modifier(in))
            return fail(Category::unsupported,
                        "a modifier that is not known here may turn it into its opposite",
                        std::string(type_name));
        own_ = fmt::format("{}/{}", type_name, in.string_at("id"));
        Json out = out_.object();
        out_.set(out, "resourceType", out_.string(type_name));
        out_.set(out, "id", out_.string(key_.pseudonym(type_name, in.string_at("id"))));
        out_.set(out, "meta", meta_of(in["meta"]));
        add_contained(in, out);
        if (type_name == "Patient") {
            add_patient(in, *type, out);
        } else {
            add_members(in, *type, out);
            add_required(in, *type, out);
        }
        return to_text(out);
    }

 private:
    static bool has_modifier(const Json& in) {
        return in["modifierExtension"].size() > 0 || in.find("implicitRules") != nullptr;
    }

    bool is_identifying(std::string_view text, std::size_t word_bytes_min = 0) const {
        const std::string folded = lower(text);
        return std::any_of(
            person_.words.begin(), person_.words.end(), [&](const std::string& word) {
                return word.size() >= word_bytes_min && folded.find(word) != std::string::npos;
            });
    }
    bool is_safe_code(std::string_view text) const {
        return is_code(text) && !is_identifying(text);
    }
    /// A short name is part of many an address by chance.
    bool is_safe_uri(std::string_view text) const {
        return is_uri(text) && !is_identifying(text, limits::identifying_in_uri_bytes_min);
    }

    // --- the resource's own elements ---

    Json meta_of(const Json& in) {
        Json meta = out_.object();
        Json labels = out_.array();
        for (const Json& label : in["security"].items()) {
            if (const auto kept = coding(label)) out_.append(labels, *kept);
        }
        out_.append(labels, coded(pseudonymised_system, pseudonymised_code));
        out_.set(meta, "security", labels);
        Json tags = out_.array();
        out_.append(tags, coded(project_system, options_.project));
        out_.set(meta, "tag", tags);
        return meta;
    }

    Json coded(std::string_view system, std::string_view code) {
        Json made = out_.object();
        out_.set(made, "system", out_.string(system));
        out_.set(made, "code", out_.string(code));
        return made;
    }

    void add_contained(const Json& in, Json& out) {
        Json all = out_.array();
        for (const Json& each : in["contained"].items()) {
            const std::string_view name = each.string_at("resourceType");
            const Type* type = fhir::definitions().resource(name);
            if (type == nullptr || is_in(contained_persons, name) || has_modifier(each)) continue;
            contained_.insert(std::string(each.string_at("id")));
            Json copy = out_.object();
            out_.set(copy, "resourceType", out_.string(name));
            out_.set(copy, "id", out_.string(contained_id(each.string_at("id"))));
            add_members(each, *type, copy);
            add_required(each, *type, copy);
            out_.append(all, copy);
        }
        if (all.size() > 0) out_.set(out, "contained", all);
    }

    std::string contained_id(std::string_view id) const {
        return key_.pseudonym("contained", fmt::format("{}#{}", own_, id));
    }

    void add_patient(const Json& in, const Type& type, Json& out) {
        for (const std::string_view name : patient_members) {
            const Json* given = in.find(name);
            const auto property = type.find(name);
            if (given == nullptr || property.element == nullptr) continue;
            if (const auto kept = value(*given, *property.type->type, *property.element))
                out_.set(out, name, *kept);
        }
        add_age(in, out);
        // The first address that names one: where the patient lives, as far as that is told.
        for (const Json& address : in["address"].items()) {
            Json place = out_.object();
            for (const std::string_view name : {"state", "country"}) {
                const std::string_view text = address.string_at(name);
                const bool has_digit = std::any_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
                if (!text.empty() && text.size() <= limits::pseudonym_code_bytes_max &&
                    !has_digit && !is_identifying(text))
                    out_.set(place, name, out_.string(text));
            }
            if (place.size() == 0) continue;
            Json addresses = out_.array();
            out_.append(addresses, place);
            out_.set(out, "address", addresses);
            break;
        }
    }

    /// The age at the project's day, or at death: a band, and the year in whose middle it lies, so
    /// that searches by birth date find bands.
    void add_age(const Json& in, Json& out) {
        const std::string_view born = in.string_at("birthDate");
        if (!parse_date(born)) return;
        std::string_view day = options_.reference_day;
        const std::string_view died = in.string_at("deceasedDateTime");
        if (!died.empty() && died < day) day = died;
        const int years = years_between(born, day);
        const auto at = parse_date(day);
        if (!at) return;
        const int middle = years >= limits::age_band_top_years
                               ? limits::age_band_top_years
                               : years / limits::age_band_years * limits::age_band_years +
                                     limits::age_band_years / 2;
        out_.set(out, "birthDate", out_.string(fmt::format("{:04}", at->year - middle)));
        Json band = out_.object();
        out_.set(band, "url", out_.string(age_band_extension));
        out_.set(band, "valueCode", out_.string(age_band(years)));
        Json extensions = out_.array();
        out_.append(extensions, band);
        out_.set(out, "extension", extensions);
    }

    // --- walking ---

    void add_members(const Json& in, const Type& type, Json& out) {
        bool lost_value = false;
        for (const JsonMember& member : in.members()) {
            if (member.key.starts_with('_') || member.key == "meta" || member.key == "contained")
                continue;
            const auto property = type.find(member.key);
            if (property.element == nullptr || is_in(left_out, property.element->path)) continue;
            if (const auto kept =
                    member_of(member.value, *property.type->type, *property.element)) {
                out_.set(out, member.key, *kept);
            } else if (property.element->path.starts_with("Observation.") &&
                       property.element->name == "value") {
                lost_value = true;
            }
        }
        if (lost_value && out.find("dataAbsentReason") == nullptr) {
            Json codings = out_.array();
            out_.append(codings, coded(absent_reason_system, "masked"));
            Json reason = out_.object();
            out_.set(reason, "coding", codings);
            out_.set(out, "dataAbsentReason", reason);
        }
    }

    std::optional<Json> member_of(const Json& in, const Type& type, const Element& element) {
        if (!in.is_array()) return value(in, type, element);
        Json all = out_.array();
        for (const Json& item : in.items()) {
            if (const auto kept = value(item, type, element)) out_.append(all, *kept);
        }
        if (all.size() == 0) return std::nullopt;
        return all;
    }

    /// What had to go but must be there says that it was masked.
    void add_required(const Json& in, const Type& type, Json& out) {
        for (const Element* element : type.elements) {
            if (element->min == 0) continue;
            const fhir::ElementType* given = nullptr;
            bool is_there = false;
            for (const auto& each : element->types) {
                is_there = is_there || out.find(each.property) != nullptr;
                if (in.find(each.property) != nullptr) given = &each;
            }
            if (given == nullptr || is_there) continue;
            Json gap = masked();
            if (element->is_array()) {
                Json gaps = out_.array();
                out_.append(gaps, gap);
                gap = gaps;
            }
            out_.set(out,
                     given->type->is_primitive() ? fmt::format("_{}", given->property)
                                                 : std::string(given->property),
                     gap);
        }
    }

    Json masked() {
        Json reason = out_.object();
        out_.set(reason, "url", out_.string(absent_reason));
        out_.set(reason, "valueCode", out_.string("masked"));
        Json extensions = out_.array();
        out_.append(extensions, reason);
        Json gap = out_.object();
        out_.set(gap, "extension", extensions);
        return gap;
    }

    std::optional<Json> value(const Json& in, const Type& type, const Element& element) {
        if (type.is_primitive()) return primitive(in, type.name, element);
        if (type.name == "Extension") return extension(in);
        if (!in.is_object() || in["modifierExtension"].size() > 0) return std::nullopt;
        if (type.name == "Coding") return coding(in);
        if (type.name == "Reference") return reference(in);
        if (type.name == "Attachment") return attachment(in);
        if (is_in(quantities, type.name)) return quantity(in);
        if (type.kind != TypeKind::backbone && !is_in(walked, type.name)) return std::nullopt;
        Json out = out_.object();
        add_members(in, type, out);
        if (out.size() == 0) return std::nullopt;
        add_required(in, type, out);
        return out;
    }

    // --- data types ---

    std::optional<Json> primitive(const Json& in, std::string_view type, const Element& element) {
        if (in.is_null()) return std::nullopt;
        // Of the kind that it should be: a record may have been loaded unchecked.
        if (is_in(numbers, type)) {
            const bool is_kept =
                type == "boolean" ? in.is_boolean() : in.is_number() && !is_identifying(in.text());
            return is_kept ? std::optional(out_.copy(in)) : std::nullopt;
        }
        if (!in.is_string()) return std::nullopt;
        const std::string_view text = in.text();
        if (is_in(dates, type)) {
            const auto moved = shifted(text, shift_);
            return moved ? std::optional(out_.string(*moved)) : std::nullopt;
        }
        if (type == "time" && is_time(text)) return out_.string(text);
        // "final" is a status even of somebody called Final.
        if (type == "code" && element.binding == fhir::Binding::required &&
            fhir::definitions().in_value_set(element.value_set, {}, text) ==
                fhir::Definitions::Membership::yes)
            return out_.string(text);
        const bool is_kept =
            (type == "code" && is_safe_code(text)) || (type == "canonical" && is_safe_uri(text)) ||
            (type == "string" && is_in(kept_strings, element.path) && is_safe_code(text));
        return is_kept ? std::optional(out_.string(text)) : std::nullopt;
    }

    std::optional<Json> coding(const Json& in) {
        const std::string_view system = in.string_at("system"), code = in.string_at("code");
        // A code without a system may be anything, a name too. The display is what somebody typed.
        if (!is_safe_uri(system) || !is_safe_code(code)) return std::nullopt;
        Json out = coded(system, code);
        if (const std::string_view version = in.string_at("version"); is_safe_code(version))
            out_.set(out, "version", out_.string(version));
        if (const Json* selected = in.find("userSelected"); selected && selected->is_boolean())
            out_.set(out, "userSelected", out_.copy(*selected));
        return out;
    }

    std::optional<Json> quantity(const Json& in) {
        Json out = out_.object();
        const std::string_view code = in.string_at("code"), unit = in.string_at("unit");
        const bool has_code = is_safe_code(code) && is_safe_uri(in.string_at("system"));
        // A unit in words is a text; one that UCUM knows is not (annotations are texts again).
        const bool has_unit = !has_code && is_safe_code(unit) &&
                              unit.find('{') == std::string_view::npos &&
                              fhir::ucum::is_valid(unit);
        const std::string_view measure = has_code ? code : has_unit ? unit : std::string_view();
        const Json* number = in.find("value");
        if (number != nullptr && number->is_number() && !is_identifying(number->text())) {
            const bool is_old = measure == "a" && is_top_age(number->text());
            out_.set(out, "value",
                     is_old ? out_.number(std::int64_t{limits::age_band_top_years})
                            : out_.copy(*number));
            if (is_old) {
                out_.set(out, "comparator", out_.string(">="));
            } else if (const std::string_view sign = in.string_at("comparator");
                       is_in(comparators, sign)) {
                out_.set(out, "comparator", out_.string(sign));
            }
        }
        if (!measure.empty()) out_.set(out, "unit", out_.string(measure));
        if (has_code) {
            out_.set(out, "system", out_.string(in.string_at("system")));
            out_.set(out, "code", out_.string(code));
        }
        if (out.size() == 0) return std::nullopt;
        return out;
    }

    static bool is_top_age(std::string_view digits) {
        const auto years = Decimal::parse(digits);
        return years && *years >= Decimal(limits::age_band_top_years);
    }

    std::optional<Json> attachment(const Json& in) {
        Json out = out_.object();
        if (const std::string_view kind = in.string_at("contentType"); is_safe_code(kind))
            out_.set(out, "contentType", out_.string(kind));
        if (const auto made = shifted(in.string_at("creation"), shift_))
            out_.set(out, "creation", out_.string(*made));
        if (out.size() == 0) return std::nullopt;
        return out;
    }

    std::optional<Json> extension(const Json& in) {
        if (in.string_at("url") != absent_reason || !is_safe_code(in.string_at("valueCode")))
            return std::nullopt;
        Json out = out_.object();
        out_.set(out, "url", out_.string(absent_reason));
        out_.set(out, "valueCode", out_.string(in.string_at("valueCode")));
        return out;
    }

    std::optional<Json> reference(const Json& in) {
        const std::string target = pseudonymous(in.string_at("reference"));
        if (target.empty()) return std::nullopt;
        Json out = out_.object();
        out_.set(out, "reference", out_.string(target));
        return out;
    }

    /// Where a reference leads in the project; empty for nowhere.
    std::string pseudonymous(std::string_view reference) const {
        if (reference.starts_with('#')) {
            reference.remove_prefix(1);
            return contained_.contains(reference) ? "#" + contained_id(reference) : std::string();
        }
        const std::string_view base = options_.base_url;
        if (!base.empty() && reference.starts_with(base) && reference.size() > base.size() &&
            reference[base.size()] == '/')
            reference.remove_prefix(base.size() + 1);
        const std::size_t slash = reference.find('/');
        if (slash == std::string_view::npos) return {};
        const std::string_view type = reference.substr(0, slash);
        std::string_view id = reference.substr(slash + 1);
        id = id.substr(0, id.find('/'));
        if (id.empty() || fhir::definitions().resource(type) == nullptr || is_in(persons, type))
            return {};
        // Other patients are relatives, donors, neighbours in a bed: who knows one knows the other.
        if (type == "Patient" && id != person_.id) return {};
        if (is_copied(type)) return fmt::format("{}/{}", type, id);
        return fmt::format("{}/{}", type, key_.pseudonym(type, id));
    }

    const ProjectKey& key_;
    const Transformation::Options& options_;
    const Person& person_;
    int shift_;
    std::string own_;  ///< "Observation/7"
    std::set<std::string, std::less<>> contained_;
    JsonDocument out_;
};

void add_word(std::string_view text, Person& person) {
    const bool is_number =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::size_t bytes_min =
        is_number ? limits::identifying_digits_min : limits::identifying_bytes_min;
    if (text.size() < bytes_min || person.words.size() >= limits::identifying_words_max) return;
    person.words.push_back(lower(text));
}

void add_name(const Json& name, Person& person) {
    add_word(name.string_at("text"), person);
    add_word(name.string_at("family"), person);
    for (const Json& given : name["given"].items()) add_word(given.text(), person);
}

void add_contacts(const Json& holder, Person& person) {
    for (const Json& each : holder["telecom"].items()) add_word(each.string_at("value"), person);
}

void add_address(const Json& address, Person& person) {
    add_word(address.string_at("text"), person);
    for (const Json& line : address["line"].items()) add_word(line.text(), person);
}

}  // namespace

std::span<const std::string_view> shown_types() {
    return shown;
}
std::span<const std::string_view> copied_types() {
    return copied;
}
bool is_shown(std::string_view type) {
    return is_in(shown, type);
}
bool is_copied(std::string_view type) {
    return is_in(copied, type);
}

Person person_of(const Json& patient) {
    Person person{.id = std::string(patient.string_at("id"))};
    add_word(person.id, person);
    for (const Json& each : patient["identifier"].items())
        add_word(each.string_at("value"), person);
    for (const Json& name : patient["name"].items()) add_name(name, person);
    add_contacts(patient, person);
    for (const Json& address : patient["address"].items()) add_address(address, person);
    for (const Json& contact : patient["contact"].items()) {
        add_name(contact["name"], person);
        add_contacts(contact, person);
        add_address(contact["address"], person);
    }
    return person;
}

Result<std::string> Transformation::of(const Json& resource, const Person& person) const {
    return Copy(key_, options_, person).run(resource);
}

}  // namespace meridian::trust::pseudonym
