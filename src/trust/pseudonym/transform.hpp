// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "trust/pseudonym/project_key.hpp"

/// A resource as somebody sees it who may not learn whose it is.
namespace meridian::trust::pseudonym {

/// Code of http://terminology.hl7.org/CodeSystem/v3-ObservationValue that marks what went through
/// here.
inline constexpr std::string_view pseudonymised_system =
    "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
inline constexpr std::string_view pseudonymised_code = "PSEUDED";
/// System of the tag that names the project.
inline constexpr std::string_view project_system = "urn:meridian:project";
/// Of a Patient: valueCode is the age band.
inline constexpr std::string_view age_band_extension = "urn:meridian:extension:age-band";

/// The resource types that a project shows: clinical entries of a patient, and the Patient.
/// Persons, consents, money, provenance and tasks are not among them.
std::span<const std::string_view> shown_types();
/// The types that are about nobody and are shown as they are, with their own ids: definitions,
/// terminology, medications.
std::span<const std::string_view> copied_types();
bool is_shown(std::string_view type);
bool is_copied(std::string_view type);

/// Whose resource it is.
struct Person {
    std::string id{};  ///< logical id of the Patient
    /// Texts of their names, numbers and addresses, lower case: nothing that holds one of them is
    /// kept.
    std::vector<std::string> words{};
};
/// What a Patient resource tells of a person. At most limits::identifying_words_max words.
Person person_of(const Json& patient);

/// Makes pseudonymous copies for one project. A pure function of resource, person and project:
/// what is not known to be safe is left out.
///
/// Kept: codings with a code system, codes, booleans, numbers, quantities, dates moved by the
/// patient's shift, references as pseudonyms. Left out: every text, identifier, name, address (but
/// province and country of a patient), telephone, attachment's content, narrative, note, display,
/// and every extension but data-absent-reason. A required element that had to go has the
/// data-absent-reason "masked" (https://hl7.org/fhir/R4/extension-data-absent-reason.html). A
/// birth date becomes an age band. Thread-safe.
class Transformation {
 public:
    struct Options {
        std::string project{};        ///< its id
        std::string reference_day{};  ///< ages are counted to this day: "2026-06-30"
        std::string base_url{};       ///< of the record: absolute references below it are its own
    };
    Transformation(const ProjectKey& key, Options options)
        : key_(key), options_(std::move(options)) {}

    /// The copy as JSON. Errors: `unsupported` for a type that is not shown, and for what a
    /// modifier unknown here may turn into its opposite (FHIR R4 §2.5.0.3). Blocking: never.
    Result<std::string> of(const Json& resource, const Person& person) const;
    const ProjectKey& key() const { return key_; }

 private:
    ProjectKey key_;
    Options options_;
};

}  // namespace meridian::trust::pseudonym
