// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian {

/// What stands for one of the five characters that HTML and XML give a meaning (& < > " '), in
/// text and in quoted attributes of both; empty for every other one.
std::string_view markup_escape(char c);

/// `text` with those characters replaced.
std::string escaped_markup(std::string_view text);

}  // namespace meridian
