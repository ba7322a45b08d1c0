// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::server {

/// The two languages of every page.
enum class Language : unsigned char { chinese, english };

/// One text in the page's language.
inline std::string_view say(Language language, std::string_view chinese, std::string_view english) {
    return language == Language::chinese ? chinese : english;
}

/// A whole page around `body`: head, header with search box and language switch, footer. `query`
/// fills the search box; `address` is this page's own path and query, for the language switch.
/// `csrf` is the token of the session that the page is for, which can be ended on it (ASVS 5.0
/// V7.4.4); empty: there is none.
std::string page(Language language, std::string_view title, std::string_view body,
                 std::string_view query, std::string_view address, std::string_view csrf = {});

}  // namespace meridian::server
