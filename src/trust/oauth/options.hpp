// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "trust/federated.hpp"
#include "trust/jose/algorithm.hpp"
#include "trust/scope.hpp"
#include "trust/subject.hpp"
#include "trust/tokens.hpp"

namespace meridian::trust::oauth {

/// A patient that a person may choose for an app.
struct PatientChoice {
    std::string reference{};  ///< "Patient/ID"
    std::string label{};      ///< what the person knows them by; shown on the page only
};

/// What the server needs of its surroundings. All hooks may be called on many threads at once;
/// those that are not marked as optional are required.
struct Options {
    /// What this server is called in tokens: scheme and host as clients see them, without a path,
    /// e.g. "https://record.example.org". https, or http on a loopback address.
    std::string issuer{};
    std::string
        fhir_base{};  ///< e.g. "https://record.example.org/fhir", without a slash at the end
    std::string sign_in_path = "/sign-in";

    /// Makes an access token that stands for `subject` until `expires`.
    std::function<std::string(const Subject& subject, Instant expires)> issue{};
    /// Opens one that is not over, also one that was not made for an app. Errors:
    /// `unauthenticated`.
    std::function<Result<Tokens::Token>(std::string_view token)> open{};
    /// Who is signed in at the browser that asks.
    std::function<std::optional<Subject>(const net::Request&)> signed_in{};
    /// The account as it is now: role, person, organisation. Asked before every grant. Errors: any,
    /// when it is disabled or gone.
    std::function<Result<Subject>(std::string_view account)> account{};
    /// Which patients `subject` may choose from for an app: at most
    /// limits::oauth_patients_shown_max, those that fit `search` when it is not empty. For a
    /// patient their own record, for a guardian their wards'.
    std::function<Result<std::vector<PatientChoice>>(const Subject& subject,
                                                     std::string_view search)>
        patients{};
    /// Optional: what of the scopes the person's role can use at all, so that the app is told so
    /// (the policy refuses the rest anyway).
    std::function<std::vector<Scope>(const Subject& subject, std::vector<Scope> scopes)> usable{};
    /// Takes every decision, e.g. (request, "oauth.token.code", subject, true). The subject is null
    /// when nobody is known.
    std::function<void(const net::Request&, std::string_view what, const Subject* subject, bool ok)>
        audit{};
    /// Optional, for federation: goes on with somebody whom an outside provider has proved
    /// (SignIn::take_federated). Without it there are no providers.
    std::function<net::Response(const net::Request&, const Federated&)> on_federated{};
    /// Optional, for the page of a person's apps: what its forms carry (Sessions::csrf_token), and
    /// whether a page of ours has made a request (Sessions::check_csrf). Without both there is no
    /// such page.
    std::function<std::string(const net::Request&)> csrf_token{};
    std::function<Result<void>(const net::Request&)> check_csrf{};

    std::function<Instant()> clock = now;
    /// RS256, ES256 or PS256. OpenID Connect Core §15.1 asks everyone to have RS256.
    jose::Algorithm id_token_algorithm = jose::Algorithm::rs256;
    std::chrono::seconds access_token_life{600};
    std::chrono::seconds system_token_life{300};  ///< SMART backend services: at most five minutes
    std::chrono::seconds id_token_life{600};
    std::chrono::seconds online_refresh_life{12 * 3600};  ///< ends earlier with the session
    std::chrono::seconds offline_refresh_life{90 * 24 * 3600};
    std::chrono::seconds signing_key_life{30 * 24 * 3600};
    bool need_patient_banner = true;  ///< an app shows itself whose record it is
    std::string smart_style_url{};    ///< optional
};

}  // namespace meridian::trust::oauth
