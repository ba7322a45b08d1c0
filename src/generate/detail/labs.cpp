// SPDX-License-Identifier: Apache-2.0
// Laboratory values: each follows from the person's true state on that day plus biological and
// analytical scatter.
#include <algorithm>
#include <cmath>

#include "generate/detail/record.hpp"

namespace meridian::generate {
namespace {

double hemoglobin(const Person& person, Random& random, Day day,
                  const Circumstances& circumstances) {
    const double age = person.exact_age(day);
    double base = age < 12 ? 126 : person.male ? 150 - std::max(0.0, age - 60) * 0.3 : 132;
    const double gfr = person.gfr(day);
    // Renal anaemia sets in below 45 and is treated to about 110 g/L on dialysis.
    if (gfr < 45) base -= (45 - gfr) * 0.95;
    if (person.dialysed(day)) base = std::max(base, 104.0);
    if (circumstances.chemotherapy) base -= 18;
    if (person.cancer.any() && person.cancer.site == Site::bowel && day >= person.cancer.found &&
        day < person.cancer.operated)
        base -= 22;
    return std::clamp(random.normal(base, 6), 58.0, 182.0);
}

double sugar(const Person& person, Random& random, Day day, bool long_term,
             const Circumstances& circumstances) {
    if (day < person.diabetes)
        return long_term ? random.normal(5.4, 0.22) : random.normal(5.1, 0.38);
    // High at diagnosis, falls within a year of treatment, drifts up again over the years.
    const double years = (day - person.diabetes) / days_per_year;
    double a1c =
        7.0 + person.sugar_level * 1.3 + std::min(1.2, years * 0.06) + 1.6 * std::exp(-years * 2.2);
    if (circumstances.diabetes_out_of_control) a1c += 2.6;
    a1c = std::clamp(random.normal(a1c, 0.28), 5.6, 14.5);
    // Average glucose (ADAG, Nathan et al., Diabetes Care 2008;31:1473) in mmol/L, lower when
    // fasting.
    return long_term ? a1c : std::max(3.6, (1.59 * a1c - 2.59) * 0.88 + random.normal(0, 0.7));
}

double carcinoembryonic_antigen(const Person& person, Random& random, Day day) {
    double base = person.smoking == Person::Smoking::current ? 3.1 : 2.0;
    const auto& cancer = person.cancer;
    if (cancer.any() &&
        (cancer.histology == Histology::adenocarcinoma || cancer.site == Site::bowel)) {
        const int size = person.tumour_mm(day);
        if (size > 20)
            base += (size - 20) * (cancer.metastatic() || day >= cancer.recurrence ? 1.1 : 0.28);
    }
    return std::max(0.4, random.normal(base, base * 0.16));
}

/// What a value depends on: who gives the sample, when, and what the body is going through.
struct Sample {
    const Person& person;
    Random& random;
    Day day;
    const Circumstances& circumstances;
    const Results& results;  ///< earlier values of the same sample among them
    double gfr;
    bool dialysed;
};

/// Red cells and hematocrit follow from the hemoglobin, so that one blood count agrees with itself.
double blood_count(LabId id, const Sample& sample) {
    switch (id) {
        case lab_wbc:
            return sample.circumstances.infection      ? sample.random.normal(12.4, 2.2)
                   : sample.circumstances.chemotherapy ? sample.random.normal(4.0, 0.9)
                                                       : sample.random.normal(6.3, 1.1);
        case lab_rbc:
            return sample.results[lab_hemoglobin].day == sample.day &&
                           sample.results[lab_hemoglobin].known
                       ? sample.results[lab_hemoglobin].value / 30.4
                       : sample.random.normal(sample.person.male ? 4.9 : 4.4, 0.2);
        case lab_hemoglobin:
            return hemoglobin(sample.person, sample.random, sample.day, sample.circumstances);
        case lab_hematocrit:
            return sample.results[lab_hemoglobin].known
                       ? sample.results[lab_hemoglobin].value * 0.296
                       : sample.random.normal(42, 2);
        case lab_platelet:
            return sample.circumstances.chemotherapy ? sample.random.normal(158, 32)
                                                     : sample.random.normal(226, 38);
        default:
            return 0;
    }
}

/// Retention begins below 60 mL/min/1.73 m² and has its own level on dialysis.
double kidney_function(LabId id, const Sample& sample) {
    switch (id) {
        case lab_creatinine: {
            const double age = sample.person.exact_age(sample.day);
            if (age < 18) return std::max(16.0, sample.random.normal(20 + age * 2.4, 4));
            return sample.person.creatinine_for(sample.gfr, sample.day) *
                   sample.random.uniform(0.95, 1.05);
        }
        case lab_egfr: {
            const double age = sample.person.exact_age(sample.day);
            // CKD-EPI holds for adults only.
            if (age < 18) return sample.random.normal(118, 8);
            const double creatinine = sample.results[lab_creatinine].day == sample.day
                                          ? sample.results[lab_creatinine].value
                                          : sample.person.creatinine_for(sample.gfr, sample.day);
            return sample.person.gfr_of(creatinine, sample.day);
        }
        case lab_urea:
            return std::max(1.8,
                            sample.random.normal(sample.dialysed   ? 21
                                                 : sample.gfr < 60 ? 5.2 + (60 - sample.gfr) * 0.30
                                                                   : 5.0,
                                                 0.8));
        case lab_urate:
            return std::max(
                140.0, sample.random.normal((sample.person.male ? 355 : 285) +
                                                (sample.gfr < 60 ? (60 - sample.gfr) * 2.2 : 0) +
                                                (sample.day >= sample.person.gout ? 90 : 0),
                                            42));
        case lab_uacr: {
            if (sample.day < sample.person.kidney.onset)
                return std::max(
                    2.0, sample.random.normal(sample.day >= sample.person.diabetes ? 15 : 9, 3.5));
            const double years = (sample.day - sample.person.kidney.onset) / days_per_year;
            return std::clamp(sample.person.kidney.albuminuria * (1 + years * 0.08) *
                                  sample.random.uniform(0.75, 1.25),
                              8.0, 4800.0);
        }
        default:
            return 0;
    }
}

double electrolytes_and_minerals(LabId id, const Sample& sample) {
    const bool renal_bone_disease = sample.gfr < 30;
    switch (id) {
        case lab_potassium:
            return sample.random.normal(sample.dialysed   ? 5.1
                                        : sample.gfr < 45 ? 4.3 + (45 - sample.gfr) * 0.018
                                                          : 4.15,
                                        0.26);
        case lab_sodium:
            return sample.random.normal(140.5, 1.7);
        case lab_chloride:
            return sample.random.normal(103.5, 1.9);
        case lab_calcium:
            return sample.random.normal(renal_bone_disease ? 2.13 : 2.31, 0.07);
        case lab_phosphate:
            return std::max(0.6, sample.random.normal(sample.dialysed      ? 1.86
                                                      : renal_bone_disease ? 1.5
                                                                           : 1.14,
                                                      0.17));
        case lab_pth:
            return std::max(14.0,
                            sample.random.normal(sample.dialysed   ? 310
                                                 : sample.gfr < 60 ? 48 + (60 - sample.gfr) * 2.6
                                                                   : 42,
                                                 sample.dialysed ? 85 : 10));
        case lab_ferritin:
            return std::max(12.0, sample.random.normal(sample.dialysed ? 290 : 150, 60));
        default:
            return 0;
    }
}

double liver_and_inflammation(LabId id, const Sample& sample) {
    switch (id) {
        case lab_albumin:
            return sample.random.normal(
                sample.circumstances.infection || sample.dialysed ? 36.5
                : sample.day >= sample.person.cancer.found && sample.person.cancer.metastatic()
                    ? 37
                    : 44,
                2.2);
        case lab_alt:
            return std::max(6.0,
                            sample.random.normal(sample.circumstances.chemotherapy ? 38 : 21, 7));
        case lab_ast:
            return std::max(9.0,
                            sample.random.normal(sample.circumstances.chemotherapy ? 34 : 22, 5));
        case lab_bilirubin:
            return std::max(4.0, sample.random.normal(12, 3.3));
        case lab_crp:
            return sample.circumstances.infection ? std::max(12.0, sample.random.normal(68, 26))
                                                  : std::max(0.3, sample.random.normal(2.6, 1.2));
        default:
            return 0;
    }
}

double lipids(LabId id, const Sample& sample) {
    switch (id) {
        case lab_cholesterol:
            return std::max(2.6, sample.random.normal(
                                     sample.day >= sample.person.dyslipidaemia ? 5.5 : 4.5, 0.55));
        case lab_ldl:
            return std::max(1.1, sample.random.normal(
                                     sample.day >= sample.person.dyslipidaemia ? 3.3 : 2.6, 0.45));
        case lab_hdl:
            return std::max(0.6, sample.random.normal(sample.person.male ? 1.18 : 1.38, 0.17));
        case lab_triglyceride:
            return std::max(0.4, sample.random.normal(
                                     sample.day >= sample.person.dyslipidaemia ? 2.1 : 1.25, 0.4));
        default:
            return 0;
    }
}

/// A marker rises once the tumour that makes it has some size.
double tumour_marker(LabId id, const Sample& sample) {
    switch (id) {
        case lab_cea:
            return carcinoembryonic_antigen(sample.person, sample.random, sample.day);
        case lab_ca153:
            return std::max(4.0,
                            sample.random.normal(sample.person.cancer.site == Site::breast &&
                                                         sample.person.tumour_mm(sample.day) > 25
                                                     ? 38
                                                     : 13,
                                                 3));
        case lab_ca199:
            return std::max(2.0,
                            sample.random.normal(sample.person.cancer.site == Site::bowel &&
                                                         sample.person.tumour_mm(sample.day) > 25
                                                     ? 52
                                                     : 12,
                                                 4));
        case lab_nse:
            return std::max(
                5.0, sample.random.normal(sample.person.cancer.histology == Histology::small_cell &&
                                                  sample.person.tumour_mm(sample.day) > 15
                                              ? 46
                                              : 11,
                                          2.2));
        default:
            return 0;
    }
}

}  // namespace

double Record::lab_value(LabId id, Day day, const Circumstances& circumstances) {
    const Sample sample{
        person_, random_, day, circumstances, results_, person_.gfr(day), person_.dialysed(day)};
    switch (id) {
        case lab_wbc:
        case lab_rbc:
        case lab_hemoglobin:
        case lab_hematocrit:
        case lab_platelet:
            return blood_count(id, sample);
        case lab_creatinine:
        case lab_egfr:
        case lab_urea:
        case lab_urate:
        case lab_uacr:
            return kidney_function(id, sample);
        case lab_potassium:
        case lab_sodium:
        case lab_chloride:
        case lab_calcium:
        case lab_phosphate:
        case lab_pth:
        case lab_ferritin:
            return electrolytes_and_minerals(id, sample);
        case lab_albumin:
        case lab_alt:
        case lab_ast:
        case lab_bilirubin:
        case lab_crp:
            return liver_and_inflammation(id, sample);
        case lab_cholesterol:
        case lab_ldl:
        case lab_hdl:
        case lab_triglyceride:
            return lipids(id, sample);
        case lab_cea:
        case lab_ca153:
        case lab_ca199:
        case lab_nse:
            return tumour_marker(id, sample);
        case lab_glucose:
            return sugar(person_, random_, day, false, circumstances);
        case lab_hba1c:
            return sugar(person_, random_, day, true, circumstances);
        case lab_tsh:
            return std::max(0.2, random_.normal(2.1, 0.7));
        case lab_count:
            break;
    }
    return 0;
}

}  // namespace meridian::generate
