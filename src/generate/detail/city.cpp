// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/city.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "generate/detail/random.hpp"

namespace meridian::generate {
namespace {

constexpr DepartmentName department_names[department_kind_count] = {
    {"general-practice", "全科", "General Practice"},
    {"internal", "内科", "Internal Medicine"},
    {"cardiology", "心血管内科", "Cardiology"},
    {"endocrinology", "内分泌科", "Endocrinology"},
    {"nephrology", "肾内科", "Nephrology"},
    {"respiratory", "呼吸与危重症医学科", "Respiratory Medicine"},
    {"neurology", "神经内科", "Neurology"},
    {"oncology", "肿瘤内科", "Medical Oncology"},
    {"thoracic-surgery", "胸外科", "Thoracic Surgery"},
    {"breast-surgery", "乳腺外科", "Breast Surgery"},
    {"general-surgery", "普外科", "General Surgery"},
    {"orthopaedics", "骨科", "Orthopaedics"},
    {"ophthalmology", "眼科", "Ophthalmology"},
    {"gynaecology", "妇产科", "Obstetrics and Gynaecology"},
    {"paediatrics", "儿科", "Paediatrics"},
    {"emergency", "急诊科", "Emergency Medicine"},
    {"radiology", "放射科", "Radiology"},
    {"pathology", "病理科", "Pathology"},
    {"laboratory", "检验科", "Laboratory Medicine"},
    {"preventive", "预防保健科", "Preventive Care"}};

using K = DepartmentKind;
constexpr K community_departments[] = {K::general_practice, K::preventive, K::laboratory};
constexpr K oncology_departments[] = {K::internal,       K::oncology,        K::thoracic_surgery,
                                      K::breast_surgery, K::general_surgery, K::emergency,
                                      K::radiology,      K::pathology,       K::laboratory};

Doctor draw_doctor(Random& random, const std::string& stem, bool english, int serial) {
    Doctor doctor;
    doctor.id = fmt::format("dr-{}", stem);
    doctor.role = fmt::format("role-{}", stem);
    doctor.male = random.chance(0.52);
    doctor.name = draw_name(random, doctor.male, english && random.chance(0.6));
    doctor.years = random.between(2, 33);
    doctor.licence = fmt::format("9901{:011}", 10000000 + serial);
    return doctor;
}

void add_department(Random& random, Hospital& hospital, K kind, int doctors, int& serial) {
    const auto& names = department_names[static_cast<int>(kind)];
    const std::string stem = fmt::format("{}-{}", hospital.id, names.id);
    Department department{kind,
                          "org-" + stem,
                          "loc-" + stem,
                          "svc-" + stem,
                          std::string(names.zh),
                          std::string(names.en),
                          {}};
    for (int i = 1; i <= doctors; ++i)
        department.doctors.push_back(
            draw_doctor(random, fmt::format("{}-{}", stem, i), hospital.english, ++serial));
    hospital.index_of[static_cast<int>(kind)] =
        static_cast<std::int8_t>(hospital.departments.size());
    hospital.departments.push_back(std::move(department));
}

Hospital make_hospital(std::string id, std::string zh, std::string en, Level level, Style style,
                       int district_index) {
    Hospital hospital{std::move(id),  std::move(zh), std::move(en), level, style,
                      district_index, false,         false,         {},    {}};
    hospital.english = style == Style::en_prose || style == Style::en_short;
    hospital.us_units = style == Style::en_prose;
    std::fill(std::begin(hospital.index_of), std::end(hospital.index_of),
              static_cast<std::int8_t>(-1));
    return hospital;
}

}  // namespace

const DepartmentName& name_of(DepartmentKind kind) {
    return department_names[static_cast<int>(kind)];
}

const Department& Hospital::department(DepartmentKind kind) const {
    int index = index_of[static_cast<int>(kind)];
    if (index < 0)
        index = index_of[static_cast<int>(level == Level::community ? K::general_practice
                                                                    : K::internal)];
    return departments[static_cast<std::size_t>(index < 0 ? 0 : index)];
}

City build_city(std::uint64_t seed) {
    City city;
    Random random(seed, 0);
    city.hospitals.push_back(make_hospital("h1", "云汀市第一人民医院",
                                           "Yunting First People's Hospital", Level::general,
                                           Style::zh_classic, 0));
    city.hospitals.push_back(make_hospital("h2", "云汀大学附属医院", "Yunting University Hospital",
                                           Level::general, Style::zh_brackets, 1));
    city.hospitals.push_back(make_hospital("h3", "云汀市肿瘤医院", "Yunting Cancer Hospital",
                                           Level::oncology, Style::zh_terse, 2));
    city.hospitals.push_back(make_hospital("h4", "云汀国际医院", "Yunting International Hospital",
                                           Level::general, Style::en_prose, 3));
    city.hospitals.push_back(make_hospital("h5", "星港医疗中心", "Harbour Medical Centre",
                                           Level::general, Style::en_short, 3));
    for (int d = 0; d < district_count; ++d)
        for (int which = 0; which < 2; ++which) {
            const auto& place = district(d);
            const std::string_view side_zh = which == 0 ? "东" : "西",
                                   side_en = which == 0 ? "East" : "West";
            city.hospitals.push_back(
                make_hospital(fmt::format("c{}", d * 2 + which + 1),
                              fmt::format("{}城{}社区卫生服务中心", place.zh, side_zh),
                              fmt::format("{} {} Community Health Centre", place.en, side_en),
                              Level::community, Style::zh_classic, d));
        }
    int serial = 0;
    for (auto& hospital : city.hospitals) {
        if (hospital.level == Level::community) {
            for (K kind : community_departments)
                add_department(random, hospital, kind, kind == K::general_practice ? 4 : 1, serial);
        } else if (hospital.level == Level::oncology) {
            for (K kind : oncology_departments) add_department(random, hospital, kind, 4, serial);
        } else {
            for (int k = static_cast<int>(K::internal); k < static_cast<int>(K::preventive); ++k)
                add_department(random, hospital, static_cast<K>(k), 3, serial);
        }
    }
    static constexpr std::string_view shops_zh[] = {"仁和堂大药房", "云桥大药房", "百草汀药房",
                                                    "安康药房"};
    static constexpr std::string_view shops_en[] = {"Renhetang Pharmacy", "Yunqiao Pharmacy",
                                                    "Baicaoting Pharmacy", "Ankang Pharmacy"};
    for (int d = 0; d < district_count; ++d)
        for (int which = 0; which < 2; ++which) {
            const auto chain = static_cast<std::size_t>((d + which * 2) % 4);
            city.pharmacies.push_back({fmt::format("org-pharmacy-{}", d * 2 + which + 1),
                                       fmt::format("{}{}店", shops_zh[chain], district(d).zh),
                                       fmt::format("{} {}", shops_en[chain], district(d).en), d});
        }
    return city;
}

}  // namespace meridian::generate
