// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/query.hpp"
#include "store/store.hpp"

/// Executes queries on a snapshot and keeps walks over several pages right while others write.
namespace meridian::fhir::search {

/// A Timeline that looks into a snapshot's log (binary search; positions rise with time).
class SnapshotTimeline : public Timeline {
 public:
    explicit SnapshotTimeline(store::Snapshot& snapshot) : snapshot_(snapshot) {}
    Result<store::Position> first_from(Instant instant) const override;

 private:
    store::Snapshot& snapshot_;
};

/// A CanonicalSource that searches a snapshot and reads what it finds.
class SnapshotCanonicals : public CanonicalSource {
 public:
    using Read = std::function<Result<std::string>(const store::Stored&)>;
    SnapshotCanonicals(store::Snapshot& snapshot, Read read)
        : snapshot_(snapshot), read_(std::move(read)) {}
    Result<std::vector<Canonical>> named(store::Name type,
                                         const store::Condition& where) const override;
    Result<bool> any(store::Name type, const store::Condition& where) const override;

 private:
    store::Snapshot& snapshot_;
    Read read_;
};

/// One page of a search. Bodies are in stored form: the Repository opens them.
struct Answer {
    struct Entry {
        store::Stored stored;
        Page::Entry::Mode mode = Page::Entry::Mode::match;
        /// The match is this contained resource of `stored`; an empty type: `stored` itself.
        std::string contained_type{};
        std::size_t contained_slot = 0;
        std::optional<double> score{};
    };
    std::vector<Entry> entries;  ///< matches in order, then includes
    std::optional<std::int64_t> total;
    std::string self;
    std::string next;      ///< token for Cursors; empty on the last page
    std::string previous;  ///< empty on the first page
    std::vector<Issue> warnings;
    Page::Summary summary = Page::Summary::off;
    std::vector<std::string> elements;
};

/// The server's open walks: bounded, in memory, each with a life of limits::cursor_life_seconds
/// after its last use. Tokens are opaque and signed; they carry no patient data. Thread-safe.
class Cursors {
 public:
    Cursors();
    ~Cursors();
    struct Walk;  ///< private to run.cpp
    /// Walks now held.
    std::size_t size() const;
    /// Drops walks that were not used since `instant`.
    void expire(Instant instant);

 private:
    friend class Walks;
    struct State;
    std::unique_ptr<State> state_;
};

/// Where a search runs.
struct RunContext {
    store::Snapshot& snapshot;
    const Parameters& parameters;
    Cursors* cursors = nullptr;  ///< null: no next link is made
    std::string actor{};         ///< whose walk it is: another actor cannot use its cursor
    Instant now{};
    /// The JSON of a stored version. Null: what needs bodies (includes of versions and canonicals,
    /// scores) is left out.
    std::function<Result<std::string>(const store::Stored&)> read{};
    store::Names* names = nullptr;  ///< with `read`
    std::string base_url{};         ///< this server's FHIR base, for absolute references to its own
    std::size_t walk_results_max = limits::page_walk_ids_max;  ///< of one sorted walk
};

/// The first page of `query`.
///
/// Unsorted searches walk by row id; the first page of a sorted one fixes up to
/// limits::page_window_ids_max results, and each later window leaves out what was given before. So
/// a whole walk gives each match once, whatever is written meanwhile. Errors: `incorrect` when an
/// untyped reference is ambiguous; the store's errors. Blocking: reads the store.
Result<Answer> run(const RunContext& context, const std::shared_ptr<const Query>& query);

/// The page behind a token. `access` is the caller's filter now: matches that it no longer admits
/// are left out. Errors: `gone` when the walk has expired, was made by another actor, or the token
/// is not ours.
Result<Answer> run_page(const RunContext& context, std::string_view token,
                        const AccessFilter& access);

/// Includes of one page as _include/_revinclude ask, each resource once, none of `matches` among
/// them, only what `access` admits. Errors: the store's. Bounds: limits::includes_max,
/// limits::include_depth_max; beyond them a warning is added.
Result<std::vector<store::Stored>> included(const RunContext& context, const Query& query,
                                            std::span<const store::Stored> matches,
                                            const AccessFilter& access,
                                            std::vector<Issue>& warnings);

/// Those of `stored` that `access` admits, in their order. Errors: the store's.
Result<std::vector<store::Stored>> admitted(store::Snapshot& snapshot,
                                            std::vector<store::Stored> stored,
                                            const AccessFilter& access);

/// What of the resources that satisfy `where` the caller's condition `access` admits. Blocking:
/// never. Every search of a caller with rights of their own goes through here: engines then let
/// `access` decide first (docs/adr/0033).
store::Condition admitted_by(store::Condition access, store::Condition where);

/// Whether all that `access` admits is, or refers to, one of the resources that it names: the
/// caller's own patients, or what they wrote. Nobody's rights to a whole organisation or region.
bool is_of_named(const store::Condition& access);

/// A deep copy.
store::Condition clone(const store::Condition& condition);

}  // namespace meridian::fhir::search
