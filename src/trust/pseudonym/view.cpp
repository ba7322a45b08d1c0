// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/view.hpp"

#include <charconv>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/parameters.hpp"
#include "trust/pseudonym/limits.hpp"

namespace meridian::trust::pseudonym {

namespace {

constexpr std::string_view cursor_setting = "project-cursor";
/// As View::terms had it when the view was written.
constexpr std::string_view terms_setting = "project-terms";
/// Of trust/pseudonym/transform.cpp: another makes every copy anew.
constexpr int transformation_version = 1;
constexpr std::string_view patient_stem = "Patient/";
/// The cursor is saved at least so often; between, entries that concern nobody here are read again
/// after a restart.
constexpr store::Position cursor_saved_every = 10'000;

const fhir::Caller& writer() {
    static const fhir::Caller caller = fhir::Caller::system("project-view");
    return caller;
}

/// Whose removals erase for ever (keys/erasure.cpp).
std::string erasing_actor() {
    return fhir::Caller::system("erasure").actor;
}

}  // namespace

/// What is to be written into the view: each resource once.
struct View::Pending {
    explicit Pending(fhir::Repository& into) : view(into) {}

    /// Null takes the resource away.
    Result<void> put(std::string_view type, std::string id, std::optional<std::string> json) {
        if (!json && !TRY(is_there(type, id))) {
            changes.erase({std::string(type), id});
            return {};
        }
        changes[{std::string(type), std::move(id)}] = std::move(json);
        return changes.size() < limits::view_resources_at_once ? Result<void>() : write();
    }

    Result<void> write() {
        if (changes.empty()) return {};
        fhir::Transaction transaction;
        transaction.want_json = false;
        for (auto& [identity, json] : changes) {
            fhir::Operation& operation = transaction.operations.emplace_back();
            operation.type = identity.first;
            operation.id = identity.second;
            operation.kind = json ? fhir::Operation::Kind::update : fhir::Operation::Kind::remove;
            if (!json) continue;
            operation.document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(*json)));
            operation.resource = operation.document->root();
        }
        TRY(view.commit(writer(), std::move(transaction)));
        has_written = true;
        changes.clear();
        return {};
    }

    Result<bool> is_there(std::string_view type, const std::string& id) {
        const auto stored = TRY(view.store().find({view.parameters()->type_name(type), id}));
        return stored && !stored->deleted();
    }

    fhir::Repository& view;
    std::map<std::pair<std::string, std::string>, std::optional<std::string>> changes;
    bool has_written = false;
};

View::View(fhir::Repository& record, fhir::Repository& view, Project project,
           std::shared_ptr<const policy::Policy> policy)
    : record_(record),
      view_(view),
      project_(std::move(project)),
      transformation_(ProjectKey(project_.secret), {.project = project_.id,
                                                    .reference_day = project_.reference_day,
                                                    .base_url = record.base_url()}),
      policy_hash_(policy->hash),
      decisions_(record, std::move(policy)),
      consents_(record) {}
View::~View() = default;

Result<bool> View::advance() {
    return store::with_names([&]() -> Result<bool> {
        if (!has_begun_) TRY(begin());
        step_caller_.reset();
        step_persons_.clear();
        const auto snapshot = TRY(record_.store().snapshot());
        TRY(look_at_consents(*snapshot));
        return follow(*snapshot);
    });
}

// --- building ---

Result<void> View::begin() {
    const auto cursor = TRY(view_.store().setting(cursor_setting));
    if (!cursor) {
        TRY(build());
    } else {
        std::from_chars(cursor->data(), cursor->data() + cursor->size(), next_);
        saved_ = next_;
        // The record was put back to an earlier time: what came after it is in the view.
        if (next_ > TRY(record_.store().snapshot())->position() + 1) is_to_be_made_anew_ = true;
        TRY(take_cohort());
    }
    has_begun_ = true;
    return {};
}

/// Each patient on a snapshot of their own: what is written meanwhile, the log tells afterwards.
Result<void> View::build() {
    consent::Standing standing;
    {
        const auto snapshot = TRY(record_.store().snapshot());
        next_ = snapshot->position() + 1;
        standing = TRY(consents_.at(*snapshot));
    }
    for (const std::string_view type : copied_types()) TRY(copy_definitions(type));
    TRY(take_cohort());
    TRY(take_consents(standing, said_by(standing)));
    TRY(save_cursor());
    log::info("a project's view was built",
              {{"project", project_.id}, {"patients", static_cast<std::int64_t>(cohort_.size())}});
    return {};
}

Result<void> View::save_cursor() {
    TRY(view_.store().save_setting(cursor_setting, std::to_string(next_)));
    saved_ = next_;
    return {};
}

