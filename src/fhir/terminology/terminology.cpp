// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/terminology.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/limits.hpp"
#include "fhir/search/parameters.hpp"

namespace meridian::fhir::terminology {

namespace {

constexpr std::array<std::string_view, 4> followed_types = {"CodeSystem", "ValueSet", "ConceptMap",
                                                            "StructureDefinition"};

struct Canonical {
    std::string_view url, version;
};

Canonical split_canonical(std::string_view text) {
    const std::size_t bar = text.find('|');
    if (bar == std::string_view::npos) return {text, {}};
    return {text.substr(0, bar), text.substr(bar + 1)};
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// "4.0.10" is newer than "4.0.9": runs of digits are compared as numbers, the rest as text.
bool is_older(std::string_view left, std::string_view right) {
    while (!left.empty() && !right.empty()) {
        if (!is_digit(left.front()) || !is_digit(right.front())) {
            if (left.front() != right.front()) return left.front() < right.front();
            left.remove_prefix(1);
            right.remove_prefix(1);
            continue;
        }
        const auto run = [](std::string_view& text) {
            while (text.size() > 1 && text[0] == '0' && is_digit(text[1])) text.remove_prefix(1);
            const std::size_t end = static_cast<std::size_t>(
                std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
            const std::string_view digits = text.substr(0, end);
            text.remove_prefix(end);
            return digits;
        };
        const std::string_view l = run(left), r = run(right);
        if (l.size() != r.size()) return l.size() < r.size();
        if (l != r) return l < r;
    }
    return left.size() < right.size();
}

std::unexpected<Error> unknown(std::string_view type, std::string_view url,
                               std::string_view version) {
    return fail(Category::not_found,
                fmt::format("there is no {} {}{}{} here", type, url.substr(0, 200),
                            version.empty() ? "" : "|", version.substr(0, 40)));
}

/// Value sets that exist because a code system exists: all of it, or all below one code.
/// Source: https://hl7.org/fhir/R4/snomedct.html#implicit,
/// https://hl7.org/fhir/R4/loinc.html#implicit
std::optional<JsonDocument> implicit_value_set(std::string_view url) {
    JsonDocument document;
    Json set = document.object(), compose = document.object(), includes = document.array(),
         include = document.object();
    std::string_view system;
    if (const std::size_t at = url.find("?fhir_vs"); at != std::string_view::npos) {
        system = url.substr(0, at);
        std::string_view rest = url.substr(at + 8);
        document.set(include, "system", document.string(system));
        if (rest.starts_with("=isa/")) {
            Json filter = document.object(), filters = document.array();
            document.set(filter, "property", document.string("concept"));
            document.set(filter, "op", document.string("is-a"));
            document.set(filter, "value", document.string(rest.substr(5)));
            document.append(filters, filter);
            document.set(include, "filter", filters);
        } else if (!rest.empty()) {
            return std::nullopt;
        }
    } else if (url == "http://loinc.org/vs") {
        document.set(include, "system", document.string("http://loinc.org"));
    } else {
        return std::nullopt;
    }
    document.append(includes, include);
    document.set(compose, "include", includes);
    document.set(set, "resourceType", document.string("ValueSet"));
    document.set(set, "url", document.string(url));
    document.set(set, "compose", compose);
    document.set_root(set);
    return document;
}

/// Which stored resources an entry of memory was made from: unchanged as long as they are.
using Origin = std::vector<std::pair<store::Rid, store::Version>>;

}  // namespace

struct Terminology::State {
    Repository* repository = nullptr;

    std::mutex log_mutex;
    store::Position checked = -1;  ///< the log was looked through up to here
    std::array<std::atomic<std::int64_t>, followed_types.size()> generations{};

    /// One code system: loaded once, by whoever asks first, while others wait for it.
    struct SystemSlot {
        std::mutex mutex;
        std::int64_t generation = -1;
        Origin origin;
        std::shared_ptr<const CodeSystem> codes;
        std::optional<Error> missing;
    };
    struct SetEntry {
        std::int64_t systems = -1, sets = -1;  ///< generations
        std::shared_ptr<const ValueSet> set;
    };
    struct MapEntry {
        std::int64_t generation = -1;
        std::shared_ptr<const ConceptMap> map;
    };
    std::mutex memory_mutex;  ///< guards the maps below, not what the slots hold
    std::unordered_map<std::string, std::shared_ptr<SystemSlot>> systems;
    std::unordered_map<std::string, SetEntry> sets;
    std::unordered_map<std::string, MapEntry> maps;
    std::int64_t all_maps_generation = -1;
    std::vector<std::shared_ptr<const ConceptMap>> all_maps;

    std::int64_t generation_of(std::string_view type);
    Result<void> look_through_log();
    Result<std::vector<store::Stored>> stored(std::string_view type, std::string_view url);
    Result<std::optional<JsonDocument>> choose(std::vector<store::Stored>& candidates,
                                               std::string_view version);
    Result<JsonDocument> find(std::string_view type, std::string_view url,
                              std::string_view version);
    Result<std::shared_ptr<const CodeSystem>> load_system(SystemSlot& slot, std::string_view url,
                                                          std::string_view version);
    void forget_systems_beyond_limit(const SystemSlot* keep);
};

Result<void> Terminology::State::look_through_log() {
    auto snapshot = TRY(repository->store().snapshot());
    const store::Position last = snapshot->position();
    const std::lock_guard lock(log_mutex);
    if (last <= checked) return {};
    const auto registry = repository->parameters();
    std::array<store::Name, followed_types.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i)
        names[i] = registry->type_name(followed_types[i]);
    if (last - checked > static_cast<store::Position>(limits::terminology_log_entries_max)) {
        // Most of so many entries are of the audit: the newest version of each type tells enough.
        for (std::size_t i = 0; i < names.size(); ++i) {
            const auto newest = TRY(snapshot->history({.type = names[i], .limit = 1}));
            if (!newest.empty() && newest.front().position > checked) ++generations[i];
        }
        checked = last;
        return {};
    }
    while (checked < last) {
        const auto entries = TRY(snapshot->log(checked + 1, limits::follow_batch_entries));
        if (entries.empty()) break;
        for (const store::LogEntry& entry : entries) {
            const auto found = std::ranges::find(names, entry.type);
            if (found != names.end())
                ++generations[static_cast<std::size_t>(found - names.begin())];
        }
        checked = entries.back().position;
    }
    return {};
}

std::int64_t Terminology::State::generation_of(std::string_view type) {
    // When the log cannot be read the store is down, and loading will say so.
    if (repository != nullptr) static_cast<void>(look_through_log());
    const auto at = std::ranges::find(followed_types, type);
    return at == followed_types.end()
               ? 0
               : generations[static_cast<std::size_t>(at - followed_types.begin())].load();
}

/// Current resources of `type` with this url, newest first.
Result<std::vector<store::Stored>> Terminology::State::stored(std::string_view type,
                                                              std::string_view url) {
    if (repository == nullptr) return std::vector<store::Stored>();
    const auto registry = repository->parameters();
    const search::Parameter* parameter = registry->find(type, "url");
    if (parameter == nullptr) return std::vector<store::Stored>();
    auto snapshot = TRY(repository->store().snapshot());
    store::Plan plan;
    plan.type = registry->type_name(type);
    plan.where = store::HasUri{parameter->name, false, std::string(url)};
    plan.limit = limits::terminology_versions_max;
    const store::Matches matches = TRY(snapshot->search(plan));
    if (matches.rids.empty()) return std::vector<store::Stored>();
    auto found = TRY(snapshot->fetch(matches.rids));
    std::ranges::sort(found, std::greater{}, &store::Stored::position);
    return found;
}

/// The candidate of this version; of no version the highest.
Result<std::optional<JsonDocument>> Terminology::State::choose(
    std::vector<store::Stored>& candidates, std::string_view version) {
    std::optional<JsonDocument> best;
    for (const store::Stored& candidate : candidates) {
        JsonDocument document = TRY(JsonDocument::parse(TRY(repository->decode(candidate)).json));
        const std::string_view found = document.root().string_at("version");
        if (!version.empty()) {
            if (found == version) return document;
        } else if (!best || is_older(best->root().string_at("version"), found)) {
            best = std::move(document);
        }
    }
    return best;
}

Result<JsonDocument> Terminology::State::find(std::string_view type, std::string_view url,
                                              std::string_view version) {
    auto candidates = TRY(stored(type, url));
    if (auto chosen = TRY(choose(candidates, version))) return *std::move(chosen);
    const std::string text = definitions().conformance_resource(type, url);
    if (text.empty()) return unknown(type, url, version);
    JsonDocument document = TRY(JsonDocument::parse(text));
    if (!version.empty() && document.root().string_at("version") != version)
        return unknown(type, url, version);
    return document;
}

Result<std::shared_ptr<const CodeSystem>> Terminology::State::load_system(
    SystemSlot& slot, std::string_view url, std::string_view version) {
    const std::lock_guard lock(slot.mutex);
    const std::int64_t generation = generation_of("CodeSystem");
    const auto answer = [&]() -> Result<std::shared_ptr<const CodeSystem>> {
        if (slot.missing) return std::unexpected(*slot.missing);
        return slot.codes;
    };
    if (slot.generation == generation) return answer();
    // Some CodeSystem was written since: this one only counts as new when one with its url was.
    auto candidates = TRY(stored("CodeSystem", url));
    Origin origin;
    for (const store::Stored& candidate : candidates)
        origin.emplace_back(candidate.rid, candidate.version);
    if (slot.generation >= 0 && origin == slot.origin) {
        slot.generation = generation;
        return answer();
    }
    slot.codes = nullptr;
    slot.missing.reset();
    candidates.clear();
    auto document = find("CodeSystem", url, version);
    auto loaded = document ? CodeSystem::load(document->root()) : std::unexpected(document.error());
    if (loaded && (*loaded)->size() == 0 && !(*loaded)->is_complete()) {
        loaded = fail(
            Category::not_found,
            fmt::format("the code system {} is known by name only: its codes are not loaded here",
                        url));
    }
    if (loaded) {
        slot.codes = *std::move(loaded);
    } else {
        slot.missing = std::move(loaded).error();
    }
    slot.origin = std::move(origin);
    slot.generation = generation;
    return answer();
}

void Terminology::State::forget_systems_beyond_limit(const SystemSlot* keep) {
    const std::lock_guard lock(memory_mutex);
    std::size_t total = 0;
    for (const auto& [key, slot] : systems) {
        // A slot that is being loaded right now is not waited for.
        const std::unique_lock slot_lock(slot->mutex, std::try_to_lock);
        if (slot_lock && slot->codes != nullptr) total += slot->codes->size();
    }
    if (total <= limits::terminology_concepts_max &&
        systems.size() <= limits::terminology_entries_max)
        return;
    std::erase_if(systems, [&](const auto& entry) { return entry.second.get() != keep; });
    sets.clear();
}

Terminology::Terminology(Repository* repository) : state_(std::make_unique<State>()) {
    state_->repository = repository;
}
Terminology::~Terminology() = default;

std::int64_t Terminology::generation(std::string_view type) const {
    return state_->generation_of(type);
}

Result<JsonDocument> Terminology::resource(std::string_view type,
                                           std::string_view canonical) const {
    const auto [url, version] = split_canonical(canonical);
    return state_->find(type, url, version);
}

Result<JsonDocument> Terminology::value_set_resource(std::string_view canonical) const {
    auto found = resource("ValueSet", canonical);
    if (!found && found.error().category == Category::not_found) {
        if (auto implied = implicit_value_set(canonical)) return *std::move(implied);
    }
    return found;
}

Result<std::shared_ptr<const CodeSystem>> Terminology::code_system(std::string_view canonical,
                                                                   std::string_view version) const {
    const auto [url, own_version] = split_canonical(canonical);
    if (version.empty()) version = own_version;
    const std::string key = fmt::format("{}|{}", url, version);
    std::shared_ptr<State::SystemSlot> slot;
    bool is_new = false;
    {
        const std::lock_guard lock(state_->memory_mutex);
        auto& place = state_->systems[key];
        is_new = place == nullptr;
        if (is_new) place = std::make_shared<State::SystemSlot>();
        slot = place;
    }
    auto loaded = state_->load_system(*slot, url, version);
    if (is_new) state_->forget_systems_beyond_limit(slot.get());
    return loaded;
}

Result<std::shared_ptr<const ValueSet>> Terminology::import(std::string_view canonical,
                                                            std::vector<std::string>& path) const {
    const std::string key(canonical);
    if (std::find(path.begin(), path.end(), key) != path.end())
        return fail(Category::unprocessable, fmt::format("the value set {} imports itself: {}", key,
                                                         fmt::join(path, " → ")));
    if (path.size() >= limits::value_set_imports_max)
        return fail(Category::too_large, "these value sets import one another too deeply");
    State::SetEntry entry{generation("CodeSystem"), generation("ValueSet"), nullptr};
    {
        const std::lock_guard lock(state_->memory_mutex);
        const auto found = state_->sets.find(key);
        if (found != state_->sets.end() && found->second.systems == entry.systems &&
            found->second.sets == entry.sets)
            return found->second.set;
    }
    const JsonDocument document = TRY(value_set_resource(canonical));
    path.push_back(key);
    auto compiled = ValueSet::compile(document.root(), *this, path);
    path.pop_back();
    entry.set = TRY(std::move(compiled));
    const std::lock_guard lock(state_->memory_mutex);
    if (state_->sets.size() >= limits::terminology_entries_max) state_->sets.clear();
    state_->sets[key] = entry;
    return entry.set;
}

Result<std::shared_ptr<const ValueSet>> Terminology::value_set(std::string_view canonical) const {
    std::vector<std::string> path;
    return import(canonical, path);
}

namespace {

/// The terminology under versions that one caller asks for. Nothing of it is kept.
class VersionedLibrary final : public Library {
 public:
    VersionedLibrary(const Terminology& terminology, const SystemVersions& versions)
        : terminology_(terminology), versions_(versions) {}

