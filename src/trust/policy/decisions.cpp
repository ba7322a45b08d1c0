// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/decisions.hpp"

#include <list>
#include <unordered_map>

#include "base/ids.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/parameters.hpp"
#include "trust/consent/register.hpp"
#include "trust/limits.hpp"
#include "trust/policy/filter.hpp"
#include "trust/policy/proven.hpp"
#include "trust/sessions/fresh_proof.hpp"

namespace meridian::trust::policy {

namespace {

/// Subjects with equal texts get equal decisions.
std::string key_of(const Subject& subject) {
    std::string key;
    for (const std::string_view part :
         {std::string_view(subject.account), name_of(subject.role),
          std::string_view(subject.person), std::string_view(subject.organisation),
          std::string_view(subject.on_behalf_of), std::string_view(subject.purpose),
          std::string_view(subject.patient), std::string_view(subject.client)})
        key += fmt::format("{}:{}|", part.size(), part);
    for (const std::string& scope : subject.scopes)
        key += fmt::format("{}:{}|", scope.size(), scope);
    return key;
}

}  // namespace

struct Decisions::State : std::enable_shared_from_this<Decisions::State> {
    struct Decision {
        std::shared_ptr<const fhir::AccessFilter> access{};
        std::shared_ptr<const Context> context{};  ///< null: it depends on nothing in the record
        std::string policy{};
        std::string clause{};
    };
    struct Kept {
        std::string key;
        Decision decision;
    };

    fhir::Repository& repository;
    consent::Register consents;
    mutable std::mutex mutex;  ///< guards the rest
    std::shared_ptr<const Policy> policy;
    std::list<Kept> by_use{};  ///< least recently used first
    std::unordered_map<std::string, std::list<Kept>::iterator> by_key{};

    State(fhir::Repository& owner, std::shared_ptr<const Policy> files)
        : repository(owner), consents(owner), policy(std::move(files)) {}

    std::optional<Decision> kept(const std::string& key) {
        const std::lock_guard lock(mutex);
        const auto found = by_key.find(key);
        if (found == by_key.end()) return std::nullopt;
        by_use.splice(by_use.end(), by_use, found->second);
        return found->second->decision;
    }

    /// Forgets nothing that another thread decided meanwhile by a newer policy.
    void keep(const std::string& key, const Decision& decision,
              const std::shared_ptr<const Policy>& decided_by) {
        const std::lock_guard lock(mutex);
        if (decided_by != policy) return;
        if (const auto found = by_key.find(key); found != by_key.end()) {
            by_use.erase(found->second);
            by_key.erase(found);
        }
        by_use.push_back({key, decision});
        by_key.emplace(key, std::prev(by_use.end()));
        if (by_use.size() > limits::policy_contexts_max) {
            by_key.erase(by_use.front().key);
            by_use.pop_front();
        }
    }

    Result<Decision> decide(const Subject& subject) {
        const std::string key = key_of(subject);
        std::shared_ptr<const Policy> files;
        {
            const std::lock_guard lock(mutex);
            files = policy;
        }
        const bool is_in_record = needs_context(*files, subject);
        auto known = kept(key);
        if (known && known->context == nullptr && !is_in_record) return *std::move(known);
        Decision made;
        made.policy = files->version();
        if (is_in_record) {
            const auto snapshot = TRY(repository.store().snapshot());
            const auto standing = TRY(consents.at(*snapshot));
            const Instant at = now();
            if (known && known->context != nullptr && is_current(*known->context, standing, at))
                return *std::move(known);
            made.context = TRY(read_context(repository, *snapshot, *files, subject, standing, at));
        }
        made.access = TRY(make_filter(repository, files, subject, made.context));
        made.clause = clauses_of(*files, subject, made.context.get());
        keep(key, made, files);
        return made;
    }