Result<void> View::copy_definitions(std::string_view type) {
    Pending pending(view_);
    store::Plan plan;
    plan.type = record_.parameters()->type_name(type);
    plan.limit = limits::view_resources_at_once;
    const auto snapshot = TRY(record_.store().snapshot());
    while (true) {
        const store::Matches matches = TRY(snapshot->search(plan));
        for (const store::Stored& stored : TRY(snapshot->fetch(matches.rids)))
            TRY(pending.put(type, stored.id, TRY(record_.decode(stored)).json));
        if (!matches.more) return pending.write();
        plan.after = matches.rids.back();
    }
}

Result<View::Cohort> View::read_cohort(store::Snapshot& snapshot) const {
    Cohort cohort;
    const std::string id = project_.cohort.substr(project_.cohort.find('/') + 1);
    const auto stored = TRY(snapshot.find({record_.parameters()->type_name("Group"), id}));
    if (!stored || stored->deleted()) return cohort;
    const fhir::Resource group = TRY(record_.decode(*stored));
    const JsonDocument document = TRY(JsonDocument::parse(group.json));
    for (const Json& member : document.root()["member"].items()) {
        const std::string_view reference = member["entity"].string_at("reference");
        if (!reference.starts_with(patient_stem) || member["inactive"].boolean()) continue;
        const std::string_view patient = reference.substr(patient_stem.size());
        cohort.emplace(patient.substr(0, patient.find('/')));
        if (cohort.size() > limits::project_patients_max)
            return fail(Category::too_large, fmt::format("a project shows at most {} patients",
                                                         limits::project_patients_max));
    }
    return cohort;
}

/// Makes the view hold exactly the patients of the cohort.
Result<void> View::take_cohort() {
    Cohort wanted = TRY(read_cohort(*TRY(record_.store().snapshot())));
    const Cohort before = std::exchange(cohort_, wanted);
    std::map<std::string, std::string> by_pseudonym;
    for (const std::string& id : wanted)
        by_pseudonym.emplace(transformation_.key().pseudonym("Patient", id), id);
    // Those who are in the view and in the cohort no more: also after a restart, when nobody
    // remembers who they were.
    store::Plan plan;
    plan.type = view_.parameters()->type_name("Patient");
    plan.limit = limits::view_resources_at_once;
    std::vector<std::string> gone;
    std::set<std::string> shown_now;
    const auto snapshot = TRY(view_.store().snapshot());
    while (true) {
        const store::Matches matches = TRY(snapshot->search(plan));
        for (const store::Stored& stored : TRY(snapshot->fetch(matches.rids)))
            (by_pseudonym.contains(stored.id) ? static_cast<void>(shown_now.insert(stored.id))
                                              : gone.push_back(stored.id));
        if (!matches.more) break;
        plan.after = matches.rids.back();
    }
    for (const std::string& pseudonym : gone) TRY(remove_patient(pseudonym));
    for (const std::string& id : before)
        if (!wanted.contains(id)) TRY(tell_patient("no longer shown", id));
    // In the order of the pseudonyms: that of the view's rows must not be that of the real ids.
    for (const auto& [pseudonym, id] : by_pseudonym)
        if (!shown_now.contains(pseudonym)) TRY(build_patient(id));
    return {};
}

Result<fhir::Caller> View::entry_caller() {
    fhir::Caller caller = writer();
    caller.access = TRY(decisions_.filter(subject_of_entry(project_)));
    caller.purpose = project_.purpose;
    return caller;
}

Result<std::optional<Person>> View::person(store::Snapshot& snapshot, const std::string& id) {
    const auto stored = TRY(snapshot.find({record_.parameters()->type_name("Patient"), id}));
    if (!stored || stored->deleted()) return std::optional<Person>();
    const auto resource = record_.decode(*stored);
    if (!resource && resource.error().category == Category::gone) return std::optional<Person>();
    if (!resource) return std::unexpected(resource.error());
    Person found = person_of(TRY(JsonDocument::parse(resource->json)).root());
    found.id = id;
    return std::optional(std::move(found));
}

/// Under whom a resource lies: as the keys of its body have it.
std::string View::home_of(const std::string& type, const Json& resource) {
    const std::string base = record_.base_url();
    const auto rows = fhir::search::extract(*record_.parameters(), type, resource,
                                            record_.store().names(), {.base_url = base});
    return rows.compartments.empty() ? std::string() : rows.compartments.front().id;
}

