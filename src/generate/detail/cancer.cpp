// SPDX-License-Identifier: Apache-2.0
// Courses of lung, breast and bowel cancer: from finding to stage, treatment, response, recurrence
// and death.
#include <algorithm>
#include <cmath>

#include "generate/detail/life.hpp"
#include "generate/detail/rates.hpp"

namespace meridian::generate {
namespace {

constexpr int cycle_days = 21;

struct LungStage {
    double screened, symptomatic;  ///< weights
    char stage;
};
constexpr LungStage lung_stages[] = {
    {0.80, 0.14, '1'}, {0.08, 0.09, '2'}, {0.08, 0.29, '3'}, {0.04, 0.48, '4'}};

void draw_lung_tumour(Person& person, Random& random) {
    auto& cancer = person.cancer;
    cancer.screened = random.chance(0.33);
    static constexpr double lobes[] = {0.30, 0.06, 0.20, 0.27, 0.17};
    cancer.lobe = static_cast<Lobe>(random.weighted(lobes));
    const double kind = random.unit();
    const bool smoker = person.smoking != Person::Smoking::none;
    cancer.histology = kind < (smoker ? 0.50 : 0.82)   ? Histology::adenocarcinoma
                       : kind < (smoker ? 0.83 : 0.94) ? Histology::squamous
                                                       : Histology::small_cell;
    double weights[4];
    for (int i = 0; i < 4; ++i)
        weights[i] = cancer.screened ? lung_stages[i].screened : lung_stages[i].symptomatic;
    if (cancer.histology == Histology::small_cell) weights[0] *= 0.2, weights[1] *= 0.3;
    const char stage = lung_stages[random.weighted(weights)].stage;
    cancer.m = "0";
    cancer.n = "0";
    switch (stage) {
        case '1':
            cancer.size_mm = cancer.screened ? random.between(9, 24) : random.between(14, 38);
            break;
        case '2':
            cancer.size_mm = random.between(22, 66);
            if (cancer.size_mm <= 40)
                cancer.n = "1";
            else if (cancer.size_mm <= 50 && random.chance(0.5))
                cancer.n = "1";
            break;
        case '3':
            cancer.size_mm = random.between(28, 82);
            cancer.n = random.chance(0.72) ? "2" : "3";
            break;
        default: {
            cancer.size_mm = random.between(26, 78);
            cancer.n = random.chance(0.5) ? "2" : random.chance(0.5) ? "3" : "1";
            static constexpr Spread spreads[] = {Spread::brain, Spread::bone, Spread::liver,
                                                 Spread::pleura, Spread::bone};
            cancer.spread = random.pick(spreads);
            cancer.m = cancer.spread == Spread::pleura ? "1a" : random.chance(0.45) ? "1b" : "1c";
        }
    }
    if (cancer.histology == Histology::adenocarcinoma) {
        const double u = random.unit();
        cancer.driver =
            u < rates::egfr_mutation_in_adenocarcinoma * 0.48 ? Driver::exon19
            : u < rates::egfr_mutation_in_adenocarcinoma      ? Driver::l858r
            : u < rates::egfr_mutation_in_adenocarcinoma + rates::alk_fusion_in_adenocarcinoma
                ? Driver::alk
                : Driver::wild;
    }
}

void finish_lung_facts(Person& person) {
    auto& cancer = person.cancer;
    cancer.left = cancer.lobe >= Lobe::left_upper;
    cancer.diagnosis = cancer.lobe == Lobe::right_middle ? &dx::lung_middle
                       : cancer.lobe == Lobe::right_lower || cancer.lobe == Lobe::left_lower
                           ? &dx::lung_lower
                           : &dx::lung_upper;
    cancer.t = lung_t_of_size(cancer.size_mm);
    cancer.group = lung_stage_group(cancer.t, cancer.n, cancer.m);
}

/// Follow-up scans before the diagnosis: the nodule doubles its volume about every `doubling_days`.
void grow_nodule(CancerCourse& cancer, Random& random, int scans, int doubling_days) {
    cancer.scans.clear();
    Day day = cancer.diagnosed - random.between(9, 20);
    double size = cancer.size_mm;
    for (int i = 0; i < scans; ++i) {
        cancer.scans.insert(cancer.scans.begin(),
                            {day, std::max(4, static_cast<int>(std::lround(size)))});
        const int gap = random.between(95, 200);
        day -= gap;
        // Volume halves in `doubling_days`, the diameter shrinks by its cube root.
        size /= std::pow(2.0, gap / (3.0 * doubling_days));
    }
    cancer.scans.back().size_mm = cancer.size_mm;
    cancer.found = cancer.scans.front().day;
}

/// Target lesion under one line of treatment until `progress`: shrinks to `best` of its size, then
/// grows.
void assess(CancerCourse& cancer, Random& random, std::size_t treatment, Day from, Day progress,
            Day stop, int baseline, double best) {
    int nadir = baseline;
    double now = baseline;
    const double goal = baseline * best;
    for (Day day = from + random.between(45, 60); day < stop; day += random.between(58, 80)) {
        const bool late = day >= progress;
        if (late)
            now = std::max(nadir * 1.25 + random.uniform(1, 4), nadir + 6.0);
        else
            now = goal + (now - goal) * 0.35;
        const int size = std::max(late ? 6 : 3, static_cast<int>(std::lround(now)));
        cancer.assessments.push_back(
            {day, size, baseline, nadir, recist(size, baseline, nadir), treatment});
        if (cancer.assessments.back().response == Response::progression) return;
        nadir = std::min(nadir, size);
    }
}

Treatment systemic(const CancerCourse& cancer, int line, Day start, bool recurrent) {
    Treatment treatment{TreatmentKind::chemotherapy,
                        start,
                        start,
                        line == 1 ? "1L" : "2L",
                        {},
                        0,
                        6,
                        proc_none,
                        recurrent};
    auto drugs = [&](std::initializer_list<DrugId> list) {
        for (DrugId id : list) treatment.drugs[treatment.drug_count++] = id;
    };
    if (cancer.site == Site::lung && cancer.driver != Driver::wild && line == 1) {
        treatment.kind = TreatmentKind::targeted;
        // Osimertinib was first-line standard from 2019 on; gefitinib before.
        drugs({cancer.driver == Driver::alk  ? drug_alectinib
               : start >= day_of(2019, 9, 1) ? drug_osimertinib
                                             : drug_gefitinib});
    } else if (cancer.site == Site::lung && cancer.histology == Histology::small_cell) {
        drugs({drug_etoposide, line == 1 ? drug_cisplatin : drug_irinotecan});
    } else if (cancer.site == Site::lung && cancer.histology == Histology::squamous) {
        if (line == 1)
            drugs({drug_paclitaxel, drug_carboplatin, drug_pembrolizumab});
        else
            drugs({drug_docetaxel});
    } else if (cancer.site == Site::lung) {
        if (line == 2 && cancer.driver == Driver::wild)
            drugs({drug_docetaxel});
        else if (start >= day_of(2019, 6, 1) && cancer.driver == Driver::wild)
            drugs({drug_pemetrexed, drug_carboplatin, drug_pembrolizumab});
        else
            drugs({drug_pemetrexed, drug_cisplatin});
    } else if (cancer.site == Site::breast) {
        if (cancer.her2 == "3+")
            drugs({drug_docetaxel, drug_trastuzumab});
        else if (line == 1)
            drugs({drug_docetaxel});
        else
            drugs({drug_capecitabine});
    } else {
        if (line == 1)
            drugs({drug_fluorouracil, drug_leucovorin, drug_oxaliplatin});
        else
            drugs({drug_irinotecan, drug_fluorouracil, drug_bevacizumab});
    }
    return treatment;
}

/// Two lines of systemic treatment and death some months after the second one fails.
void treat_systemically(Person& person, Random& random, Day start, Day end, int baseline,
                        bool recurrent) {
    auto& cancer = person.cancer;
    for (int line = 1; line <= 2; ++line) {
        Treatment treatment = systemic(cancer, line, start, recurrent || line == 2);
        // Median months to progression: osimertinib 18.9, gefitinib 10.2, alectinib 34.8,
        // chemo-immunotherapy 9, others 6.
        double months = treatment.kind == TreatmentKind::targeted
                            ? (treatment.drugs[0] == drug_osimertinib ? 18.9
                               : treatment.drugs[0] == drug_gefitinib ? 10.2
                                                                      : 34.8)
                        : treatment.drug_count == 3 ? 9
                                                    : 6;
        if (line == 2) months *= 0.7;
        if (cancer.site != Site::lung) months *= 1.6;
        const Day progress =
            start + std::max(50, static_cast<int>(months * 30.4 * random.uniform(0.45, 1.9)));
        const Day stop = std::min({end, person.death, progress + 90});
        treatment.end = treatment.kind == TreatmentKind::targeted
                            ? std::min(progress, stop)
                            : std::min<Day>(start + cycle_days * 5 + 1, stop);
        if (treatment.kind == TreatmentKind::chemotherapy)
            treatment.cycles =
                std::clamp(static_cast<int>((std::min(progress, stop) - start) / cycle_days), 1, 6);
        const bool responds = random.chance(
            line == 1 ? (treatment.kind == TreatmentKind::targeted ? 0.78 : 0.5) : 0.25);
        const std::size_t index = cancer.treatments.size();
        cancer.treatments.push_back(treatment);
        const std::size_t before = cancer.assessments.size();
        assess(cancer, random, index, start, progress, stop, baseline,
               responds ? random.uniform(0.35, 0.65) : random.uniform(0.8, 1.05));
        if (cancer.assessments.size() == before ||
            cancer.assessments.back().response != Response::progression) {
            return;  // still under control at the end of the record, or died of something else
        }
        baseline = cancer.assessments.back().size_mm;
        start = cancer.assessments.back().day + random.between(9, 20);
        if (start >= std::min(end, person.death)) return;
    }
    const Day death = cancer.assessments.back().day + random.between(50, 260);
    if (death < end) cancer.death = death;
}

Spread draw_recurrence_site(const CancerCourse& cancer, Random& random) {
    static constexpr Spread lung[] = {Spread::brain, Spread::bone, Spread::lung, Spread::liver};
    static constexpr Spread breast[] = {Spread::bone, Spread::bone, Spread::liver, Spread::lung};
    static constexpr Spread bowel[] = {Spread::liver, Spread::liver, Spread::lung};
    return cancer.site == Site::lung     ? random.pick(lung)
           : cancer.site == Site::breast ? random.pick(breast)
                                         : random.pick(bowel);
}

void add_surveillance(CancerCourse& cancer, Random& random, Day from, Day stop) {
    for (Day day = from + random.between(85, 100); day < stop;) {
        cancer.surveillance.push_back(day);
        // Every three months for two years, every six months up to five, then yearly.
        const Day age = day - from;
        day += age < 2 * 365   ? random.between(85, 97)
               : age < 5 * 365 ? random.between(170, 195)
                               : random.between(350, 380);
    }
}

/// After surgery: adjuvant treatment, surveillance, perhaps recurrence.
void after_surgery(Person& person, Random& random, Day end, bool adjuvant,
                   double recurrence_share) {
    auto& cancer = person.cancer;
    const Day limit = std::min(end, person.death);
    if (cancer.recurrence == never && random.chance(recurrence_share))
        cancer.recurrence = cancer.operated + random.between(240, 1300);
    if (cancer.recurrence >= limit) cancer.recurrence = never;
    const Day free_until = std::min(limit, cancer.recurrence);
    if (adjuvant) {
        Treatment treatment{TreatmentKind::chemotherapy,
                            cancer.operated + random.between(26, 40),
                            0,
                            "adjuvant",
                            {},
                            0,
                            4,
                            proc_none,
                            false};
        auto drugs = [&](std::initializer_list<DrugId> list) {
            for (DrugId id : list) treatment.drugs[treatment.drug_count++] = id;
        };
        if (cancer.site == Site::lung) {
            if (cancer.histology == Histology::adenocarcinoma)
                drugs({drug_pemetrexed, drug_cisplatin});
            else if (cancer.histology == Histology::squamous)
                drugs({drug_paclitaxel, drug_carboplatin});
            else
                drugs({drug_etoposide, drug_cisplatin});
        } else if (cancer.site == Site::breast) {
            if (cancer.her2 == "3+")
                drugs({drug_docetaxel, drug_carboplatin, drug_trastuzumab});
            else
                drugs({drug_epirubicin, drug_cyclophosphamide});
            treatment.cycles = 6;
        } else {
            drugs({drug_oxaliplatin, drug_capecitabine});
            treatment.cycles = 8;
        }
        treatment.end = treatment.start + cycle_days * (treatment.cycles - 1) + 1;
        if (treatment.start < free_until) cancer.treatments.push_back(treatment);
    }
    if (cancer.site == Site::breast && cancer.er > 0) {
        Treatment treatment{TreatmentKind::endocrine,
                            cancer.operated + 200,
                            0,
                            "adjuvant",
                            {},
                            1,
                            0,
                            proc_none,
                            false};
        treatment.drugs[0] = person.age(cancer.operated) >= 52 ? drug_letrozole : drug_tamoxifen;
        treatment.end = std::min<Day>(free_until, treatment.start + 5 * 365);
        if (treatment.start < free_until) cancer.treatments.push_back(treatment);
    }
    add_surveillance(cancer, random, cancer.operated, free_until);
    if (cancer.recurrence != never) {
        if (cancer.recurrence_site == Spread::none)
            cancer.recurrence_site = draw_recurrence_site(cancer, random);
        treat_systemically(person, random, cancer.recurrence + random.between(10, 24), end,
                           random.between(14, 26), true);
    }
}

void operate(CancerCourse& cancer, Random& random, ProcedureId procedure) {
    cancer.operated = cancer.diagnosed + random.between(12, 26);
    cancer.treatments.push_back(
        {TreatmentKind::surgery, cancer.operated, cancer.operated, "", {}, 0, 0, procedure, false});
}

void course_of_breast(Person& person, Random& random, Day end) {
    auto& cancer = person.cancer;
    cancer.diagnosis = &dx::breast;
    cancer.screened = random.chance(0.3);
    cancer.histology = random.chance(0.9) ? Histology::ductal : Histology::lobular;
    cancer.left = random.chance(0.5);
    cancer.grade = random.between(1, 3);
    if (random.chance(0.72)) {
        cancer.er = random.between(4, 19) * 5;
        cancer.pr = random.chance(0.8) ? random.between(1, 18) * 5 : 0;
    }
    static constexpr double her2_weights[] = {0.35, 0.25, 0.18, 0.22};
    static constexpr std::string_view her2_values[] = {"0", "1+", "2+", "3+"};
    cancer.her2 = her2_values[random.weighted(her2_weights)];
    cancer.ki67 = random.between(1, 14) * 5;
    static constexpr double weights[] = {0.30, 0.45, 0.18, 0.07};
    const int stage = random.weighted(weights) + 1;
    cancer.m = "0";
    cancer.n = "0";
    if (stage == 1) cancer.size_mm = random.between(6, 20), cancer.t = "1", cancer.group = "IA";
    if (stage == 2) {
        cancer.size_mm = random.between(21, 48), cancer.t = "2";
        const bool nodes = random.chance(0.45);
        cancer.n = nodes ? "1" : "0", cancer.group = nodes ? "IIB" : "IIA";
    }
    if (stage == 3)
        cancer.size_mm = random.between(24, 50), cancer.t = "2", cancer.n = "2",
        cancer.group = "IIIA";
    if (stage == 4) {
        cancer.size_mm = random.between(30, 70), cancer.t = cancer.size_mm > 50 ? "3" : "2",
        cancer.n = "1", cancer.m = "1", cancer.group = "IV";
        cancer.spread = random.chance(0.6) ? Spread::bone : Spread::liver;
    }
    cancer.width_mm = std::max(5, static_cast<int>(cancer.size_mm * random.uniform(0.6, 0.9)));
    cancer.found = cancer.diagnosed - random.between(8, 25);
    cancer.scans.push_back({cancer.found, cancer.size_mm});
    if (stage == 4) {
        treat_systemically(person, random, cancer.diagnosed + random.between(9, 20), end,
                           cancer.size_mm, false);
        return;
    }
    cancer.nodes_examined = cancer.n == "0" ? random.between(3, 6) : random.between(12, 22);
    cancer.nodes_positive = cancer.n == "0"   ? 0
                            : cancer.n == "1" ? random.between(1, 3)
                                              : random.between(4, 9);
    cancer.pt = cancer.t, cancer.pn = cancer.n, cancer.pgroup = cancer.group;
    operate(cancer, random,
            cancer.size_mm <= 28 && random.chance(0.55) ? proc_breast_conserving : proc_mastectomy);
    static constexpr double recurrence[] = {0.04, 0.11, 0.28};
    after_surgery(person, random, end, stage >= 2 || cancer.her2 == "3+" || cancer.er == 0,
                  recurrence[stage - 1]);
}

void course_of_bowel(Person& person, Random& random, Day end) {
    auto& cancer = person.cancer;
    struct Segment {
        const Diagnosis* diagnosis;
        ProcedureId procedure;
        double weight;
    };
    static const Segment segments[] = {{&dx::caecum, proc_right_hemicolectomy, 0.09},
                                       {&dx::ascending_colon, proc_right_hemicolectomy, 0.15},
                                       {&dx::transverse_colon, proc_right_hemicolectomy, 0.08},
                                       {&dx::descending_colon, proc_left_hemicolectomy, 0.08},
                                       {&dx::sigmoid, proc_sigmoidectomy, 0.22},
                                       {&dx::rectum, proc_anterior_resection, 0.38}};
    double weights[6];
    for (int i = 0; i < 6; ++i) weights[i] = segments[i].weight;
    const Segment& segment = segments[random.weighted(weights)];
    cancer.diagnosis = segment.diagnosis;
    cancer.screened = random.chance(0.22);
    cancer.grade = random.chance(0.7) ? 2 : random.chance(0.5) ? 3 : 1;
    static constexpr double stages[] = {0.20, 0.28, 0.32, 0.20};
    const int stage = random.weighted(stages) + 1;
    cancer.m = "0", cancer.n = "0";
    cancer.size_mm = random.between(18, 66);
    if (stage == 1)
        cancer.t = random.chance(0.4) ? "1" : "2", cancer.group = "I",
        cancer.size_mm = random.between(12, 32);
    if (stage == 2)
        cancer.t = random.chance(0.8) ? "3" : "4a", cancer.group = cancer.t == "3" ? "IIA" : "IIB";
    if (stage == 3) {
        cancer.t = "3", cancer.n = random.chance(0.7) ? "1b" : "2a", cancer.group = "IIIB";
    }
    if (stage == 4)
        cancer.t = "3", cancer.n = "1b", cancer.m = "1a", cancer.group = "IVA",
        cancer.spread = random.chance(0.75) ? Spread::liver : Spread::lung;
    cancer.width_mm = std::max(8, static_cast<int>(cancer.size_mm * random.uniform(0.6, 0.9)));
    cancer.found = cancer.diagnosed - random.between(2, 14);
    cancer.scans.push_back({cancer.found, cancer.size_mm});
    if (stage == 4) {
        treat_systemically(person, random, cancer.diagnosed + random.between(9, 20), end,
                           random.between(18, 40), false);
        return;
    }
    cancer.nodes_examined = random.between(12, 24);
    cancer.nodes_positive = cancer.n == "1b"   ? random.between(2, 3)
                            : cancer.n == "2a" ? random.between(4, 6)
                                               : 0;
    cancer.pt = cancer.t, cancer.pn = cancer.n, cancer.pgroup = cancer.group;
    operate(cancer, random, segment.procedure);
    static constexpr double recurrence[] = {0.06, 0.18, 0.36};
    after_surgery(person, random, end, stage == 3 || cancer.t == "4a", recurrence[stage - 1]);
}

}  // namespace

void treat_lung_cancer(Person& person, Random& random, Day end) {
    auto& cancer = person.cancer;
    finish_lung_facts(person);
    cancer.width_mm = std::max(4, static_cast<int>(cancer.size_mm * random.uniform(0.7, 0.92)));
    if (cancer.found == never) {
        if (cancer.screened)
            grow_nodule(cancer, random, random.between(2, 4), random.between(160, 380));
        else {
            cancer.found = cancer.diagnosed - random.between(9, 24);
            cancer.scans.push_back({cancer.found, cancer.size_mm});
        }
    }
    cancer.ecog = cancer.metastatic() ? random.between(0, 2) : random.between(0, 1);
    const bool resectable =
        !cancer.metastatic() &&
        (cancer.n == "0" || cancer.n == "1" || (cancer.n == "2" && random.chance(0.35))) &&
        cancer.group != "IIIC" && person.age(cancer.diagnosed) < 82 &&
        cancer.histology != Histology::small_cell;
    if (resectable) {
        cancer.pt = cancer.t, cancer.pn = cancer.n, cancer.pgroup = cancer.group;
        cancer.nodes_examined = random.between(9, 22);
        cancer.nodes_positive = cancer.n == "0"   ? 0
                                : cancer.n == "1" ? random.between(1, 3)
                                                  : random.between(2, 6);
        operate(cancer, random, proc_lung_lobectomy);
        const char level = cancer.group.starts_with("III")  ? '3'
                           : cancer.group.starts_with("II") ? '2'
                                                            : '1';
        after_surgery(person, random, end, level >= '2',
                      cancer.recurrence_share >= 0 ? cancer.recurrence_share
                      : level == '1'               ? 0.17
                      : level == '2'               ? 0.42
                                                   : 0.62);
        return;
    }
    if (!cancer.metastatic()) {
        // Locally advanced: radiotherapy beside the first line.
        Treatment beam{TreatmentKind::radiotherapy,
                       cancer.diagnosed + random.between(18, 30),
                       0,
                       "1L",
                       {},
                       0,
                       0,
                       proc_radiotherapy,
                       false};
        beam.end = beam.start + 42;
        cancer.treatments.push_back(beam);
    }
    treat_systemically(person, random, cancer.diagnosed + random.between(12, 24), end,
                       cancer.size_mm, false);
}

void draw_cancer_course(Person& person, Random& random, Day end) {
    switch (person.cancer.site) {
        case Site::lung:
            draw_lung_tumour(person, random);
            treat_lung_cancer(person, random, end);
            break;
        case Site::breast:
            course_of_breast(person, random, end);
            break;
        case Site::bowel:
            course_of_bowel(person, random, end);
            break;
        case Site::none:
            break;
    }
}

}  // namespace meridian::generate
