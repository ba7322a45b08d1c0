// SPDX-License-Identifier: Apache-2.0
#include "server/reidentify.hpp"

#include "rest/arguments.hpp"

namespace meridian::server {

namespace {

using rest::Answer;
using rest::Exchange;
using trust::Role;
using trust::approvals::Approval;
using trust::approvals::Approvals;

constexpr std::chrono::minutes decide_within{72 * 60}, use_within{60};
constexpr std::size_t reason_characters_min = 10;

/// The answer's Parameters: name, member and value of each.
struct Part {
    std::string_view name, member;
    std::string value;
};
std::string parameters_json(const std::vector<Part>& parts) {
    JsonDocument document;
    Json all = document.array();
    for (const Part& part : parts) {
        Json value = document.string(part.value);
        if (part.member == "valueReference") {
            Json reference = document.object();
            document.set(reference, "reference", value);
            value = reference;
        }
        Json one = document.object();
        document.set(one, "name", document.string(part.name));
        document.set(one, part.member, value);
        document.append(all, one);
    }
    Json root = document.object();
    document.set(root, "resourceType", document.string("Parameters"));
    document.set(root, "parameter", all);
    return to_text(root);
}

std::vector<Part> parts_of(const Approval& approval) {
    return {{"approval", "valueString", approval.id},
            {"state", "valueCode", std::string(name_of(approval.state_at(now())))},
            {"target", "valueString", approval.target},
            {"reason", "valueString", approval.reason},
            {"askedBy", "valueString", approval.asked_by.account},
            {"decideBy", "valueInstant", to_text(approval.decide_by)}};
}

/// Tells whose name was given out: durable before it is.
Result<void> note_found(fhir::Repository& repository, const fhir::Caller& caller,
                        const std::string& project, const std::string& patient) {
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::security;
    record.type = "Patient";
    record.id = patient;
    record.query = fmt::format("project {}: re-identified", project);
    record.patients = {patient};
    return repository.note(caller, {std::move(record)});
}

class Reidentification {
 public:
    Reidentification(Projects& projects, Approvals& approvals, rest::SubjectOf subject_of)
        : projects_(projects), approvals_(approvals), subject_of_(std::move(subject_of)) {}

    Result<Answer> run(rest::Service& service, const Exchange& exchange) {
        const trust::Subject subject = TRY(subject_of_(exchange));
        const rest::Arguments arguments = TRY(rest::Arguments::read(exchange));
        TRY(arguments.allow("project pseudonym reason"));
        const std::string project(arguments.text("project"));
        std::string_view pseudonym = arguments.text("pseudonym");
        if (pseudonym.starts_with("Patient/")) pseudonym.remove_prefix(8);
        if (project.empty() || pseudonym.empty())
            return fail(Category::incorrect,
                        "name the project and the pseudonym of a patient: expected the parameters "
                        "project, pseudonym and reason");
        // Who is no member learns neither of projects nor of pseudonyms.
        if (!projects_.has_member(project, subject))
            return fail(Category::forbidden, "the account is no member of this project");
        const std::string patient = TRY(projects_.patient_of(project, pseudonym));
        const std::string target = fmt::format("project/{}/{}", project, pseudonym);
        const auto standing = TRY(approvals_.standing(reidentification, target, subject.account));
        if (standing.empty())
            return ask(subject, exchange, target, std::string(arguments.text("reason")));
        TRY(approvals_.use(subject, exchange.caller, reidentification, target));
        TRY(note_found(service.repository(), exchange.caller, project, patient));
        Answer answer;
        answer.json =
            parameters_json({{"patient", "valueReference", fmt::format("Patient/{}", patient)}});
        return answer;
    }

 private:
    Result<Answer> ask(const trust::Subject& subject, const Exchange& exchange,
                       const std::string& target, std::string reason) {
        Answer answer;
        answer.status = 202;
        // Who asks again while nobody has decided has asked once.
        for (const Approval& open : TRY(approvals_.list(subject, true))) {
            if (open.kind != reidentification || open.target != target ||
                open.asked_by.account != subject.account)
                continue;
            answer.json = parameters_json(parts_of(open));
            return answer;
        }
        const Approval asked = TRY(approvals_.ask(subject, exchange.caller,
                                                  {.kind = std::string(reidentification),
                                                   .target = target,
                                                   .reason = std::move(reason)}));
        answer.json = parameters_json(parts_of(asked));
        return answer;
    }

    Projects& projects_;
    Approvals& approvals_;
    rest::SubjectOf subject_of_;
};

}  // namespace

trust::approvals::Kind reidentification_kind() {
    return {.name = std::string(reidentification),
            .ask = {Role::researcher, Role::follow_up},
            .decide = {Role::data_manager},
            .decide_within = decide_within,
            .use_within = use_within,
            .reason_characters_min = reason_characters_min,
            .once = true,
            .only_asker = true,
            .within_organisation = true};
}

void add_reidentification(rest::Service& service, Projects& projects, Approvals& approvals,
                          rest::SubjectOf subject_of) {
    const auto work =
        std::make_shared<Reidentification>(projects, approvals, std::move(subject_of));
    service.add_operation({.name = "reidentify",
                           .on_system = true,
                           .definition = "urn:meridian:operation:reidentify",
                           .changes_state = true,
                           .run = [work](rest::Service& within, const Exchange& exchange) {
                               return work->run(within, exchange);
                           }});
}

}  // namespace meridian::server
