// SPDX-License-Identifier: Apache-2.0
// One writer per resource type of a person's record.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/hash.hpp"
#include "generate/detail/cast.hpp"
#include "generate/detail/record.hpp"

namespace meridian::generate {
namespace {

constexpr std::string_view terminology = "http://terminology.hl7.org/CodeSystem/";

std::string hl7(std::string_view name) {
    return std::string(terminology).append(name);
}

/// FHIR ids have no underscore.
std::string medication_reference(const Drug& kind) {
    std::string text = "Medication/med-";
    for (char c : kind.id) text.push_back(c == '_' ? '-' : c);
    return text;
}

std::string_view frequency_text(const Drug& kind, bool english) {
    switch (kind.times_per_day) {
        case 1:
            return english ? "once daily" : "每日1次";
        case 2:
            return english ? "twice daily" : "每日2次";
        case 3:
            return english ? "three times daily" : "每日3次";
        default:
            return english ? "as a single dose" : "单次";
    }
}

std::string dose_text(const Drug& kind) {
    std::string text;
    const bool whole = kind.dose == static_cast<int>(kind.dose);
    JsonWriter::append_decimal(text, kind.dose,
                               whole                                                ? 0
                               : kind.dose * 10 == static_cast<int>(kind.dose * 10) ? 1
                                                                                    : 2);
    return text + (kind.unit == "[IU]" ? "IU" : std::string(kind.unit));
}

/// One of the totals of an ExplanationOfBenefit.
void adjudicated(JsonWriter& json, std::string_view category, std::int64_t fen) {
    json.open();
    json.plain("category", hl7("adjudication"), category);
    json.money("amount", fen);
    json.close();
}

/// A person or place of an appointment: all of them have accepted it.
void accepted_participant(JsonWriter& json, std::string_view actor) {
    json.open();
    json.reference("actor", actor);
    json.text("status", "accepted");
    json.close();
}

}  // namespace

void Record::begin(std::string_view type, std::string_view stem, unsigned& counter) {
    type_ = type;
    id_ = patient_id_;
    id_.push_back('-');
    id_.append(stem);
    JsonWriter::append_decimal_scaled(id_, ++counter, 0);
    json_.begin(type_, id_);
}

std::string Record::end() {
    json_.close();
    if (!error_) {
        auto taken = sink_.resource({type_, id_, person_.number, json_.view()});
        if (!taken) error_ = std::move(taken).error();
    }
    std::string reference = type_;
    reference.push_back('/');
    reference.append(id_);
    return reference;
}

void Record::patient() {
    type_ = "Patient";
    id_ = patient_id_;
    json_.begin(type_, id_);
    const std::string identity =
        resident_id(person_.district, person_.birth, person_.male, person_.number);
    json_.list("identifier");
    json_.open();
    json_.text("use", "official");
    json_.plain("type", "http://terminology.hl7.org/CodeSystem/v2-0203", "NI");
    json_.text("system", systems::resident_id);
    json_.text("value", identity);
    json_.close();
    json_.open();
    json_.text("use", "usual");
    json_.plain("type", "http://terminology.hl7.org/CodeSystem/v2-0203", "MR");
    json_.text("system", systems::record_number);
    json_.text("value", fmt::format("YT{:08}", person_.number));
    json_.close();
    json_.close_list();
    json_.boolean("active", true);
    json_.list("name");
    human_name(json_, person_.name, false);
    if (!person_.name.english) human_name(json_, person_.name, true);
    json_.close_list();
    json_.open_only("telecom");
    json_.text("system", "phone");
    json_.text("value", phone_number(person_.number));
    json_.text("use", "mobile");
    json_.close_only();
    json_.text("gender", person_.male ? "male" : "female");
    json_.date("birthDate", person_.birth);
    if (person_.death != never) json_.time("deceasedDateTime", death_time());
    const auto& home = district(person_.district);
    json_.open_only("address");
    json_.text("use", "home");
    json_.text("text", person_.english ? fmt::format("{}, {}, Yunting", person_.street, home.en)
                                       : fmt::format("云汀市{}{}", home.zh, person_.street));
    json_.list("line");
    json_.text(person_.street);
    json_.close_list();
    json_.text("city", person_.english ? "Yunting" : "云汀市");
    json_.text("district", person_.english ? home.en : home.zh);
    json_.text("postalCode", home.postal_code);
    json_.text("country", "CN");
    json_.close_only();
    const int age = person_.age(std::min(as_of_, person_.death));
    if (age >= 20)
        json_.plain("maritalStatus", hl7("v3-MaritalStatus"),
                    age > 26 ? (person_.number % 9 == 0 ? "S" : "M") : "S");
    json_.open_only("communication");
    json_.plain("language", "urn:ietf:bcp:47", person_.english ? "en" : "zh-CN");
    json_.boolean("preferred", true);
    json_.close_only();
    const auto& centre = city_.hospitals[static_cast<std::size_t>(person_.community)];
    json_.reference_list(
        "generalPractitioner",
        "Practitioner/" +
            centre.department(DepartmentKind::general_practice).doctors[person_.number % 4].id);
    json_.reference("managingOrganization", "Organization/org-" + centre.id);
    end();
}

void Record::coverage() {
    begin("Coverage", "cov", coverages_);
    json_.text("status", "active");
    json_.open("type");
    json_.plain_fields(hl7("v3-ActCode"), "PUBLICPOL");
    json_.text("text", person_.english ? "Basic medical insurance" : "基本医疗保险");
    json_.close();
    json_.text("subscriberId", fmt::format("YB{:09}", person_.number));
    json_.reference("beneficiary", patient_reference_);
    json_.plain("relationship", hl7("subscriber-relationship"), "self");
    json_.open("period");
    json_.date("start", std::max(person_.birth, day_of(2010, 1, 1)));
    json_.close();
    json_.reference_list("payor", "Organization/org-insurer");
    coverage_ = end();
}

void Record::allergies() {
    allergies_done_ = true;
    auto write = [&](std::string_view code, std::string_view en, std::string_view zh,
                     std::string_view manifestation_en, std::string_view manifestation_zh) {
        begin("AllergyIntolerance", "alg", allergy_count_);
        json_.plain("clinicalStatus", hl7("allergyintolerance-clinical"), "active");
        json_.plain("verificationStatus", hl7("allergyintolerance-verification"), "confirmed");
        json_.text("type", "allergy");
        json_.list("category");
        json_.text("medication");
        json_.close_list();
        json_.text("criticality", "high");
        json_.codeable("code", {systems::snomed, code, en, zh}, now_.english);
        json_.reference("patient", patient_reference_);
        json_.time("recordedDate", now_.start);
        json_.open_only("reaction");
        json_.open_only("manifestation");
        json_.text("text", now_.english ? manifestation_en : manifestation_zh);
        json_.close_only();
        json_.text("severity", "moderate");
        json_.close_only();
        end();
    };
    if (person_.penicillin_allergy)
        write("91936005", "Allergy to penicillin", "青霉素过敏", "Rash", "皮疹");
    if (person_.contrast_allergy)
        write("293637006", "Allergy to contrast media", "碘对比剂过敏", "Urticaria", "荨麻疹");
}

Time Record::office_hour(Day day) {
    return {day, 8 * 60 + random_.between(0, 100) * 5};
}

void Record::open_visit(EncounterKindId kind, int hospital, DepartmentKind department, Time start,
                        Time end_time, const Diagnosis& reason, std::string_view known_condition) {
    now_ = {};
    charges_.clear();
    prescribed_.clear();
    performed_.clear();
    now_.hospital = &city_.hospitals[static_cast<std::size_t>(hospital)];
    now_.department = &now_.hospital->department(department);
    now_.doctor = &now_.department->doctors[random_.next() % now_.department->doctors.size()];
    now_.start = start;
    now_.end = end_time;
    now_.english =
        now_.hospital->level == Level::community ? person_.english : now_.hospital->english;
    now_.open = end_time.day > as_of_;
    now_.reason = &reason;
    now_.condition = known_condition;
    const auto& shape = encounter_kind(kind);
    const bool inpatient = kind == visit_inpatient;
    begin("Encounter", "enc", encounters_);
    json_.text("status", now_.open ? "in-progress" : "finished");
    json_.open("class");
    json_.text("system", hl7("v3-ActCode"));
    json_.text("code", shape.actclass);
    json_.close();
    json_.codeable_list("type", shape.local, now_.english, &shape.snomed);
    subject();
    json_.open_only("participant");
    json_.reference("individual", "Practitioner/" + now_.doctor->id, now_.doctor->name.full());
    json_.close_only();
    if (!next_appointment_.empty()) json_.reference_list("appointment", next_appointment_);
    next_appointment_.clear();
    period_of_visit();
    json_.codeable_list("reasonCode", reason.icd10, now_.english);
    if (!known_condition.empty()) {
        json_.open_only("diagnosis");
        json_.reference("condition", known_condition);
        json_.plain("use", hl7("diagnosis-role"), inpatient ? "AD" : "CC");
        json_.close_only();
    }
    if (inpatient && !now_.open) {
        json_.open("hospitalization");
        json_.plain("dischargeDisposition", hl7("discharge-disposition"),
                    end_time.day >= person_.death ? "exp" : "home");
        json_.close();
    }
    json_.open_only("location");
    json_.reference("location", "Location/" + now_.department->location);
    json_.close_only();
    json_.reference("serviceProvider", "Organization/" + now_.department->organization);
    now_.encounter = end();
    charge({systems::service, inpatient ? "bed-day" : "consultation",
            inpatient ? "Bed and nursing" : "Consultation", inpatient ? "床位护理" : "诊察费"},
           inpatient ? 12000 * std::max(1, end_time.day - start.day) : 2500);
    if (!allergies_done_) allergies();
}

void Record::close_visit() {
    if (!charges_.empty() && !now_.open) claim();
    now_ = {};
}

std::string Record::condition(const Diagnosis& diagnosis, Day onset, Day abated,
                              std::string_view stage) {
    begin("Condition", "cond", conditions_);
    const bool over = abated != never && abated <= as_of_ && abated < person_.death;
    json_.plain("clinicalStatus", hl7("condition-clinical"), over ? "resolved" : "active");
    json_.plain("verificationStatus", hl7("condition-ver-status"), "confirmed");
    json_.plain_list("category", hl7("condition-category"), "encounter-diagnosis");
    json_.codeable("code", diagnosis.icd10, now_.english, &diagnosis.snomed);
    subject();
    encounter();
    json_.date("onsetDateTime", onset);
    if (over) json_.date("abatementDateTime", std::max(abated, onset));
    json_.time("recordedDate", moment(20));
    json_.reference("recorder", "Practitioner/" + now_.doctor->id);
    if (!stage.empty()) {
        json_.open_only("stage");
        json_.open("summary");
        json_.text("text", stage);
        json_.close();
        json_.close_only();
    }
    std::string reference = end();
    if (now_.condition.empty()) now_.condition = reference;
    return reference;
}

void Record::ensure_chronic(Day day) {
    auto ensure = [&](Day onset, std::string& known, const Diagnosis& diagnosis) {
        if (onset <= day && known.empty())
            known = condition(diagnosis, std::max(onset, person_.birth), never);
    };
    ensure(person_.hypertension, hypertension_, dx::hypertension);
    ensure(person_.diabetes, diabetes_, dx::diabetes);
    ensure(person_.dyslipidaemia, dyslipidaemia_, dx::dyslipidaemia);
    ensure(person_.coronary, coronary_, dx::coronary);
    ensure(person_.copd, copd_, dx::copd);
    ensure(person_.gout, gout_, dx::gout);
}

void Record::ensure_cancer(Day day) {
    const auto& cancer = person_.cancer;
    if (cancer_.empty() && cancer.any() && cancer.diagnosed <= day)
        cancer_ = condition(*cancer.diagnosis, cancer.diagnosed, never);
}

void Record::family_history() {
    family_done_ = true;
    if (!person_.family_cancer) return;
    begin("FamilyMemberHistory", "fam", histories_);
    json_.text("status", "completed");
    json_.reference("patient", patient_reference_);
    json_.time("date", moment(30));
    json_.open("relationship");
    json_.plain_fields(hl7("v3-RoleCode"), "FTH");
    json_.text("text", now_.english ? "Father" : "父亲");
    json_.close();
    json_.open_only("condition");
    json_.codeable("code",
                   {systems::icd10, "C16.9", "Malignant neoplasm of stomach, unspecified", "胃癌"},
                   now_.english);
    json_.close_only();
    end();
}

void Record::ensure_kidney_stage(Day day) {
    const auto& course = person_.kidney;
    if (day < course.onset) return;
    if (kidney_cause_.empty()) {
        const Diagnosis& cause = course.cause == KidneyCause::diabetic ? dx::diabetic_kidney
                                 : course.cause == KidneyCause::hypertensive
                                     ? dx::hypertensive_kidney
                                 : course.cause == KidneyCause::iga ? dx::iga_nephropathy
                                                                    : dx::glomerulonephritis;
        kidney_cause_ = condition(cause, course.onset, never);
    }
    auto stage_of = [&](Day at) -> const Diagnosis& {
        const double rate = person_.gfr(at);
        const long rounded = std::lround(rate);
        return rounded >= 90   ? dx::ckd1
               : rounded >= 60 ? dx::ckd2
               : rounded >= 30 ? dx::ckd3
               : rounded >= 15 ? dx::ckd4
                               : dx::ckd5;
    };
    const Diagnosis& stage = stage_of(day);
    if (stage.icd10.code != kidney_code_) {
        // The stage lasts until the true rate crosses the next limit: known here, because the life
        // is decided beforehand.
        Day until = never;
        for (Day at = day + 30; at <= std::min(as_of_, person_.death); at += 30)
            if (stage_of(at).icd10.code != stage.icd10.code) {
                until = at;
                break;
            }
        kidney_code_ = stage.icd10.code;
        kidney_ = condition(stage, day, until, gfr_category(person_.gfr(day)));
    }
    if (!anaemia_done_ && person_.gfr(day) < 30) {
        anaemia_done_ = true;
        condition(dx::renal_anaemia, day, never);
    }
}

std::string Record::quantity(const Code& code, std::string_view category, double value, int places,
                             std::string_view unit, int minutes) {
    begin("Observation", "obs", observations_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("observation-category"), category);
    json_.codeable("code", code, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", moment(minutes));
    json_.quantity("valueQuantity", value, places, unit);
    return end();
}

std::string Record::laboratory(LabId id, double si_value, int minutes) {
    const Lab& kind = lab(id);
    const double power = kind.places == 0 ? 1 : kind.places == 1 ? 10 : 100;
    const double rounded = std::round(si_value * power) / power;
    results_[id] = {rounded, moment(minutes).day, true};
    const bool us = now_.hospital->us_units && !kind.us_loinc.empty();
    const double factor = us ? kind.us_factor : 1;
    const int places = us ? kind.us_places : kind.places;
    const std::string_view unit = us ? kind.us_unit : kind.unit;
    const Code code{kind.code.system, us ? kind.us_loinc : kind.code.code, kind.code.en,
                    kind.code.zh};
    const double low = person_.male ? kind.low_male : kind.low_female,
                 high = person_.male ? kind.high_male : kind.high_female;

    begin("Observation", "obs", observations_);
    json_.text("status", "final");
    json_.plain_list("category", "http://terminology.hl7.org/CodeSystem/observation-category",
                     "laboratory");
    json_.codeable("code", code, now_.english);
    subject();
    encounter();
    const Time at = moment(minutes);
    json_.time("effectiveDateTime", at);
    json_.time("issued", at.plus(45));
    json_.reference_list(
        "performer",
        "Organization/" + now_.hospital->department(DepartmentKind::laboratory).organization);
    json_.quantity("valueQuantity", rounded * factor, places, unit);
    const std::string_view flag = low >= 0 && rounded < low     ? "L"
                                  : high >= 0 && rounded > high ? "H"
                                                                : "N";
    json_.plain_list("interpretation",
                     "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", flag);
    json_.open_only("referenceRange");
    if (low >= 0) json_.quantity("low", low * factor, places, unit);
    if (high >= 0) json_.quantity("high", high * factor, places, unit);
    json_.close_only();
    return end();
}

void Record::run_panel(PanelId id, int minutes, const Circumstances& circumstances) {
    const Panel& kind = panel(id);
    const Time at = moment(minutes);
    if (!before_end(at)) return;
    std::array<std::string, 12> results;
    std::size_t count = 0;
    // Creatinine comes before the rate that is computed from it, hemoglobin before the hematocrit.
    if (id == panel_cbc) lab_value(lab_wbc, at.day, circumstances);
    if (id == panel_cbc) {
        const double value = lab_value(lab_hemoglobin, at.day, circumstances);
        results_[lab_hemoglobin] = {std::round(value), at.day, true};
    }
    for (LabId test : kind.labs) {
        if (test == lab_egfr && person_.age(at.day) < 18) continue;
        const double value = id == panel_cbc && test == lab_hemoglobin
                                 ? results_[lab_hemoglobin].value
                                 : lab_value(test, at.day, circumstances);
        results[count++] = laboratory(test, value, minutes);
    }
    begin("DiagnosticReport", "rep", reports_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("v2-0074"), "LAB");
    json_.codeable("code", kind.code, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", at);
    json_.time("issued", at.plus(60));
    json_.reference_list(
        "performer",
        "Organization/" + now_.hospital->department(DepartmentKind::laboratory).organization);
    json_.list("result");
    for (std::size_t i = 0; i < count; ++i) {
        json_.open();
        json_.text("reference", results[i]);
        json_.close();
    }
    json_.close_list();
    end();
    charge(kind.code, kind.price_fen);
}

void Record::blood_pressure(int minutes) {
    const Day day = moment(minutes).day;
    const double age = person_.exact_age(day);
    double systolic = age < 18 ? 88 + age * 1.6 : 112 + std::max(0.0, age - 25) * 0.32;
    double diastolic =
        age < 18 ? 54 + age * 0.9 : 73 + std::min(12.0, std::max(0.0, age - 25) * 0.18);
    if (person_.hypertension <= day) {
        // Treatment works within half a year; how well depends on the person.
        const double years = (day - person_.hypertension) / days_per_year;
        systolic = 137 + person_.pressure_level * 12 + 18 * std::exp(-years * 3);
        diastolic = 84 + person_.pressure_level * 7 + 9 * std::exp(-years * 3) -
                    std::max(0.0, age - 65) * 0.25;
    }
    systolic_ = static_cast<int>(random_.normal(systolic, 7));
    diastolic_ = std::min(systolic_ - 22, static_cast<int>(random_.normal(diastolic, 5)));
    static constexpr Code panel_code{systems::loinc, "85354-9", "Blood pressure panel", "血压"};
    static constexpr Code systolic_code{systems::loinc, "8480-6", "Systolic blood pressure",
                                        "收缩压"};
    static constexpr Code diastolic_code{systems::loinc, "8462-4", "Diastolic blood pressure",
                                         "舒张压"};
    begin("Observation", "obs", observations_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("observation-category"), "vital-signs");
    json_.codeable("code", panel_code, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", moment(minutes));
    json_.list("component");
    json_.open();
    json_.codeable("code", systolic_code, now_.english);
    json_.quantity("valueQuantity", systolic_, 0, "mm[Hg]");
    json_.close();
    json_.open();
    json_.codeable("code", diastolic_code, now_.english);
    json_.quantity("valueQuantity", diastolic_, 0, "mm[Hg]");
    json_.close();
    json_.close_list();
    end();
}

void Record::vital_signs(bool body) {
    blood_pressure(5);
    pulse_ = static_cast<int>(random_.normal(person_.age(now_.start.day) < 8 ? 98 : 75, 7));
    quantity({systems::loinc, "8867-4", "Heart rate", "心率"}, "vital-signs", pulse_, 0, "/min", 5);
    if (!body) return;
    const double age = person_.exact_age(now_.start.day);
    const double height =
        age < 17 ? 50 + (person_.height_cm - 50) * std::pow(std::min(1.0, age / 17), 0.62)
                 : person_.height_cm;
    const double index = age < 17 ? 15.5 + age * 0.3 : person_.mass_index + random_.normal(0, 0.3);
    const double weight = std::round(index * height * height / 1e4 * 10) / 10;
    // Height is taken in children and at the first visit.
    if (age < 19 || !height_done_)
        quantity({systems::loinc, "8302-2", "Body height", "身高"}, "vital-signs",
                 std::round(height), 0, "cm", 6);
    height_done_ = true;
    quantity({systems::loinc, "29463-7", "Body weight", "体重"}, "vital-signs", weight, 1, "kg", 6);
    const double metres = std::round(height) / 100;
    quantity({systems::loinc, "39156-5", "Body mass index", "体质指数"}, "vital-signs",
             weight / (metres * metres), 1, "kg/m2", 6);
}

void Record::coded_observation(const Code& code, const Code& value, int minutes) {
    begin("Observation", "obs", observations_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("observation-category"), "social-history");
    json_.codeable("code", code, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", moment(minutes));
    json_.codeable("valueCodeableConcept", value, now_.english);
    end();
}

void Record::text_observation(const Code& code, std::string_view value, int minutes) {
    begin("Observation", "obs", observations_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("observation-category"), "exam");
    json_.codeable("code", code, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", moment(minutes));
    json_.open("valueCodeableConcept");
    json_.text("text", value);
    json_.close();
    end();
}

void Record::smoking_status() {
    static constexpr Code status{systems::loinc, "72166-2", "Tobacco smoking status", "吸烟状况"};
    static constexpr Code values[] = {
        {systems::snomed, "266919005", "Never smoked tobacco", "从不吸烟"},
        {systems::snomed, "8517006", "Ex-smoker", "已戒烟"},
        {systems::snomed, "77176002", "Smoker", "吸烟"}};
    coded_observation(status, values[static_cast<int>(person_.smoking)], 8);
}

void Record::dosage(const Drug& kind, Day last) {
    json_.open_only("dosageInstruction");
    json_.text("text", fmt::format("{} {} {}", now_.english ? kind.en : kind.zh, dose_text(kind),
                                   frequency_text(kind, now_.english)));
    json_.open("timing");
    json_.open("repeat");
    if (kind.times_per_day > 0) {
        json_.open("boundsPeriod");
        json_.date("start", now_.start.day);
        json_.date("end", std::min(last, person_.death == never ? last : person_.death));
        json_.close();
        json_.integer("frequency", kind.times_per_day);
    } else {
        json_.integer("count", 1);
        json_.integer("frequency", 1);
    }
    json_.integer("period", 1);
    json_.text("periodUnit", "d");
    json_.close();
    json_.close();
    struct Route {
        std::string_view word, code, en, zh;
    };
    static constexpr Route routes[] = {{"oral", "26643006", "Oral route", "口服"},
                                       {"iv", "47625008", "Intravenous route", "静脉"},
                                       {"sc", "34206005", "Subcutaneous route", "皮下"},
                                       {"inhaled", "447694001", "Respiratory tract route", "吸入"}};
    for (const auto& route : routes)
        if (route.word == kind.route)
            json_.codeable("route", {systems::snomed, route.code, route.en, route.zh},
                           now_.english);
    json_.open_only("doseAndRate");
    const int places = kind.dose == static_cast<int>(kind.dose)             ? 0
                       : kind.dose * 10 == static_cast<int>(kind.dose * 10) ? 1
                                                                            : 2;
    json_.quantity("doseQuantity", kind.dose, places, kind.unit);
    json_.close_only();
    json_.close_only();
}

void Record::prescribe(DrugId id, int days, std::string_view reason) {
    const Drug& kind = drug(id);
    prescribed_.push_back(id);
    begin("MedicationRequest", "med", requests_);
    const Day last = now_.start.day + days;
    const bool over = last < as_of_ || last >= person_.death;
    json_.text("status", over ? "completed" : "active");
    json_.text("intent", "order");
    // Most requests point to the formulary; some carry the code themselves, as records from
    // elsewhere do.
    if (random_.chance(0.9)) {
        json_.reference("medicationReference", medication_reference(kind),
                        now_.english ? kind.en : kind.zh);
    } else {
        json_.codeable("medicationCodeableConcept", {systems::atc, kind.atc, kind.en, kind.zh},
                       now_.english);
    }
    subject();
    encounter();
    json_.time("authoredOn", moment(25));
    json_.reference("requester", "Practitioner/" + now_.doctor->id);
    if (!reason.empty()) json_.reference_list("reasonReference", reason);
    dosage(kind, last);
    if (kind.times_per_day > 0) {
        json_.open("dispenseRequest");
        json_.integer("numberOfRepeatsAllowed", 0);
        json_.open("quantity");
        json_.integer("value", static_cast<std::int64_t>(kind.times_per_day) * days);
        json_.text("unit", now_.english ? kind.form_en : kind.form_zh);
        json_.close();
        json_.quantity("expectedSupplyDuration", days, 0, "d");
        json_.reference(
            "performer",
            "Organization/" + city_
                                  .pharmacies[static_cast<std::size_t>(
                                      person_.district * 2 + static_cast<int>(person_.number % 2))]
                                  .id);
        json_.close();
    }
    end();
    charge({systems::atc, kind.atc, kind.en, kind.zh},
           kind.price_fen * std::max(1, kind.times_per_day * days));
}

std::string Record::perform(ProcedureId id, Time start, Time end_time, std::string_view reason,
                            std::string_view report) {
    const auto& kind = procedure(id);
    performed_.emplace_back(id, start.day);
    begin("Procedure", "proc", procedures_);
    json_.text("status", "completed");
    json_.open("code");
    json_.list("coding");
    for (const Code* code : {&kind.local, &kind.icd9, &kind.snomed}) {
        if (code->code.empty()) continue;
        json_.open();
        json_.coding_fields(*code);
        json_.close();
    }
    json_.close_list();
    json_.text("text", kind.local.name(now_.english));
    json_.close();
    subject();
    encounter();
    json_.period("performedPeriod", start, end_time);
    json_.open_only("performer");
    json_.reference("actor", "Practitioner/" + now_.doctor->id);
    json_.close_only();
    json_.reference("location", "Location/" + now_.department->location);
    if (!reason.empty()) json_.reference_list("reasonReference", reason);
    if (!report.empty()) json_.reference_list("report", report);
    charge(kind.local, kind.price_fen);
    return end();
}

void Record::image_and_report(ImagingId id, Time at, std::string_view conclusion,
                              const Document* text) {
    const auto& kind = imaging(id);
    if (!before_end(at)) return;
    begin("ImagingStudy", "img", studies_);
    // UIDs of the region lie under the root for UUID-derived names (2.25), with patient and serial
    // as digits.
    const std::string uid = fmt::format("2.25.990100{:08}{:05}", person_.number, studies_);
    json_.open_only("identifier");
    json_.text("system", "urn:dicom:uid");
    json_.text("value", "urn:oid:" + uid);
    json_.close_only();
    json_.text("status", "available");
    json_.open_only("modality");
    json_.text("system", systems::dicom);
    json_.text("code", kind.modality);
    json_.close_only();
    subject();
    encounter();
    json_.time("started", at);
    json_.integer("numberOfSeries", 1);
    json_.integer("numberOfInstances", kind.instances);
    json_.text("description", kind.local.name(now_.english));
    json_.open_only("series");
    json_.text("uid", uid + ".1");
    json_.integer("number", 1);
    json_.open("modality");
    json_.text("system", systems::dicom);
    json_.text("code", kind.modality);
    json_.close();
    json_.integer("numberOfInstances", kind.instances);
    json_.coding("bodySite", kind.site);
    json_.close_only();
    const std::string study = end();

    const auto& readers = now_.hospital->department(DepartmentKind::radiology).doctors;
    const Doctor& reader = readers[random_.next() % readers.size()];
    begin("DiagnosticReport", "rep", reports_);
    json_.text("status", "final");
    json_.plain_list("category", hl7("v2-0074"), "RAD");
    json_.codeable("code", kind.local, now_.english);
    subject();
    encounter();
    json_.time("effectiveDateTime", at);
    json_.time("issued", at.plus(90));
    json_.reference_list("resultsInterpreter", "Practitioner/" + reader.id);
    json_.reference_list("imagingStudy", study);
    json_.text("conclusion", conclusion);
    end();
    charge(kind.local, kind.price_fen);
    if (text)
        document(*text, {systems::loinc, "18748-4", "Diagnostic imaging study", "影像报告"},
                 at.plus(90), reader);
}

void Record::immunization(const Code& vaccine, int dose) {
    begin("Immunization", "imm", immunizations_);
    json_.text("status", "completed");
    json_.codeable("vaccineCode", vaccine, now_.english);
    json_.reference("patient", patient_reference_);
    encounter();
    json_.time("occurrenceDateTime", moment(10));
    json_.boolean("primarySource", true);
    json_.reference("location", "Location/" + now_.department->location);
    json_.text("lotNumber", fmt::format("YT{:06}", random_.between(100000, 999999)));
    json_.open_only("performer");
    json_.reference("actor", "Practitioner/" + now_.doctor->id);
    json_.close_only();
    json_.open_only("protocolApplied");
    json_.integer("doseNumberPositiveInt", dose);
    json_.close_only();
    end();
}

void Record::appointment(Time start, const Hospital& hospital, const Department& department,
                         const Doctor& doctor, bool booked) {
    begin("Appointment", "appt", appointments_);
    json_.text("status", booked ? "booked" : "fulfilled");
    json_.plain_list("serviceType", systems::department, name_of(department.kind).id);
    json_.time("start", start);
    json_.time("end", start.plus(15));
    json_.integer("minutesDuration", 15);
    json_.time("created", {start.day - 7, 600});
    json_.list("participant");
    accepted_participant(json_, patient_reference_);
    accepted_participant(json_, "Practitioner/" + doctor.id);
    accepted_participant(json_, "Location/loc-" + hospital.id);
    json_.close_list();
    next_appointment_ = end();
}

void Record::care_plan(std::string_view title_zh, std::string_view title_en,
                       std::string_view reason, std::span<const std::string_view> activities_zh,
                       std::span<const std::string_view> activities_en) {
    begin("CareTeam", "team", teams_);
    json_.text("status", "active");
    json_.text("name", now_.english ? title_en : title_zh);
    subject();
    encounter();
    json_.open("period");
    json_.time("start", now_.start);
    json_.close();
    json_.list("participant");
    json_.open();
    json_.reference("member", "Practitioner/" + now_.doctor->id);
    json_.close();
    json_.open();
    json_.reference("member", patient_reference_);
    json_.close();
    json_.close_list();
    json_.reference_list("managingOrganization", "Organization/" + now_.department->organization);
    const std::string team = end();

    begin("CarePlan", "plan", plans_);
    json_.text("status", person_.death == never ? "active" : "completed");
    json_.text("intent", "plan");
    json_.text("title", now_.english ? title_en : title_zh);
    subject();
    encounter();
    json_.open("period");
    json_.time("start", now_.start);
    if (person_.death != never) json_.date("end", person_.death);
    json_.close();
    json_.time("created", now_.start);
    json_.reference("author", "Practitioner/" + now_.doctor->id);
    json_.reference_list("careTeam", team);
    if (!reason.empty()) json_.reference_list("addresses", reason);
    json_.list("activity");
    for (std::string_view activity : now_.english ? activities_en : activities_zh) {
        json_.open();
        json_.open("detail");
        json_.text("status", "in-progress");
        json_.text("description", activity);
        json_.close();
        json_.close();
    }
    json_.close_list();
    end();
}

void Record::claim() {
    std::int64_t total = 0;
    for (const auto& item : charges_) total += item.fen;
    explanation_of_benefit(submitted_claim(total), total);
}

void Record::claim_header() {
    const bool stay = now_.end.day > now_.start.day;
    json_.text("status", "active");
    json_.plain("type", hl7("claim-type"), stay ? "institutional" : "professional");
    json_.text("use", "claim");
    json_.reference("patient", patient_reference_);
    json_.period("billablePeriod", now_.start, now_.end);
    json_.time("created", now_.end.day >= person_.death ? now_.end : now_.end.plus(30));
    json_.reference("insurer", "Organization/org-insurer");
    json_.reference("provider", "Organization/org-" + now_.hospital->id);
}

std::string Record::submitted_claim(std::int64_t total) {
    begin("Claim", "claim", claims_);
    claim_header();
    json_.plain("priority", hl7("processpriority"), "normal");
    json_.open_only("diagnosis");
    json_.integer("sequence", 1);
    json_.codeable("diagnosisCodeableConcept", now_.reason->icd10, now_.english);
    json_.close_only();
    json_.open_only("insurance");
    json_.integer("sequence", 1);
    json_.boolean("focal", true);
    json_.reference("coverage", coverage_);
    json_.close_only();
    json_.list("item");
    int sequence = 0;
    for (const auto& item : charges_) {
        json_.open();
        json_.integer("sequence", ++sequence);
        json_.codeable("productOrService", item.code, now_.english);
        json_.money("net", item.fen);
        if (sequence == 1) json_.reference_list("encounter", now_.encounter);
        json_.close();
    }
    json_.close_list();
    json_.money("total", total);
    return end();
}

void Record::explanation_of_benefit(std::string_view claim, std::int64_t total) {
    begin("ExplanationOfBenefit", "eob", benefits_);
    claim_header();
    json_.reference("claim", claim);
    json_.text("outcome", "complete");
    json_.open_only("insurance");
    json_.boolean("focal", true);
    json_.reference("coverage", coverage_);
    json_.close_only();
    // Community visits are paid at 70 %, stays at 72 %, hospital visits at 55 %, rounded to the
    // fen.
    const bool stay = now_.end.day > now_.start.day;
    const std::int64_t share = stay ? 72 : now_.hospital->level == Level::community ? 70 : 55;
    const std::int64_t benefit = total * share / 100;
    json_.list("total");
    adjudicated(json_, "submitted", total);
    adjudicated(json_, "benefit", benefit);
    json_.close_list();
    json_.open("payment");
    json_.money("amount", benefit);
    json_.close();
    end();
}

void Record::document(const Document& note, const Code& type, Time at, const Doctor& author) {
    if (!before_end(at) && !(at.day == person_.death && at <= death_time())) return;
    begin("DocumentReference", "doc", documents_);
    json_.text("status", "current");
    json_.text("docStatus", "final");
    json_.codeable("type", type, now_.english);
    subject();
    json_.time("date", at);
    json_.reference_list("author", "Practitioner/" + author.id);
    json_.reference("custodian", "Organization/org-" + now_.hospital->id);
    json_.text("description", note.title);
    json_.open_only("content");
    json_.open("attachment");
    json_.text("contentType", "text/plain");
    json_.text("language", now_.hospital->english ? "en" : "zh-CN");
    json_.text("data", base64_encode(note.text));
    json_.integer("size", static_cast<std::int64_t>(note.text.size()));
    json_.text("title", note.title);
    json_.time("creation", at);
    json_.close();
    json_.close_only();
    json_.open("context");
    json_.reference_list("encounter", now_.encounter);
    period_of_visit();
    json_.close();
    end();
    if (error_) return;
    static constexpr std::string_view styles[] = {"zh-classic", "zh-brackets", "zh-terse",
                                                  "en-prose", "en-short"};
    JsonWriter truth;
    truth.open();
    truth.text("id", id_);
    truth.text("lang", now_.hospital->english ? "en" : "zh");
    truth.text("kind", type.code == "18748-4"   ? "imaging"
                       : type.code == "11526-1" ? "pathology"
                       : type.code == "18842-5" ? "discharge"
                                                : "admission");
    truth.text("style", styles[static_cast<int>(now_.hospital->style)]);
    truth.text("text", note.text);
    std::string line(truth.view());
    line.append(",\"points\":")
        .append(note.points)
        .append(",\"identifiers\":")
        .append(note.identifiers)
        .push_back('}');
    auto taken = sink_.truth(id_, line);
    if (!taken) error_ = std::move(taken).error();
}

}  // namespace meridian::generate
