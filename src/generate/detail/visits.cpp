// SPDX-License-Identifier: Apache-2.0
// When a person meets the health system: turns a decided life into dated visits.
#include <algorithm>
#include <cmath>
#include <utility>

#include "generate/detail/life.hpp"
#include "generate/detail/rates.hpp"

namespace meridian::generate {
namespace {

class Planner {
 public:
    Planner(Person& person, Random& random, Day start, Day end)
        : person_(person),
          random_(random),
          from_(std::max(start, person.birth)),
          end_(end),
          to_(std::min(end, person.death)) {}

    void plan() {
        person_.visits.reserve(128);
        everyday_illness();
        prevention();
        chronic_care();
        // The named cast keeps to its stories.
        if (person_.story.empty()) stays();
        kidney_care();
        if (person_.cancer.any()) cancer_care();
        last_stay();
        order();
    }

 private:
    void add(Day day, VisitKind kind, int detail = 0, int index = 0) {
        if (day >= from_ && day < to_)
            person_.visits.push_back(
                {day, kind, static_cast<std::uint8_t>(detail), static_cast<std::uint16_t>(index)});
    }
    void stay(Day day, AdmissionKind kind, int days) {
        add(day, VisitKind::admission, static_cast<int>(kind), days);
    }

    void everyday_illness() {
        const auto illnesses = acute_illnesses();
        for (Day year = from_; year < to_; year += 365) {
            const double age = person_.exact_age(year);
            const double rate = age < 7    ? 5.2
                                : age < 18 ? 2.6
                                : age < 45 ? 2.9
                                : age < 65 ? 3.6
                                           : 4.6;
            const int count = random_.poisson(rate);
            for (int i = 0; i < count; ++i) {
                double weights[32];
                for (std::size_t k = 0; k < illnesses.size(); ++k) {
                    const auto& illness = illnesses[k];
                    weights[k] = age < 15   ? illness.weight_child
                                 : age < 60 ? illness.weight_adult
                                            : illness.weight_old;
                    if (illness.female_only && person_.male) weights[k] = 0;
                }
                const int kind = random_.weighted({weights, illnesses.size()});
                add(year + random_.between(0, 364), VisitKind::acute, kind);
            }
        }
    }

    void prevention() {
        const auto programme = vaccines();
        for (std::size_t v = 0; v < programme.size(); ++v)
            for (std::size_t dose = 0; dose < programme[v].months.size(); ++dose)
                add(person_.birth + static_cast<Day>(programme[v].months[dose] * 30.44) +
                        random_.between(0, 9) + 1,
                    VisitKind::vaccination, static_cast<int>(v), static_cast<int>(dose));
        bool pneumococcal = false;
        for (Day year = from_; year < to_; year += 365) {
            const double age = person_.exact_age(year);
            const double check = age < 7 ? 0.8 : age < 18 ? 0.3 : age < 65 ? 0.38 : 0.75;
            if (random_.chance(check)) add(year + random_.between(0, 364), VisitKind::checkup);
            if (age >= 60 && random_.chance(0.28))
                add(year + random_.between(0, 120), VisitKind::vaccination, 100);
            if (age >= 65 && !pneumococcal && random_.chance(0.15)) {
                pneumococcal = true;
                add(year + random_.between(121, 300), VisitKind::vaccination, 101);
            }
        }
    }

    void chronic_care() {
        const Day onset = std::min(
            {person_.hypertension, person_.diabetes, person_.coronary, person_.copd,
             person_.dyslipidaemia == never ? never : person_.dyslipidaemia, person_.gout});
        if (onset == never) return;
        const bool several = (person_.hypertension != never) + (person_.diabetes != never) +
                                 (person_.coronary != never) >
                             1;
        // The national programme asks for four visits a year; people with several diseases come
        // more often.
        for (Day day = std::max(from_, onset) + random_.between(0, 70);
             day < std::min(to_, person_.kidney.dialysis);
             day += several ? random_.between(60, 95) : random_.between(80, 120))
            add(day, VisitKind::followup);
    }

