// SPDX-License-Identifier: Apache-2.0
#include "fhir/repository.hpp"

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/audit_trail.hpp"
#include "fhir/home.hpp"
#include "fhir/search/contained.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/holds.hpp"
#include "fhir/store_repository.hpp"
#include "fhir/stored_form.hpp"
#include "fhir/token_key.hpp"
#include "store/codec.hpp"

namespace meridian::fhir {

namespace {

/// Kept once every resource of the store has the rows of search/pairs.hpp.
constexpr std::string_view derived_rows_setting = "derived-rows";

std::unexpected<Error> no_such(std::string_view type, std::string_view id) {
    return fail(Category::not_found, fmt::format("there is no {}/{}", type, id.substr(0, 64)));
}

std::unexpected<Error> was_deleted(std::string_view type, std::string_view id) {
    return fail(Category::gone, fmt::format("{}/{} was deleted", type, id));
}

}  // namespace

Result<std::unique_ptr<Repository>> Repository::open(store::Store& store, Options options) {
    use_token_key(store.names(), *options.cipher);
    auto repository = std::make_unique<StoreRepository>(store, std::move(options));
    TRY(repository->start());
    return repository;
}

StoreRepository::StoreRepository(store::Store& store, Options options)
    : store_(store),
      options_(std::move(options)),
      parameters_(search::Parameters::make(definitions(), store.names())),
      history_key_(random_bytes(32)),
      followers_(store) {
    store_.on_commit([this](store::Position last) { followers_.wake(last); });
}

Result<void> StoreRepository::start() {
    if (options_.base_url.empty()) {
        base_url_ = TRY(store_.setting(base_url_setting)).value_or("");
    } else {
        TRY(set_base_url(options_.base_url));
    }
    TRY(look_for_derived_rows());
    custom_parameters_ = std::make_shared<CustomParameters>(*this);
    TRY(custom_parameters_->load());
    followers_.add(custom_parameters_);
    return {};
}

Result<void> StoreRepository::look_for_derived_rows() {
    if (TRY(store_.setting(derived_rows_setting)) == "1") {
        has_derived_rows_ = true;
    } else if (TRY(store_.snapshot())->position() < 0) {
        TRY(note_derived_rows());  // whatever comes will have them
    }
    return {};
}

Result<void> StoreRepository::note_derived_rows() {
    TRY(store_.save_setting(derived_rows_setting, "1"));
    has_derived_rows_ = true;
    return {};
}

StoreRepository::~StoreRepository() {
    followers_.stop();
    if (custom_parameters_) custom_parameters_->stop();
    store_.on_commit([](store::Position) {});
}

std::shared_ptr<const search::Parameters> StoreRepository::parameters() const {
    const std::shared_lock lock(mutex_);
    return parameters_;
}

Result<void> StoreRepository::set_parameters(std::shared_ptr<const search::Parameters> parameters) {
    const std::unique_lock lock(mutex_);
    parameters_ = std::move(parameters);
    return {};
}

void StoreRepository::set_concepts(std::shared_ptr<const search::ConceptSource> concepts) {
    const std::unique_lock lock(mutex_);
    concepts_ = std::move(concepts);
}

void StoreRepository::set_label_rule(std::shared_ptr<const LabelRule> rule) {
    const std::unique_lock lock(mutex_);
    label_rule_ = std::move(rule);
}

std::shared_ptr<const LabelRule> StoreRepository::label_rule() const {
    const std::shared_lock lock(mutex_);
    return label_rule_;
}

Result<void> StoreRepository::set_base_url(std::string base_url) {
    while (base_url.ends_with('/')) base_url.pop_back();
    if (TRY(store_.setting(base_url_setting)).value_or("") != base_url)
        TRY(store_.save_setting(base_url_setting, base_url));
    const std::unique_lock lock(mutex_);
    base_url_ = std::move(base_url);
    return {};
}

std::string StoreRepository::base_url() const {
    const std::shared_lock lock(mutex_);
    return base_url_;
}

void StoreRepository::add_inline_view(std::shared_ptr<const InlineView> view) {
    const std::unique_lock lock(mutex_);
    inline_views_.push_back(std::move(view));
}

void StoreRepository::add_following_view(std::shared_ptr<FollowingView> view) {
    followers_.add(std::move(view));
}

search::ParseOptions StoreRepository::parse_options(const Caller& caller,
                                                    std::string_view base_url) const {
    search::ParseOptions options;
    options.now = now();
    options.access = caller.access;
    options.zone_minutes = options_.zone_minutes;
    options.has_derived_rows = has_derived_rows_;
    const std::shared_lock lock(mutex_);
    options.base_url = base_url.empty() ? std::string_view(base_url_) : base_url;
    options.concepts = concepts_.get();
    return options;
}

Resource StoreRepository::describe(const store::Stored& stored) const {
    Resource resource;
    resource.type = parameters()->type_text(stored.type);
    resource.id = stored.id;
    resource.version = stored.version;
    resource.updated = stored.updated;
    resource.deleted = stored.deleted();
    resource.verb = stored.verb;
    resource.rid = stored.rid;
    return resource;
}

Result<Resource> StoreRepository::decode(const store::Stored& stored) {
    Resource resource = describe(stored);
    if (stored.deleted()) return resource;
    if (options_.cipher->is_plain()) {
        resource.json = TRY(store::decode_stamped(stored.body, stored.version, stored.updated));
    } else {
        const std::string opened = TRY(options_.cipher->open(stored));
        resource.json = TRY(store::decode_stamped(opened, stored.version, stored.updated));
    }
    return resource;
}

Result<std::optional<Resource>> StoreRepository::show_kept(const Caller& caller,
                                                           const store::Stored& stored) {
    auto resource = show(caller, stored);
    if (resource) return std::optional(*std::move(resource));
    if (resource.error().category == Category::gone) return std::optional<Resource>();
    return std::unexpected(std::move(resource).error());
}

Result<StoreRepository::Encoded> StoreRepository::encode(const Json& resource,
                                                         std::string_view type, std::string_view id,
                                                         std::string_view organisation) {
    Encoded encoded;
    StoredForm form = stored_form(resource, type, id);
    store::Change& change = encoded.change;
    const auto parameters = this->parameters();
    change.identity = {parameters->type_name(type), std::string(id)};
    const std::string base = base_url();
    change.rows = search::extract(*parameters, type, resource, store_.names(),
                                  {.base_url = base, .zone_minutes = options_.zone_minutes});
    {
        const std::shared_lock lock(mutex_);
        for (const auto& view : inline_views_) {
            std::vector<std::pair<std::string, std::string>> rows;
            view->rows(type, resource, rows);
            const store::Name name = store_.names().intern(store::NameKind::view, view->name());
            for (auto& [key, value] : rows)
                change.rows.views.push_back({name, std::move(key), std::move(value)});
        }
    }
    change.body_hash = sha256(form.json);
    change.body = store::encode(type, form.json, form.stamp_at);
    if (!options_.cipher->is_plain()) {
        const std::string home = home_of(type, id, change.rows.compartments);
        change.body = TRY(
            options_.cipher->seal({home, organisation}, change.identity, std::move(change.body)));
    }
    encoded.json = std::move(form.json);
    encoded.stamp_at = form.stamp_at;
    return encoded;
}

Result<Resource> StoreRepository::show(const Caller& caller, const store::Stored& stored) {
    Resource resource = TRY(decode(stored));
    if (!resource.deleted && caller.access->masks(resource.type))
        resource.json = TRY(caller.access->masked(std::move(resource.json)));
    return resource;
}

Result<bool> StoreRepository::satisfies(store::Snapshot& snapshot, const store::Identity& identity,
                                        store::Condition condition) {
    store::Plan plan;
    plan.type = identity.type;
    plan.limit = 1;
    plan.where =
        search::admitted_by(std::move(condition), store::HasId{identity.type, {identity.id}});
    return !TRY(snapshot.search(plan)).rids.empty();
}

Result<bool> StoreRepository::satisfied(store::Snapshot& snapshot, const store::Stored& stored,
                                        const store::Condition& condition) {
    const auto registry = parameters();
    const Resource resource = TRY(decode(stored));
    const JsonDocument document = TRY(JsonDocument::parse(resource.json));
    search::Candidate candidate;
    candidate.identity = {stored.type, stored.id};
    candidate.position = stored.position;
    const std::string base = base_url();
    candidate.rows = search::extract(*registry, resource.type, document.root(), store_.names(),
                                     {.base_url = base, .zone_minutes = options_.zone_minutes});
    return search::holds(condition, candidate, snapshot);
}

Result<bool> StoreRepository::sees(store::Snapshot& snapshot, const Caller& caller,
                                   const store::Stored& stored) {
    if (caller.access->sees_everything()) return true;
    store::Condition visible = caller.access->visible(stored.type);
    if (std::holds_alternative<store::Everything>(visible.as_variant())) return true;
    if (std::holds_alternative<store::Nothing>(visible.as_variant())) return false;
    const store::Identity identity{stored.type, stored.id};
    const auto newest = TRY(snapshot.find(identity));
    if (!newest) return false;
    const bool is_newest = newest->version == stored.version;
    if (is_newest && !stored.deleted()) return satisfies(snapshot, identity, std::move(visible));
    if (!is_newest && !TRY(sees(snapshot, caller, *newest))) return false;
    const auto living = stored.deleted() ? TRY(snapshot.find_version(identity, stored.version - 1))
                                         : std::optional(stored);
    return living && !living->deleted() && TRY(satisfied(snapshot, *living, visible));
}

Result<std::vector<store::Stored>> StoreRepository::admitted(const Caller& caller,
                                                             store::Snapshot& snapshot,
                                                             std::vector<store::Stored> stored) {
    if (caller.access->sees_everything()) return stored;
    std::vector<store::Stored> newest;
    for (const store::Stored& one : stored) {
        if (!one.current || one.deleted()) continue;
        newest.push_back(one);
        newest.back().body.clear();
    }
    std::unordered_set<store::Rid> visible;
    for (const store::Stored& one :
         TRY(search::admitted(snapshot, std::move(newest), *caller.access)))
        visible.insert(one.rid);
    std::vector<store::Stored> kept;
    for (store::Stored& one : stored) {
        const bool is_newest = one.current && !one.deleted();
        if (is_newest ? visible.contains(one.rid) : TRY(sees(snapshot, caller, one)))
            kept.push_back(std::move(one));
    }
    return kept;
}

Result<std::optional<store::Stored>> StoreRepository::find(store::Snapshot& snapshot,
                                                           const Caller& caller,
                                                           std::string_view type,
                                                           std::string_view id,
                                                           AuditRecord* record) {
    const store::Name type_name = parameters()->type_name(type);
    if (type_name == 0)
        return fail(Category::not_found,
                    fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 60)));
    auto stored = TRY(snapshot.find({type_name, std::string(id)}));
    // What is hidden is asked about; so is what is not there, or the work would tell one from the
    // other.
    if ((!stored || stored->deleted()) && !caller.access->sees_everything())
        (void)TRY(
            satisfies(snapshot, {type_name, std::string(id)}, caller.access->visible(type_name)));
    if (stored && !TRY(sees(snapshot, caller, *stored))) {
        if (record != nullptr && is_recorded(caller)) {
            record->outcome = AuditOutcome::refused;
            if (const auto hidden = decode(*stored)) tell_patients(caller, *hidden, *record);
        }
        stored.reset();
    }
    return stored;
}