/// Writes all of one patient that the policy lets in, and takes away what it does not.
Result<void> View::build_patient(const std::string& id) {
    if (is_stopping_.load(std::memory_order_relaxed))
        return fail(Category::unavailable, "the view is being closed");
    const auto snapshot = TRY(record_.store().snapshot());
    const std::string pseudonym = transformation_.key().pseudonym("Patient", id);
    const auto whose = TRY(person(*snapshot, id));
    if (!whose) return remove_patient(pseudonym);
    Pending pending(view_);
    const bool was_shown = TRY(pending.is_there("Patient", pseudonym));
    const fhir::Caller caller = TRY(entry_caller());
    std::set<std::pair<std::string, std::string>> kept;
    store::Plan plan;
    plan.where = store::InCompartment{{record_.parameters()->type_name("Patient"), id}};
    plan.limit = limits::view_resources_at_once;
    while (true) {
        const store::Matches matches = TRY(snapshot->search(plan));
        const auto admitted =
            TRY(record_.admitted(caller, *snapshot, TRY(snapshot->fetch(matches.rids))));
        for (const store::Stored& stored : admitted) {
            const auto resource = record_.decode(stored);
            if (!resource && resource.error().category == Category::gone) continue;
            if (!resource) return std::unexpected(resource.error());
            if (!is_shown(resource->type)) continue;
            const JsonDocument document = TRY(JsonDocument::parse(resource->json));
            if (home_of(resource->type, document.root()) != id) continue;
            auto copy = transformation_.of(document.root(), *whose);
            if (!copy) continue;
            std::string copy_id = transformation_.key().pseudonym(resource->type, resource->id);
            kept.emplace(resource->type, copy_id);
            TRY(pending.put(resource->type, std::move(copy_id), *std::move(copy)));
        }
        if (!matches.more) break;
        plan.after = matches.rids.back();
    }
    TRY(pending.write());
    TRY(remove_all_but(pseudonym, kept));
    const bool is_shown_now = kept.contains({"Patient", pseudonym});
    if (is_shown_now != was_shown)
        TRY(tell_patient(is_shown_now ? "shown" : "no longer shown", id));
    return {};
}

Result<void> View::remove_patient(const std::string& pseudonym) {
    return remove_all_but(pseudonym, {});
}

Result<void> View::remove_all_but(const std::string& pseudonym,
                                  const std::set<std::pair<std::string, std::string>>& kept) {
    Pending pending(view_);
    const auto parameters = view_.parameters();
    store::Plan plan;
    plan.where = store::InCompartment{{parameters->type_name("Patient"), pseudonym}};
    plan.limit = limits::view_resources_at_once;
    const auto snapshot = TRY(view_.store().snapshot());
    while (true) {
        const store::Matches matches = TRY(snapshot->search(plan));
        for (const store::Stored& stored : TRY(snapshot->fetch(matches.rids))) {
            const std::string type(parameters->type_text(stored.type));
            if (!kept.contains({type, stored.id})) TRY(pending.put(type, stored.id, std::nullopt));
        }
        if (!matches.more) return pending.write();
        plan.after = matches.rids.back();
    }
}

/// So that patients can see in which projects their data lie.
Result<void> View::tell_patient(std::string_view what, const std::string& id) {
    fhir::AuditRecord record;
    record.interaction = fhir::Interaction::job;
    record.query = fmt::format("project {}: {}", project_.id, what);
    record.patients = {id};
    fhir::Caller caller = writer();
    caller.purpose = project_.purpose;
    return record_.note(caller, {std::move(record)});
}

// --- following ---

/// What each patient's consents say now, and when that changes by the passing of time.
View::Said View::said_by(const consent::Standing& standing) const {
    Said said;
    const consent::Question question{{project_.actor}, project_.purpose, now()};
    for (const auto& [id, document] : *standing.consents) {
        if (!document->patient.starts_with(patient_stem)) continue;
        const std::string patient = document->patient.substr(patient_stem.size());
        if (!cohort_.contains(patient)) continue;
        said.shapes[patient] +=
            consent::shape_of(consent::answer(*document, question, said.changes_at)) + "|";
    }
    return said;
}

/// What decides what is shown, besides the record itself: when it is another than the view was
/// built by, everything is looked at again.
std::string View::terms_with(const Said& said) const {
    std::string text = fmt::format("{} {} {} {} ", transformation_version, policy_hash_,
                                   project_.purpose, project_.actor);
    for (const auto& [patient, shape] : said.shapes)
        text += fmt::format("{}:{}{}:{}", patient.size(), patient, shape.size(), shape);
    return to_hex(sha256(text));
}

/// The view is as these consents want it.
Result<void> View::take_consents(const consent::Standing& standing, Said said) {
    TRY(view_.store().save_setting(terms_setting, terms_with(said)));
    said_ = std::move(said);
    known_consents_ = standing.consents;
    return {};
}

