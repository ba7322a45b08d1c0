// SPDX-License-Identifier: Apache-2.0
#include "rest/answer.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "base/log.hpp"
#include "trust/sessions/fresh_proof.hpp"

namespace meridian::rest {

namespace {

struct Mapping {
    int status;
    const char* issue_code;  ///< http://hl7.org/fhir/issue-type
};

Mapping mapping_of(Category category) {
    switch (category) {
        case Category::incorrect:
            return {400, "invalid"};
        case Category::unauthenticated:
            return {401, "login"};
        case Category::forbidden:
            return {403, "forbidden"};
        case Category::not_found:
            return {404, "not-found"};
        case Category::not_allowed:
            return {405, "not-supported"};
        case Category::unacceptable:
            return {406, "not-supported"};
        case Category::conflict:
            return {409, "conflict"};
        case Category::gone:
            return {410, "deleted"};
        case Category::precondition:
            return {412, "conflict"};
        case Category::too_large:
            return {413, "too-long"};
        case Category::unsupported_media:
            return {415, "not-supported"};
        case Category::unprocessable:
            return {422, "processing"};
        case Category::busy:
            return {503, "throttled"};
        case Category::unsupported:
            return {501, "not-supported"};
        case Category::unavailable:
            return {503, "transient"};
        case Category::storage_full:
            return {507, "no-store"};
        case Category::fault:
            return {500, "exception"};
    }
    return {500, "exception"};
}

bool is_number(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void write_issue(const Issue& issue, std::string& out) {
    out += fmt::format(R"({{"severity":"{}","code":"{}","diagnostics":)", text_of(issue.severity),
                       issue.code);
    write_string(issue.message, out);
    if (!issue.path.empty()) {
        out += R"(,"expression":[)";
        write_string(issue.path, out);
        out += ']';
    }
    out += '}';
}

}  // namespace

const char* text_of(Severity severity) {
    switch (severity) {
        case Severity::fatal:
            return "fatal";
        case Severity::error:
            return "error";
        case Severity::warning:
            return "warning";
        case Severity::information:
            return "information";
    }
    return "error";
}

int status_of(Category category) {
    return mapping_of(category).status;
}

std::string outcome_json(const std::vector<Issue>& issues) {
    std::string out = R"({"resourceType":"OperationOutcome","issue":[)";
    bool first = true;
    for (const Issue& issue : issues) {
        if (!first) out += ',';
        first = false;
        write_issue(issue, out);
    }
    out += "]}";
    return out;
}

std::string outcome_json(const Error& error) {
    if (error.category == Category::fault) {
        // What a defect or damage says of the inside (statements, paths) is for the operator alone.
        log::error("a request failed", {{"reason", error.message}, {"place", error.where}});
        return outcome_json(Severity::error, mapping_of(error.category).issue_code,
                            "the server failed at this request; its log has the reason");
    }
    if (error.issues && !error.issues->empty()) {
        if (error.where.empty()) return outcome_json(*error.issues);
        std::vector<Issue> placed = *error.issues;
        for (Issue& issue : placed)
            issue.path =
                issue.path.empty() ? error.where : fmt::format("{}.{}", error.where, issue.path);
        return outcome_json(placed);
    }
    // A place is one in what the client sent; of a store that fails it is a statement of ours.
    const bool is_ours =
        error.category == Category::unavailable || error.category == Category::storage_full;
    return outcome_json(std::vector<Issue>{{Severity::error, mapping_of(error.category).issue_code,
                                            error.message, is_ours ? std::string() : error.where}});
}

std::string outcome_json(Severity severity, std::string_view code, std::string_view message) {
    return outcome_json(
        std::vector<Issue>{{severity, std::string(code), std::string(message), ""}});
}

Answer answer_of(const Error& error) {
    Answer answer;
    // RFC 6585 §4: who is told how long to wait has asked too much; else the server has too much to
    // do.
    if (error.category == Category::busy && is_number(error.where)) {
        answer.status = 429;
        answer.json = outcome_json(Severity::error, "throttled", error.message);
        answer.headers.emplace_back("Retry-After", error.where);
        return answer;
    }
    answer.status = status_of(error.category);
    answer.json = outcome_json(error);
    if (answer.status == 503) answer.headers.emplace_back("Retry-After", "2");
    if (const auto age = trust::wanted_proof_age(error)) {
        // RFC 9470 §3: an app sends the person to sign in with this max_age, a page to the link.
        answer.headers.emplace_back(
            "WWW-Authenticate",
            fmt::format(R"(Bearer realm="meridian", error="insufficient_user_authentication", )"
                        R"(error_description="A more recent authentication is required", )"
                        R"(max_age="{}")",
                        age->count()));
        answer.headers.emplace_back("Link", R"(</step-up>; rel="help")");
        Error shown = error;
        shown.where = trust::place_of(error);
        answer.json = outcome_json(shown);
        return answer;
    }
    // RFC 6750 §3: a request without a token is told how to bring one, and nothing else.
    if (answer.status == 401)
        answer.headers.emplace_back("WWW-Authenticate", R"(Bearer realm="meridian")");
    return answer;
}

Answer not_allowed(std::string message, std::string methods) {
    Answer answer = answer_of(Error{Category::not_allowed, std::move(message), {}, nullptr});
    answer.headers.emplace_back("Allow", std::move(methods));
    return answer;
}

}  // namespace meridian::rest
