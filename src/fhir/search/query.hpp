// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "fhir/repository.hpp"
#include "fhir/search/parameters.hpp"
#include "store/plan.hpp"

/// The search URL, understood: https://hl7.org/fhir/R4/search.html
namespace meridian::fhir::search {

/// Terminology that the modifiers :in, :not-in, :above and :below need. The Repository supplies it.
class ConceptSource {
 public:
    struct Concept {
        std::string system;
        std::string code;
    };
    virtual ~ConceptSource() = default;
    /// All codes of a value set. Errors: `not_found` for an unknown set, `too_large` when it has
    /// too many codes.
    virtual Result<std::vector<Concept>> expand(std::string_view value_set) const = 0;
    /// The code and everything it subsumes (below) or is subsumed by (above). Errors: `not_found`
    /// for an unknown system.
    virtual Result<std::vector<Concept>> below(std::string_view system,
                                               std::string_view code) const = 0;
    virtual Result<std::vector<Concept>> above(std::string_view system,
                                               std::string_view code) const = 0;
};

/// What references name a conformance resource by.
struct Canonical {
    std::string url;
    std::string version;  ///< empty when the resource has none
    std::string id{};     ///< the resource's own
};
/// The conformance resources that satisfy a condition, for chains and _has over canonical
/// references. See SnapshotCanonicals in run.hpp.
class CanonicalSource {
 public:
    virtual ~CanonicalSource() = default;
    /// Errors: `too_large` for more than limits::conditional_matches_max; the store's.
    virtual Result<std::vector<Canonical>> named(store::Name type,
                                                 const store::Condition& where) const = 0;
    /// Whether any resource of `type` satisfies the condition. Errors: the store's.
    virtual Result<bool> any(store::Name type, const store::Condition& where) const = 0;
};
/// Resources whose `parameter` names one of them: by "url|version", or by the url alone.
store::Condition names_canonical(const Parameter& parameter,
                                 const std::vector<Canonical>& canonicals);

/// Where a moment lies in the log: _lastUpdated becomes a range of positions. See SnapshotTimeline
/// in run.hpp.
class Timeline {
 public:
    virtual ~Timeline() = default;
    /// The first position written at or after `instant`; one past the last position when there is
    /// none.
    virtual Result<store::Position> first_from(Instant instant) const = 0;
};

struct ParseOptions {
    bool lenient =
        false;  ///< Prefer: handling=lenient: unknown parameters are skipped with a warning
    std::string base_url{};          ///< this server's FHIR base, without a trailing "/"
    Instant now{};                   ///< for the prefix `ap` on dates
    int zone_minutes = 0;            ///< the server's zone, for times without one
    std::string compartment_type{};  ///< "Patient" for /Patient/7/Observation; empty = none
    std::string compartment_id{};
    bool conditional =
        false;  ///< result parameters (_sort, _include …) are refused: conditional operations
    bool count_only = false;
    std::shared_ptr<const AccessFilter> access = permit_all();
    const ConceptSource* concepts =
        nullptr;  ///< null: :in, :not-in, :above, :below on tokens are `unsupported`
    /// Every stored resource has the rows of search/pairs.hpp; a store that an older version wrote
    /// has them after a reindex.
    bool has_derived_rows = true;
    const Timeline* timeline = nullptr;  ///< null: _lastUpdated is `unsupported`
    const CanonicalSource* canonicals =
        nullptr;  ///< null: chains and _has over canonical references are `unsupported`
};

/// One _include or _revinclude.
struct Include {
    bool reverse = false;
    bool iterate = false;
    std::string source_type;    ///< type that holds the reference; "*" = any
    std::string code;           ///< its parameter; "*" = every reference parameter
    std::string target_type{};  ///< empty = any
};

/// One searched type.
struct TypeFilter {
    std::string type;  ///< empty = every type (compartment without further filters)
    store::Name name = 0;
    store::Condition where;  ///< filters, compartment and what the caller may see
    /// Matches are the contained resources of `type` at this place of their containers, which
    /// `where` selects (contained.hpp). `name` is 0 then, and also where containers themselves
    /// match.
    std::optional<std::size_t> slot{};
};

enum class Total : unsigned char { automatic, none, estimate, accurate };

/// A search, ready to run. Movable only; share it as shared_ptr<const Query>.
struct Query {
    std::string type;                 ///< as asked; empty = system search
    std::vector<TypeFilter> types;    ///< one, or several for _type=A,B
    std::vector<store::Order> order;  ///< the same for every type
    bool by_score = false;            ///< the most relevant first; `order` is empty then
    std::vector<Include> includes;
    std::size_t count = 0;    ///< page size, at most limits::page_size_max
    bool count_only = false;  ///< _summary=count, _count=0
    Total total = Total::automatic;
    Page::Summary summary = Page::Summary::off;
    std::vector<std::string> elements;
    std::string self;  ///< query string of the parameters really used, percent-encoded
    std::vector<Issue> warnings;
    std::shared_ptr<const AccessFilter> access;

    /// A reference value without a type ("subject=7") that can lead to several types: refused when
    /// more than one has that id.
    struct Untyped {
        std::string parameter;
        std::vector<store::Identity> candidates;
    };
    std::vector<Untyped> untyped;
};

/// Understands a query string.
///
/// `type` empty = system search, "*" = every type of the compartment. `names` is only looked up,
/// never grown. Errors: `incorrect` for an unknown parameter (with the list of known ones), a
/// modifier that the parameter does not have, a malformed value or escape (with its place);
/// `forbidden` from the caller's filter; `too_large` beyond a limit; `unsupported` for _query, full
/// text or a sort inside contained resources, and modifiers without their service. Blocking: only
/// inside `concepts` and `timeline`.
Result<Query> parse(const Parameters& parameters, const store::Names& names, std::string_view type,
                    const QueryParameters& query, const ParseOptions& options);

}  // namespace meridian::fhir::search