Result<Resource> StoreRepository::read(const Caller& caller, std::string_view type,
                                       std::string_view id) {
    AuditRecord about{
        .interaction = Interaction::read, .type = std::string(type), .id = std::string(id)};
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Resource> {
        if (options_.trail && type == "AuditEvent" && options_.trail->is_id(id)) {
            auto event = TRY(options_.trail->read(snapshot, caller, id));
            if (!event) return no_such(type, id);
            return std::move(*event);
        }
        TRY(caller.access->allow(Right::read, type));
        auto resource =
            answer_read(caller, type, id, TRY(find(snapshot, caller, type, id, &record)));
        if (resource) tell_patients(caller, *resource, record);
        return resource;
    };
    return read_from(caller, std::move(about), work);
}

std::optional<Repository::AtOnce> StoreRepository::read_at_once(const Caller& caller,
                                                                std::string_view type,
                                                                std::string_view id) {
    const store::Name type_name = parameters()->type_name(type);
    const bool is_of_trail = options_.trail && type == "AuditEvent";
    if (type_name == 0 || !caller.access->sees_everything() || caller.max_stale || is_of_trail)
        return std::nullopt;
    if (is_recorded(caller) && (caller.gathering || !options_.audit->records_at_once(caller)))
        return std::nullopt;
    const auto found = store_.find({type_name, std::string(id)});
    if (!found) return std::nullopt;
    const auto& stored = *found;
    if (stored && stored->body.size() > limits::http_body_at_once_bytes_max) return std::nullopt;
    if (stored && !stored->deleted() && !options_.cipher->opens_at_once(*stored))
        return std::nullopt;
    AtOnce answer{.outcome = answer_read(caller, type, id, stored)};
    if (!is_recorded(caller)) return answer;
    answer.owed = AuditRecord{
        .interaction = Interaction::read, .type = std::string(type), .id = std::string(id)};
    if (answer.outcome) {
        tell_patients(caller, *answer.outcome, *answer.owed);
    } else {
        answer.owed->outcome = outcome_of(answer.outcome.error());
    }
    return answer;
}