    static bool is_current(const Context& context, const consent::Standing& standing, Instant at) {
        return standing.consents == context.consents && standing.relations_at <= context.position &&
               at < context.changes_at && at >= context.read_at;
    }
};

namespace {

/// Asks the decision again for work that outlives a request.
template <class State>
class Renewed final : public fhir::Renewal {
 public:
    Renewed(std::shared_ptr<State> state, Subject subject)
        : state_(std::move(state)), subject_(std::move(subject)) {}
    Result<std::shared_ptr<const fhir::AccessFilter>> access() const override {
        return store::with_names([&]() -> Result<std::shared_ptr<const fhir::AccessFilter>> {
            return TRY(state_->decide(subject_)).access;
        });
    }

 private:
    std::shared_ptr<State> state_;
    Subject subject_;
};

}  // namespace

Decisions::Decisions(fhir::Repository& repository, std::shared_ptr<const Policy> policy)
    : state_(std::make_shared<State>(repository, std::move(policy))) {}
Decisions::~Decisions() = default;

void Decisions::set_policy(std::shared_ptr<const Policy> policy) {
    const std::lock_guard lock(state_->mutex);
    state_->policy = std::move(policy);
    state_->by_key.clear();
    state_->by_use.clear();
}

std::shared_ptr<const Policy> Decisions::policy() const {
    const std::lock_guard lock(state_->mutex);
    return state_->policy;
}

namespace {

std::shared_ptr<const fhir::Origin> origin_of(const Subject& subject, std::string policy_version,
                                              std::string clause) {
    auto origin = std::make_shared<fhir::Origin>();
    origin->account = subject.account;
    origin->role = name_of(subject.role);
    origin->client = subject.client;
    origin->session = subject.session;
    origin->policy_version = std::move(policy_version);
    origin->clause = std::move(clause);
    return origin;
}

/// Who states no purpose has that of their role.
Subject with_purpose(Subject subject, const Policy& policy) {
    if (subject.purpose.empty()) subject.purpose = policy.of(subject.role).default_purpose;
    return subject;
}

}  // namespace

Result<std::shared_ptr<const fhir::AccessFilter>> Decisions::filter(const Subject& subject) {
    return store::with_names([&]() -> Result<std::shared_ptr<const fhir::AccessFilter>> {
        return TRY(state_->decide(with_purpose(subject, *policy()))).access;
    });
}

Result<fhir::Caller> Decisions::caller(const Subject& who) {
    return store::with_names([&]() -> Result<fhir::Caller> {
        const Subject subject = with_purpose(who, *policy());
        State::Decision decision = TRY(state_->decide(subject));
        fhir::Caller caller;
        caller.actor =
            subject.person.empty() ? fmt::format("Device/{}", subject.account) : subject.person;
        caller.on_behalf_of = subject.on_behalf_of;
        caller.organisation = subject.organisation;
        caller.purpose = subject.purpose;
        caller.origin = origin_of(subject, std::move(decision.policy), std::move(decision.clause));
        caller.access = with_fresh_proof(std::move(decision.access), who, policy()->fresh_proof);
        caller.renewal = std::make_shared<const Renewed<State>>(state_, subject);
        return caller;
    });
}

// --- break-glass ---

namespace {

Json coded(JsonDocument& document, std::string_view system, std::string_view code) {
    Json coding = document.object();
    document.set(coding, "system", document.string(system));
    document.set(coding, "code", document.string(code));
    Json list = document.array();
    document.append(list, coding);
    Json coded = document.object();
    document.set(coded, "coding", list);
    return coded;
}

Json reference_to(JsonDocument& document, std::string_view reference) {
    Json made = document.object();
    document.set(made, "reference", document.string(reference));
    return made;
}

fhir::Operation creation(std::string_view type, const std::shared_ptr<JsonDocument>& document,
                         std::string full_url) {
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::create;
    operation.type = type;
    operation.document = document;
    operation.resource = document->root();
    operation.full_url = std::move(full_url);
    return operation;
}

/// The Task in which the access waits for its review; its executionPeriod is the access.
std::shared_ptr<JsonDocument> review_task(const Subject& subject, std::string_view patient,
                                          std::string_view reason, Instant from, Instant ends,
                                          Instant review_by) {
    auto document = std::make_shared<JsonDocument>();
    Json task = document->object();
    document->set(task, "resourceType", document->string("Task"));
    document->set(task, "status", document->string("requested"));
    document->set(task, "intent", document->string("order"));
    document->set(task, "priority", document->string("urgent"));
    document->set(task, "code", coded(*document, break_glass_system, break_glass_code));
    document->set(task, "for", reference_to(*document, patient));
    document->set(task, "requester", reference_to(*document, subject.person));
    document->set(task, "authoredOn", document->string(to_text(from)));
    Json period = document->object();
    document->set(period, "start", document->string(to_text(from)));
    document->set(period, "end", document->string(to_text(ends)));
    document->set(task, "executionPeriod", period);
    Json text = document->object();
    document->set(text, "text", document->string(reason));
    document->set(task, "reasonCode", text);
    Json restriction = document->object();
    Json review = document->object();
    document->set(review, "end", document->string(to_text(review_by)));
    document->set(restriction, "period", review);
    document->set(task, "restriction", restriction);
    document->set_root(task);
    return document;
}

/// The patient's notice: that it happened, who, why and until when.
std::shared_ptr<JsonDocument> patient_notice(const Subject& subject, std::string_view patient,
                                             std::string_view task, std::string_view reason,
                                             Instant from, Instant ends) {
    auto document = std::make_shared<JsonDocument>();
    Json notice = document->object();
    document->set(notice, "resourceType", document->string("Communication"));
    document->set(notice, "status", document->string("preparation"));
    Json categories = document->array();
    document->append(categories, coded(*document, break_glass_system, break_glass_code));
    document->set(notice, "category", categories);
    document->set(notice, "subject", reference_to(*document, patient));
    Json abouts = document->array();
    document->append(abouts, reference_to(*document, task));
    document->set(notice, "about", abouts);
    Json recipients = document->array();
    document->append(recipients, reference_to(*document, patient));
    document->set(notice, "recipient", recipients);
    document->set(notice, "sender", reference_to(*document, subject.person));
    document->set(notice, "sent", document->string(to_text(from)));
    Json payload = document->array();
    for (const std::string& text :
         {fmt::format("有人以紧急情况为由打开了您的病历，有效至 {}。所述理由：{}", to_text(ends),
                      reason),
          fmt::format("Your record was opened in an emergency until {}. The reason given: {}",
                      to_text(ends), reason)}) {
        Json content = document->object();
        document->set(content, "contentString", document->string(text));
        document->append(payload, content);
    }
    document->set(notice, "payload", payload);
    document->set_root(notice);
    return document;
}

Result<const BreakGlass*> right_of(const Policy& policy, const Subject& subject,
                                   std::string_view reason) {
    const RolePolicy& role = policy.of(subject.role);
    if (!role.break_glass || subject.person.empty() || !subject.scopes.empty())
        return fail(Category::forbidden, "your role may not open a record in an emergency");
    const auto letters =
        static_cast<std::size_t>(std::count_if(reason.begin(), reason.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xC0) != 0x80 && c != ' ';
        }));
    if (letters < role.break_glass->reason_characters_min)
        return fail(Category::incorrect,
                    fmt::format("an emergency access needs a reason of at least {} characters",
                                role.break_glass->reason_characters_min),
                    "reason");
    if (reason.size() > limits::break_glass_reason_bytes_max)
        return fail(
            Category::too_large,
            fmt::format("the reason is longer than {} bytes", limits::break_glass_reason_bytes_max),
            "reason");
    return &*role.break_glass;
}

