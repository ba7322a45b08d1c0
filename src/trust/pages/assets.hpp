// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::trust {

/// The style sheet of the sign-in pages.
extern const std::string_view style_text;
/// The script that speaks with authenticators; the pages' only one.
extern const std::string_view script_text;

}  // namespace meridian::trust