Result<Resource> StoreRepository::answer_read(const Caller& caller, std::string_view type,
                                              std::string_view id,
                                              const std::optional<store::Stored>& stored) {
    if (!stored) return no_such(type, id);
    if (stored->deleted()) return was_deleted(type, id);
    return show(caller, *stored);
}

Result<Resource> StoreRepository::read_version(const Caller& caller, std::string_view type,
                                               std::string_view id, store::Version version) {
    AuditRecord about{.interaction = Interaction::vread,
                      .type = std::string(type),
                      .id = std::string(id),
                      .version = version};
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Resource> {
        if (options_.trail && type == "AuditEvent" && options_.trail->is_id(id)) {
            auto event = TRY(options_.trail->read(snapshot, caller, id));
            if (!event || version != event->version) return no_such(type, id);
            return std::move(*event);
        }
        TRY(caller.access->allow(Right::read, type));
        const auto newest = TRY(find(snapshot, caller, type, id, &record));
        if (!newest) return no_such(type, id);
        auto stored = newest->version == version
                          ? newest
                          : TRY(snapshot.find_version({newest->type, newest->id}, version));
        if (!stored || !TRY(sees(snapshot, caller, *stored)))
            return fail(Category::not_found,
                        fmt::format("{}/{} has no version {}", type, id, version));
        if (stored->deleted()) return was_deleted(type, fmt::format("{}/_history/{}", id, version));
        auto resource = show(caller, *stored);
        if (resource) tell_patients(caller, *resource, record);
        return resource;
    };
    return read_from(caller, std::move(about), work);
}

