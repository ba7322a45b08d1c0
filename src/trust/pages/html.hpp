// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "net/http.hpp"

namespace meridian::trust {

/// The two languages of every page.
enum class Language : unsigned char { chinese, english };

/// By ?lang=, then the cookie that ?lang= leaves behind, then Accept-Language.
Language language_of(const net::Request& request);
/// The Set-Cookie header that keeps a language which was chosen by ?lang=.
std::string language_cookie(Language language);

/// One text in the page's language.
inline std::string_view say(Language language, std::string_view chinese, std::string_view english) {
    return language == Language::chinese ? chinese : english;
}

/// What stands around a page's content.
struct Frame {
    Language language = Language::english;
    std::string_view title{};
    std::string_view csrf{};     ///< for the script; may be empty
    std::string_view address{};  ///< the page's own path and query, for the language switch
    bool signed_in = false;      ///< whether to offer signing out
    bool narrow = false;         ///< one form in the middle
};

/// An answer with a whole page around `body`, never kept in a cache, that may load nothing but our
/// own style sheet and script (ASVS 5.0 V3.4).
net::Response html_page(int status, const Frame& frame, std::string_view body);
/// 303 to a path of ours.
net::Response redirect(std::string_view location);
net::Response json_answer(int status, std::string body);
/// The style sheet and the script that html_page() refers to.
net::Response style_sheet();
net::Response script();
inline constexpr std::string_view style_path = "/sign-in/style.css";
inline constexpr std::string_view script_path = "/sign-in/passkeys.js";

}  // namespace meridian::trust
