// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/run.hpp"

#include <list>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "fhir/search/score.hpp"

namespace meridian::fhir::search {

using store::Rid;

Result<store::Position> SnapshotTimeline::first_from(Instant instant) const {
    // Positions and times rise together: a binary search over the log.
    store::Position low = 0;
    store::Position high = snapshot_.position() + 1;
    while (low < high) {
        const store::Position middle = low + (high - low) / 2;
        const auto entries = TRY(snapshot_.log(middle, 1));
        if (!entries.empty() && entries.front().at < instant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

Result<std::vector<Canonical>> SnapshotCanonicals::named(store::Name type,
                                                         const store::Condition& where) const {
    store::Plan plan;
    plan.type = type;
    plan.where = clone(where);
    plan.limit = limits::conditional_matches_max;
    const store::Matches matches = TRY(snapshot_.search(plan));
    if (matches.more) {
        return fail(Category::too_large,
                    fmt::format("a chain or _has over canonical references may lead to at most {} "
                                "resources: ask for fewer",
                                plan.limit));
    }
    std::vector<Canonical> found;
    for (const store::Stored& stored : TRY(snapshot_.fetch(matches.rids))) {
        const JsonDocument document = TRY(JsonDocument::parse(TRY(read_(stored))));
        const std::string_view url = document.root().string_at("url");
        if (!url.empty())
            found.push_back(
                {std::string(url), std::string(document.root().string_at("version")), stored.id});
    }
    return found;
}

Result<bool> SnapshotCanonicals::any(store::Name type, const store::Condition& where) const {
    store::Plan plan;
    plan.type = type;
    plan.where = clone(where);
    plan.limit = 1;
    return !TRY(snapshot_.search(plan)).rids.empty();
}

/// One client's way through a result. What was given out is fixed; what follows is looked up when
/// it is asked for.
struct Cursors::Walk {
    /// Unsorted: a page starts behind this rid of this type.
    struct Start {
        std::size_t type = 0;
        Rid after = 0;
    };
    std::mutex mutex;
    std::string id;
    std::string actor;
    Instant used{};
    std::shared_ptr<const Query> query;
    std::optional<std::int64_t> total;
    std::vector<Start> starts{Start{}};  ///< unsorted: one per page known so far
    /// One result: a resource, or what it contains at the place of the query's filter number
    /// `type`.
    struct Match {
        Rid rid = 0;
        std::size_t type = 0;
    };
    std::vector<Match> fixed;  ///< sorted: results in order, as far as they are fixed
    std::vector<std::unordered_set<Rid>> given;  ///< the same as sets, one per filter
    bool is_complete = false;                    ///< sorted: nothing follows after `fixed`
};

struct Cursors::State {
    std::mutex mutex;
    std::string key = random_bytes(32);
    std::list<std::shared_ptr<Walk>> by_use;  ///< least recently used first
    std::unordered_map<std::string, std::list<std::shared_ptr<Walk>>::iterator> by_id;
};

Cursors::Cursors() : state_(std::make_unique<State>()) {}
Cursors::~Cursors() = default;

std::size_t Cursors::size() const {
    const std::scoped_lock lock(state_->mutex);
    return state_->by_use.size();
}

void Cursors::expire(Instant instant) {
    const std::scoped_lock lock(state_->mutex);
    while (!state_->by_use.empty() && state_->by_use.front()->used < instant) {
        state_->by_id.erase(state_->by_use.front()->id);
        state_->by_use.pop_front();
    }
}

/// Keeps and finds walks, makes and opens their tokens. The one friend of Cursors.
class Walks {
 public:
    using Walk = Cursors::Walk;

    static void keep(Cursors& cursors, const std::shared_ptr<Walk>& walk) {
        Cursors::State& state = *cursors.state_;
        const std::scoped_lock lock(state.mutex);
        if (state.by_id.contains(walk->id)) return;
        if (state.by_use.size() >= limits::cursors_max) {
            state.by_id.erase(state.by_use.front()->id);
            state.by_use.pop_front();
        }
        state.by_use.push_back(walk);
        state.by_id.emplace(walk->id, std::prev(state.by_use.end()));
    }

    static std::string token(const Cursors& cursors, const Walk& walk, std::size_t page) {
        const std::string body = walk.id + std::to_string(page);
        return "s." + base64url_encode(body) + "." + base64url_encode(seal(cursors, body));
    }

    static Result<std::pair<std::shared_ptr<Walk>, std::size_t>> open(Cursors& cursors,
                                                                      std::string_view token,
                                                                      const std::string& actor,
                                                                      Instant now) {
        const auto gone = [] {
            return fail(Category::gone,
                        "this page link is not valid any more: run the search again");
        };
        const std::size_t dot = token.rfind('.');
        std::string body;
        std::string signature;
        if (!token.starts_with("s.") || dot < 2 ||
            !base64url_decode(token.substr(2, dot - 2), body) ||
            !base64url_decode(token.substr(dot + 1), signature))
            return gone();
        if (signature != seal(cursors, body) || body.size() <= id_bytes) return gone();
        std::size_t page = 0;
        std::from_chars(body.data() + id_bytes, body.data() + body.size(), page);
        Cursors::State& state = *cursors.state_;
        const std::scoped_lock lock(state.mutex);
        const auto found = state.by_id.find(body.substr(0, id_bytes));
        if (found == state.by_id.end()) return gone();
        const std::shared_ptr<Walk> walk = *found->second;
        const std::int64_t life = std::int64_t{limits::cursor_life_seconds} * 1000;
        if (walk->actor != actor || now.milliseconds - walk->used.milliseconds > life)
            return gone();
        walk->used = now;
        state.by_use.splice(state.by_use.end(), state.by_use, found->second);
        return std::pair{walk, page};
    }

    static constexpr std::size_t id_bytes = 16;

 private:
    static std::string seal(const Cursors& cursors, std::string_view body) {
        const Sha256 hash = hmac_sha256(cursors.state_->key, body);
        return {reinterpret_cast<const char*>(hash.data()), 16};
    }
};

namespace {

using Walk = Cursors::Walk;

store::Plan plan_of(const Query& query, const TypeFilter& filter, std::size_t limit) {
    store::Plan plan;
    plan.type = filter.name;
    plan.where = clone(filter.where);
    plan.order = query.order;
    plan.limit = limit;
    return plan;
}

Result<std::int64_t> count_all(const RunContext& context, const Query& query) {
    std::int64_t total = 0;
    for (const TypeFilter& filter : query.types)
        total += TRY(context.snapshot.count(plan_of(query, filter, 1)));
    return total;
}

/// R4: a reference by id alone must not be ambiguous.
Result<void> refuse_ambiguous(const RunContext& context, const Query& query) {
    for (const auto& untyped : query.untyped) {
        std::vector<store::Stored> candidates;
        for (const auto& candidate : untyped.candidates) {
            if (TRY(context.snapshot.rid_of(candidate)) == 0) continue;
            auto stored = TRY(context.snapshot.find(candidate));
            if (stored && !stored->deleted()) candidates.push_back(*std::move(stored));
        }
        // What the caller may not see makes nothing ambiguous for them.
        candidates = TRY(admitted(context.snapshot, std::move(candidates), *query.access));
        std::vector<std::string> found;
        found.reserve(candidates.size());
        for (const auto& stored : candidates)
            found.push_back(
                fmt::format("{}/{}", context.parameters.type_text(stored.type), stored.id));
        if (found.size() > 1) {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" could mean {}: write the type", untyped.parameter,
                                    fmt::join(found, " or ")),
                        untyped.parameter);
        }
    }
    return {};
}

struct Piece {
    std::vector<Walk::Match> matches;
    bool more = false;
};

/// One page in rid order, over the types one after the other; records where the next one starts.
Result<Piece> unsorted_page(const RunContext& context, Walk& walk, std::size_t page) {
    const Query& query = *walk.query;
    const Walk::Start start = walk.starts[page];
    Piece piece;
    Walk::Start next = start;
    for (std::size_t i = start.type; i < query.types.size(); ++i) {
        const std::size_t wanted = query.count - piece.matches.size();
        store::Plan plan = plan_of(query, query.types[i], std::max<std::size_t>(wanted, 1));
        plan.after = i == start.type ? start.after : 0;
        const store::Matches matches = TRY(context.snapshot.search(plan));
        if (wanted == 0) {
            if (matches.rids.empty()) continue;
            piece.more = true;
            break;
        }
        for (const Rid rid : matches.rids) piece.matches.push_back({rid, i});
        if (!matches.rids.empty()) next = {i, matches.rids.back()};
        if (matches.more) {
            piece.more = true;
            break;
        }
    }
    if (piece.more && walk.starts.size() == page + 1) walk.starts.push_back(next);
    return piece;
}

/// The next results of a sorted walk over several types, merged by the keys that all resources
/// have.
Result<Piece> merged(const RunContext& context, const Query& query, std::size_t limit,
                     const std::vector<std::unordered_set<Rid>>& given) {
    using One = std::pair<store::Stored, std::size_t>;
    std::vector<One> all;
    Piece result;
    for (std::size_t i = 0; i < query.types.size(); ++i) {
        store::Plan plan = plan_of(query, query.types[i], limit);
        if (!given[i].empty())
            plan.exclude = std::make_shared<const std::unordered_set<Rid>>(given[i]);
        const store::Matches matches = TRY(context.snapshot.search(plan));
        result.more = result.more || matches.more;
        for (auto& one : TRY(context.snapshot.fetch(matches.rids))) {
            one.body.clear();
            all.emplace_back(std::move(one), i);
        }
    }
    std::sort(all.begin(), all.end(), [&](const One& a, const One& b) {
        for (const store::Order& order : query.order) {
            const store::Stored& first = (order.descending ? b : a).first;
            const store::Stored& second = (order.descending ? a : b).first;
            if (order.kind == store::SortKind::id && first.id != second.id)
                return first.id < second.id;
            if (order.kind == store::SortKind::updated && first.updated != second.updated)
                return first.updated < second.updated;
        }
        return std::pair(a.first.rid, a.second) < std::pair(b.first.rid, b.second);
    });
    if (all.size() > limit) {
        all.resize(limit);
        result.more = true;
    }
    for (const auto& [stored, type] : all) result.matches.push_back({stored.rid, type});
    return result;
}

/// Fixes further results of a sorted walk until `wanted` are fixed or nothing follows.
///
/// What was given before is left out of the new look-up, so nothing comes twice; what has moved in
/// front meanwhile comes now, so nothing is skipped.
Result<void> fix(const RunContext& context, Walk& walk, std::size_t wanted) {
    const Query& query = *walk.query;
    while (walk.fixed.size() < wanted && !walk.is_complete) {
        if (walk.fixed.size() >= context.walk_results_max) {
            return fail(
                Category::too_large,
                fmt::format(
                    "a sorted search gives at most {} results: narrow it, or leave _sort away",
                    context.walk_results_max));
        }
        // Most clients read one page only: that one is looked up alone, the later ones in larger
        // windows.
        const std::size_t limit = std::min(
            walk.fixed.empty() ? query.count : std::max(limits::page_window_ids_max, query.count),
            context.walk_results_max - walk.fixed.size());
        walk.given.resize(query.types.size());
        Piece next;
        if (query.types.size() == 1) {
            store::Plan plan = plan_of(query, query.types.front(), limit);
            const auto& given = walk.given.front();
            if (!given.empty())
                plan.exclude = std::make_shared<const std::unordered_set<Rid>>(given);
            const store::Matches matches = TRY(context.snapshot.search(plan));
            next.more = matches.more;
            for (const Rid rid : matches.rids) next.matches.push_back({rid, 0});
        } else {
            next = TRY(merged(context, query, limit, walk.given));
        }
        for (const Walk::Match& match : next.matches) {
            if (walk.given[match.type].insert(match.rid).second) walk.fixed.push_back(match);
        }
        walk.is_complete = !next.more || next.matches.empty();
    }
    return {};
}

/// All results of a search that is sorted by relevance: what matched is read and scored at once.
Result<void> fix_by_score(const RunContext& context, Walk& walk) {
    const Query& query = *walk.query;
    if (walk.is_complete) return {};
    if (!context.read || context.names == nullptr)
        return fail(Category::unsupported, "\"_score\" cannot be sorted by here", "_sort");
    std::vector<std::pair<double, Walk::Match>> all;
    for (std::size_t i = 0; i < query.types.size(); ++i) {
        const std::size_t room = limits::page_window_ids_max - all.size();
        const store::Matches matches =
            TRY(context.snapshot.search(plan_of(query, query.types[i], room + 1)));
        if (matches.more || matches.rids.size() > room) {
            return fail(
                Category::too_large,
                fmt::format("at most {} matches are sorted by relevance: narrow the search, "
                            "or sort by something else",
                            limits::page_window_ids_max),
                "_sort");
        }
        const auto stored = TRY(context.snapshot.fetch(matches.rids));
        const auto found = TRY(scores(context, text_terms(query.types[i].where), stored));
        for (std::size_t j = 0; j < stored.size(); ++j)
            all.push_back({found[j], {stored[j].rid, i}});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (const auto& [score, match] : all) walk.fixed.push_back(match);
    walk.is_complete = true;
    return {};
}

Result<Piece> sorted_page(const RunContext& context, Walk& walk, std::size_t page) {
    const std::size_t count = walk.query->count;
    TRY(walk.query->by_score ? fix_by_score(context, walk)
                             : fix(context, walk, (page + 1) * count));
    Piece piece;
    const std::size_t from = std::min(page * count, walk.fixed.size());
    const std::size_t to = std::min(from + count, walk.fixed.size());
    piece.matches.assign(walk.fixed.begin() + static_cast<std::ptrdiff_t>(from),
                         walk.fixed.begin() + static_cast<std::ptrdiff_t>(to));
    piece.more = to < walk.fixed.size() || !walk.is_complete;
    return piece;
}

/// The entries of a page's matches; some of them may be gone from `stored`, which keeps their
/// order.
void add_matches(const Query& query, const Piece& piece, std::vector<store::Stored> stored,
                 Answer& answer) {
    auto next = stored.begin();
    for (const Walk::Match& match : piece.matches) {
        if (next == stored.end()) return;
        if (next->rid != match.rid) continue;
        Answer::Entry entry{std::move(*next++), Page::Entry::Mode::match};
        const TypeFilter& filter = query.types[match.type];
        if (filter.slot) {
            entry.contained_type = filter.type;
            entry.contained_slot = *filter.slot;
        }
        answer.entries.push_back(std::move(entry));
    }
}

/// FHIR R4 §3.1.1.5.1: how relevant each full-text match is.
Result<void> add_scores(const RunContext& context, const Query& query, Answer& answer) {
    if (!context.read || context.names == nullptr) return {};
    for (const TypeFilter& filter : query.types) {
        const auto terms = text_terms(filter.where);
        if (terms.empty() || filter.name == 0) continue;
        for (Answer::Entry& entry : answer.entries) {
            if (entry.stored.type == filter.name)
                entry.score = TRY(scores(context, terms, {&entry.stored, 1})).front();
        }
    }
    return {};
}

/// Looks up, fetches and links one page of a walk.
Result<Answer> page_of(const RunContext& context, const std::shared_ptr<Walk>& walk,
                       std::size_t page, const AccessFilter& access) {
    const Query& query = *walk->query;
    Answer answer;
    answer.self = query.self;
    answer.summary = query.summary;
    answer.elements = query.elements;
    answer.warnings = query.warnings;
    Piece piece;
    {
        const std::scoped_lock lock(walk->mutex);
        const bool is_sorted = !query.order.empty() || query.by_score;
        if (!is_sorted && page >= walk->starts.size())
            return fail(Category::gone,
                        "this page link is not valid any more: run the search again");
        piece = TRY(is_sorted ? sorted_page(context, *walk, page)
                              : unsorted_page(context, *walk, page));
        if (page == 0 && !piece.more && query.total != Total::none)
            walk->total = static_cast<std::int64_t>(piece.matches.size());
        answer.total = walk->total;
    }
    std::vector<Rid> rids;
    rids.reserve(piece.matches.size());
    for (const Walk::Match& match : piece.matches) rids.push_back(match.rid);
    auto matches = TRY(context.snapshot.fetch(rids));
    // The conditions held the filter of the first page; whoever asks now may see less.
    if (page > 0) matches = TRY(admitted(context.snapshot, std::move(matches), access));
    auto includes = TRY(included(context, query, matches, access, answer.warnings));
    add_matches(query, piece, std::move(matches), answer);
    TRY(add_scores(context, query, answer));
    for (auto& stored : includes)
        answer.entries.push_back({std::move(stored), Page::Entry::Mode::include});
    if (context.cursors != nullptr) {
        if (piece.more) {
            Walks::keep(*context.cursors, walk);
            answer.next = Walks::token(*context.cursors, *walk, page + 1);
        }
        if (page > 0) answer.previous = Walks::token(*context.cursors, *walk, page - 1);
    }
    return answer;
}

}  // namespace

Result<Answer> run(const RunContext& context, const std::shared_ptr<const Query>& query) {
    TRY(refuse_ambiguous(context, *query));
    if (query->count_only) {
        Answer answer;
        answer.self = query->self;
        answer.summary = Page::Summary::count;
        answer.warnings = query->warnings;
        answer.total = TRY(count_all(context, *query));
        return answer;
    }
    auto walk = std::make_shared<Walk>();
    walk->id = random_bytes(Walks::id_bytes);
    walk->actor = context.actor;
    walk->used = context.now;
    walk->query = query;
    if (query->total == Total::accurate || query->total == Total::estimate)
        walk->total = TRY(count_all(context, *query));
    return page_of(context, walk, 0, *query->access);
}

Result<Answer> run_page(const RunContext& context, std::string_view token,
                        const AccessFilter& access) {
    if (context.cursors == nullptr)
        return fail(Category::gone, "this page link is not valid any more: run the search again");
    context.cursors->expire(
        Instant{context.now.milliseconds - std::int64_t{limits::cursor_life_seconds} * 1000});
    const auto [walk, page] = TRY(Walks::open(*context.cursors, token, context.actor, context.now));
    return page_of(context, walk, page, access);
}

}  // namespace meridian::fhir::search