std::unexpected<Error> no_patient() {
    return fail(Category::not_found, "there is no such patient");
}

}  // namespace

Result<EmergencyAccess> Decisions::break_glass(const Subject& subject, std::string_view patient_id,
                                               std::string_view reason) {
    const auto files = policy();
    const BreakGlass& right = *TRY(right_of(*files, subject, reason));
    TRY(require_recent(subject, files->fresh_proof.break_glass, now()));
    fhir::Caller server = fhir::Caller::system("break-glass");
    server.on_behalf_of = subject.person;
    server.purpose = "BTG";
    server.origin = origin_of(subject, files->version(), "break-glass");
    fhir::Repository& repository = state_->repository;
    const store::Name type = repository.parameters()->type_name("Patient");
    {
        const auto snapshot = TRY(repository.store().snapshot());
        const auto found = TRY(snapshot->find({type, std::string(patient_id)}));
        if (!found || found->deleted()) return no_patient();
    }
    EmergencyAccess access;
    access.patient = fmt::format("Patient/{}", patient_id);
    const Instant from = now();
    access.ends = {from.milliseconds + std::chrono::milliseconds(right.lasts).count()};
    const Instant review_by{from.milliseconds +
                            std::chrono::milliseconds(right.review_within).count()};
    const std::string task_url = fmt::format("urn:uuid:{}", new_uuid());
    fhir::Transaction transaction;
    transaction.want_json = false;
    transaction.operations.push_back(
        creation("Task", review_task(subject, access.patient, reason, from, access.ends, review_by),
                 task_url));
    transaction.operations.push_back(
        creation("Communication",
                 patient_notice(subject, access.patient, task_url, reason, from, access.ends), {}));
    const auto written = TRY(repository.commit(server, std::move(transaction)));
    access.task = fmt::format("Task/{}", written[0].resource.id);
    access.notice = fmt::format("Communication/{}", written[1].resource.id);
    return access;
}