    Result<std::shared_ptr<const CodeSystem>> code_system(std::string_view url,
                                                          std::string_view version) const override {
        const std::string_view forced = version_in(versions_.force, url),
                               checked = version_in(versions_.check, url),
                               otherwise = version_in(versions_.otherwise, url);
        if (!forced.empty()) version = forced;
        if (version.empty()) version = !checked.empty() ? checked : otherwise;
        auto found = TRY(terminology_.code_system(url, version));
        if (!checked.empty() && found->version() != checked) {
            return fail(
                Category::unprocessable,
                fmt::format(
                    "version {} of {} was asked for (check-system-version), but {} would be used",
                    checked, url, found->version()));
        }
        return found;
    }

    Result<std::shared_ptr<const ValueSet>> import(std::string_view canonical,
                                                   std::vector<std::string>& path) const override {
        std::string key(canonical);
        if (std::find(path.begin(), path.end(), key) != path.end() ||
            path.size() >= limits::value_set_imports_max) {
            return fail(Category::unprocessable,
                        fmt::format("the value set {} imports itself", key));
        }
        const JsonDocument document = TRY(terminology_.value_set_resource(canonical));
        path.push_back(std::move(key));
        auto compiled = ValueSet::compile(document.root(), *this, path);
        path.pop_back();
        return compiled;
    }

