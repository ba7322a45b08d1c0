// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/context.hpp"

#include "base/limits.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/run.hpp"
#include "trust/limits.hpp"
#include "trust/policy/relations.hpp"

namespace meridian::trust::policy {

namespace {

constexpr std::int64_t day_milliseconds = 86'400'000;

bool uses(const RolePolicy& role, Relation relation) {
    return std::any_of(role.rules.begin(), role.rules.end(), [&](const Rule& rule) {
        return std::find(rule.relations.begin(), rule.relations.end(), relation) !=
               rule.relations.end();
    });
}

/// Reads the record for one decision: on one snapshot, and without leaving a trace in the audit,
/// which is about what people ask for.
class Reader {
 public:
    Reader(fhir::Repository& repository, store::Snapshot& snapshot, const Policy& policy,
           const Subject& subject, Context& context)
        : repository_(repository),
          snapshot_(snapshot),
          parameters_(repository.parameters()),
          policy_(policy),
          role_(policy.of(subject.role)),
          subject_(subject),
          context_(context) {}

    Result<void> read() {
        if (!subject_.person.empty()) context_.selves.insert(subject_.person);
        if (subject_.person.starts_with("Practitioner/")) TRY(read_roles());
        if (uses(role_, Relation::care_team)) {
            TRY(read_care_teams());
            TRY(read_general_practice());
        }
        if (uses(role_, Relation::assignment)) {
            TRY(read_tasks());
            TRY(read_appointments());
            TRY(read_encounters());
        }
        if (uses(role_, Relation::compartment)) TRY(read_own());
        if (uses(role_, Relation::guardian)) TRY(read_guarded());
        if (role_.break_glass) TRY(read_emergencies());
        for (auto* list : {&context_.care_team, &context_.assigned, &context_.own,
                           &context_.guarded, &context_.emergency})
            TRY(settle(*list));
        return read_organisation();
    }

 private:
    using Each = std::function<Result<void>(const Json&)>;

    /// Calls `each` with the current resources of a type that match.
    Result<void> all(std::string_view type, const fhir::QueryParameters& query, const Each& each) {
        fhir::search::ParseOptions options;
        options.base_url = repository_.base_url();
        options.now = context_.read_at;
        const auto shared =
            TRY(fhir::search::conditional_plan(*parameters_, repository_.store().names(), type,
                                               query, options, limits::page_size_max));
        // The plan is ours alone: walking it page by page changes nothing that others see.
        auto& plan = const_cast<store::Plan&>(*shared);
        while (true) {
            const store::Matches matches = TRY(snapshot_.search(plan));
            read_ += matches.rids.size();
            if (read_ > limits::policy_context_resources_max)
                return fail(Category::too_large,
                            "the caller has too many assignments to decide by");
            for (const store::Stored& stored : TRY(snapshot_.fetch(matches.rids))) {
                const fhir::Resource resource = TRY(repository_.decode(stored));
                const JsonDocument document = TRY(JsonDocument::parse(resource.json));
                TRY(each(document.root()));
            }
            if (!matches.more) return {};
            plan.after = matches.rids.back();
        }
    }

    /// "any of": a list of references as one search value.
    std::string selves() const { return fmt::format("{}", fmt::join(context_.selves, ",")); }

    bool is_self(const Json& reference) const {
        return context_.selves.contains(reference.string_at("reference"));
    }

    /// Whether a period covers now; notes when that will change. `more_days` it lasts after its
    /// end.
    bool is_now(const Json& period, int more_days = 0) {
        const auto start = parse_date(period.string_at("start"));
        const auto end = parse_date(period.string_at("end"));
        if (start && context_.read_at < start->lower()) {
            context_.changes_at = std::min(context_.changes_at, start->lower());
            return false;
        }
        if (!end) return true;
        const Instant last{end->upper().milliseconds + more_days * day_milliseconds};
        if (context_.read_at >= last) return false;
        context_.changes_at = std::min(context_.changes_at, last);
        return true;
    }

    static void add(const Json& reference, std::vector<std::string>& patients) {
        const std::string_view text = reference.string_at("reference");
        if (text.starts_with("Patient/")) patients.emplace_back(text.substr(8));
    }

    static Result<void> settle(std::vector<std::string>& patients) {
        std::sort(patients.begin(), patients.end());
        patients.erase(std::unique(patients.begin(), patients.end()), patients.end());
        if (patients.size() > limits::policy_patients_max)
            return fail(Category::too_large, "the caller has too many patients to decide by");
        return {};
    }

