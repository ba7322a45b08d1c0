// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian {

/// A piece of the input as an error message may show it: at most 40 characters, one line, ASCII.
std::string shown_in_message(std::string_view text);

}  // namespace meridian
