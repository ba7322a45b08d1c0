// SPDX-License-Identifier: Apache-2.0
// The city's own resources: terminology, organisations, places, services, people, formulary.
#include <fmt/format.h>

#include "generate/detail/cast.hpp"
#include "generate/detail/city.hpp"
#include "generate/detail/codes.hpp"
#include "generate/detail/json_writer.hpp"

namespace meridian::generate {
namespace {

class CityWriter {
 public:
    CityWriter(const City& city, Day as_of, Sink& sink) : city_(city), as_of_(as_of), sink_(sink) {}

    Result<void> write() {
        TRY(code_system("encounter-type", "EncounterType", "Kinds of encounters", [this] {
            for (int i = 0; i < visit_kind_count; ++i)
                concept_entry(encounter_kind(static_cast<EncounterKindId>(i)).local);
        }));
        TRY(code_system("procedure", "ProcedureCode", "Procedures of the region", [this] {
            for (int i = 1; i < proc_count; ++i)
                concept_entry(procedure(static_cast<ProcedureId>(i)).local);
        }));
        TRY(code_system("department", "Department", "Departments", [this] {
            for (int i = 0; i < department_kind_count; ++i) {
                const auto& names = name_of(static_cast<DepartmentKind>(i));
                concept_entry({systems::department, names.id, names.en, names.zh});
            }
        }));
        TRY(code_system("service", "Service", "Examinations and services", [this] {
            for (int i = 0; i < panel_count; ++i) {
                const Code& code = panel(static_cast<PanelId>(i)).code;
                if (code.system == systems::service) concept_entry(code);
            }
            for (int i = 0; i < image_count; ++i)
                concept_entry(imaging(static_cast<ImagingId>(i)).local);
            concept_entry({systems::service, "consultation", "Consultation", "诊察费"});
            concept_entry({systems::service, "bed-day", "Bed and nursing", "床位护理"});
        }));
        TRY(code_system(
            "finding", "Finding", "Findings without a code of their own elsewhere", [this] {
                concept_entry({systems::finding, "recist-response", "Tumour response (RECIST 1.1)",
                               "疗效评价（RECIST 1.1）"});
                concept_entry({systems::finding, "egfr-mutation", "EGFR mutation", "EGFR基因突变"});
                concept_entry({systems::finding, "alk-fusion", "ALK fusion", "ALK融合"});
            }));
        TRY(value_sets());
        TRY(payers());
        for (const auto& hospital : city_.hospitals) TRY(hospital_resources(hospital));
        for (const auto& place : city_.pharmacies) TRY(pharmacy(place));
        for (int i = 0; i < drug_count; ++i) TRY(medication(drug(static_cast<DrugId>(i))));
        return descriptive_groups();
    }

