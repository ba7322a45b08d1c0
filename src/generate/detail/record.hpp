// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "generate/detail/city.hpp"
#include "generate/detail/codes.hpp"
#include "generate/detail/json_writer.hpp"
#include "generate/detail/life.hpp"
#include "generate/region.hpp"

namespace meridian::generate {

/// The last result of one laboratory test, as structured data and documents both quote it.
struct Measured {
    double value = 0;  ///< SI, rounded to the printed digits
    Day day = 0;
    bool known = false;
};
using Results = std::array<Measured, lab_count>;

/// What is going on with the body while blood is drawn.
struct Circumstances {
    bool infection = false, chemotherapy = false, diabetes_out_of_control = false;
};

/// What a document is written about; everything in it is also in the structured record.
struct Scene {
    const Person* person = nullptr;
    const Hospital* hospital = nullptr;
    const Department* department = nullptr;
    const Doctor* doctor = nullptr;
    Day day = 0, admitted = 0, discharged = never;
    bool inpatient = false;
    AdmissionKind kind = AdmissionKind::pneumonia;  ///< of a stay; without meaning otherwise
    int systolic = 120, diastolic = 75, pulse = 72;
    const Results* labs = nullptr;
    std::vector<DrugId> drugs;  ///< given at discharge
    ImagingId image = image_chest_ct;
    int size_mm = 0, previous_mm = 0;  ///< of the lesion on this image and the one before; 0: none
    Response response = Response::none;
    bool surgical_specimen = false;  ///< pathology: resection, otherwise biopsy
    Spread spread =
        Spread::none;  ///< the lesion on the image is a metastasis there; none: the primary tumour
    std::vector<std::pair<ProcedureId, Day>> performed;
    std::string number;  ///< record or accession number
};

/// A note with the facts it states: `points` and `identifiers` are JSON arrays with code-point
/// spans.
struct Document {
    std::string title, text, points, identifiers;
};
Document write_admission_note(const Scene& scene, Random& random);
Document write_discharge_summary(const Scene& scene, Random& random);
Document write_imaging_report(const Scene& scene, Random& random);
Document write_pathology_report(const Scene& scene, Random& random);

/// Writes one person's record, visit by visit, each resource after what it refers to.
class Record {
 public:
    Record(const City& city, Person& person, Day as_of, Sink& sink);
    Result<void> write();

 private:
    /// The visit that is being written.
    struct Setting {
        const Hospital* hospital = nullptr;
        const Department* department = nullptr;
        const Doctor* doctor = nullptr;
        Time start, end;
        bool open = false;  ///< still going on at the region's "today"
        bool english = false;
        std::string encounter;  ///< "Encounter/p000017-enc3"
        std::string condition;  ///< main diagnosis as "Condition/…", may be empty
        const Diagnosis* reason = nullptr;
        std::optional<AdmissionKind> stay;
    };
    struct Charge {
        Code code;
        int fen;
    };

    // record.cpp: what happens at each kind of visit
    void visit(const Visit& visit);
    void acute_visit(const Visit& visit);
    void followup_visit(const Visit& visit);
    void checkup_visit(const Visit& visit);
    void vaccination_visit(const Visit& visit);
    void admission(const Visit& visit);
    void admission_content(AdmissionKind kind);
    void cancer_workup();
    void molecular_findings();
    void cancer_surgery();
    void cancer_recurrence();
    void kidney_stay(AdmissionKind kind);
    void acute_stay(AdmissionKind kind);
    void terminal_cancer_stay();
    void treat_with_drugs(AdmissionKind kind, std::string_view reason);
    void treat_by_operation(AdmissionKind kind, std::string_view reason);
    void operate(ProcedureId id, int hours_later);
    void nodule_scan(const Visit& visit);
    void day_chemotherapy(const Visit& visit);
    void targeted_followup(const Visit& visit);
    void radiotherapy(const Visit& visit);
    void restaging(const Visit& visit);
    void surveillance(const Visit& visit);
    void endocrine_followup(const Visit& visit);
    void nephrology_visit(const Visit& visit);
    void dialysis_month(const Visit& visit);
    void transplant_followup(const Visit& visit);
    void chronic_drugs(int days);
    void kidney_drugs(int days);
    void next_appointment();
    PanelId tumour_panel() const;
    ImagingId tumour_image() const;
    DepartmentKind surgery_department() const;
    void document_and_image(ImagingId image, int size_mm, int previous_mm, Response response,
                            Spread spread = Spread::none);

