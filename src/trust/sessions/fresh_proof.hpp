// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "trust/subject.hpp"

namespace meridian::trust {

/// Whether the person proved who they are within `age` before `at`, by one of `methods` (any when
/// empty). Errors: `unauthenticated`, with "step-up;max_age=SECONDS" as the end of Error::where:
/// the answer to a browser is a redirect to /step-up?return_to=…, to an app RFC 9470's
/// insufficient_user_authentication. Blocking: never.
Result<void> require_recent(const Subject& subject, std::chrono::seconds age, Instant at,
                            std::initializer_list<std::string_view> methods = {});

/// The age in seconds that a refusal of require_recent() asks for, also where the place in a bundle
/// was put before it; nothing for every other error.
std::optional<std::chrono::seconds> wanted_proof_age(const Error& error);
/// Error::where without what require_recent() put there.
std::string_view place_of(const Error& error);

}  // namespace meridian::trust