    Result<void> read_roles() {
        const std::string person = subject_.person;
        return all(
            "PractitionerRole", {{"practitioner", person}}, [&](const Json& role) -> Result<void> {
                const Json* active = role.find("active");
                if ((active != nullptr && !active->boolean()) || !is_now(role["period"])) return {};
                context_.selves.insert(fmt::format("PractitionerRole/{}", role.string_at("id")));
                return {};
            });
    }

    Result<void> read_care_teams() {
        if (context_.selves.empty()) return {};
        return all("CareTeam", {{"participant", selves()}, {"status", "active"}},
                   [&](const Json& team) -> Result<void> {
                       if (!is_now(team["period"])) return {};
                       for (const Json& participant : team["participant"].items()) {
                           if (!is_self(participant["member"]) || !is_now(participant["period"]))
                               continue;
                           context_.teams.insert(fmt::format("CareTeam/{}", team.string_at("id")));
                           add(team["subject"], context_.care_team);
                       }
                       return {};
                   });
    }

    Result<void> read_general_practice() {
        if (context_.selves.empty()) return {};
        return all("Patient", {{"general-practitioner", selves()}},
                   [&](const Json& patient) -> Result<void> {
                       context_.care_team.emplace_back(patient.string_at("id"));
                       return {};
                   });
    }

    Result<void> read_tasks() {
        if (context_.selves.empty()) return {};
        return all("Task",
                   {{"owner", selves()},
                    {"status", "requested,received,accepted,ready,in-progress,on-hold"}},
                   [&](const Json& task) -> Result<void> {
                       if (is_now(task["restriction"]["period"]))
                           add(task["for"], context_.assigned);
                       return {};
                   });
    }

    Result<void> read_appointments() {
        if (context_.selves.empty()) return {};
        return all("Appointment",
                   {{"actor", selves()}, {"status", "pending,booked,arrived,checked-in,fulfilled"}},
                   [&](const Json& appointment) -> Result<void> {
                       const auto end = parse_date(appointment.string_at("end"));
                       if (end) {
                           const Instant last{end->upper().milliseconds +
                                              policy_.assignment_days_after * day_milliseconds};
                           if (context_.read_at >= last) return {};
                           context_.changes_at = std::min(context_.changes_at, last);
                       }
                       bool is_theirs = false;
                       for (const Json& participant : appointment["participant"].items())
                           is_theirs = is_theirs || (is_self(participant["actor"]) &&
                                                     participant.string_at("status") != "declined");
                       if (!is_theirs) return {};
                       for (const Json& participant : appointment["participant"].items())
                           add(participant["actor"], context_.assigned);
                       return {};
                   });
    }

    Result<void> read_encounters() {
        if (context_.selves.empty()) return {};
        return all("Encounter",
                   {{"participant", selves()},
                    {"status", "planned,arrived,triaged,in-progress,onleave,finished"}},
                   [&](const Json& encounter) -> Result<void> {
                       const bool is_over = encounter.string_at("status") == "finished";
                       // One that is over and does not say when is over for good.
                       if (is_over && encounter["period"].find("end") == nullptr) return {};
                       if (!is_now(encounter["period"], policy_.assignment_days_after)) return {};
                       for (const Json& participant : encounter["participant"].items()) {
                           if (is_self(participant["individual"]) &&
                               is_now(participant["period"], policy_.assignment_days_after))
                               add(encounter["subject"], context_.assigned);
                       }
                       return {};
                   });
    }

    Result<std::optional<JsonDocument>> resource(std::string_view reference) {
        const std::size_t slash = reference.find('/');
        if (slash == std::string_view::npos) return std::nullopt;
        const store::Name type = parameters_->type_name(reference.substr(0, slash));
        const auto stored = TRY(snapshot_.find({type, std::string(reference.substr(slash + 1))}));
        if (!stored || stored->deleted()) return std::nullopt;
        return TRY(JsonDocument::parse(TRY(repository_.decode(*stored)).json));
    }

    Result<void> read_own() {
        if (!subject_.person.starts_with("Patient/")) return {};
        context_.own.push_back(subject_.person.substr(8));
        const auto patient = TRY(resource(subject_.person));
        if (!patient) return {};
        // R4 Patient.link: the record that this one replaced is about the same person.
        for (const Json& link : patient->root()["link"].items()) {
            if (link.string_at("type") == "replaces") add(link["other"], context_.own);
        }
        return {};
    }

