// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian {

/// A new random UUID version 4 in lower case (RFC 9562 §5.4).
std::string new_uuid();
/// A new time-ordered UUID version 7 (RFC 9562 §5.7): ids made one after the other lie near each
/// other in an index.
std::string new_ordered_uuid();
/// FHIR id: [A-Za-z0-9\-\.]{1,64} (FHIR R4 §2.24.0.1).
bool is_fhir_id(std::string_view text);
/// Lower- or upper-case UUID in its 36-character form.
bool is_uuid(std::string_view text);

}  // namespace meridian
