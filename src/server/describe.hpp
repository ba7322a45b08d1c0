// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"
#include "server/html.hpp"

/// Resources in words for the plain pages. All answers are safe HTML unless said otherwise.
namespace meridian::server {

/// One line that names the resource to a person: a patient's name, a condition's text, "type/id" at
/// worst.
std::string describe(const Json& resource, Language language);
std::string gender_text(const Json& patient, Language language);
/// The first business identifier.
std::string identifier_text(const Json& resource);
/// The plain text of a DocumentReference's attachment; empty when there is none. Not escaped.
std::string document_text(const Json& resource);
/// Indented JSON with references to this server as links.
std::string linked_json(const Json& resource);

/// The values of one test, newest first.
struct LabSeries {
    std::string name, unit, latest, date, latest_id;  ///< not escaped
    std::vector<double> values;
};
/// Adds an observation with a number to its series (made when it is the first of its code).
void add_observation(const Json& observation, const std::string& id,
                     std::vector<LabSeries>& series);
/// The course of a series as a small line; empty for fewer than two values.
std::string sparkline(const LabSeries& series);

}  // namespace meridian::server
