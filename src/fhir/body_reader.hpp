// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fhir/caller.hpp"
#include "store/maintain.hpp"

namespace meridian::fhir {

/// What the store needs to know of bodies to verify or restore itself: their hashes and the rows
/// they contribute today.
store::BodyReader body_reader(std::shared_ptr<const Cipher> cipher = plain_cipher());

}  // namespace meridian::fhir
