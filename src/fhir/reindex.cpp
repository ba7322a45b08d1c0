// SPDX-License-Identifier: Apache-2.0
#include "fhir/reindex.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"
#include "fhir/search/contained.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/store_repository.hpp"

namespace meridian::fhir {

namespace {

std::string ready_key(std::string_view url) {
    return fmt::format("search-parameter-ready:{}", url);
}

/// The parameters that have rows, added to `params`.
void add_params(const store::Rows& rows, std::vector<store::Name>& params) {
    std::set<store::Name> names(params.begin(), params.end());
    const auto add = [&](const auto& kind) {
        for (const auto& row : kind) names.insert(row.param);
    };
    add(rows.tokens), add(rows.strings), add(rows.dates), add(rows.numbers), add(rows.quantities);
    add(rows.references), add(rows.uris), add(rows.composites), add(rows.texts);
    params.assign(names.begin(), names.end());
}

/// Extracts and replaces the rows of one stored version: those of `params` and, with `is_whole`,
/// all that its contained resources give, whose names are as many as there are places.
Result<void> reindex_one(StoreRepository& repository, const search::Parameters& parameters,
                         std::string_view type, const store::Stored& stored,
                         std::vector<store::Name> params, bool is_whole) {
    const Resource resource = TRY(repository.decode(stored));
    const JsonDocument document = TRY(JsonDocument::parse(resource.json));
    const std::string base = repository.base_url();
    const search::ExtractOptions options{.base_url = base,
                                         .zone_minutes = repository.options().zone_minutes};
    store::Names& names = repository.store().names();
    store::Rows rows;
    if (is_whole && document.root().find("contained") != nullptr) {
        rows = search::extract(parameters, type, document.root(), names, options);
        rows.patients.clear();
        rows.compartments.clear();
        add_params(rows, params);
    } else {
        rows = search::extract_only(parameters, type, document.root(), names, params, options);
    }
    return repository.store().reindex(stored.rid, stored.version, params, std::move(rows));
}

std::vector<store::Name> all_names(const search::Parameters& parameters, std::string_view type) {
    std::vector<store::Name> names;
    for (const search::Parameter* parameter : parameters.list(type)) {
        for (const store::Name name : parameter->names()) names.push_back(name);
    }
    return names;
}

/// Resources written while the walk went on may have been extracted just before the parameters
/// changed: look at them once more.
Result<void> catch_up(StoreRepository& repository, const search::Parameters& parameters,
                      std::string_view type, store::Position from,
                      const std::vector<store::Name>& params, bool is_whole) {
    const store::Name type_name = parameters.type_name(type);
    while (true) {
        auto snapshot = TRY(repository.store().snapshot());
        const auto entries = TRY(snapshot->log(from, limits::follow_batch_entries));
        if (entries.empty()) return {};
        std::vector<store::Rid> rids;
        for (const store::LogEntry& entry : entries) {
            if (entry.type == type_name && entry.verb != store::Verb::remove)
                rids.push_back(entry.rid);
        }
        for (const store::Stored& stored : TRY(snapshot->fetch(rids)))
            TRY(reindex_one(repository, parameters, type, stored, params, is_whole));
        from = entries.back().position + 1;
    }
}

}  // namespace

Result<void> reindex_type(StoreRepository& repository, std::string_view job, std::string_view type,
                          std::vector<store::Name> params,
                          const std::function<bool(const ReindexProgress&)>& go_on) {
    const auto parameters = repository.parameters();
    const store::Name type_name = parameters->type_name(type);
    const bool is_whole = params.empty();
    if (is_whole) params = all_names(*parameters, type);
    const std::string key = fmt::format("reindex:{}:{}", job, type);

    ReindexProgress progress{std::string(type), 0, 0};
    store::Rid after = 0;
    if (const auto kept = TRY(repository.store().setting(key)))
        std::from_chars(kept->data(), kept->data() + kept->size(), after);
    auto first = TRY(repository.store().snapshot());
    const store::Position began = first->position();
    for (const store::TypeCount& count : TRY(first->counts())) {
        if (count.type == type_name) progress.total = count.resources;
    }
    first.reset();

    while (true) {
        auto snapshot = TRY(repository.store().scan());
        const auto batch = TRY(snapshot->walk(type_name, snapshot->position(), after,
                                              limits::reindex_batch_resources));
        snapshot.reset();
        if (batch.empty()) break;
        for (const store::Stored& stored : batch) {
            TRY(reindex_one(repository, *parameters, type, stored, params, is_whole));
            after = stored.rid;
        }
        progress.done += static_cast<std::int64_t>(batch.size());
        TRY(repository.store().save_setting(key, std::to_string(after)));
        if (!go_on(progress))
            return fail(
                Category::unavailable,
                "the reindex was stopped; it goes on where it was when it is started again");
    }
    TRY(catch_up(repository, *parameters, type, began + 1, params, is_whole));
    return repository.store().save_setting(key, "0");
}

Result<void> StoreRepository::reindex(
    std::string_view parameter,
    const std::function<bool(std::string_view, std::int64_t, std::int64_t)>& go_on) {
    const auto tell = [&](const ReindexProgress& progress) {
        return go_on(progress.type, progress.done, progress.total);
    };
    if (parameter.empty()) {
        for (const Type* type : definitions().resources())
            TRY(reindex_type(*this, "all", type->name, {}, tell));
        return note_derived_rows();
    }
    const std::size_t dot = parameter.find('.');
    const search::Parameter* found =
        dot == std::string_view::npos
            ? nullptr
            : parameters()->find(parameter.substr(0, dot), parameter.substr(dot + 1));
    if (found == nullptr)
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no search parameter: expected Type.code, e.g. Observation.code",
                        parameter.substr(0, 80)),
            "--param");
    return reindex_type(*this, parameter, found->type, found->names(), tell);
}

