// SPDX-License-Identifier: Apache-2.0
// The side of the engine that reads the log: which entries are events of which subscriptions.
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/holds.hpp"
#include "rest/subscriptions/engine.hpp"

namespace meridian::rest::subscriptions {

namespace {

using fhir::search::Candidate;
using fhir::search::holds;

/// What one subscription looks for, taken out of the engine so that matching holds no lock.
struct Watcher {
    SubscriptionPointer subscription;
    std::shared_ptr<const Definition> definition;
    fhir::Caller owner;
    store::Position after;   ///< entries up to this one have their numbers already
    bool is_allowed = true;  ///< the owner still has rights
};
using Watchers = std::map<std::string, std::vector<Watcher>, std::less<>>;

using Events = std::map<SubscriptionPointer, std::vector<store::Position>>;

/// The rows that tell whether an entry matches: of the new version, or of the last one before a
/// deletion.
Result<std::optional<Candidate>> candidate_of(fhir::Repository& repository,
                                              store::Snapshot& snapshot,
                                              const store::LogEntry& entry, std::string_view type) {
    const store::Version version =
        entry.verb == store::Verb::remove ? entry.version - 1 : entry.version;
    const auto stored = TRY(snapshot.find_version({entry.type, entry.id}, version));
    if (!stored || stored->deleted()) return std::nullopt;
    const auto resource = repository.decode(*stored);
    // Its person was erased: nobody is told what it said.
    if (!resource && resource.error().category == Category::gone) return std::nullopt;
    const auto document = resource ? JsonDocument::parse(resource->json)
                                   : fail(resource.error().category, resource.error().message);
    if (!document) {
        // Waiting would not mend a damaged body, and would hold up every other subscription.
        if (document.error().category != Category::fault &&
            document.error().category != Category::incorrect)
            return std::unexpected(document.error());
        log::error("a version could not be read for subscriptions",
                   {{"position", entry.position}, {"error", document.error().message}});
        return std::nullopt;
    }
    Candidate candidate;
    candidate.identity = {entry.type, entry.id};
    candidate.position = entry.position;
    const std::string base = repository.base_url();
    candidate.rows = fhir::search::extract(*repository.parameters(), type, document->root(),
                                           repository.store().names(), {.base_url = base});
    return candidate;
}

/// Matches one run of entries, between which no subscription changes.
class Matching {
 public:
    Matching(Engine& engine, store::Snapshot& snapshot, const Watchers& watchers)
        : engine_(engine), snapshot_(snapshot), watchers_(watchers) {}

    Result<void> run(std::span<const store::LogEntry> entries, Events& events) {
        const auto parameters = engine_.repository().parameters();
        // First all rows, then the conditions: a condition knows only the systems and units that
        // have been seen before.
        struct Row {
            const store::LogEntry* entry;
            const std::vector<Watcher>* watchers;
            Candidate candidate;
        };
        std::vector<Row> rows;
        for (const store::LogEntry& entry : entries) {
            if (entry.kind != 0) continue;
            const std::string_view type = parameters->type_text(entry.type);
            const auto watched = watchers_.find(type);
            if (watched == watchers_.end()) continue;
            if (auto candidate = TRY(candidate_of(engine_.repository(), snapshot_, entry, type)))
                rows.push_back({&entry, &watched->second, *std::move(candidate)});
        }
        for (const Row& row : rows) {
            verdicts_.clear();
            for (const Watcher& watcher : *row.watchers) {
                if (row.entry->position <= watcher.after) continue;
                if (!watcher.definition->is_topic && row.entry->verb == store::Verb::remove)
                    continue;  // R4: created or updated
                if (TRY(matches(watcher, row.candidate)))
                    events[watcher.subscription].push_back(row.entry->position);
            }
        }
        return {};
    }

