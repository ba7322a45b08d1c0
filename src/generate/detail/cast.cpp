// SPDX-License-Identifier: Apache-2.0
// The ten named people of every region. Days count back from the region's "today"; docs/region.md
// tells their stories.
#include "generate/detail/cast.hpp"

#include <algorithm>

#include "generate/detail/life.hpp"

namespace meridian::generate {
namespace {

struct Role {
    std::string_view family, given, family_latin, given_latin;
    bool male, english;
    int age;
    std::string_view story;
};
constexpr Role roles[cast_size] = {
    {"陈", "秀兰", "Chen", "Xiulan", false, false, 62,
     "screening nodule, growth, early adenocarcinoma, cured by surgery"},
    {"王", "建国", "Wang", "Jianguo", true, false, 60,
     "squamous carcinoma, surgery, adjuvant chemotherapy, recurrence in bone"},
    {"刘", "玉梅", "Liu", "Yumei", false, false, 55,
     "EGFR exon 19 deletion with brain metastases, osimertinib, resistance"},
    {"张", "志强", "Zhang", "Zhiqiang", true, false, 68,
     "small-cell carcinoma, chemoradiotherapy, relapse, death"},
    {"Whitfield", "James", "Whitfield", "James", true, true, 64,
     "ALK-positive adenocarcinoma, surgery, recurrence, alectinib"},
    {"Ashworth", "Margaret", "Ashworth", "Margaret", false, true, 59,
     "screening nodule followed for two years, cured by surgery"},
    {"李", "德明", "Li", "Deming", true, false, 57,
     "diabetic kidney disease, hemodialysis, transplant from a deceased donor"},
    {"赵", "静怡", "Zhao", "Jingyi", false, false, 36,
     "IgA nephropathy, dialysis, kidney from her mother"},
    {"周", "文斌", "Zhou", "Wenbin", true, false, 71,
     "hypertensive kidney disease, fistula, hemodialysis for years"},
    {"Pemberton", "Robert", "Pemberton", "Robert", true, true, 61,
     "diabetic kidney disease, peritoneal dialysis"},
};

struct LungStory {
    int diagnosed_days_ago;
    bool screened;
    Lobe lobe;
    Histology histology;
    int size_mm;
    std::string_view n, m;
    Driver driver;
    Spread spread;
    double recurs;
    int recurrence_after_days;  ///< after the diagnosis; 0: none
    Spread recurrence_site;
};
constexpr LungStory lung_stories[6] = {
    {1480, true, Lobe::right_upper, Histology::adenocarcinoma, 16, "0", "0", Driver::l858r,
     Spread::none, 0, 0, Spread::none},
    {1290, false, Lobe::left_lower, Histology::squamous, 46, "1", "0", Driver::wild, Spread::none,
     1, 610, Spread::bone},
    {1130, false, Lobe::left_upper, Histology::adenocarcinoma, 38, "2", "1c", Driver::exon19,
     Spread::brain, 0, 0, Spread::none},
    {900, false, Lobe::right_upper, Histology::small_cell, 54, "2", "0", Driver::wild, Spread::none,
     0, 0, Spread::none},
    {1610, true, Lobe::right_lower, Histology::adenocarcinoma, 34, "0", "0", Driver::alk,
     Spread::none, 1, 760, Spread::bone},
    {1220, true, Lobe::left_upper, Histology::adenocarcinoma, 22, "0", "0", Driver::wild,
     Spread::none, 0, 0, Spread::none},
};

void play_lung_story(const LungStory& story, Day as_of, Person& person) {
    auto& cancer = person.cancer;
    cancer.site = Site::lung;
    cancer.screened = story.screened;
    cancer.diagnosed = as_of - story.diagnosed_days_ago;
    cancer.lobe = story.lobe;
    cancer.histology = story.histology;
    cancer.size_mm = story.size_mm;
    cancer.n = story.n;
    cancer.m = story.m;
    cancer.driver = story.driver;
    cancer.spread = story.spread;
    cancer.recurrence_share = story.recurs;
    cancer.recurrence_site = story.recurrence_site;
    if (story.recurrence_after_days > 0)
        cancer.recurrence = cancer.diagnosed + story.recurrence_after_days;
    if (!story.screened) return;
    // Two years of follow-up scans, each a little larger.
    static constexpr int days_before[] = {745, 640, 455, 270, 85, 14};
    static constexpr double share[] = {0.50, 0.50, 0.56, 0.69, 0.88, 1.0};
    for (int i = 0; i < 6; ++i)
        cancer.scans.push_back(
            {cancer.diagnosed - days_before[i], static_cast<int>(story.size_mm * share[i] + 0.5)});
    cancer.found = cancer.scans.front().day;
}

void play_kidney_story(int number, Day as_of, Person& person) {
    auto& kidney = person.kidney;
    const Day diabetes = as_of - 21 * 365, pressure = as_of - 18 * 365;
    person.hypertension = pressure;
    switch (number) {
        case 7:
            person.diabetes = diabetes;
            kidney = {as_of - 10 * 365, KidneyCause::diabetic, 78,    9.6, 900, false, 0,
                      as_of - 1010,     as_of - 395,           false, 58};
            break;
        case 8:
            person.hypertension = as_of - 7 * 365;
            kidney = {as_of - 9 * 365, KidneyCause::iga, 74,   10.0, 1400, false, 0,
                      as_of - 860,     as_of - 640,      true, 66};
            break;
        case 9:
            kidney = {as_of - 15 * 365,
                      KidneyCause::hypertensive,
                      72,
                      6.2,
                      320,
                      false,
                      0,
                      as_of - 1680,
                      never,
                      false,
                      0};
            person.coronary = as_of - 5 * 365;
            break;
        default:
            person.diabetes = diabetes;
            kidney = {as_of - 11 * 365,
                      KidneyCause::diabetic,
                      76,
                      7.4,
                      760,
                      true,
                      0,
                      as_of - 700,
                      never,
                      false,
                      0};
    }
    kidney.fistula = kidney.peritoneal ? never : kidney.dialysis - 120;
}

}  // namespace

bool cast_has_lung_cancer(int number) {
    return number >= 1 && number <= 6;
}

void play_cast_role(int number, Day as_of, Person& person) {
    const Role& role = roles[number - 1];
    person.story = role.story;
    person.male = role.male;
    person.english = role.english;
    person.name = {role.english, std::string(role.family), std::string(role.given),
                   std::string(role.family_latin), std::string(role.given_latin)};
    const CivilDate today = civil(as_of);
    person.birth = day_of(today.year - role.age, 1 + static_cast<unsigned>(number) % 5,
                          3 + static_cast<unsigned>(number) * 2);
    person.height_cm = role.male ? 172 : 160;
    person.mass_index = 22.6 + number * 0.3;
    person.sugar_level = 0.3;
    person.pressure_drugs[0] = number % 2 ? drug_amlodipine : drug_valsartan;
    if (number == 2 || number == 4) {
        person.smoking = number == 2 ? Person::Smoking::former : Person::Smoking::current;
        person.cigarettes_per_day = 20;
        person.smoked_years = 30 + number;
        person.copd = number == 4 ? as_of - 9 * 365 : never;
    }
    if (number == 1) person.hypertension = as_of - 8 * 365;
    if (number == 6) person.dyslipidaemia = as_of - 6 * 365;
    if (number == 3) person.penicillin_allergy = true;
    if (cast_has_lung_cancer(number))
        play_lung_story(lung_stories[number - 1], as_of, person);
    else
        play_kidney_story(number, as_of, person);
}

}  // namespace meridian::generate
