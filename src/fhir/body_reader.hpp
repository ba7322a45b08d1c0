// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "fhir/caller.hpp"
#include "store/maintain.hpp"

namespace meridian::fhir {

/// What the store needs to know of bodies to verify or restore itself: their hashes and the rows
/// they contribute today. `base_url` and `zone_minutes`: as in Repository::Options; they must be
/// those that the server writes with.
store::BodyReader body_reader(std::shared_ptr<const Cipher> cipher = plain_cipher(),
                              std::string base_url = {}, int zone_minutes = 0);

}  // namespace meridian::fhir
