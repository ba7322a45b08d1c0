// SPDX-License-Identifier: Apache-2.0
#include "rest/break_glass.hpp"

#include "rest/arguments.hpp"

namespace meridian::rest {

namespace {

using trust::policy::Decisions;
using trust::policy::EmergencyAccess;

Answer answer_of(const EmergencyAccess& access) {
    JsonDocument document;
    Json parameters = document.array();
    const auto add = [&](std::string_view name, std::string_view member, Json value) {
        Json parameter = document.object();
        document.set(parameter, "name", document.string(name));
        document.set(parameter, member, value);
        document.append(parameters, parameter);
    };
    const auto reference = [&](std::string_view text) {
        Json made = document.object();
        document.set(made, "reference", document.string(text));
        return made;
    };
    add("patient", "valueReference", reference(access.patient));
    add("review", "valueReference", reference(access.task));
    add("notice", "valueReference", reference(access.notice));
    add("ends", "valueInstant", document.string(to_text(access.ends)));
    Json root = document.object();
    document.set(root, "resourceType", document.string("Parameters"));
    document.set(root, "parameter", parameters);
    Answer answer;
    answer.json = to_text(root);
    return answer;
}

Result<Answer> break_glass(Decisions& decisions, const SubjectOf& subject_of,
                           const Exchange& exchange) {
    const trust::Subject subject = TRY(subject_of(exchange));
    const Arguments arguments = TRY(Arguments::read(exchange));
    const bool on_instance = exchange.path.size() > 2;
    TRY(arguments.allow(on_instance ? "reason" : "reason identifier"));
    const std::string_view reason = arguments.text("reason");
    if (on_instance)
        return answer_of(TRY(decisions.break_glass(subject, exchange.path[1], reason)));
    if (const Json* given = arguments.value("identifier"))
        return answer_of(TRY(decisions.break_glass_by_identifier(
            subject, given->string_at("system"), given->string_at("value"), reason)));
    const std::string_view identifier = arguments.text("identifier");
    const std::size_t bar = identifier.find('|');
    if (bar == std::string_view::npos)
        return fail(Category::incorrect,
                    "name the patient by identifier: expected an Identifier, or \"system|value\"",
                    "identifier");
    return answer_of(TRY(decisions.break_glass_by_identifier(subject, identifier.substr(0, bar),
                                                             identifier.substr(bar + 1), reason)));
}

Result<Answer> review(Decisions& decisions, const SubjectOf& subject_of, const Exchange& exchange) {
    const trust::Subject subject = TRY(subject_of(exchange));
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("finding verdict"));
    const std::string_view verdict = arguments.text("verdict");
    const std::optional<trust::policy::Verdict> found =
        verdict.empty() ? trust::policy::Verdict::justified : trust::policy::verdict_named(verdict);
    if (!found)
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no verdict: expected justified or not-justified",
                                verdict.substr(0, 40)),
                    "verdict");
    TRY(decisions.review(subject, exchange.path[1], arguments.text("finding"), *found));
    Answer answer;
    answer.json = outcome_json(Severity::information, "informational", "The review is closed.");
    return answer;
}

}  // namespace

void add_break_glass(Service& service, Decisions& decisions, SubjectOf subject_of) {
    const std::string base = "urn:meridian:operation:";
    service.add_operation({.name = "break-glass",
                           .on_type = true,
                           .on_instance = true,
                           .types = {"Patient"},
                           .definition = base + "break-glass",
                           .changes_state = true,
                           .run = [&decisions, subject_of](Service&, const Exchange& exchange) {
                               return break_glass(decisions, subject_of, exchange);
                           }});
    service.add_operation({.name = "break-glass-review",
                           .on_instance = true,
                           .types = {"Task"},
                           .definition = base + "break-glass-review",
                           .changes_state = true,
                           .run = [&decisions, subject_of](Service&, const Exchange& exchange) {
                               return review(decisions, subject_of, exchange);
                           }});
}

}  // namespace meridian::rest