Result<Page> StoreRepository::page_of(const Caller& caller, search::Answer answer) {
    Page page;
    page.entries.reserve(answer.entries.size());
    for (const search::Answer::Entry& entry : answer.entries) {
        auto resource = TRY(show_kept(caller, entry.stored));
        if (!resource) continue;  // its person is being erased just now
        Page::Entry& shown = page.entries.emplace_back(*std::move(resource), entry.mode);
        shown.score = entry.score;
        if (entry.contained_type.empty()) continue;
        const JsonDocument document = TRY(JsonDocument::parse(shown.resource.json));
        const Json* contained = search::contained_at(*parameters(), document.root(),
                                                     entry.contained_type, entry.contained_slot);
        if (contained == nullptr)
            return fail(Category::fault,
                        fmt::format("the index knows a contained {} that {}/{} does not hold; run "
                                    "`meridian reindex`",
                                    entry.contained_type, shown.resource.type, shown.resource.id));
        if (const auto id = contained->string_at("id"); is_fhir_id(id)) shown.fragment = id;
        shown.resource.json = to_text(*contained);
    }
    page.total = answer.total;
    page.self = std::move(answer.self);
    page.next = std::move(answer.next);
    page.previous = std::move(answer.previous);
    page.warnings = std::move(answer.warnings);
    page.summary = answer.summary;
    page.elements = std::move(answer.elements);
    return page;
}

