// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "net/http.hpp"
#include "trust/oauth/detail/context.hpp"

namespace meridian::trust::oauth::detail {

inline constexpr std::string_view apps_path = "/account/apps";

/// The apps that the signed-in person has allowed to use their access: which, for what in plain
/// words, since when, when last; each can be ended at once, and each permission be taken away by
/// itself. GET /account/apps; POST /account/apps/end {client}, /account/apps/withhold {client,
/// scope}. Nothing for every other path. Blocking: look-ups; for a change, some commits.
std::optional<net::Response> apps_page(Context& context, const net::Request& request);

}  // namespace meridian::trust::oauth::detail