Result<EmergencyAccess> Decisions::break_glass_by_identifier(const Subject& subject,
                                                             std::string_view system,
                                                             std::string_view value,
                                                             std::string_view reason) {
    {
        const auto files = policy();
        TRY(right_of(*files, subject, reason));
        // Before the look-up: an old session learns of no identifier whether somebody has it.
        TRY(require_recent(subject, files->fresh_proof.break_glass, now()));
    }
    if (system.empty() || value.empty())
        return fail(Category::incorrect, "a patient is looked up by system and value",
                    "identifier");
    fhir::Repository& repository = state_->repository;
    std::string id;
    {
        const auto parameters = repository.parameters();
        const auto snapshot = TRY(repository.store().snapshot());
        const store::Names& names = repository.store().names();
        const store::Name known = names.find(store::NameKind::system, system);
        if (known == 0) return no_patient();
        store::Plan plan;
        plan.type = parameters->type_name("Patient");
        plan.limit = 2;
        plan.where = store::HasToken{parameters->find("Patient", "identifier")->name,
                                     {store::token_value(names, known, system, value)}};
        const store::Matches matches = TRY(snapshot->search(plan));
        if (matches.rids.size() != 1) return no_patient();
        const auto found = TRY(snapshot->fetch(matches.rids));
        if (found.empty()) return no_patient();
        id = found.front().id;
    }
    return break_glass(subject, id, reason);
}

namespace {

bool is_break_glass(const Json& concept_of_task) {
    const auto codings = concept_of_task["coding"].items();
    return std::any_of(codings.begin(), codings.end(), [](const Json& coding) {
        return coding.string_at("system") == break_glass_system &&
               coding.string_at("code") == break_glass_code;
    });
}

Result<void> may_review(const Policy& policy, const Subject& subject) {
    if (policy.of(subject.role).reviews_break_glass && subject.scopes.empty()) return {};
    return fail(Category::forbidden, "your role does not review emergency accesses");
}

fhir::Caller reviewing(const Subject& subject, const Policy& policy) {
    fhir::Caller server = fhir::Caller::system("break-glass");
    server.on_behalf_of = subject.person;
    server.origin = origin_of(subject, policy.version(), "break-glass review");
    return server;
}

Instant instant_at(const Json& object, std::string_view key) {
    const auto date = parse_date(object.string_at(key));
    return date ? date->lower() : Instant{};
}

PendingReview review_of(const fhir::Resource& task, const Json& root) {
    return {.task = task.id,
            .patient = std::string(root["for"].string_at("reference")),
            .person = std::string(root["requester"].string_at("reference")),
            .reason = std::string(root["reasonCode"].string_at("text")),
            .opened = instant_at(root["executionPeriod"], "start"),
            .ends = instant_at(root["executionPeriod"], "end"),
            .review_by = instant_at(root["restriction"]["period"], "end")};
}

/// What the review found, into the Task: it is closed by that.
void close_task(JsonDocument& document, const Subject& subject, std::string_view finding,
                Verdict verdict) {
    Json& root = document.root();
    document.set(root, "status", document.string("completed"));
    document.set(root, "businessStatus", coded(document, verdict_system, name_of(verdict)));
    document.set(root, "lastModified", document.string(to_text(now())));
    Json note = document.object();
    document.set(note, "authorString", document.string(subject.account));
    document.set(note, "time", document.string(to_text(now())));
    document.set(note, "text", document.string(finding));
    Json notes = document.array();
    document.append(notes, note);
    document.set(root, "note", notes);
}

}  // namespace