    // resources.cpp: one writer per resource type
    void patient();
    void coverage();
    void allergies();
    void open_visit(EncounterKindId kind, int hospital, DepartmentKind department, Time start,
                    Time end, const Diagnosis& reason, std::string_view known_condition = {});
    void close_visit();
    std::string condition(const Diagnosis& diagnosis, Day onset, Day abated,
                          std::string_view stage = {});
    void ensure_chronic(Day day);
    void ensure_kidney_stage(Day day);
    void ensure_cancer(Day day);
    void family_history();
    std::string quantity(const Code& code, std::string_view category, double value, int places,
                         std::string_view unit, int minutes);
    std::string laboratory(LabId id, double si_value, int minutes);
    void run_panel(PanelId id, int minutes, const Circumstances& circumstances = {});
    void blood_pressure(int minutes);
    void vital_signs(bool body);
    void smoking_status();
    void coded_observation(const Code& code, const Code& value, int minutes);
    void text_observation(const Code& code, std::string_view value, int minutes);
    void prescribe(DrugId id, int days, std::string_view reason);
    void dosage(const Drug& kind, Day last);
    std::string perform(ProcedureId id, Time start, Time end, std::string_view reason,
                        std::string_view report = {});
    void image_and_report(ImagingId id, Time at, std::string_view conclusion,
                          const Document* document);
    void immunization(const Code& vaccine, int dose);
    void appointment(Time start, const Hospital& hospital, const Department& department,
                     const Doctor& doctor, bool booked);
    void care_plan(std::string_view title_zh, std::string_view title_en, std::string_view condition,
                   std::span<const std::string_view> activities_zh,
                   std::span<const std::string_view> activities_en);
    /// Bills the visit: a Claim and the insurer's answer to it.
    void claim();
    void claim_header();  ///< what a Claim and its answer have in common
    std::string submitted_claim(std::int64_t total);
    void explanation_of_benefit(std::string_view claim, std::int64_t total);
    void document(const Document& document, const Code& type, Time at, const Doctor& author);
    double lab_value(LabId id, Day day, const Circumstances& circumstances);

    void begin(std::string_view type, std::string_view stem, unsigned& counter);
    std::string end();
    void subject() { json_.reference("subject", patient_reference_); }
    void encounter() {
        if (!now_.encounter.empty()) json_.reference("encounter", now_.encounter);
    }
    /// A visit that still goes on has no end.
    void period_of_visit() {
        json_.open("period");
        json_.time("start", now_.start);
        if (!now_.open) json_.time("end", now_.end);
        json_.close();
    }
    void charge(const Code& code, int fen) { charges_.push_back({code, fen}); }
    Time office_hour(Day day);
    /// So many minutes into the visit, but not after its end.
    Time moment(int minutes) const { return std::min(now_.start.plus(minutes), now_.end); }
    Scene scene() const;
    Time death_time() const {
        return {person_.death, 5 * 60 + static_cast<int>(person_.number % 900)};
    }
    bool before_end(Time time) const {
        return time.day <= as_of_ && (person_.death == never || time.day < person_.death);
    }

    const City& city_;
    Person& person_;
    Random& random_;
    Day as_of_;
    Sink& sink_;
    JsonWriter json_;
    std::optional<Error> error_;
    std::string patient_id_, patient_reference_, type_, id_;
    std::string coverage_;
    Setting now_;
    std::vector<Charge> charges_;
    std::vector<DrugId> prescribed_;
    std::vector<std::pair<ProcedureId, Day>> performed_;
    Results results_{};
    int systolic_ = 120, diastolic_ = 75, pulse_ = 72;
    std::string next_appointment_;
    std::string hypertension_, diabetes_, dyslipidaemia_, coronary_, copd_, gout_, kidney_,
        kidney_cause_, cancer_, transplant_;
    std::string_view kidney_code_;
    bool allergies_done_ = false, chronic_plan_ = false, kidney_plan_ = false,
         anaemia_done_ = false, family_done_ = false, height_done_ = false;
    int followups_ = 0, dialysis_months_ = 0;
    unsigned conditions_ = 0, encounters_ = 0, observations_ = 0, requests_ = 0, procedures_ = 0,
             studies_ = 0, reports_ = 0, documents_ = 0, immunizations_ = 0, allergy_count_ = 0,
             plans_ = 0, teams_ = 0, appointments_ = 0, claims_ = 0, benefits_ = 0, coverages_ = 0,
             histories_ = 0;
};

}  // namespace meridian::generate
