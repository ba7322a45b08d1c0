// SPDX-License-Identifier: Apache-2.0
#include "rest/approvals.hpp"

#include "rest/arguments.hpp"
#include "trust/policy/labels.hpp"

namespace meridian::rest {

namespace {

using trust::approvals::Approval;
using trust::approvals::Approvals;
using trust::approvals::Party;
using trust::approvals::State;

/// Parameters whose parameters are `approval`s with their parts.
class ApprovalWriter {
 public:
    void add(const Approval& approval) {
        parts_ = document_.array();
        text("id", approval.id);
        text("kind", approval.kind);
        text("target", approval.target);
        text("detail", approval.detail);
        text("reason", approval.reason);
        text("state", trust::approvals::name_of(approval.state));
        party("asked-by", approval.asked_by);
        instant("asked", approval.asked_at);
        instant("decide-by", approval.decide_by);
        if (approval.decided_by) {
            party("decided-by", *approval.decided_by);
            instant("decided", approval.decided_at);
            text("decision-reason", approval.decision_reason);
        }
        if (approval.state == State::approved) instant("usable-until", approval.usable_until);
        if (!approval.used_by.empty()) {
            text("used-by", approval.used_by);
            instant("used", approval.used_at);
        }
        Json parameter = document_.object();
        document_.set(parameter, "name", document_.string("approval"));
        document_.set(parameter, "part", parts_);
        document_.append(parameters_, parameter);
    }
    Answer answer() {
        Json root = document_.object();
        document_.set(root, "resourceType", document_.string("Parameters"));
        // FHIR R4 §2.1.0: a list that is there is not empty.
        if (parameters_.size() > 0) document_.set(root, "parameter", parameters_);
        Answer answer;
        answer.json = to_text(root);
        return answer;
    }

 private:
    void part(std::string_view name, std::string_view member, std::string_view value) {
        Json made = document_.object();
        document_.set(made, "name", document_.string(name));
        document_.set(made, member, document_.string(value));
        document_.append(parts_, made);
    }
    void text(std::string_view name, std::string_view value) {
        if (!value.empty()) part(name, "valueString", value);
    }
    void instant(std::string_view name, Instant at) { part(name, "valueInstant", to_text(at)); }
    void party(std::string_view name, const Party& party) {
        text(name, party.account);
        text(fmt::format("{}-role", name), party.role);
    }

    JsonDocument document_;
    Json parameters_ = document_.array();
    Json parts_ = document_.array();
};

Answer answer_of(const Approval& approval, int status) {
    ApprovalWriter writer;
    writer.add(approval);
    Answer answer = writer.answer();
    answer.status = status;
    return answer;
}

/// What the operations share.
struct Parts {
    Approvals& approvals;
    std::function<std::shared_ptr<const trust::policy::Policy>()> policy;
    SubjectOf subject_of;
};

Result<Answer> lower_label(const Parts& parts, Service& service, const Exchange& exchange) {
    const trust::Subject subject = TRY(parts.subject_of(exchange));
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("label reason"));
    // Who may not read it does not learn whether it is there.
    const fhir::Resource resource =
        TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    const std::vector<std::string> labels = arguments.texts("label");
    const auto policy = parts.policy();
    for (const std::string& label : labels) {
        if (policy->labels.contains(label)) continue;
        std::string known;
        for (const auto& [name, codes] : policy->labels)
            known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no sensitivity label: expected one of {}",
                                std::string_view(label).substr(0, 60), known),
                    "label");
    }
    if (labels.empty())
        return fail(Category::incorrect, "name the label that is to be taken away", "label");
    fhir::AuditRecord about;
    about.add_patients_of(resource.type, resource.id, resource.json,
                          service.repository().base_url());
    return answer_of(
        TRY(parts.approvals.ask(subject, exchange.caller,
                                {.kind = std::string(trust::policy::lower_label),
                                 .target = fmt::format("{}/{}", resource.type, resource.id),
                                 .detail = trust::policy::label_list(labels),
                                 .reason = std::string(arguments.text("reason")),
                                 .patients = std::move(about.patients)})),
        201);
}

Result<Answer> decide(const Parts& parts, const Exchange& exchange, bool approve) {
    const trust::Subject subject = TRY(parts.subject_of(exchange));
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("approval reason"));
    return answer_of(
        TRY(parts.approvals.decide(subject, exchange.caller, arguments.text("approval"), approve,
                                   arguments.text("reason"))),
        200);
}

Result<Answer> list(const Parts& parts, Service& service, const Exchange& exchange) {
    const trust::Subject subject = TRY(parts.subject_of(exchange));
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("open"));
    const bool only_open = TRY(arguments.boolean("open"));
    ApprovalWriter writer;
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::operation;
    record.query = "$approvals";
    for (const Approval& approval : TRY(parts.approvals.list(subject, only_open))) {
        writer.add(approval);
        for (const std::string& patient : approval.patients) record.add_patient(patient);
    }
    std::vector<fhir::AuditRecord> records;
    records.push_back(std::move(record));
    TRY(service.repository().note(exchange.caller, std::move(records)));
    return writer.answer();
}

}  // namespace

void add_approvals(Service& service, Approvals& approvals,
                   std::function<std::shared_ptr<const trust::policy::Policy>()> policy,
                   SubjectOf subject_of) {
    const std::string base = "urn:meridian:operation:";
    const Parts parts{approvals, std::move(policy), std::move(subject_of)};
    service.add_operation(
        {.name = "lower-label",
         .on_instance = true,
         .definition = base + "lower-label",
         .changes_state = true,
         .run = [parts](Service& s, const Exchange& e) { return lower_label(parts, s, e); }});
    for (const bool approve : {true, false}) {
        const char* const name = approve ? "approve" : "refuse";
        service.add_operation({.name = name,
                               .on_system = true,
                               .definition = base + name,
                               .changes_state = true,
                               .run = [parts, approve](Service&, const Exchange& exchange) {
                                   return decide(parts, exchange, approve);
                               }});
    }
    service.add_operation(
        {.name = "approvals",
         .on_system = true,
         .definition = base + "approvals",
         .run = [parts](Service& s, const Exchange& e) { return list(parts, s, e); }});
}

}  // namespace meridian::rest
