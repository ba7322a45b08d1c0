// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "trust/seal.hpp"

namespace meridian::trust::pseudonym {

/// What makes pseudonyms of one project: without its secret nobody can tell whose they are, and
/// those of two projects have nothing to do with each other. Immutable, cheap to copy.
class ProjectKey {
 public:
    explicit ProjectKey(const SecretKey& secret);
    /// The id that a resource has in the project: 128 bits of HMAC-SHA-256 (RFC 2104) as 32
    /// hexadecimal digits, a FHIR id.
    std::string pseudonym(std::string_view type, std::string_view id) const;
    /// By how many days all dates of a patient are moved: from 1 to limits::date_shift_days_max,
    /// forwards or back, the same for everything of theirs.
    int shift_days(std::string_view patient_id) const;

 private:
    SecretKey ids_;
    SecretKey shifts_;
};

/// A FHIR date, dateTime or instant moved by whole days, as precise as it was, its time of day and
/// zone as they were. Of a year or a month its middle is moved. Nothing for a text that is no date,
/// or that leaves the years 1 to 9999.
std::optional<std::string> shifted(std::string_view date, int days);

/// The band of an age in whole years: "35-39", or "90+".
std::string age_band(int years);
/// Whole years from a birth date to a day. Never below 0.
int years_between(std::string_view birth_date, std::string_view day);

}  // namespace meridian::trust::pseudonym