namespace {

/// The same for the contained resources of `type`, whose rows lie with those of their containers.
Result<void> reindex_contained(StoreRepository& repository, std::string_view type,
                               std::span<const store::Name> params,
                               const std::function<bool()>& go_on) {
    store::Names& names = repository.store().names();
    const std::vector<store::Name> in_places = search::names_in_places(names, type, params);
    if (in_places.empty()) return {};
    const auto parameters = repository.parameters();
    store::Plan plan;
    plan.where = store::HasTokenIn{search::contained_presence(names, type, 0), 0,
                                   std::numeric_limits<std::int64_t>::max()};
    plan.limit = limits::reindex_batch_resources;
    while (true) {
        auto snapshot = TRY(repository.store().snapshot());
        const store::Matches matches = TRY(snapshot->search(plan));
        const auto batch = TRY(snapshot->fetch(matches.rids));
        snapshot.reset();
        for (const store::Stored& stored : batch) {
            TRY(reindex_one(repository, *parameters, parameters->type_text(stored.type), stored,
                            in_places, false));
        }
        if (!matches.more) return {};
        plan.after = matches.rids.back();
        if (!go_on())
            return fail(Category::unavailable, "the reindex was stopped; it starts again later");
    }
}

}  // namespace

CustomParameters::CustomParameters(StoreRepository& repository) : repository_(repository) {
    thread_ = std::thread([this] { run(); });
}

CustomParameters::~CustomParameters() {
    stop();
}

void CustomParameters::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Result<void> CustomParameters::load() {
    const store::Name type = repository_.parameters()->type_name("SearchParameter");
    store::Rid after = 0;
    while (true) {
        auto snapshot = TRY(repository_.store().scan());
        const auto batch =
            TRY(snapshot->walk(type, snapshot->position(), after, limits::reindex_batch_resources));
        if (batch.empty()) return {};
        for (const store::Stored& stored : batch) {
            after = stored.rid;
            const Resource resource = TRY(repository_.decode(stored));
            const JsonDocument document = TRY(JsonDocument::parse(resource.json));
            const std::lock_guard lock(change_mutex_);
            if (auto applied = apply(document.root()); !applied) {
                log::warning("a stored SearchParameter is not used",
                             {{"id", stored.id}, {"error", applied.error().message}});
            }
        }
    }
}

