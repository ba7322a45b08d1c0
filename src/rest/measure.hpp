// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "net/http.hpp"

namespace meridian::rest {

/// What a request asks for, as /metrics tells it: a closed set, never a type, an id or a name that
/// a client chose.
enum class Interaction : unsigned char {
    read,
    search,
    next_page,
    history,
    create,
    update,
    patch,
    remove,
    bundle,
    operation,
    capabilities,
    other,
};

/// The interaction of a request by its method and its path below the FHIR base.
Interaction interaction_of(net::Method method, std::span<const std::string> path, bool has_cursor);

/// Counts one interaction that began at `since` and ends now, whatever came of it.
void note_interaction(Interaction interaction, std::chrono::steady_clock::time_point since);

}  // namespace meridian::rest