 private:
    static std::string_view version_in(const std::vector<std::string>& list, std::string_view url) {
        for (const std::string& item : list) {
            const auto [system, version] = split_canonical(item);
            if (system == url) return version;
        }
        return {};
    }

    const Terminology& terminology_;
    const SystemVersions& versions_;
};

}  // namespace

Result<std::shared_ptr<const ValueSet>> Terminology::compile(const Json& value_set,
                                                             const SystemVersions& versions) const {
    std::vector<std::string> path;
    if (const std::string_view url = value_set.string_at("url"); !url.empty())
        path.emplace_back(url);
    if (versions.empty()) return ValueSet::compile(value_set, *this, path);
    return ValueSet::compile(value_set, VersionedLibrary(*this, versions), path);
}

Result<std::shared_ptr<const ConceptMap>> Terminology::concept_map(
    std::string_view canonical) const {
    const std::string key(canonical);
    State::MapEntry entry{generation("ConceptMap"), nullptr};
    {
        const std::lock_guard lock(state_->memory_mutex);
        const auto found = state_->maps.find(key);
        if (found != state_->maps.end() && found->second.generation == entry.generation)
            return found->second.map;
    }
    entry.map = TRY(ConceptMap::load(TRY(resource("ConceptMap", canonical)).root()));
    const std::lock_guard lock(state_->memory_mutex);
    if (state_->maps.size() >= limits::terminology_entries_max) state_->maps.clear();
    state_->maps[key] = entry;
    return entry.map;
}

Result<std::vector<std::shared_ptr<const ConceptMap>>> Terminology::concept_maps() const {
    const std::int64_t generation = this->generation("ConceptMap");
    {
        const std::lock_guard lock(state_->memory_mutex);
        if (state_->all_maps_generation == generation) return state_->all_maps;
    }
    std::vector<std::shared_ptr<const ConceptMap>> all;
    if (state_->repository != nullptr) {
        auto snapshot = TRY(state_->repository->store().snapshot());
        const store::Name type = state_->repository->parameters()->type_name("ConceptMap");
        for (const store::Stored& stored :
             TRY(snapshot->walk(type, snapshot->position(), 0, limits::terminology_maps_max))) {
            const JsonDocument document =
                TRY(JsonDocument::parse(TRY(state_->repository->decode(stored)).json));
            all.push_back(TRY(ConceptMap::load(document.root())));
        }
    }
    for (const std::string_view url : definitions().conformance_urls("ConceptMap")) {
        const auto is_same = [&](const auto& map) { return map->url() == url; };
        if (std::none_of(all.begin(), all.end(), is_same)) all.push_back(TRY(concept_map(url)));
    }
    const std::lock_guard lock(state_->memory_mutex);
    state_->all_maps = all;
    state_->all_maps_generation = generation;
    return all;
}

Contained Terminology::contains(std::string_view canonical, std::string_view system,
                                std::string_view code) const {
    if (const auto set = value_set(canonical)) return (*set)->contains(system, {}, code);
    switch (definitions().in_value_set(canonical, system, code)) {
        case Definitions::Membership::yes:
            return Contained::yes;
        case Definitions::Membership::no:
            return Contained::no;
        case Definitions::Membership::unknown:
            break;
    }
    return Contained::unknown;
}

Result<std::vector<search::ConceptSource::Concept>> Terminology::expand(
    std::string_view canonical) const {
    const auto set = TRY(value_set(canonical));
    std::vector<Concept> concepts;
    TRY(set->each({}, [&](const Member& member) {
        concepts.push_back({std::string(member.system), std::string(member.code)});
        return concepts.size() <= limits::expansion_concepts_max;
    }));
    if (concepts.size() > limits::expansion_concepts_max) {
        return fail(Category::too_large, fmt::format("too costly: {} has more than {} codes",
                                                     canonical, limits::expansion_concepts_max));
    }
    return concepts;
}

namespace {

Result<std::vector<search::ConceptSource::Concept>> reached(const Terminology& terminology,
                                                            std::string_view system,
                                                            std::string_view code, bool down) {
    const auto codes = TRY(terminology.code_system(system));
    const ConceptIndex at = codes->find(code);
    if (at == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\"", system, code.substr(0, 80)));
    std::vector<search::ConceptSource::Concept> concepts;
    const Bits found = down ? codes->below(at) : codes->above(at);
    const bool all = found.each([&](std::size_t i) {
        concepts.push_back({codes->url(), std::string(codes->code(static_cast<ConceptIndex>(i)))});
        return concepts.size() <= limits::expansion_concepts_max;
    });
    if (!all)
        return fail(Category::too_large,
                    fmt::format("too costly: more than {} codes lie below {}",
                                limits::expansion_concepts_max, code.substr(0, 80)));
    return concepts;
}

}  // namespace

Result<std::vector<search::ConceptSource::Concept>> Terminology::below(
    std::string_view system, std::string_view code) const {
    return reached(*this, system, code, true);
}

Result<std::vector<search::ConceptSource::Concept>> Terminology::above(
    std::string_view system, std::string_view code) const {
    return reached(*this, system, code, false);
}

}  // namespace meridian::fhir::terminology