    AdmissionKind draw_stay(double age) {
        using A = AdmissionKind;
        if (!person_.male && age >= 21 && age < 42 && random_.chance(0.5))
            return random_.chance(0.55) ? A::delivery : A::cesarean;
        static constexpr A kinds[] = {A::pneumonia,       A::appendicitis,    A::gallstones,
                                      A::stroke,          A::infarction,      A::angina,
                                      A::radius_fracture, A::hip_fracture,    A::copd_exacerbation,
                                      A::cataract,        A::diabetes_control};
        const bool old = age >= 60;
        const double weights[] = {age < 15 ? 6.0
                                  : old    ? 3.0
                                           : 1.5,
                                  age < 45 ? 2.0 : 0.6,
                                  age < 25 ? 0.2 : 1.6,
                                  old        ? 3.0
                                  : age > 45 ? 1.0
                                             : 0.05,
                                  old        ? 1.0
                                  : age > 45 ? 0.5
                                             : 0.02,
                                  person_.coronary != never && old ? 3.0
                                  : age > 50                       ? 0.5
                                                                   : 0.02,
                                  1.0,
                                  age >= 70 ? 1.2 : 0.05,
                                  person_.copd != never ? 4.0 : 0.0,
                                  age >= 60 ? 2.2 : 0.0,
                                  person_.diabetes != never && age > 30 ? 2.5 : 0.0};
        return kinds[random_.weighted(weights)];
    }

    static int usual_days(AdmissionKind kind) {
        using A = AdmissionKind;
        switch (kind) {
            case A::cataract:
                return 2;
            case A::delivery:
                return 3;
            case A::cesarean:
                return 5;
            case A::appendicitis:
                return 5;
            case A::hip_fracture:
                return 14;
            case A::stroke:
                return 11;
            default:
                return 8;
        }
    }

    void stays() {
        for (Day year = from_; year < to_; year += 365) {
            const double age = person_.exact_age(year);
            const double rate = age < 7    ? 0.17
                                : age < 18 ? 0.075
                                : age < 45 ? 0.16
                                : age < 65 ? 0.225
                                           : 0.53;
            const int count = random_.poisson(rate);
            for (int i = 0; i < count; ++i) {
                const AdmissionKind kind = draw_stay(age);
                if (kind == AdmissionKind::diabetes_control && person_.diabetes > year) continue;
                if (kind == AdmissionKind::copd_exacerbation && person_.copd > year) continue;
                // An appendix, a gallbladder or a hip is lost once.
                const bool once = kind == AdmissionKind::appendicitis ||
                                  kind == AdmissionKind::gallstones ||
                                  kind == AdmissionKind::hip_fracture;
                if (once && std::exchange(lost_[static_cast<int>(kind)], true)) continue;
                stay(year + random_.between(0, 364), kind,
                     usual_days(kind) + random_.between(0, 4));
            }
        }
    }

    void kidney_care() {
        const auto& kidney = person_.kidney;
        if (kidney.onset == never) return;
        const bool glomerular =
            kidney.cause == KidneyCause::iga || kidney.cause == KidneyCause::glomerulonephritis;
        if (glomerular && kidney.onset >= from_)
            stay(kidney.onset + 30, AdmissionKind::kidney_biopsy, random_.between(5, 8));
        for (Day day = std::max(from_, kidney.onset) + random_.between(0, 60);
             day < std::min(to_, kidney.dialysis);) {
            const double rate = person_.gfr(day);
            // Early diabetic and hypertensive kidney disease is followed in the chronic disease
            // clinic.
            if (rate < 60 || glomerular) add(day, VisitKind::nephrology);
            day += rate >= 60   ? random_.between(160, 200)
                   : rate >= 30 ? random_.between(80, 110)
                   : rate >= 15 ? random_.between(45, 65)
                                : random_.between(26, 34);
        }
        if (kidney.dialysis == never) return;
        if (kidney.fistula < to_) stay(kidney.fistula, AdmissionKind::fistula, 6);
        stay(kidney.dialysis, AdmissionKind::dialysis_start, random_.between(9, 14));
        for (Day day = std::max(from_, kidney.dialysis + 16);
             day < std::min({to_, kidney.transplant}); day += 30)
            add(day, VisitKind::dialysis_month);
        if (kidney.transplant == never) return;
        stay(kidney.transplant, AdmissionKind::transplant, random_.between(16, 24));
        for (Day day = kidney.transplant + 32; day < to_; day += day - kidney.transplant < 365
                                                                     ? random_.between(26, 34)
                                                                     : random_.between(55, 70))
            add(day, VisitKind::transplant_followup);
    }

