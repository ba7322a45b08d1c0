// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http.hpp"
#include "trust/oauth/client.hpp"
#include "trust/oauth/options.hpp"
#include "trust/pages/html.hpp"

namespace meridian::trust::oauth::detail {

using trust::Language;

/// The better liked of the two (RFC 9110 §12.5.4); English when neither is named.
Language language_of(const net::Request& request);

/// What the consent page shows.
struct ConsentPage {
    Client client{};
    std::string account{};
    std::vector<Scope> scopes{};
    bool chooses_patient = false;
    std::vector<PatientChoice> patients{};
    std::string search{};
    std::string form_token{};
    std::string redirect_uri{};
};

/// Without any script; its form goes to /oauth/authorize.
net::Response consent_page(const ConsentPage& page, Language language);

enum class Problem : unsigned char {
    unknown_app,     ///< client or redirect address: nobody to redirect to (RFC 6749 §4.1.2.1)
    form_is_over,    ///< used, too old, or of another session
    sign_in_failed,  ///< at the outside provider
    busy,            ///< the vault cannot be reached
};
net::Response problem_page(int status, Problem problem, Language language);

/// What a scope lets an app do, in words for a patient.
std::string in_words(const Scope& scope, Language language);

}  // namespace meridian::trust::oauth::detail