 private:
    /// Equal filters of owners with equal rights are evaluated once for each entry, and parsed once
    /// for each run.
    Result<bool> matches(const Watcher& watcher, const Candidate& candidate) {
        if (!watcher.is_allowed) return false;
        const std::pair<std::string_view, const void*> key{watcher.definition->filter_key,
                                                           watcher.owner.access.get()};
        if (const auto known = verdicts_.find(key); known != verdicts_.end()) return known->second;
        auto condition = conditions_.find(key);
        if (condition == conditions_.end()) {
            auto parsed = engine_.condition_of(*watcher.definition, watcher.owner, snapshot_);
            if (!parsed && parsed.error().category == Category::unavailable)
                return std::unexpected(parsed.error());
            if (!parsed)
                log::warning("a subscription's filter no longer works",
                             {{"subscription", watcher.subscription->id},
                              {"error", parsed.error().message}});
            condition =
                conditions_
                    .emplace(key, parsed ? *std::move(parsed) : store::Condition{store::Nothing{}})
                    .first;
        }
        const bool verdict = TRY(holds(condition->second, candidate, snapshot_));
        verdicts_.emplace(key, verdict);
        return verdict;
    }

    Engine& engine_;
    store::Snapshot& snapshot_;
    const Watchers& watchers_;
    std::map<std::pair<std::string_view, const void*>, store::Condition> conditions_;
    std::map<std::pair<std::string_view, const void*>, bool> verdicts_;
};

}  // namespace

Result<void> Engine::follow(store::Snapshot& snapshot, std::span<const store::LogEntry> entries) {
    static metrics::Counter& numbered = metrics::counter("meridian_subscription_events_total",
                                                         "events that subscriptions have got");
    const store::Name subscription_type = repository_.parameters()->type_name("Subscription");
    while (!entries.empty()) {
        // A run ends with the entry that changes a subscription, which is an event for others
        // first.
        std::size_t size = 0;
        while (size < entries.size() &&
               !(entries[size].kind == 0 && entries[size].type == subscription_type))
            ++size;
        const bool ends_with_change = size < entries.size();
        const auto run = entries.first(size + (ends_with_change ? 1 : 0));
        entries = entries.subspan(run.size());

        Watchers watchers;
        {
            const std::lock_guard lock(mutex_);
            // The cursor stays where it is: the next start goes on here.
            if (stopping_) return fail(Category::unavailable, "subscriptions are stopping");
            for (const store::LogEntry& entry : run) {
                const std::string_view type = repository_.parameters()->type_text(entry.type);
                const auto list = active_by_type_.find(type);
                if (list == active_by_type_.end() || watchers.find(type) != watchers.end())
                    continue;
                auto& of_type = watchers[std::string(type)];
                for (const auto& subscription : list->second)
                    of_type.push_back({subscription, subscription->definition, subscription->owner,
                                       subscription->numbers.last_position()});
            }
        }
        // Rights may have changed since the subscription was made. Asking reads the record, so the
        // lock is not held meanwhile.
        for (auto& [type, of_type] : watchers) {
            for (Watcher& watcher : of_type) {
                const auto renewed = watcher.owner.renew();
                if (!renewed && renewed.error().category != Category::forbidden)
                    return std::unexpected(renewed.error());
                watcher.is_allowed = renewed.has_value();
            }
        }
        Events events;
        if (!watchers.empty()) TRY(Matching(*this, snapshot, watchers).run(run, events));
        std::vector<std::vector<std::pair<std::string, std::string>>> settings;
        {
            const std::lock_guard lock(mutex_);
            for (auto& [subscription, positions] : events)
                settings.push_back(subscription->numbers.with(positions));
        }
        // Numbers are durable before anybody hears of them: a replay finds them given.
        TRY(save_all(repository_.store(), settings));
        {
            const std::lock_guard lock(mutex_);
            for (auto& [subscription, positions] : events) {
                subscription->numbers.append(positions);
                numbered.add(positions.size());
                if (subscription->failures == 0) schedule(*subscription, Clock::now());
            }
        }
        if (ends_with_change) {
            const store::LogEntry& entry = run.back();
            if (const auto stored =
                    TRY(snapshot.find_version({entry.type, entry.id}, entry.version)))
                TRY(apply(snapshot, *stored));
        }
    }
    return {};
}

}  // namespace meridian::rest::subscriptions
