// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "fhir/repository.hpp"
#include "net/http.hpp"

namespace meridian::rest {

/// What an interaction answers, before it is written as JSON or XML over HTTP or as one entry of a
/// batch.
struct Answer {
    int status = 200;
    std::string json{};  ///< a resource as JSON text; empty for no body
    std::optional<store::Version> version{};
    std::optional<Instant> last_modified{};
    std::optional<std::chrono::seconds> age{};  ///< of what a replica answered
    std::string location{};                     ///< absolute URL
    std::vector<std::pair<std::string, std::string>> headers{};
    /// Set for what is no FHIR resource (a Binary's content, NDJSON): sent as it is.
    std::string content_type{};
    net::BodyStream stream{};
};

/// The HTTP status of each category of error: the one place.
int status_of(Category category);

/// http://hl7.org/fhir/issue-severity
const char* text_of(Severity severity);

/// An OperationOutcome with one issue for the error, or with the findings that it carries.
std::string outcome_json(const Error& error);
std::string outcome_json(const std::vector<Issue>& issues);
/// An information outcome with one sentence.
std::string outcome_json(Severity severity, std::string_view code, std::string_view message);

/// The error as an answer: status and OperationOutcome.
Answer answer_of(const Error& error);

/// 405 with the methods that are possible, as the header Allow wants them (RFC 9110 §15.5.6).
Answer not_allowed(std::string message, std::string methods);

}  // namespace meridian::rest
