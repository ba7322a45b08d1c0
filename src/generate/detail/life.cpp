// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/life.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "base/limits.hpp"
#include "generate/detail/cast.hpp"
#include "generate/detail/rates.hpp"

namespace meridian::generate {
namespace {

/// The age at which a person with rank `u` (0 … 1) joins the affected, so that at every age the
/// published share is affected.
double onset_age(std::span<const rates::Point> curve, double u) {
    if (u >= curve.back().share) return -1;
    if (u < curve.front().share) return curve.front().age;
    for (std::size_t i = 1; i < curve.size(); ++i)
        if (u < curve[i].share) {
            const auto &a = curve[i - 1], &b = curve[i];
            return a.age + (b.age - a.age) * (u - a.share) / (b.share - a.share);
        }
    return -1;
}

Day onset_day(const Person& person, std::span<const rates::Point> curve, double u) {
    const double age = onset_age(curve, u);
    return age < 0 ? never : person.birth + static_cast<Day>(age * days_per_year);
}

double yearly_death(bool male, double age) {
    const double hazard =
        male ? rates::death_male_at_60 * std::exp(rates::death_slope_male * (age - 60))
             : rates::death_female_at_60 * std::exp(rates::death_slope_female * (age - 60));
    return age < 1 ? hazard + 0.004 : hazard;
}

constexpr std::size_t age_groups = std::size(rates::age_pyramid);

/// Weights of the age groups in the middle of the record's years among all who lived in these
/// years: those who died before the middle count as well, and the last weight is for those born
/// after it.
std::array<double, age_groups + 1> weights_of_groups(int years) {
    std::array<double, age_groups + 1> weights{};
    const int half = years / 2;
    for (std::size_t i = 0; i < age_groups; ++i) {
        const double age = static_cast<double>(i) * 5 + 2.5;
        double survival = 1;
        for (int back = 1; back <= half && age - back >= 0; ++back)
            survival *=
                std::exp(-(yearly_death(true, age - back) + yearly_death(false, age - back)) / 2);
        weights[i] = rates::age_pyramid[i] / survival;
    }
    weights[age_groups] = rates::births_per_year * 100 * years / 2;
    return weights;
}

void draw_birth(Person& person, Random& random, int years, Day end) {
    static const auto tables = [] {
        std::array<std::array<double, age_groups + 1>, limits::region_years_max + 1> made{};
        for (int i = 0; i <= limits::region_years_max; ++i)
            made[static_cast<std::size_t>(i)] = weights_of_groups(i);
        return made;
    }();
    const int group = random.weighted(tables[static_cast<std::size_t>(years)]);
    const double after_middle = years / 2.0;
    const double age = group == static_cast<int>(age_groups) ? -random.uniform(0, after_middle)
                       : group == 17 ? 85 + std::min(random.exponential(4.5), 17.0)
                                     : group * 5 + random.uniform(0, 5);
    person.birth = end - static_cast<Day>((age + after_middle) * days_per_year) - 1;
}

void draw_death(Person& person, Random& random, Day start, Day end) {
    for (Day day = std::max(start, person.birth); day < end; day += 365) {
        double hazard = yearly_death(person.male, person.exact_age(day));
        if (person.kidney.dialysis <= day) hazard += person.kidney.transplant <= day ? 0.02 : 0.085;
        if (random.chance(1 - std::exp(-hazard))) {
            const Day at = day + random.between(1, 364);
            if (at < end) person.death = std::min(person.death, std::max(at, person.birth + 1));
            return;
        }
    }
}

void draw_habits(Person& person, Random& random, Day end) {
    const int age = person.age(end);
    const double share = person.male ? rates::smoking_male : rates::smoking_female;
    if (age >= 18 &&
        random.chance(share / (1 - rates::smokers_who_stopped) * (person.english ? 0.4 : 1))) {
        person.smoking = random.chance(rates::smokers_who_stopped) ? Person::Smoking::former
                                                                   : Person::Smoking::current;
        person.cigarettes_per_day = random.between(1, 4) * 5 + (random.chance(0.4) ? 10 : 0);
        person.smoked_years = std::max(1, std::min(age - 18, random.between(5, 45)));
    }
    person.height_cm =
        static_cast<int>(random.normal(person.male ? 170 : 159, 5.5)) + (person.english ? 4 : 0);
    person.mass_index = std::clamp(random.normal(24.2, 2.9), 17.5, 36.0);
    person.pressure_level = random.normal(0, 0.45);
    person.sugar_level = random.normal(0, 0.5);
    person.penicillin_allergy = random.chance(0.05);
    person.contrast_allergy = random.chance(0.008);
    person.family_cancer = random.chance(0.12);
}

void draw_chronic(Person& person, Random& random) {
    // Diabetes, lipids, vessels and kidneys share the rank of hypertension now and then: that keeps
    // each share as published and makes them occur together.
    const double u = random.unit();
    auto rank = [&](double share_in_common) {
        return random.chance(share_in_common) ? u : random.unit();
    };
    person.hypertension = onset_day(person, rates::hypertension, u);
    person.diabetes = onset_day(person, rates::diabetes, rank(0.30));
    person.dyslipidaemia = onset_day(person, rates::dyslipidaemia, rank(0.25));
    person.coronary = onset_day(person, rates::coronary, rank(0.30));
    person.copd = onset_day(person, rates::copd,
                            random.unit() * (person.smoking == Person::Smoking::none ? 1.5 : 0.55));
    person.gout = person.male ? onset_day(person, rates::gout, random.unit() * 0.6) : never;
    static constexpr DrugId first[] = {drug_amlodipine, drug_nifedipine, drug_valsartan,
                                       drug_irbesartan, drug_losartan,   drug_enalapril};
    static constexpr DrugId second[] = {drug_hydrochlorothiazide, drug_metoprolol};
    person.pressure_drugs[0] = random.pick(first);
    person.pressure_drugs[1] = random.pick(second);
    person.pressure_drug_count = random.chance(0.35) ? 2 : 1;
}

void draw_kidney(Person& person, Random& random, Day start) {
    auto& kidney = person.kidney;
    const double u =
        random.chance(0.35) && person.hypertension != never ? random.unit() * 0.35 : random.unit();
    kidney.onset = onset_day(person, rates::kidney, u);
    if (kidney.onset == never) return;
    if (person.diabetes <= kidney.onset + 2000 && random.chance(0.75))
        kidney.cause = KidneyCause::diabetic;
    else if (person.hypertension <= kidney.onset + 1000 && random.chance(0.55))
        kidney.cause = KidneyCause::hypertensive;
    else
        kidney.cause = random.chance(0.3) ? KidneyCause::iga : KidneyCause::glomerulonephritis;
    const double age = person.exact_age(kidney.onset);
    const double normal = std::clamp(122 - 0.80 * (age - 20), 55.0, 122.0);
    kidney.start_gfr =
        normal * (random.chance(0.82) ? random.uniform(0.80, 1.0) : random.uniform(0.50, 0.80));
    const double pace = random.unit();
    kidney.loss_per_year = pace < 0.88    ? random.uniform(0.6, 1.3)
                           : pace < 0.986 ? random.uniform(1.3, 2.5)
                                          : random.uniform(4.0, 9.0);
    kidney.albuminuria = std::exp(random.normal(4.4, 0.8)) * (kidney.loss_per_year > 3 ? 4 : 1);
    const double years_left = (kidney.start_gfr - 7.5) / kidney.loss_per_year;
    if (years_left > 45) return;
    kidney.dialysis = kidney.onset + static_cast<Day>(years_left * days_per_year);
    // Who began long ago has mostly died; the survivors of the earlier years began shortly before
    // the record does.
    if (kidney.dialysis < start - 4 * 365) {
        const Day shift = start - random.between(0, 4 * 365) - kidney.dialysis;
        kidney.dialysis += shift;
        kidney.onset += shift;
    }
    kidney.peritoneal = random.chance(0.15);
    kidney.fistula = kidney.peritoneal ? never : kidney.dialysis - random.between(60, 240);
    const double start_age = person.exact_age(kidney.dialysis);
    if (start_age < 60 && random.chance(0.30)) {
        kidney.transplant = kidney.dialysis + random.between(400, 1800);
        kidney.living_donor = random.chance(0.2);
        kidney.graft_gfr = random.uniform(42, 72);
    }
}

/// Mean over the age pyramid of (age/60)^power, from age 30 on: turns a crude rate into a hazard by
/// age.
double pyramid_mean(double power) {
    double sum = 0, total = 0;
    for (std::size_t i = 0; i < std::size(rates::age_pyramid); ++i) {
        const double age = static_cast<double>(i) * 5 + 2.5;
        total += rates::age_pyramid[i];
        if (age > 30) sum += rates::age_pyramid[i] * std::pow(age / 60, power);
    }
    return sum / total;
}

/// First day in [start, end) on which a yearly hazard strikes, or never.
template <class Hazard>
Day strike(Random& random, Day from, Day to, Hazard hazard) {
    for (Day day = from; day < to; day += 365)
        if (random.chance(hazard(day))) {
            const Day at = day + random.between(0, 364);
            return at < to ? at : never;
        }
    return never;
}

void draw_cancer(Person& person, Random& random, Day start, Day end) {
    static const double lung_mean = pyramid_mean(rates::lung_age_power),
                        bowel_mean = pyramid_mean(rates::bowel_age_power),
                        breast_mean = pyramid_mean(rates::breast_age_power);
    // Smokers carry most of men's lung cancer; the factors average to one over the sexes' smoking
    // habits.
    const double lung_rate =
        (person.male ? rates::lung_male_per_year : rates::lung_female_per_year) / lung_mean *
        (!person.male                              ? 1.08
         : person.smoking == Person::Smoking::none ? 0.47
                                                   : 1.57);
    auto by_age = [&](double rate, double power) {
        return [&person, rate, power](Day day) {
            const double age = person.exact_age(day);
            return age < 30 ? 0.0 : rate * std::pow(std::min(age, 84.0) / 60, power);
        };
    };
    const Day from = std::max(start, person.birth);
    const Day to = std::min(end, person.death);
    const Day lung = strike(random, from, to, by_age(lung_rate, rates::lung_age_power));
    const Day bowel = strike(random, from, to,
                             by_age(rates::bowel_per_year / bowel_mean, rates::bowel_age_power));
    const Day breast =
        person.male ? never
                    : strike(random, from, to,
                             by_age(rates::breast_per_year / breast_mean, rates::breast_age_power));
    // One cancer a life: the first; it keeps every story readable.
    const Day first = std::min({lung, bowel, breast});
    if (first == never) return;
    auto& cancer = person.cancer;
    cancer.diagnosed = first;
    cancer.site = first == lung ? Site::lung : first == bowel ? Site::bowel : Site::breast;
}

int years_of(Day day, Day end) {
    return day == never ? 0 : std::max(0, years_between(day, end));
}

}  // namespace

double ckd_epi_2009(double creatinine_mg_dl, double age, bool male) {
    const double kappa = male ? 0.9 : 0.7, alpha = male ? -0.411 : -0.329;
    const double ratio = creatinine_mg_dl / kappa;
    return 141 * std::pow(std::min(ratio, 1.0), alpha) * std::pow(std::max(ratio, 1.0), -1.209) *
           std::pow(0.993, age) * (male ? 1 : 1.018);
}

std::string_view gfr_category(double gfr) {
    // KDIGO grades the rounded result.
    const long rounded = std::lround(gfr);
    return rounded >= 90   ? "G1"
           : rounded >= 60 ? "G2"
           : rounded >= 45 ? "G3a"
           : rounded >= 30 ? "G3b"
           : rounded >= 15 ? "G4"
                           : "G5";
}

double Person::gfr(Day day) const {
    const double age_now = exact_age(day);
    const double normal = std::clamp(122 - 0.80 * (age_now - 20), 45.0, 125.0);
    if (day < kidney.onset) return normal;
    if (transplanted(day)) {
        // The new kidney takes up its work within ten days.
        const int days = day - kidney.transplant;
        return std::min(8.0 + days * 5,
                        std::max(18.0, kidney.graft_gfr - 1.3 * days / days_per_year));
    }
    const double now =
        kidney.start_gfr - kidney.loss_per_year * (day - kidney.onset) / days_per_year;
    return std::max(kidney.dialysis <= day ? 5.0 : 7.0, now);
}

double Person::gfr_of(double creatinine_umol, Day day) const {
    return ckd_epi_2009(creatinine_umol / 88.42, exact_age(day), male);
}

double Person::creatinine_for(double rate, Day day) const {
    const double at_kappa = 141 * std::pow(0.993, exact_age(day)) * (male ? 1 : 1.018);
    const double kappa = male ? 0.9 : 0.7, alpha = male ? -0.411 : -0.329;
    const double ratio = rate / at_kappa;
    const double mg = kappa * std::pow(ratio, ratio > 1 ? 1 / alpha : 1 / -1.209);
    return std::max(18.0, mg * 88.42);
}

int Person::tumour_mm(Day day) const {
    if (!cancer.any() || day < cancer.found) return 0;
    for (auto it = cancer.assessments.rbegin(); it != cancer.assessments.rend(); ++it)
        if (it->day <= day) return it->size_mm;
    if (cancer.recurrence <= day) return 18;
    if (cancer.operated <= day) return 0;
    int size = cancer.size_mm;
    for (const auto& scan : cancer.scans)
        if (scan.day <= day) size = scan.size_mm;
    return size;
}

std::string_view lung_t_of_size(int mm) {
    return mm <= 10   ? "1a"
           : mm <= 20 ? "1b"
           : mm <= 30 ? "1c"
           : mm <= 40 ? "2a"
           : mm <= 50 ? "2b"
           : mm <= 70 ? "3"
                      : "4";
}

std::string_view lung_stage_group(std::string_view t, std::string_view n, std::string_view m) {
    if (m == "1a" || m == "1b") return "IVA";
    if (m == "1c") return "IVB";
    const char size = t[0];
    const bool large = size == '3' || size == '4';
    if (n == "3") return large ? "IIIC" : "IIIB";
    if (n == "2") return large ? "IIIB" : "IIIA";
    if (n == "1") return large ? "IIIA" : "IIB";
    if (size == '4') return "IIIA";
    if (size == '3') return "IIB";
    if (t == "2b") return "IIA";
    if (t == "2a") return "IB";
    return t == "1a" ? "IA1" : t == "1b" ? "IA2" : "IA3";
}

Response recist(int size_mm, int baseline_mm, int nadir_mm) {
    if (size_mm == 0) return Response::complete;
    if (size_mm - nadir_mm >= 5 && size_mm * 10 >= nadir_mm * 12) return Response::progression;
    if (size_mm * 10 <= baseline_mm * 7) return Response::partial;
    return Response::stable;
}

std::string_view code_of(Response response) {
    static constexpr std::string_view codes[] = {"", "CR", "PR", "SD", "PD"};
    return codes[static_cast<int>(response)];
}

void draw_cancer_course(Person& person, Random& random, Day end);

Person live(const RegionOptions& options, std::uint64_t number) {
    // The cast's stories are the same in every region, whatever its seed.
    const bool in_cast = number <= static_cast<std::uint64_t>(cast_size);
    Random random(in_cast ? cast_seed : options.seed, number);
    const Day end = day_of(options.as_of);
    const Day start = day_of(options.as_of.year - options.years, options.as_of.month,
                             std::min(options.as_of.day, 28u));
    Person person;
    person.number = number;
    draw_birth(person, random, options.years, end);
    person.male = random.chance(rates::male_share);
    person.english = random.chance(options.english_share);
    if (in_cast) play_cast_role(static_cast<int>(number), end, person);
    if (!in_cast) person.name = draw_name(random, person.male, person.english);
    double shares[district_count];
    for (int d = 0; d < district_count; ++d) shares[d] = generate::district(d).population;
    person.district = random.weighted(shares);
    person.community = City::communities + person.district * 2 + random.between(0, 1);
    person.hospital = person.english
                          ? (random.chance(0.6) ? City::international : City::harbour)
                          : (random.chance(0.55) ? City::first_people : City::university);
    person.cancer_hospital = person.english || random.chance(0.4) ? person.hospital : City::cancer;
    person.street = draw_street(random, person.district, person.english);
    if (!in_cast) {
        draw_habits(person, random, end);
        draw_chronic(person, random);
        draw_kidney(person, random, start);
        draw_death(person, random, start, end);
        draw_cancer(person, random, start, end);
        if (person.cancer.any()) draw_cancer_course(person, random, end);
    } else if (person.cancer.any()) {
        treat_lung_cancer(person, random, end);
    }
    if (person.cancer.death < person.death) person.death = person.cancer.death;
    if (person.death >= end) person.death = never;
    if (person.smoking == Person::Smoking::current &&
        person.smoked_years > years_of(person.birth, end) - 12)
        person.smoked_years = std::max(1, years_of(person.birth, end) - 18);
    plan_visits(person, random, start, end);
    person.random = random;
    return person;
}

}  // namespace meridian::generate
