// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "fhir/search/parameters.hpp"
#include "store/names.hpp"
#include "store/rows.hpp"

/// Resource → index rows.
namespace meridian::fhir::search {

/// A reference as a resource holds it.
struct FoundReference {
    const Parameter* parameter;
    std::string text;  ///< with its version, when it has one
};

struct ExtractOptions {
    /// This server's FHIR base without a trailing "/": absolute references below it are stored as
    /// relative ones.
    std::string_view base_url{};
    /// Zone of dates with a time but without a zone, minutes east of UTC.
    int zone_minutes = 0;
    /// When set, takes all references that reference parameters find, those to contained resources
    /// left out.
    std::vector<FoundReference>* references = nullptr;
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

/// The version that a reference text asks for: 2 for "Patient/7/_history/2"; 0 for none.
store::Version reference_version(std::string_view reference);
/// The token that resources of `type` with a reference to a certain version have
/// ("Observation#versioned"); an include reads those in full. Value: 1.
std::string versioned_marker(std::string_view type);

/// A reference as index rows name it. "Patient/7", "Patient/7/_history/2" and
/// "<base_url>/Patient/7" are one identity; anything else is of type 0 with the whole text as id.
/// Nothing for "" and "#contained".
std::optional<store::Identity> reference_identity(const Parameters& parameters,
                                                  std::string_view reference,
                                                  std::string_view base_url);

}  // namespace meridian::fhir::search
