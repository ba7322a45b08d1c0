// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/postgres/known.hpp"
#include "store/postgres/layout.hpp"
#include "store/postgres/parameters.hpp"
#include "store/postgres/rank.hpp"

namespace meridian::store::postgres {

/// Rows of one table that show a condition to hold: `FROM <from> WHERE <where>`, of the resource
/// `rid`, which lies at `home` (empty: the rows do not say).
struct Leaf {
    std::string from;
    std::string where;
    std::string rid;
    std::string home;
    bool lies_apart = false;  ///< in a sharded layout not in the shard of the resource
};
using Leaves = std::vector<Leaf>;

/// What the rows of a set are: row ids, or where a resource lies and its row id.
enum class Columns : unsigned char { rid, place };

/// Writes conditions as SQL, and keeps the values of its parameters. One object a statement: its
/// aliases and parameters are numbered through.
class Renderer {
 public:
    Renderer(const Names& names, const Known& known, const Layout& layout)
        : names_(names), known_(known), is_sharded_(layout.is_sharded()) {}

    /// Restricts the resources `alias` to the shards where matches can lie; empty when that is all.
    std::string within_homes(std::string_view alias, std::string_view home = "patient") const;
    /// That two aliases are of one resource. In a sharded layout its rows lie together, and who
    /// says so is answered shard by shard.
    std::string same_resource(std::string_view left, std::string_view right,
                              std::string_view home = "patient") const;

    /// True of the resource `alias` (a table with a rid) when the condition holds; as part of a
    /// conjunction, where PostgreSQL makes joins of it.
    ///
    /// Where one condition leaves few resources, the others are asked about each of these; only
    /// conditions of the best rank are sets to begin with. PostgreSQL would rather collect the set
    /// of each.
    std::string conjunct(const Condition& condition, const std::string& alias, Name type,
                         int best = Rank::worst);

    /// The same anywhere in an expression.
    std::string predicate(const Condition& condition, const std::string& alias, Name type);
    /// What `where` says beside its part `driver` of the resource `alias`, with an AND before it:
    /// asked about one resource after the other.
    std::string others_about(const Condition& where, const Condition& driver,
                             const std::string& alias, Name type);

    // What is gone through one after the other, or counted: render_walks.cpp.

    /// Whether a range of each index that a condition names answers it.
    static bool is_of_own_rows(const Condition& condition);
    /// A statement that tells, for each of `parts` that ranges of index rows answer, how many
    /// resources satisfy it, if they are at most `count_max`; the parts in the order of its
    /// columns. A link is told by what it leads to, and by how many resources of the type there are
    /// for each of these on average. The last column is the number of resources of the type.
    std::pair<std::string, std::vector<const Condition*>> counting(std::span<const Condition> parts,
                                                                   Name type,
                                                                   std::size_t count_max);
    /// The rows of a chart as (rid, patient, date), one statement a patient and code; `patient` is
    /// where the resource lies.
    std::vector<std::string> chart_ranges(const OfPatient& path);
    /// The row ids of all that satisfies a condition which only the living do, each once or several
    /// times; nothing where that has to be asked about each resource, and in sharded layouts.
    std::optional<std::string> living_rows(const Condition& condition, Name type);

    /// The row ids behind `after` of the current resources that satisfy `driver`, in order, as
    /// `FROM <from> WHERE <where>` of the alias c. Nothing when index rows do not tell them.
    struct Candidates {
        std::string from;
        std::string where;
    };
    std::optional<Candidates> candidates(const Condition& driver, Name type, Rid after);
    /// Ranges of indexes in the order of row ids, which together hold the matches: these need not
    /// be collected then. Nothing where there are none, or too many to be merged.
    std::optional<Leaves> streams_of(const Condition& condition, Name type);
    /// The row ids of all that lies within the reach of a caller's rights, by the keys of what
    /// these name, each once or several times. Nothing where they name no resources, and in sharded
    /// layouts.
    std::optional<std::string> reach_of(const Condition& access, Name type);
    Parameters take_parameters() { return std::move(parameters_); }
    Parameters& parameters() { return parameters_; }
    // Values as SQL: small ones stand in the text, for which it is planned anyway.
    std::string text(std::string_view value);
    std::string real(double value);
    std::string integers(std::span<const std::int64_t> values);
    std::string parameter() const { return fmt::format("${}", parameters_.size()); }

 private:
    static constexpr int no_sets = -1;  ///< none ranks as low

    // Conditions: render.cpp.

