// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace meridian::fhir {

/// Why bytes cannot be what a media type says of them: "expected …", or nullptr when nothing speaks
/// against it. Types with known first bytes (images, PDF, archives, DICOM, sound, film) must begin
/// so; text, JSON and XML must be text, in UTF-8 unless a charset says otherwise; an SVG may draw
/// only: no scripts, no events, no embedded pages, nothing from elsewhere. A type that is not known
/// here passes, and is never shown but given out as a download.
/// Source: ASVS 5.0 V5.2.2, V1.3.4; the formats' own specifications. Blocking: never.
const char* content_fault(std::string_view media_type, std::string_view bytes);

/// Shows `inspect` the bytes of each file that the resource, or one inside of it, holds: the data
/// of a Binary and of Attachments. Errors: the first of `inspect`, with the place of the file.
/// Blocking: as `inspect`.
Result<void> inspect_files(const Json& resource,
                           const std::function<Result<void>(std::string_view bytes)>& inspect);

}  // namespace meridian::fhir
