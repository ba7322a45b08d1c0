// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fhir/caller.hpp"
#include "store/maintain.hpp"

namespace meridian::fhir {

/// The record's own SearchParameter resources as JSON, in the order in which they count. Errors: as
/// the store. Blocking: reads them.
Result<std::vector<std::string>> own_search_parameters(store::Store& store, const Cipher& cipher);

/// What the store needs to know of bodies to verify or restore itself: their hashes and the rows
/// they contribute today. `base_url` and `zone_minutes`: as in Repository::Options; they must be
/// those that the server writes with. `search_parameters`: own_search_parameters, whose rows bodies
/// contribute too.
store::BodyReader body_reader(std::shared_ptr<const Cipher> cipher = plain_cipher(),
                              std::string base_url = {}, int zone_minutes = 0,
                              std::vector<std::string> search_parameters = {});

}  // namespace meridian::fhir