    /// What satisfies the rarest condition is collected, and the others are asked about each of
    /// these.
    std::string about_rarest(const AllOf& all, const std::string& alias, Name type);
    bool holds_rarest(const AllOf& all) const;
    bool is_frequent(const Condition& condition) const;
    /// The best rank of those parts that may be sets.
    int best_set_of(const AllOf& all) const;
    std::string negated(const Condition& condition, const std::string& alias, Name type);
    std::string exists(const Leaf& leaf, const std::string& alias) const;
    static bool is_resource(const std::string& alias);
    /// Whether reading the log's entries takes longer than looking at each resource.
    bool is_wide(const ChangedWithin& condition) const;
    static std::string written_within(const ChangedWithin& condition, const std::string& alias);
    template <class Part>
    std::string joined(const Conditions& parts, std::string_view word, std::string_view none,
                       Part part) {
        if (parts.empty()) return std::string(none);
        std::string out = "(";
        for (const Condition& each : parts) {
            if (out.size() > 1) out += word;
            out += part(each);
        }
        return out + ")";
    }
    static std::string literal(std::int64_t value);
    std::string alias() { return fmt::format("i{}", ++aliases_); }

    // Sets: render.cpp.

    std::optional<std::string> rows_as(const Leaf& leaf, Columns columns) const;
    /// The restriction to the shards of matches again, at their rows: of a list of homes PostgreSQL
    /// does not conclude that what is joined lies there too. What links lead to may lie elsewhere.
    std::string among_homes(const Leaf& leaf) const;
    /// The resources for which the condition holds, or nothing when that is no finite list of
    /// index rows, or these do not tell what `columns` asks for.
    std::optional<std::string> set_of(const Condition& condition, Name type, Columns columns);
    /// That of the part which leaves the fewest, with the others asked about each of them.
    std::optional<std::string> set_of_all(const Conditions& parts, Name type, Columns columns);
    /// The current resources of a type that satisfy a condition.
    std::string living(const Condition& condition, Name type, Columns columns);

    // Walks: render_walks.cpp.

    /// The condition by whose rows one is counted: its own, or those of what a link leads to.
    struct CountedBy {
        const Condition* condition;
        Name type;
    };
    static CountedBy counted_by(const Condition& part, Name type);

    // Rows that show a condition to hold: render_leaves.cpp.

    Leaves leaves_of(const Condition& condition, Name type);
    /// One table whose rows are of a parameter.
    Leaf rows_of(std::string_view table, Name param);
    /// Rows of the clinical access path, of whichever patient.
    Leaf chart_rows(Name type, std::vector<std::int64_t> codes, std::int64_t date_from,
                    std::int64_t date_below);
    /// The resources among those of a leaf that are of a type.
    Leaf of_type(const Leaf& leaf, Name type);
    static std::string name_in(const Leaf& leaf) { return leaf.rid.substr(0, leaf.rid.find('.')); }
    /// Those of a list of codes that occur, as far as that was asked.
    const std::vector<std::int64_t>& occurring(const std::vector<std::int64_t>& values) const;
    std::vector<Rid> known(const std::vector<Identity>& identities) const;
    /// Where a known identity lies; what nobody wrote would lie with itself.
    Rid home_of(const Identity& identity) const;
    std::string inside(const NumberBox& box, const std::string& name);
    // These are no leaves; who asks has looked before.
    Leaves leaves(const Everything&, Name) { return {}; }
    Leaves leaves(const Nothing&, Name) { return {}; }
    Leaves leaves(const AllOf&, Name) { return {}; }
    Leaves leaves(const AnyOf&, Name) { return {}; }
    Leaves leaves(const NoneOf&, Name) { return {}; }
    Leaves leaves(const HasToken& condition, Name);
    Leaves leaves(const HasTokenIn& condition, Name);
    Leaves leaves(const HasString& condition, Name);
    Leaves leaves(const HasDate& condition, Name);
    Leaves leaves(const HasNumber& condition, Name);
    Leaves leaves(const HasQuantity& condition, Name);
    Leaves leaves(const HasUri& condition, Name);
    Leaves leaves(const HasReference& condition, Name);
    Leaves leaves(const HasComposite& condition, Name);
    Leaves leaves(const HasText& condition, Name);
    Leaves leaves(const HasAny& condition, Name);
    Leaves leaves(const HasId& condition, Name type);
    Leaves leaves(const RefersTo& condition, Name);
    /// What one resource refers to, each asked about the condition.
    Leaves to_targets(const RefersTo& condition);
    Leaves leaves(const ReferredBy& condition, Name);
    /// What the chart of one resource holds of its sources.
    Leaves in_chart(const ReferredBy& condition);
    Leaves leaves(const OfPatient& condition, Name type);
    Leaves leaves(const InCompartment& condition, Name type);
    Leaves leaves(const ChangedWithin& condition, Name type);

    const Names& names_;
    const Known& known_;
    bool is_sharded_;
    bool is_probing_ = false;  ///< what is rendered is asked about one resource at a time
    bool is_in_link_ = false;  ///< what is rendered is asked about what a link leads to
    Parameters parameters_;
    unsigned aliases_ = 0;
};

}  // namespace meridian::store::postgres
