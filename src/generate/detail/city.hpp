// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generate/detail/names.hpp"
#include "generate/region.hpp"

namespace meridian::generate {

enum class DepartmentKind : std::uint8_t {
    general_practice,
    internal,
    cardiology,
    endocrinology,
    nephrology,
    respiratory,
    neurology,
    oncology,
    thoracic_surgery,
    breast_surgery,
    general_surgery,
    orthopaedics,
    ophthalmology,
    gynaecology,
    paediatrics,
    emergency,
    radiology,
    pathology,
    laboratory,
    preventive,
    count
};
inline constexpr int department_kind_count = static_cast<int>(DepartmentKind::count);

/// How the notes of one hospital are written.
enum class Style : std::uint8_t { zh_classic, zh_brackets, zh_terse, en_prose, en_short };

struct Doctor {
    std::string id;    ///< of the Practitioner
    std::string role;  ///< of the PractitionerRole
    Name name;
    bool male = true;
    std::string licence;
    int years = 0;  ///< since the licence was given
};

struct Department {
    DepartmentKind kind;
    std::string organization, location, service;
    std::string zh, en;
    std::vector<Doctor> doctors;
};

enum class Level : std::uint8_t { community, general, oncology };

struct Hospital {
    std::string id;  ///< "h1"; its Organization is org-h1, its Location loc-h1
    std::string zh, en;
    Level level;
    Style style;
    int district;
    bool english;   ///< keeps its records in English
    bool us_units;  ///< its laboratory reports conventional units
    std::vector<Department> departments;
    std::int8_t index_of[department_kind_count];  ///< into departments; -1: has none

    const Department& department(DepartmentKind kind) const;
};

struct Place {
    std::string id, zh, en;
    int district;
};

/// The institutions of Yunting, the invented city: the same for every region of one seed, whatever
/// its number of patients.
struct City {
    std::vector<Hospital> hospitals;  ///< 0 … 4 hospitals, then two community centres per district
    std::vector<Place> pharmacies;

    static constexpr int first_people = 0, university = 1, cancer = 2, international = 3,
                         harbour = 4, communities = 5;
    int community(int district, int which) const { return communities + district * 2 + which; }
};

City build_city(std::uint64_t seed);
/// Code systems, value sets, organisations, places, services, people, formulary.
Result<void> write_city(const City& city, const RegionOptions& options, Sink& sink);
/// The Group of the named cast; follows the tenth patient.
Result<void> write_cast_groups(Sink& sink);

/// Names of a kind of department.
struct DepartmentName {
    std::string_view id, zh, en;
};
const DepartmentName& name_of(DepartmentKind kind);

inline constexpr std::string_view insurer_organization = "org-insurer";

}  // namespace meridian::generate
