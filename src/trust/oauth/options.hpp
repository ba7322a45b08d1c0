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
#include "trust/jose/algorithm.hpp"
#include "trust/oauth/scope.hpp"
#include "trust/subject.hpp"

namespace meridian::trust::oauth {

/// A patient that a person may choose for an app.
struct PatientChoice {
    std::string reference{};  ///< "Patient/ID"
    std::string label{};      ///< what the person knows them by; shown on the page only
};

/// An outside OpenID provider whose people may sign in here.
struct Provider {
    std::string name{};    ///< in our addresses: /oauth/federated/NAME/start; letters, digits, '-'
    std::string issuer{};  ///< letter by letter what it calls itself
    std::string client_id{};
    std::string client_secret{};  ///< for client_secret_basic; empty: we are a public client there
    std::string scope = "openid";
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
    /// Opens one that is not over. Errors: `unauthenticated`.
    std::function<Result<Subject>(std::string_view token)> open{};
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
    /// Takes every decision, e.g. ("oauth.token.code", subject, true).
    std::function<void(std::string_view what, const Subject* subject, bool ok)> audit{};
    /// For federation: who of us `subject` at `issuer` is. `claims` are those of the checked ID
    /// token. Errors: any, when nobody is linked with them.
    std::function<Result<Subject>(std::string_view issuer, std::string_view subject,
                                  const Json& claims)>
        on_federated{};
    /// For federation: begins a session of `subject` by adding its cookie to `response`.
    std::function<Result<void>(const Subject& subject, const net::Request&, net::Response&)>
        begin_session{};
    std::vector<Provider> providers{};

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
