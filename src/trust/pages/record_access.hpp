// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "trust/pages/sign_in.hpp"
#include "trust/policy/decisions.hpp"
#include "trust/sessions/session.hpp"

namespace meridian::trust {

/// The page /account/access: patients see who has seen or changed their record and when it was
/// opened in an emergency, guardians see it of those they stand for (HIPAA 164.528; PIPL art. 44,
/// 45). Of an access that concerned several patients nothing of the others is shown. Thread-safe.
class RecordAccess {
 public:
    RecordAccess(Sessions& sessions, fhir::Repository& repository, policy::Decisions& decisions)
        : sessions_(sessions), repository_(repository), decisions_(decisions) {}

    /// The answer for the page; nothing for every other path. Blocking: reads of the record, which
    /// are audited themselves.
    std::optional<net::Response> handle(const net::Request& request);

 private:
    using Visit = SignIn::Visit;
    net::Response answer(Visit& visit);
    Result<std::string> body_of(Visit& visit);
    Result<std::string> patient_part(const Visit& visit, const fhir::Caller& caller,
                                     std::string_view patient);
    Result<std::string> notices(const Visit& visit, const fhir::Caller& caller,
                                std::string_view patient);

    Sessions& sessions_;
    fhir::Repository& repository_;
    policy::Decisions& decisions_;
};

}  // namespace meridian::trust
