// SPDX-License-Identifier: Apache-2.0
// The lives that are decided follow the published rates (data/region/README.md).
#include "generate/detail/life.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "generate/detail/names.hpp"
#include "generate/detail/note.hpp"
#include "generate/detail/rates.hpp"

namespace meridian::generate {
namespace {

struct Census {
    int people = 0, alive = 0, adults = 0, hypertensive = 0, diabetic = 0, kidney = 0, dialysis = 0;
    double years = 0, adult_men_smoking = 0, adult_men = 0;
    int deaths = 0, lung = 0, bowel = 0, breast = 0, visits = 0, stays = 0, adenocarcinoma = 0,
        egfr = 0;
    double women_years = 0;
    int band_people[4] = {}, band_hypertensive[4] = {};
    double lung_years = 0;
    int lung_old = 0, lung_survivors = 0;
};

const Census& census() {
    static const Census counted = [] {
        Census c;
        RegionOptions options;
        options.seed = 11;
        const Day end = day_of(options.as_of),
                  start = day_of(options.as_of.year - options.years, 6, 28);
        for (std::uint64_t number = 11; number < 60'011; ++number) {
            const Person person = live(options, number);
            ++c.people;
            const Day from = std::max(start, person.birth), to = std::min(end, person.death);
            const double years = std::max(0.0, (to - from) / days_per_year);
            c.years += years;
            if (!person.male) c.women_years += years;
            if (person.death < end) ++c.deaths;
            const auto& cancer = person.cancer;
            c.lung += cancer.site == Site::lung;
            c.bowel += cancer.site == Site::bowel;
            c.breast += cancer.site == Site::breast;
            if (cancer.site == Site::lung && cancer.histology == Histology::adenocarcinoma) {
                ++c.adenocarcinoma;
                c.egfr += cancer.driver == Driver::exon19 || cancer.driver == Driver::l858r;
            }
            if (cancer.site == Site::lung && cancer.diagnosed < end - 5 * 365) {
                ++c.lung_old;
                c.lung_survivors += person.death >= cancer.diagnosed + 5 * 365;
            }
            for (const auto& visit : person.visits)
                (visit.kind == VisitKind::admission ? c.stays : c.visits) += 1;
            // The census pyramid, and with it every share by age, holds in the middle of the
            // recorded years.
            const Day middle = start + (end - start) / 2;
            if (person.birth > middle || person.death <= middle) continue;
            ++c.alive;
            const int age = person.age(middle);
            if (person.kidney.dialysis <= middle && person.kidney.transplant > middle) ++c.dialysis;
            if (age < 18) continue;
            ++c.adults;
            c.hypertensive += person.hypertension <= middle;
            c.diabetic += person.diabetes <= middle;
            c.kidney += person.kidney.onset <= middle;
            if (person.male && !person.english)
                c.adult_men += 1, c.adult_men_smoking += person.smoking == Person::Smoking::current;
            const int band = age >= 35 && age < 45   ? 0
                             : age >= 45 && age < 55 ? 1
                             : age >= 55 && age < 65 ? 2
                             : age >= 65 && age < 75 ? 3
                                                     : -1;
            if (band >= 0)
                ++c.band_people[band], c.band_hypertensive[band] += person.hypertension <= middle;
        }
        return c;
    }();
    return counted;
}

TEST(Rates, ChronicDiseaseAsPublished) {
    const auto& c = census();
    const double published[] = {0.150, 0.296, 0.446, 0.557};
    for (int band = 0; band < 4; ++band)
        EXPECT_NEAR(static_cast<double>(c.band_hypertensive[band]) / c.band_people[band],
                    published[band], 0.025)
            << "ten-year band " << band;
    EXPECT_NEAR(static_cast<double>(c.diabetic) / c.adults, 0.124, 0.012);
    EXPECT_NEAR(static_cast<double>(c.kidney) / c.adults, 0.082, 0.010);
    EXPECT_NEAR(c.adult_men_smoking / c.adult_men, 0.505, 0.02);
}

TEST(Rates, CancerIncidenceAsPublished) {
    const auto& c = census();
    EXPECT_NEAR(c.lung / c.years, rates::lung_per_year, rates::lung_per_year * 0.18);
    EXPECT_NEAR(c.bowel / c.years, rates::bowel_per_year, rates::bowel_per_year * 0.25);
    EXPECT_NEAR(c.breast / c.women_years, rates::breast_per_year, rates::breast_per_year * 0.28);
    EXPECT_NEAR(static_cast<double>(c.egfr) / c.adenocarcinoma,
                rates::egfr_mutation_in_adenocarcinoma, 0.10);
    const double survival = static_cast<double>(c.lung_survivors) / c.lung_old;
    EXPECT_GT(survival, 0.15);
    EXPECT_LT(survival, 0.42);
}

TEST(Rates, DeathsDialysisAndUseOfCareAsPublished) {
    const auto& c = census();
    EXPECT_NEAR(c.deaths / c.years, 0.00787, 0.0015);
    EXPECT_NEAR(c.dialysis * 1e6 / c.alive, rates::dialysis_per_million,
                rates::dialysis_per_million * 0.45);
    EXPECT_NEAR(c.visits / c.years, rates::visits_per_year, 1.1);
    EXPECT_NEAR(c.stays / c.years, rates::stays_per_year, 0.035);
}

TEST(Formulas, FiltrationRate) {
    // 141 × (1.0/0.9)^-1.209 × 0.993^50
    EXPECT_NEAR(ckd_epi_2009(1.0, 50, true), 87.4, 0.1);
    // 141 × (0.6/0.7)^-0.329 × 0.993^40 × 1.018
    EXPECT_NEAR(ckd_epi_2009(0.6, 40, false), 114.0, 0.1);
    RegionOptions options;
    for (std::uint64_t number = 11; number < 200; ++number) {
        const Person person = live(options, number);
        const Day day = day_of(options.as_of) - 100;
        if (person.age(day) < 18) continue;
        for (double rate : {8.0, 25.0, 60.0, 95.0}) {
            EXPECT_NEAR(person.gfr_of(person.creatinine_for(rate, day), day), rate, 0.01);
        }
    }
    EXPECT_EQ(gfr_category(89.6), "G1");
    EXPECT_EQ(gfr_category(59.9), "G2");
    EXPECT_EQ(gfr_category(44.6), "G3a");
    EXPECT_EQ(gfr_category(44.4), "G3b");
    EXPECT_EQ(gfr_category(14.4), "G5");
}

TEST(Formulas, LungStageGroupsOfTheEighthEdition) {
    EXPECT_EQ(lung_stage_group("1a", "0", "0"), "IA1");
    EXPECT_EQ(lung_stage_group("1c", "0", "0"), "IA3");
    EXPECT_EQ(lung_stage_group("2a", "0", "0"), "IB");
    EXPECT_EQ(lung_stage_group("2b", "0", "0"), "IIA");
    EXPECT_EQ(lung_stage_group("1b", "1", "0"), "IIB");
    EXPECT_EQ(lung_stage_group("3", "0", "0"), "IIB");
    EXPECT_EQ(lung_stage_group("4", "0", "0"), "IIIA");
    EXPECT_EQ(lung_stage_group("2a", "2", "0"), "IIIA");
    EXPECT_EQ(lung_stage_group("3", "2", "0"), "IIIB");
    EXPECT_EQ(lung_stage_group("4", "3", "0"), "IIIC");
    EXPECT_EQ(lung_stage_group("1a", "0", "1b"), "IVA");
    EXPECT_EQ(lung_stage_group("1a", "0", "1c"), "IVB");
    EXPECT_EQ(lung_t_of_size(10), "1a");
    EXPECT_EQ(lung_t_of_size(31), "2a");
    EXPECT_EQ(lung_t_of_size(71), "4");
}

TEST(Formulas, ResponseFollowsFromSizes) {
    EXPECT_EQ(recist(0, 40, 12), Response::complete);
    EXPECT_EQ(recist(28, 40, 40), Response::partial);
    EXPECT_EQ(recist(29, 40, 40), Response::stable);
    EXPECT_EQ(recist(24, 40, 20), Response::partial) << "20 % but less than 5 mm above the nadir";
    EXPECT_EQ(recist(25, 40, 20), Response::progression);
}

TEST(Lives, CoursesAreConsistent) {
    RegionOptions options;
    options.seed = 23;
    const Day end = day_of(options.as_of);
    int with_cancer = 0;
    for (std::uint64_t number = 1; number < 8000; ++number) {
        const Person person = live(options, number);
        EXPECT_LT(person.birth, end);
        EXPECT_GT(person.death, person.birth);
        Day last = person.birth;
        for (const auto& visit : person.visits) {
            EXPECT_GE(visit.day, last);
            EXPECT_LT(visit.day, std::min(end, person.death));
            last = visit.day;
        }
        const auto& cancer = person.cancer;
        if (!cancer.any()) continue;
        ++with_cancer;
        EXPECT_LE(cancer.found, cancer.diagnosed);
        if (cancer.site == Site::lung) {
            EXPECT_EQ(cancer.group, lung_stage_group(cancer.t, cancer.n, cancer.m));
        }
        if (cancer.operated != never) {
            EXPECT_GT(cancer.operated, cancer.diagnosed);
        }
        for (std::size_t i = 1; i < cancer.scans.size(); ++i) {
            EXPECT_GT(cancer.scans[i].day, cancer.scans[i - 1].day);
            EXPECT_GE(cancer.scans[i].size_mm, cancer.scans[i - 1].size_mm)
                << "a tumour does not shrink by itself";
        }
        for (const auto& assessment : cancer.assessments) {
            EXPECT_EQ(assessment.response,
                      recist(assessment.size_mm, assessment.baseline_mm, assessment.nadir_mm));
        }
    }
    EXPECT_GT(with_cancer, 40);
}

TEST(Names, CheckDigitAndPhone) {
    EXPECT_EQ(resident_check("11010519491231002"), 'X');
    EXPECT_EQ(phone_number(17), "+86 100 0000 0017");
    EXPECT_EQ(resident_id(0, day_of(1960, 2, 9), true, 17).substr(0, 14), "99010119600209");
}

TEST(Notes, SpansCountCodePoints) {
    Note note;
    note.say("患者")
        .fact("symptom", "cough", "咳嗽")
        .say("，")
        .fact("symptom", "fever", "发热", "absent")
        .say("。")
        .fact("symptom", "cough", "咳嗽");
    note.identifier("DATE", "2024-05-01");
    EXPECT_EQ(note.text(), "患者咳嗽，发热。咳嗽2024-05-01");
    EXPECT_EQ(
        note.points_json(),
        R"([{"variable":"symptom","value":"cough","assertion":"present","start":2,"end":4,"attributes":{"also":[[8,10]]}},)"
        R"({"variable":"symptom","value":"fever","assertion":"absent","start":5,"end":7}])");
    EXPECT_EQ(note.identifiers_json(), R"([{"type":"DATE","start":10,"end":20}])");
}

TEST(Json, WriterEscapesAndKeepsDigits) {
    JsonWriter json;
    json.open();
    json.text("a", "q\"b\\n\nt\x01");
    json.decimal("b", 7.0, 2);
    json.decimal("c", -0.054, 2);
    json.decimal("d", 0.0, 0);
    json.money("e", 5);
    json.list("f");
    json.close_list();
    json.close();
    EXPECT_EQ(
        json.view(),
        R"({"a":"q\"b\\n\nt\u0001","b":7.00,"c":-0.05,"d":0,"e":{"value":0.05,"currency":"CNY"},"f":[]})");
}

}  // namespace
}  // namespace meridian::generate