Result<void> View::look_at_consents(store::Snapshot& snapshot) {
    const consent::Standing standing = TRY(consents_.at(snapshot));
    if (standing.consents == known_consents_ && now() < said_.changes_at) return {};
    Said said = said_by(standing);
    const auto shape_in = [](const Said& all, const std::string& patient) {
        const auto found = all.shapes.find(patient);
        return found == all.shapes.end() ? std::string() : found->second;
    };
    // After a restart nobody remembers what each of them said.
    const bool is_first = known_consents_ == nullptr;
    const bool is_all = is_first && TRY(view_.store().setting(terms_setting)) != terms_with(said);
    for (const std::string& patient : cohort_) {
        if (is_all || (!is_first && shape_in(said_, patient) != shape_in(said, patient)))
            TRY(build_patient(patient));
    }
    return take_consents(standing, std::move(said));
}

Result<bool> View::follow(store::Snapshot& snapshot) {
    const store::Position last = snapshot.position();
    const auto entries = TRY(snapshot.log(next_, limits::view_log_entries_at_once));
    const store::Name eraser =
        record_.store().names().find(store::NameKind::actor, erasing_actor());
    std::set<std::pair<std::string, std::string>> touched;
    for (const store::LogEntry& entry : entries) {
        if (entry.is_audit()) continue;
        const std::string type(record_.parameters()->type_text(entry.type));
        const bool is_erased =
            entry.verb == store::Verb::remove && eraser != 0 && entry.actor == eraser;
        if (is_erased && type == "Patient" && TRY(was_ever_shown(entry.id)))
            is_to_be_made_anew_ = true;
        touched.emplace(type, entry.id);
    }
    Pending pending(view_);
    for (const auto& [type, id] : touched) TRY(follow_entry(snapshot, type, id, pending));
    TRY(pending.write());
    next_ = entries.empty() ? last + 1 : entries.back().position + 1;
    if (pending.has_written || next_ - saved_ >= cursor_saved_every) TRY(save_cursor());
    followed_.store(next_ - 1, std::memory_order_release);
    return next_ <= last;
}

/// Also of who left the cohort: older versions of their copies are still in the view's store.
Result<bool> View::was_ever_shown(const std::string& id) {
    const std::string pseudonym = transformation_.key().pseudonym("Patient", id);
    const store::Name type = view_.parameters()->type_name("Patient");
    return TRY(view_.store().find({type, pseudonym})).has_value();
}

Result<void> View::follow_entry(store::Snapshot& snapshot, const std::string& type,
                                const std::string& id, Pending& pending) {
    if (fmt::format("{}/{}", type, id) == project_.cohort) return take_cohort();
    if (type == "Patient") return cohort_.contains(id) ? build_patient(id) : Result<void>();
    if (!is_shown(type) && !is_copied(type)) return {};
    const std::string copy_id = is_copied(type) ? id : transformation_.key().pseudonym(type, id);
    const auto stored = TRY(snapshot.find({record_.parameters()->type_name(type), id}));
    if (!stored || stored->deleted()) return pending.put(type, copy_id, std::nullopt);
    const auto resource = record_.decode(*stored);
    if (!resource && resource.error().category == Category::gone)
        return pending.put(type, copy_id, std::nullopt);
    if (!resource) return std::unexpected(resource.error());
    if (is_copied(type)) return pending.put(type, copy_id, resource->json);

    const JsonDocument document = TRY(JsonDocument::parse(resource->json));
    const std::string home = home_of(type, document.root());
    if (!cohort_.contains(home)) return pending.put(type, copy_id, std::nullopt);
    // Once for a step: what changes meanwhile has an entry of its own.
    if (!step_caller_) step_caller_ = TRY(entry_caller());
    auto known = step_persons_.find(home);
    if (known == step_persons_.end())
        known = step_persons_.emplace(home, TRY(person(snapshot, home))).first;
    const std::optional<Person>& whose = known->second;
    if (!whose || TRY(record_.admitted(*step_caller_, snapshot, {*stored})).empty())
        return pending.put(type, copy_id, std::nullopt);
    auto copy = transformation_.of(document.root(), *whose);
    return pending.put(type, copy_id, copy ? std::optional(*std::move(copy)) : std::nullopt);
}

Result<std::string> View::patient_of(std::string_view pseudonym) const {
    const auto snapshot = TRY(record_.store().snapshot());
    for (const std::string& id : TRY(read_cohort(*snapshot))) {
        if (transformation_.key().pseudonym("Patient", id) != pseudonym) continue;
        // Of who was erased nobody is told that they were.
        const auto stored = TRY(snapshot->find({record_.parameters()->type_name("Patient"), id}));
        if (stored && !stored->deleted()) return id;
    }
    return fail(Category::not_found, "the project has no patient of this pseudonym");
}

}  // namespace meridian::trust::pseudonym