 private:
    void begin(std::string_view type, std::string_view id) {
        type_ = type;
        id_ = id;
        json_.begin(type, id);
    }
    Result<void> end() {
        json_.close();
        return sink_.resource({type_, id_, 0, json_.view()});
    }
    void concept_entry(const Code& code) {
        json_.open();
        json_.text("code", code.code);
        json_.text("display", code.en);
        if (!code.zh.empty()) {
            json_.open_only("designation");
            json_.text("language", "zh-CN");
            json_.text("value", code.zh);
            json_.close_only();
        }
        json_.close();
    }
    template <class Fill>
    Result<void> code_system(std::string_view id, std::string_view name, std::string_view title,
                             Fill fill) {
        begin("CodeSystem", id);
        json_.text("url", fmt::format("{}/CodeSystem/{}", systems::region, id));
        json_.text("version", "1");
        json_.text("name", name);
        json_.text("title", title);
        json_.text("status", "active");
        json_.boolean("caseSensitive", true);
        json_.text("content", "complete");
        json_.list("concept");
        fill();
        json_.close_list();
        return end();
    }
    Result<void> value_set(std::string_view id, std::string_view title,
                           std::span<const std::string_view> stems) {
        begin("ValueSet", id);
        json_.text("url", fmt::format("{}/ValueSet/{}", systems::region, id));
        json_.text("version", "1");
        std::string name(title);
        std::erase(name, ' ');
        json_.text("name", name);
        json_.text("title", title);
        json_.text("status", "active");
        json_.open("compose");
        json_.open_only("include");
        json_.text("system", systems::icd10);
        json_.list("concept");
        for (const Diagnosis* diagnosis : diagnoses())
            for (std::string_view stem : stems)
                if (diagnosis->icd10.code.starts_with(stem)) {
                    json_.open();
                    json_.text("code", diagnosis->icd10.code);
                    json_.text("display", diagnosis->icd10.en);
                    json_.close();
                    break;
                }
        json_.close_list();
        json_.close_only();
        json_.close();
        return end();
    }
    Result<void> value_sets() {
        static constexpr std::string_view chronic[] = {"I10",   "E11", "E78", "I25",
                                                       "J44.9", "M10", "N18"};
        static constexpr std::string_view kidney[] = {"N18",   "N03",   "N02",  "I12",
                                                      "E11.2", "Z99.2", "Z94.0"};
        static constexpr std::string_view cancer[] = {"C34", "C50", "C18", "C20"};
        static constexpr std::string_view vessels[] = {"I10", "I25", "I21", "I20", "I63"};
        static constexpr std::string_view sugar[] = {"E11"};
        TRY(value_set("chronic-disease", "Chronic Diseases", chronic));
        TRY(value_set("kidney-disease", "Kidney Diseases", kidney));
        TRY(value_set("cancer", "Cancers", cancer));
        TRY(value_set("cardiovascular", "Cardiovascular Diseases", vessels));
        return value_set("diabetes", "Type 2 Diabetes", sugar);
    }
    void type_list(std::string_view code) {
        json_.plain_list("type", "http://terminology.hl7.org/CodeSystem/organization-type", code);
    }
    void two_names(std::string_view first, std::string_view second) {
        json_.text("name", first);
        json_.list("alias");
        json_.text(second);
        json_.close_list();
    }
    void identifier(std::string_view system, std::string_view value) {
        json_.open_only("identifier");
        json_.text("use", "official");
        json_.text("system", system);
        json_.text("value", value);
        json_.close_only();
    }
    void telecom(std::uint64_t number) {
        json_.open_only("telecom");
        json_.text("system", "phone");
        json_.text("value", phone_number(99000000 + number));
        json_.text("use", "work");
        json_.close_only();
    }
    void address(int district_index, bool english, bool as_list) {
        const auto& place = district(district_index);
        if (as_list)
            json_.open_only("address");
        else
            json_.open("address");
        json_.text("use", "work");
        json_.text("city", english ? "Yunting" : "云汀市");
        json_.text("district", english ? place.en : place.zh);
        json_.text("postalCode", place.postal_code);
        json_.text("country", "CN");
        if (as_list)
            json_.close_only();
        else
            json_.close();
    }
    Result<void> payers() {
        begin("Organization", insurer_organization);
        identifier(systems::institution, "990100-INS-1");
        json_.boolean("active", true);
        type_list("pay");
        two_names("云汀市医疗保障局", "Yunting Healthcare Security Administration");
        telecom(1);
        address(0, false, true);
        TRY(end());
        begin("Organization", "org-huimin");
        identifier(systems::institution, "990100-INS-2");
        json_.boolean("active", true);
        type_list("ins");
        two_names("云汀惠民保", "Yunting Inclusive Insurance");
        telecom(2);
        address(1, false, true);
        return end();
    }
    Result<void> hospital_resources(const Hospital& hospital) {
        const std::string organization = "org-" + hospital.id;
        begin("Organization", organization);
        identifier(systems::institution, "990100-" + hospital.id);
        json_.boolean("active", true);
        type_list("prov");
        if (hospital.english)
            two_names(hospital.en, hospital.zh);
        else
            two_names(hospital.zh, hospital.en);
        telecom(static_cast<std::uint64_t>(hospital.id.back()) * 10);
        address(hospital.district, hospital.english, true);
        TRY(end());
        TRY(location("loc-" + hospital.id, hospital, hospital.english ? hospital.en : hospital.zh,
                     organization, {}, "bu"));
        for (const auto& department : hospital.departments)
            TRY(department_resources(hospital, department, organization));
        return {};
    }
    Result<void> location(const std::string& id, const Hospital& hospital, std::string_view name,
                          const std::string& organization, const std::string& part_of,
                          std::string_view physical) {
        begin("Location", id);
        json_.text("status", "active");
        json_.text("name", name);
        json_.text("mode", "instance");
        address(hospital.district, hospital.english, false);
        json_.plain("physicalType", "http://terminology.hl7.org/CodeSystem/location-physical-type",
                    physical);
        json_.reference("managingOrganization", "Organization/" + organization);
        if (!part_of.empty()) json_.reference("partOf", "Location/" + part_of);
        return end();
    }
    Result<void> department_resources(const Hospital& hospital, const Department& department,
                                      const std::string& organization) {
        const std::string name = hospital.english ? department.en : department.zh;
        begin("Organization", department.organization);
        json_.boolean("active", true);
        type_list("dept");
        two_names(name, hospital.english ? department.zh : department.en);
        json_.reference("partOf", "Organization/" + organization);
        TRY(end());
        TRY(location(department.location, hospital, name, department.organization,
                     "loc-" + hospital.id, "wa"));
        const auto& kind = name_of(department.kind);
        const Code specialty{systems::department, kind.id, kind.en, kind.zh};
        begin("HealthcareService", department.service);
        json_.boolean("active", true);
        json_.reference("providedBy", "Organization/" + organization);
        json_.codeable_list("specialty", specialty, hospital.english);
        json_.reference_list("location", "Location/" + department.location);
        json_.text("name", name);
        TRY(end());
        for (const auto& doctor : department.doctors) {
            TRY(practitioner(doctor, hospital, organization));
            TRY(role(doctor, hospital, department, organization, specialty));
        }
        return {};
    }
    Result<void> practitioner(const Doctor& doctor, const Hospital& hospital,
                              const std::string& organization) {
        begin("Practitioner", doctor.id);
        identifier(systems::licence, doctor.licence);
        json_.boolean("active", true);
        json_.list("name");
        human_name(json_, doctor.name, false);
        if (!doctor.name.english) human_name(json_, doctor.name, true);
        json_.close_list();
        json_.text("gender", doctor.male ? "male" : "female");
        json_.open_only("qualification");
        json_.list("identifier");
        json_.open();
        json_.text("system", systems::licence);
        json_.text("value", doctor.licence);
        json_.close();
        json_.close_list();
        json_.open("code");
        json_.open_only("coding");
        json_.text("system", "http://terminology.hl7.org/CodeSystem/v2-0360");
        json_.text("code", "MD");
        json_.text("display", "Doctor of Medicine");
        json_.close_only();
        json_.text("text", hospital.english ? "Physician's licence" : "医师执业证书");
        json_.close();
        json_.open("period");
        json_.date("start", as_of_ - static_cast<Day>(doctor.years * days_per_year));
        json_.close();
        json_.reference("issuer", "Organization/" + organization);
        json_.close_only();
        return end();
    }
    Result<void> role(const Doctor& doctor, const Hospital& hospital, const Department& department,
                      const std::string& organization, const Code& specialty) {
        begin("PractitionerRole", doctor.role);
        json_.boolean("active", true);
        json_.reference("practitioner", "Practitioner/" + doctor.id);
        json_.reference("organization", "Organization/" + organization);
        json_.open_only("code");
        json_.plain_fields("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor");
        json_.text("text", title_of(doctor, hospital.english));
        json_.close_only();
        json_.codeable_list("specialty", specialty, hospital.english);
        json_.reference_list("location", "Location/" + department.location);
        json_.reference_list("healthcareService", "HealthcareService/" + department.service);
        return end();
    }
    static std::string_view title_of(const Doctor& doctor, bool english) {
        if (doctor.years >= 18) return english ? "Chief physician" : "主任医师";
        if (doctor.years >= 10) return english ? "Associate chief physician" : "副主任医师";
        if (doctor.years >= 5) return english ? "Attending physician" : "主治医师";
        return english ? "Resident physician" : "住院医师";
    }
    Result<void> pharmacy(const Place& place) {
        begin("Organization", place.id);
        identifier(systems::institution, "990100-" + place.id.substr(4));
        json_.boolean("active", true);
        json_.open_only("type");
        json_.plain_fields("http://terminology.hl7.org/CodeSystem/organization-type", "bus");
        json_.text("text", "药房 Pharmacy");
        json_.close_only();
        two_names(place.zh, place.en);
        address(place.district, false, true);
        return end();
    }
    Result<void> medication(const Drug& kind) {
        const std::string id = fmt::format("med-{}", kind.id);
        // FHIR ids have no underscore.
        std::string safe = id;
        for (char& c : safe)
            if (c == '_') c = '-';
        begin("Medication", safe);
        json_.open("code");
        json_.open_only("coding");
        json_.text("system", systems::atc);
        json_.text("code", kind.atc);
        json_.text("display", kind.en);
        json_.close_only();
        json_.text("text", fmt::format("{} {}", kind.zh, kind.en));
        json_.close();
        json_.text("status", "active");
        json_.open("form");
        json_.text("text", fmt::format("{} {}", kind.form_zh, kind.form_en));
        json_.close();
        return end();
    }
    Result<void> descriptive_groups() {
        TRY(descriptive_group("hypertension-programme", "高血压健康管理人群 Hypertension programme",
                              dx::hypertension));
        return descriptive_group("diabetes-programme", "糖尿病健康管理人群 Diabetes programme",
                                 dx::diabetes);
    }
    Result<void> descriptive_group(std::string_view id, std::string_view name,
                                   const Diagnosis& diagnosis) {
        begin("Group", id);
        json_.boolean("active", true);
        json_.text("type", "person");
        json_.boolean("actual", false);
        json_.text("name", name);
        json_.open_only("characteristic");
        json_.open("code");
        json_.text("text", "diagnosis");
        json_.close();
        json_.codeable("valueCodeableConcept", diagnosis.icd10, true);
        json_.boolean("exclude", false);
        json_.close_only();
        return end();
    }

