// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/json.hpp"
#include "fhir/search/parameters.hpp"
#include "store/names.hpp"
#include "store/rows.hpp"

/// Resource → index rows.
namespace meridian::fhir::search {

struct ExtractOptions {
    /// This server's FHIR base without a trailing "/": absolute references below it are stored as
    /// relative ones.
    std::string_view base_url{};
    /// Zone of dates with a time but without a zone, minutes east of UTC.
    int zone_minutes = 0;
};

/// All index rows of a resource version: search parameters with their twins, full text, the
/// clinical access path, compartments.
///
/// `resource` should be valid: values that cannot be read (a malformed date) give no row. Systems,
/// units and types are interned. Cost: some microseconds for a resource of 1 KB. Blocking: never
/// (shared locks of `names` only). Source: https://hl7.org/fhir/R4/search.html#table,
/// https://hl7.org/fhir/R4/compartmentdefinition-patient.html
store::Rows extract(const Parameters& parameters, std::string_view type, const Json& resource,
                    store::Names& names, const ExtractOptions& options = {});

/// Only the rows of these parameters (Parameter::names of custom ones): for the online reindex.
store::Rows extract_only(const Parameters& parameters, std::string_view type, const Json& resource,
                         store::Names& names, std::span<const store::Name> params,
                         const ExtractOptions& options = {});

/// A reference as index rows name it. "Patient/7", "Patient/7/_history/2" and
/// "<base_url>/Patient/7" are one identity; anything else is of type 0 with the whole text as id.
/// Nothing for "" and "#contained".
std::optional<store::Identity> reference_identity(const Parameters& parameters,
                                                  std::string_view reference,
                                                  std::string_view base_url);

}  // namespace meridian::fhir::search