std::string_view name_of(Verdict verdict) {
    return verdict == Verdict::justified ? "justified" : "not-justified";
}

std::optional<Verdict> verdict_named(std::string_view name) {
    for (const Verdict each : {Verdict::justified, Verdict::not_justified}) {
        if (name_of(each) == name) return each;
    }
    return std::nullopt;
}

Result<PendingReviews> Decisions::pending_reviews(const Subject& subject) {
    const auto files = policy();
    TRY(may_review(*files, subject));
    const fhir::Caller server = reviewing(subject, *files);
    fhir::Repository& repository = state_->repository;
    PendingReviews pending;
    fhir::Page page =
        TRY(repository.search(server, "Task",
                              {{"code", fmt::format("{}|{}", break_glass_system, break_glass_code)},
                               {"status", "requested"},
                               {"_sort", "authored-on"},
                               {"_count", "100"}},
                              {}));
    while (true) {
        for (const auto& entry : page.entries) {
            const JsonDocument task = TRY(JsonDocument::parse(entry.resource.json));
            if (pending.reviews.size() == limits::break_glass_reviews_listed_max) {
                pending.has_more = true;
                break;
            }
            pending.reviews.push_back(review_of(entry.resource, task.root()));
        }
        if (page.next.empty() || pending.has_more) break;
        page = TRY(repository.next_page(server, page.next));
    }
    std::stable_sort(
        pending.reviews.begin(), pending.reviews.end(),
        [](const PendingReview& a, const PendingReview& b) { return a.review_by < b.review_by; });
    return pending;
}

Result<void> Decisions::review(const Subject& subject, std::string_view task_id,
                               std::string_view finding, Verdict verdict) {
    const auto files = policy();
    TRY(may_review(*files, subject));
    if (finding.empty() || finding.size() > limits::break_glass_reason_bytes_max)
        return fail(Category::incorrect,
                    fmt::format("the finding is a text of at most {} bytes",
                                limits::break_glass_reason_bytes_max),
                    "finding");
    const fhir::Caller server = reviewing(subject, *files);
    fhir::Repository& repository = state_->repository;
    const auto task = repository.read(server, "Task", task_id);
    const auto no_task = [] { return fail(Category::not_found, "there is no such review"); };
    if (!task) return no_task();
    auto document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(task->json)));
    const Json& root = document->root();
    if (!is_break_glass(root["code"]) || root.string_at("status") != "requested") return no_task();
    if (!subject.person.empty() && root["requester"].string_at("reference") == subject.person)
        return fail(Category::forbidden, "nobody reviews their own emergency access");
    close_task(*document, subject, finding, verdict);
    fhir::Transaction transaction;
    transaction.want_json = false;
    fhir::Operation update;
    update.kind = fhir::Operation::Kind::update;
    update.type = "Task";
    update.id = task_id;
    update.document = document;
    update.resource = document->root();
    update.if_match = task->version;
    transaction.operations.push_back(std::move(update));
    TRY(repository.commit(server, std::move(transaction)));
    return {};
}

}  // namespace meridian::trust::policy