Result<void> CustomParameters::follow(store::Snapshot& snapshot,
                                      std::span<const store::LogEntry> entries) {
    const store::Name type = repository_.parameters()->type_name("SearchParameter");
    for (const store::LogEntry& entry : entries) {
        if (entry.type != type) continue;
        if (entry.verb == store::Verb::remove) {
            // The version before the deletion tells which url is meant.
            const auto before = TRY(snapshot.find_version({type, entry.id}, entry.version - 1));
            if (!before || before->deleted()) continue;
            const JsonDocument document =
                TRY(JsonDocument::parse(TRY(repository_.decode(*before)).json));
            TRY(take_away(std::string(document.root().string_at("url"))));
            continue;
        }
        const auto stored = TRY(snapshot.find({type, entry.id}));
        if (!stored || stored->deleted() || stored->version != entry.version)
            continue;  // a later entry tells more
        const JsonDocument document =
            TRY(JsonDocument::parse(TRY(repository_.decode(*stored)).json));
        const std::lock_guard lock(change_mutex_);
        TRY(repository_.store().save_setting(ready_key(document.root().string_at("url")), "0"));
        if (auto applied = apply(document.root()); !applied) {
            log::warning("a SearchParameter is not used",
                         {{"id", entry.id}, {"error", applied.error().message}});
        }
    }
    return {};
}

Result<void> CustomParameters::take_away(const std::string& url) {
    const std::lock_guard lock(change_mutex_);
    TRY(repository_.set_parameters(repository_.parameters()->without(url).parameters));
    return repository_.store().save_setting(ready_key(url), "0");
}

Result<void> CustomParameters::apply(const Json& resource) {
    const std::string url(resource.string_at("url"));
    const search::Parameters::Change change =
        TRY(repository_.parameters()->with(resource, repository_.store().names()));
    auto parameters = change.parameters;
    const auto kept = TRY(repository_.store().setting(ready_key(url)));
    const bool is_ready = kept && *kept == "1";
    if (is_ready) parameters = parameters->ready(url);
    TRY(repository_.set_parameters(parameters));
    if (is_ready || change.changed.empty()) return {};
    {
        const std::lock_guard lock(mutex_);
        urls_.push_back(url);
    }
    changed_.notify_all();
    return {};
}

void CustomParameters::run() {
    while (true) {
        std::string url;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stopping_ || !urls_.empty(); });
            if (stopping_) return;
            url = std::move(urls_.front());
            urls_.pop_front();
        }
        if (auto done = index(url); !done)
            log::warning("indexing a SearchParameter stopped",
                         {{"url", url}, {"error", done.error().message}});
    }
}

Result<void> CustomParameters::index(const std::string& url) {
    const auto parameters = repository_.parameters();
    log::info("indexing a new search parameter", {{"url", url}});
    for (const Type* type : definitions().resources()) {
        const search::Parameter* parameter = parameters->find_url(type->name, url);
        if (parameter == nullptr) continue;
        TRY(reindex_type(repository_, url, type->name, parameter->names(),
                         [this](const ReindexProgress&) {
                             const std::lock_guard lock(mutex_);
                             return !stopping_;
                         }));
        TRY(reindex_contained(repository_, type->name, parameter->names(), [this] {
            const std::lock_guard lock(mutex_);
            return !stopping_;
        }));
    }
    return note_ready(url);
}

Result<void> CustomParameters::note_ready(const std::string& url) {
    const std::lock_guard lock(change_mutex_);
    {
        // What was indexed is an older form of it: the new one has its turn later.
        const std::lock_guard waiting(mutex_);
        if (std::find(urls_.begin(), urls_.end(), url) != urls_.end()) return {};
    }
    const auto parameters = repository_.parameters();
    const auto types = definitions().resources();
    const bool is_there = std::any_of(types.begin(), types.end(), [&](const Type* type) {
        return parameters->find_url(type->name, url) != nullptr;
    });
    if (!is_there) return {};  // deleted meanwhile
    TRY(repository_.store().save_setting(ready_key(url), "1"));
    TRY(repository_.set_parameters(parameters->ready(url)));
    log::info("a new search parameter can be used", {{"url", url}});
    return {};
}

}  // namespace meridian::fhir
