// SPDX-License-Identifier: Apache-2.0
// Every published figure that shapes the region, in one place. Sources by number in
// data/region/README.md.
#pragma once

namespace meridian::generate::rates {

/// Share of each five-year age group, 0–4 … 85+, percent; census of 2020 [1].
inline constexpr double age_pyramid[] = {5.52, 6.39, 6.05, 5.16, 5.30, 6.51, 8.81, 7.02, 6.59,
                                         8.09, 8.60, 7.20, 5.21, 5.25, 3.52, 2.21, 1.44, 1.13};
inline constexpr double births_per_year = 0.0068;  ///< per resident, 2022 [2]
inline constexpr double male_share = 0.5124;       ///< [1]

/// Gompertz mortality fitted to a life expectancy of 78.6 years and a crude death rate of 7.87 ‰
/// [2].
inline constexpr double death_male_at_60 = 0.0114, death_female_at_60 = 0.0064;
inline constexpr double death_slope_male = 0.089, death_slope_female = 0.102;  ///< per year of age

struct Point {
    double age, share;
};
/// Prevalence of hypertension by age [3]; of diabetes, overall 12.4 % of adults [4]; of CKD,
/// overall 8.2 % of adults [5]. Midpoints of the age bands; the shapes of [4] and [5] over age are
/// ours, fitted to the overall figure.
inline constexpr Point hypertension[] = {{18, 0.02},  {21, 0.040}, {30, 0.061},
                                         {40, 0.150}, {50, 0.296}, {60, 0.446},
                                         {70, 0.557}, {80, 0.602}, {100, 0.62}};
inline constexpr Point diabetes[] = {{18, 0.008}, {25, 0.020}, {35, 0.050}, {45, 0.105},
                                     {55, 0.175}, {65, 0.235}, {75, 0.265}, {100, 0.28}};
inline constexpr Point dyslipidaemia[] = {{18, 0.06}, {30, 0.20}, {45, 0.34},
                                          {60, 0.42}, {75, 0.44}, {100, 0.44}};
inline constexpr Point kidney[] = {{5, 0.0015},  {18, 0.0222}, {30, 0.0333},
                                   {40, 0.0407}, {50, 0.0518}, {60, 0.0740},
                                   {70, 0.1147}, {80, 0.1628}, {100, 0.2220}};
inline constexpr Point coronary[] = {{35, 0.002}, {50, 0.02}, {60, 0.06},
                                     {70, 0.13},  {80, 0.18}, {100, 0.20}};
/// COPD: 13.7 % of those aged 40 and over have it, few know it; the recorded share is a third [6].
inline constexpr Point copd[] = {{40, 0.005}, {50, 0.02}, {60, 0.05},
                                 {70, 0.09},  {80, 0.12}, {100, 0.13}};
inline constexpr Point gout[] = {{18, 0.001}, {30, 0.008}, {50, 0.018}, {70, 0.025}, {100, 0.03}};

inline constexpr double smoking_male = 0.505,
                        smoking_female = 0.021;       ///< current smokers from 15 on [7]
inline constexpr double smokers_who_stopped = 0.201;  ///< of those who ever smoked daily [7]

/// New cases per person and year in 2022 [8]: lung 75.1, bowel 36.6 per 100,000; breast 51.7 per
/// 100,000 women.
inline constexpr double lung_per_year = 75.1e-5, lung_male_per_year = 91.4e-5,
                        lung_female_per_year = 58.2e-5;
inline constexpr double bowel_per_year = 36.6e-5;
inline constexpr double breast_per_year = 51.7e-5;
/// Mean of (age/60)^power over the pyramid, so that age-dependent hazards meet the crude rates;
/// checked by a test.
inline constexpr double lung_age_power = 4.5, bowel_age_power = 4.0, breast_age_power = 1.6;

inline constexpr double egfr_mutation_in_adenocarcinoma = 0.514;  ///< [9]
inline constexpr double alk_fusion_in_adenocarcinoma = 0.05;

/// Visits to out-patient departments and community centres per resident and year: 6.8; stays: 0.214
/// [10].
inline constexpr double visits_per_year = 6.8, stays_per_year = 0.214;
/// Prevalent dialysis: about 750 per million [11].
inline constexpr double dialysis_per_million = 750;

}  // namespace meridian::generate::rates