    const City& city_;
    Day as_of_;
    Sink& sink_;
    JsonWriter json_;
    std::string type_, id_;
};

}  // namespace

void human_name(JsonWriter& json, const Name& name, bool latin) {
    json.open();
    if (!name.english) {
        // ISO 21090: IDE = ideographic, SYL = syllabic (pinyin).
        json.open_only("extension");
        json.text("url", "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation");
        json.text("valueCode", latin ? "SYL" : "IDE");
        json.close_only();
    }
    json.text("use", latin ? "usual" : "official");
    json.text("text", latin ? name.full_latin() : name.full());
    json.text("family", latin ? name.family_latin : name.family);
    json.list("given");
    json.text(latin ? name.given_latin : name.given);
    json.close_list();
    json.close();
}

Result<void> write_city(const City& city, const RegionOptions& options, Sink& sink) {
    return CityWriter(city, day_of(options.as_of), sink).write();
}

Result<void> write_cast_groups(Sink& sink) {
    struct CastGroup {
        std::string_view id, name;
        bool lung;
    };
    static constexpr CastGroup groups[] = {
        {"cast-lung", "示例人物：肺癌 Named cast: lung cancer", true},
        {"cast-kidney", "示例人物：慢性肾脏病 Named cast: chronic kidney disease", false}};
    for (const auto& group : groups) {
        JsonWriter json;
        json.begin("Group", group.id);
        json.boolean("active", true);
        json.text("type", "person");
        json.boolean("actual", true);
        json.text("name", group.name);
        int members = 0;
        for (int number = 1; number <= cast_size; ++number)
            members += cast_has_lung_cancer(number) == group.lung;
        json.integer("quantity", members);
        json.list("member");
        for (int number = 1; number <= cast_size; ++number)
            if (cast_has_lung_cancer(number) == group.lung) {
                json.open();
                json.reference("entity", fmt::format("Patient/p{:06}", number));
                json.close();
            }
        json.close_list();
        json.close();
        TRY(sink.resource({"Group", group.id, 0, json.view()}));
    }
    return {};
}

}  // namespace meridian::generate
