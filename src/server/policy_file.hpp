// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace meridian::server {

/// data/policy/default.toml, as it was when the program was built: it travels inside.
std::string_view shipped_policy();

}  // namespace meridian::server