search::RunContext StoreRepository::run_context(store::Snapshot& snapshot,
                                                const search::Parameters& parameters,
                                                const Caller& caller) {
    return {snapshot,
            parameters,
            &cursors_,
            caller.cursor_key(),
            now(),
            [this](const store::Stored& stored) -> Result<std::string> {
                return std::move(TRY(decode(stored)).json);
            },
            &store_.names(),
            base_url(),
            options_.walk_results_max};
}

Result<Page> StoreRepository::search(const Caller& caller, std::string_view type,
                                     const QueryParameters& parameters,
                                     const SearchOptions& options) {
    AuditRecord about{.interaction = Interaction::search, .type = std::string(type)};
    if (is_recorded(caller)) about.query = query_string(parameters);
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Page> {
        const bool is_of_trail = options_.trail && type == "AuditEvent";
        if (!type.empty() && type != "*" && !is_of_trail)
            TRY(caller.access->allow(Right::search, type));
        return search_on(snapshot, record, caller, type, parameters, options);
    };
    return read_from(caller, std::move(about), work);
}

Result<Page> StoreRepository::search_on(store::Snapshot& snapshot, AuditRecord& record,
                                        const Caller& caller, std::string_view type,
                                        const QueryParameters& parameters,
                                        const SearchOptions& options) {
    if (options.compartment_type == "Patient") record.add_patient(options.compartment_id);
    if (options_.trail && type == "AuditEvent")
        return options_.trail->search(snapshot, caller, parameters, options);
    const auto registry = this->parameters();
    const search::SnapshotTimeline timeline(snapshot);
    search::ParseOptions parse = parse_options(caller, options.base_url);
    parse.lenient = options.lenient;
    parse.compartment_type = options.compartment_type;
    parse.compartment_id = options.compartment_id;
    parse.count_only = options.count_only;
    parse.timeline = &timeline;
    const search::SnapshotCanonicals canonicals(
        snapshot, [this](const store::Stored& stored) -> Result<std::string> {
            return std::move(TRY(decode(stored)).json);
        });
    parse.canonicals = &canonicals;
    auto query = std::make_shared<const search::Query>(
        TRY(search::parse(*registry, store_.names(), type, parameters, parse)));
    record.query = query->self;
    Page page =
        TRY(page_of(caller, TRY(search::run(run_context(snapshot, *registry, caller), query))));
    page.self_path =
        options.compartment_type.empty()
            ? std::string(type)
            : fmt::format("{}/{}/{}", options.compartment_type, options.compartment_id, type);
    tell_patients(caller, page, record);
    return page;
}