    /// A guardian stands for the patient of their RelatedPerson; one who is a patient themselves is
    /// linked to it.
    Result<void> read_guarded() {
        std::vector<std::string> related;
        if (subject_.person.starts_with("RelatedPerson/")) related.push_back(subject_.person);
        if (subject_.person.starts_with("Patient/")) {
            if (const auto self = TRY(resource(subject_.person))) {
                for (const Json& link : self->root()["link"].items()) {
                    const std::string_view other = link["other"].string_at("reference");
                    if (other.starts_with("RelatedPerson/")) related.emplace_back(other);
                }
            }
        }
        for (const std::string& person : related) {
            const auto document = TRY(resource(person));
            if (!document) continue;
            context_.selves.insert(person);
            const Json& relation = document->root();
            const Json* active = relation.find("active");
            if ((active != nullptr && !active->boolean()) || !is_now(relation["period"])) continue;
            const std::string_view patient = relation["patient"].string_at("reference");
            if (!subject_.on_behalf_of.empty() && patient != subject_.on_behalf_of) continue;
            if (TRY(may_stand_for(relation, person, patient)))
                add(relation["patient"], context_.guarded);
        }
        return {};
    }

    /// For a minor; as a legal guardian; or as a proxy whom the patient has named in a Consent.
    Result<bool> may_stand_for(const Json& relation, const std::string& person,
                               std::string_view patient_reference) {
        for (const Json& kind : relation["relationship"].items()) {
            for (const Json& coding : kind["coding"].items()) {
                if (std::find(policy_.legal_guardians.begin(), policy_.legal_guardians.end(),
                              coding.string_at("code")) != policy_.legal_guardians.end())
                    return true;
            }
        }
        const auto patient = TRY(resource(patient_reference));
        if (!patient) return false;
        if (const auto born = parse_date(patient->root().string_at("birthDate"))) {
            PartialDate of_age = *born;
            of_age.year += policy_.minor_below_years;
            if (context_.read_at < of_age.lower()) {
                context_.changes_at = std::min(context_.changes_at, of_age.lower());
                return true;
            }
        }
        for (const auto& [id, document] : *context_.consents) {
            if (document->patient != patient_reference ||
                document->json.find(fmt::format("\"{}\"", person)) == std::string::npos)
                continue;
            const consent::Question question{{person}, subject_.purpose, context_.read_at};
            for (const consent::Provision& said :
                 consent::answer(*document, question, context_.changes_at)) {
                if (said.permits ? true
                                 : std::any_of(said.exceptions.begin(), said.exceptions.end(),
                                               [](const auto& inner) { return inner.permits; }))
                    return true;
            }
        }
        return false;
    }

    Result<void> read_emergencies() {
        if (subject_.person.empty()) return {};
        return all("Task",
                   {{"code", fmt::format("{}|{}", break_glass_system, break_glass_code)},
                    {"requester", subject_.person}},
                   [&](const Json& task) -> Result<void> {
                       const Json& period = task["executionPeriod"];
                       if (period.find("end") != nullptr && is_now(period) &&
                           task.string_at("status") != "cancelled")
                           add(task["for"], context_.emergency);
                       return {};
                   });
    }

    Result<void> read_organisation() {
        const bool is_asked = std::any_of(role_.rules.begin(), role_.rules.end(),
                                          [](const auto& r) { return r.only_own_organisation; });
        if (!is_asked || subject_.organisation.empty()) return {};
        store::HasId ids{parameters_->type_name("Patient"), context_.care_team};
        ids.ids.insert(ids.ids.end(), context_.assigned.begin(), context_.assigned.end());
        if (ids.ids.empty()) return {};
        store::Plan plan;
        plan.type = ids.type;
        plan.limit = limits::page_size_max;
        store::AllOf both;
        both.parts.push_back(std::move(ids));
        both.parts.push_back(of_organisation(*parameters_, "Patient", subject_.organisation));
        plan.where = std::move(both);
        while (true) {
            const store::Matches matches = TRY(snapshot_.search(plan));
            for (const store::Stored& stored : TRY(snapshot_.fetch(matches.rids)))
                context_.of_organisation.insert(stored.id);
            if (!matches.more) return {};
            plan.after = matches.rids.back();
        }
    }

    fhir::Repository& repository_;
    store::Snapshot& snapshot_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    const Policy& policy_;
    const RolePolicy& role_;
    const Subject& subject_;
    Context& context_;
    std::size_t read_ = 0;
};

}  // namespace

Result<std::shared_ptr<const Context>> read_context(fhir::Repository& repository,
                                                    store::Snapshot& snapshot, const Policy& policy,
                                                    const Subject& subject,
                                                    const consent::Standing& standing,
                                                    Instant now) {
    auto context = std::make_shared<Context>();
    context->consents = standing.consents;
    context->position = snapshot.position();
    context->read_at = now;
    TRY(Reader(repository, snapshot, policy, subject, *context).read());
    return std::shared_ptr<const Context>(std::move(context));
}

}  // namespace meridian::trust::policy