    void cancer_care() {
        const auto& cancer = person_.cancer;
        for (std::size_t i = 0; i < cancer.scans.size(); ++i)
            add(cancer.scans[i].day, VisitKind::nodule_scan, 0, static_cast<int>(i));
        stay(cancer.diagnosed - 4, AdmissionKind::cancer_workup, random_.between(6, 9));
        for (std::size_t i = 0; i < cancer.treatments.size(); ++i)
            treatment_visits(cancer.treatments[i], static_cast<int>(i));
        for (std::size_t i = 0; i < cancer.assessments.size(); ++i)
            add(cancer.assessments[i].day, VisitKind::restaging, 0, static_cast<int>(i));
        for (std::size_t i = 0; i < cancer.surveillance.size(); ++i)
            add(cancer.surveillance[i], VisitKind::surveillance, 0, static_cast<int>(i));
        if (cancer.recurrence != never)
            stay(cancer.recurrence, AdmissionKind::cancer_recurrence, random_.between(5, 8));
    }

    void treatment_visits(const Treatment& treatment, int index) {
        const Day stop = std::min(to_, treatment.end + 1);
        switch (treatment.kind) {
            case TreatmentKind::surgery:
                stay(treatment.start - 2, AdmissionKind::cancer_surgery, random_.between(8, 12));
                break;
            case TreatmentKind::chemotherapy:
                for (int cycle = 0; cycle < treatment.cycles; ++cycle)
                    add(treatment.start + cycle * 21, VisitKind::day_chemotherapy, 0,
                        index * 64 + cycle);
                break;
            case TreatmentKind::targeted:
                for (Day day = treatment.start; day < stop; day += random_.between(28, 34))
                    add(day, VisitKind::targeted_followup, 0, index * 64);
                break;
            case TreatmentKind::radiotherapy:
                add(treatment.start, VisitKind::radiotherapy, 0, index * 64);
                break;
            case TreatmentKind::endocrine:
                for (Day day = treatment.start; day < stop; day += random_.between(82, 98))
                    add(day, VisitKind::endocrine_followup, 0, index * 64);
                break;
        }
    }

    void last_stay() {
        if (person_.death >= end_ || person_.death == never) return;
        const bool of_cancer = person_.death == person_.cancer.death;
        if (!of_cancer && !random_.chance(0.62)) return;
        const int days = random_.between(3, 13);
        if (person_.death - days <= person_.birth) return;
        stay(person_.death - days,
             of_cancer ? AdmissionKind::terminal_cancer : AdmissionKind::terminal, days);
    }

    /// Sorts, and lets no visit begin while the person lies in hospital.
    void order() {
        auto& visits = person_.visits;
        std::stable_sort(visits.begin(), visits.end(),
                         [](const Visit& a, const Visit& b) { return a.day < b.day; });
        std::vector<Visit> kept;
        kept.reserve(visits.size());
        // A stay that the story needs displaces a chance one, so those are placed first.
        std::vector<std::pair<Day, Day>> beds;
        auto fixed = [](const Visit& visit) {
            return visit.kind == VisitKind::admission &&
                   visit.detail >= static_cast<std::uint8_t>(AdmissionKind::cancer_workup);
        };
        auto free = [&](Day first, Day last) {
            return std::none_of(beds.begin(), beds.end(), [&](const auto& bed) {
                return first <= bed.second && last >= bed.first;
            });
        };
        auto last_day = [](const Visit& visit) { return visit.day + visit.index; };
        auto is_terminal = [](const Visit& visit) {
            return visit.detail >= static_cast<std::uint8_t>(AdmissionKind::terminal_cancer);
        };
        for (int pass = 0; pass < 3; ++pass)
            for (const auto& visit : visits) {
                if (visit.kind != VisitKind::admission) continue;
                if (pass != (is_terminal(visit) ? 0 : fixed(visit) ? 1 : 2)) continue;
                const bool outlived = last_day(visit) < person_.death || is_terminal(visit);
                if (outlived && free(visit.day, last_day(visit)))
                    beds.emplace_back(visit.day, last_day(visit)), kept.push_back(visit);
            }
        for (const auto& visit : visits) {
            if (visit.kind == VisitKind::admission) continue;
            // A dialysis month is a span; radiotherapy too. Both may enclose a stay but must end
            // before death.
            const int days = visit.kind == VisitKind::dialysis_month ? 28
                             : visit.kind == VisitKind::radiotherapy ? 44
                                                                     : 0;
            if (visit.day + days >= person_.death) continue;
            if (free(visit.day, visit.day)) kept.push_back(visit);
        }
        std::stable_sort(kept.begin(), kept.end(),
                         [](const Visit& a, const Visit& b) { return a.day < b.day; });
        visits = std::move(kept);
    }

    Person& person_;
    Random& random_;
    Day from_, end_, to_;
    bool lost_[16] = {};  ///< by AdmissionKind
};

}  // namespace

void plan_visits(Person& person, Random& random, Day start, Day end) {
    Planner(person, random, start, end).plan();
}

}  // namespace meridian::generate
