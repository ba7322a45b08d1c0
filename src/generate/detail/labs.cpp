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

}  // namespace

double Record::lab_value(LabId id, Day day, const Circumstances& circumstances) {
    auto& random = random_;
    const double gfr = person_.gfr(day);
    const bool dialysed = person_.dialysed(day);
    const bool mineral_disorder = gfr < 30;
    switch (id) {
        case lab_wbc:
            return circumstances.infection      ? random.normal(12.4, 2.2)
                   : circumstances.chemotherapy ? random.normal(4.0, 0.9)
                                                : random.normal(6.3, 1.1);
        case lab_rbc:
            return results_[lab_hemoglobin].day == day && results_[lab_hemoglobin].known
                       ? results_[lab_hemoglobin].value / 30.4
                       : random.normal(person_.male ? 4.9 : 4.4, 0.2);
        case lab_hemoglobin:
            return hemoglobin(person_, random, day, circumstances);
        case lab_hematocrit:
            return results_[lab_hemoglobin].known ? results_[lab_hemoglobin].value * 0.296
                                                  : random.normal(42, 2);
        case lab_platelet:
            return circumstances.chemotherapy ? random.normal(158, 32) : random.normal(226, 38);
        case lab_glucose:
            return sugar(person_, random, day, false, circumstances);
        case lab_hba1c:
            return sugar(person_, random, day, true, circumstances);
        case lab_creatinine: {
            const double age = person_.exact_age(day);
            if (age < 18) return std::max(16.0, random.normal(20 + age * 2.4, 4));
            return person_.creatinine_for(gfr, day) * random.uniform(0.95, 1.05);
        }
        case lab_egfr: {
            const double age = person_.exact_age(day);
            // CKD-EPI holds for adults only.
            if (age < 18) return random.normal(118, 8);
            const double creatinine = results_[lab_creatinine].day == day
                                          ? results_[lab_creatinine].value
                                          : person_.creatinine_for(gfr, day);
            return person_.gfr_of(creatinine, day);
        }
        case lab_urea:
            return std::max(1.8, random.normal(dialysed   ? 21
                                               : gfr < 60 ? 5.2 + (60 - gfr) * 0.30
                                                          : 5.0,
                                               0.8));
        case lab_urate:
            return std::max(140.0, random.normal((person_.male ? 355 : 285) +
                                                     (gfr < 60 ? (60 - gfr) * 2.2 : 0) +
                                                     (day >= person_.gout ? 90 : 0),
                                                 42));
        case lab_potassium:
            return random.normal(dialysed ? 5.1 : gfr < 45 ? 4.3 + (45 - gfr) * 0.018 : 4.15, 0.26);
        case lab_sodium:
            return random.normal(140.5, 1.7);
        case lab_chloride:
            return random.normal(103.5, 1.9);
        case lab_calcium:
            return random.normal(mineral_disorder ? 2.13 : 2.31, 0.07);
        case lab_phosphate:
            return std::max(0.6, random.normal(dialysed           ? 1.86
                                               : mineral_disorder ? 1.5
                                                                  : 1.14,
                                               0.17));
        case lab_albumin:
            return random.normal(circumstances.infection || dialysed                          ? 36.5
                                 : day >= person_.cancer.found && person_.cancer.metastatic() ? 37
                                                                                              : 44,
                                 2.2);
        case lab_alt:
            return std::max(6.0, random.normal(circumstances.chemotherapy ? 38 : 21, 7));
        case lab_ast:
            return std::max(9.0, random.normal(circumstances.chemotherapy ? 34 : 22, 5));
        case lab_bilirubin:
            return std::max(4.0, random.normal(12, 3.3));
        case lab_cholesterol:
            return std::max(2.6, random.normal(day >= person_.dyslipidaemia ? 5.5 : 4.5, 0.55));
        case lab_ldl:
            return std::max(1.1, random.normal(day >= person_.dyslipidaemia ? 3.3 : 2.6, 0.45));
        case lab_hdl:
            return std::max(0.6, random.normal(person_.male ? 1.18 : 1.38, 0.17));
        case lab_triglyceride:
            return std::max(0.4, random.normal(day >= person_.dyslipidaemia ? 2.1 : 1.25, 0.4));
        case lab_crp:
            return circumstances.infection ? std::max(12.0, random.normal(68, 26))
                                           : std::max(0.3, random.normal(2.6, 1.2));
        case lab_pth:
            return std::max(14.0, random.normal(dialysed   ? 310
                                                : gfr < 60 ? 48 + (60 - gfr) * 2.6
                                                           : 42,
                                                dialysed ? 85 : 10));
        case lab_ferritin:
            return std::max(12.0, random.normal(dialysed ? 290 : 150, 60));
        case lab_uacr: {
            if (day < person_.kidney.onset)
                return std::max(2.0, random.normal(day >= person_.diabetes ? 15 : 9, 3.5));
            const double years = (day - person_.kidney.onset) / days_per_year;
            return std::clamp(
                person_.kidney.albuminuria * (1 + years * 0.08) * random.uniform(0.75, 1.25), 8.0,
                4800.0);
        }
        case lab_cea:
            return carcinoembryonic_antigen(person_, random, day);
        case lab_ca153:
            return std::max(
                4.0,
                random.normal(
                    person_.cancer.site == Site::breast && person_.tumour_mm(day) > 25 ? 38 : 13,
                    3));
        case lab_ca199:
            return std::max(
                2.0,
                random.normal(
                    person_.cancer.site == Site::bowel && person_.tumour_mm(day) > 25 ? 52 : 12,
                    4));
        case lab_nse:
            return std::max(5.0, random.normal(person_.cancer.histology == Histology::small_cell &&
                                                       person_.tumour_mm(day) > 15
                                                   ? 46
                                                   : 11,
                                               2.2));
        case lab_tsh:
            return std::max(0.2, random.normal(2.1, 0.7));
        case lab_count:
            break;
    }
    return 0;
}

}  // namespace meridian::generate