Result<Page> StoreRepository::next_page(const Caller& caller, std::string_view cursor) {
    if (cursor.starts_with("h.")) return history_after(caller, cursor);
    AuditRecord about{.interaction = Interaction::search};
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Page> {
        Page page = TRY(page_after(snapshot, caller, cursor));
        record.query = page.self;
        if (!page.entries.empty()) record.type = page.entries.front().resource.type;
        tell_patients(caller, page, record);
        return page;
    };
    return read_from(caller, std::move(about), work);
}

// Behind the last page of a patient's $everything come the audit's entries: what a cursor needs for
// that stands in front of it, "e.PATIENT,COUNT.CURSOR".
Result<Page> StoreRepository::page_after(store::Snapshot& snapshot, const Caller& caller,
                                         std::string_view cursor) {
    if (options_.trail && cursor.starts_with("a."))
        return options_.trail->next_page(snapshot, caller, cursor);
    std::string patient;
    if (options_.trail && cursor.starts_with("e.")) {
        const std::size_t comma = cursor.find(',');
        if (comma == std::string_view::npos)
            return fail(Category::gone, "this page link is not valid any more");
        patient = cursor.substr(2, comma - 2);
        cursor = cursor.substr(comma + 1);
    }
    const auto registry = parameters();
    Page page = TRY(page_of(caller, TRY(search::run_page(run_context(snapshot, *registry, caller),
                                                         cursor, *caller.access))));
    if (!patient.empty()) TRY(lead_to_audit(snapshot, caller, patient, page));
    return page;
}

Result<void> StoreRepository::lead_to_audit(store::Snapshot& snapshot, const Caller& caller,
                                            std::string_view patient, Page& page) const {
    if (!page.next.empty()) {
        page.next = fmt::format("e.{},{}", patient, page.next);
    } else {
        page.next = TRY(options_.trail->cursor_of_patient(snapshot, caller, patient,
                                                          limits::page_size_default));
    }
    return {};
}

// --- audit ---

namespace {

/// What became of an audit record, for whoever waits for the answer that it tells of.
Result<void> told(Result<void> kept) {
    if (kept) return kept;
    Error error = std::move(kept).error();
    if (error.category != Category::busy) error.category = Category::unavailable;
    error.message = "the access could not be audited, so it is not answered: " + error.message;
    return std::unexpected(std::move(error));
}

}  // namespace

AuditOutcome StoreRepository::outcome_of(const Error& error) {
    const bool is_refused =
        error.category == Category::forbidden || error.category == Category::unauthenticated;
    return is_refused ? AuditOutcome::refused : AuditOutcome::minor_failure;
}

void StoreRepository::tell_patients(const Caller& caller, const Resource& resource,
                                    AuditRecord& record) const {
    if (is_recorded(caller))
        record.add_patients_of(resource.type, resource.id, resource.json, base_url());
}

void StoreRepository::tell_patients(const Caller& caller, const Page& page,
                                    AuditRecord& record) const {
    if (!is_recorded(caller)) return;
    const std::string base = base_url();
    for (const Page::Entry& entry : page.entries)
        record.add_patients_of(entry.resource.type, entry.resource.id, entry.resource.json, base);
}

Result<void> StoreRepository::note(const Caller& caller, std::vector<AuditRecord> records) {
    return told(
        store::with_names([&] { return options_.audit->record(caller, std::move(records)); }));
}

void StoreRepository::note_later(const Caller& caller, AuditRecord record,
                                 std::function<void(Result<void>)> done) {
    options_.audit->record_later(
        caller, std::move(record),
        [done = std::move(done)](Result<void> kept) { done(told(std::move(kept))); });
}

Result<std::vector<Resource>> StoreRepository::audit_events(store::Snapshot& snapshot,
                                                            const Caller& caller,
                                                            store::Position& from,
                                                            store::Position at, std::size_t limit) {
    if (options_.trail) return options_.trail->walk(snapshot, caller, from, at, limit);
    from = at + 1;
    return std::vector<Resource>();
}

}  // namespace meridian::fhir
