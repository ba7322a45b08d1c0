// SPDX-License-Identifier: Apache-2.0
// Conditions as SQL. Private to search.cpp, and apart from it because it is half of it.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/engine/index_rows.hpp"
#include "store/names.hpp"
#include "store/plan.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/known.hpp"
#include "store/postgres/text_search.hpp"

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

/// How few resources a condition leaves, as far as its kind tells: the smaller the fewer.
struct Rank {
    static constexpr int worst = 9;
    static int of(const Condition& condition) {
        return std::visit([](const auto& each) { return rank(each); }, condition.as_variant());
    }

 private:
    static int rank(const HasId&) { return 0; }
    static int rank(const OfPatient& condition) {
        // A chart of everyone is kept for what is no resource, and holds as much as a code does.
        const auto is_resource = [](const Identity& patient) { return patient.type != 0; };
        return std::ranges::all_of(condition.patients, is_resource) ? 1 : 3;
    }
    static int rank(const HasReference&) { return 1; }
    static int rank(const InCompartment&) { return 1; }
    static int rank(const HasComposite&) { return 2; }
    static int rank(const HasUri&) { return 2; }
    static int rank(const HasToken&) { return 3; }
    static int rank(const HasText&) { return 3; }
    static int rank(const HasString& condition) {
        return condition.match == StringMatch::starts ? 3 : 6;
    }
    static int rank(const RefersTo&) { return 4; }
    static int rank(const ReferredBy&) { return 4; }
    static int rank(const HasDate&) { return 5; }
    static int rank(const HasNumber&) { return 5; }
    static int rank(const HasQuantity&) { return 5; }
    static int rank(const HasTokenIn&) { return 5; }
    static int rank(const ChangedWithin&) { return 5; }
    static int rank(const HasAny&) { return 6; }
    static int rank(const AllOf& condition) {
        int best = worst;
        for (const Condition& part : condition.parts) best = std::min(best, of(part));
        return best;
    }
    static int rank(const AnyOf& condition) {
        int last = 0;
        for (const Condition& part : condition.parts) last = std::max(last, of(part));
        return last;
    }
    template <class Other>
    static int rank(const Other&) {
        return worst;
    }
};

/// Whether only current resources can satisfy a condition: index rows are those of current
/// versions. Then nobody has to look at the resource itself, and a parameter implies its type.
struct Living {
    static bool implied_by(const Condition& condition) {
        return std::visit([](const auto& each) { return implied(each); }, condition.as_variant());
    }

 private:
    static bool implied(const HasToken&) { return true; }
    static bool implied(const HasTokenIn&) { return true; }
    static bool implied(const HasString&) { return true; }
    static bool implied(const HasDate&) { return true; }
    static bool implied(const HasNumber&) { return true; }
    static bool implied(const HasQuantity&) { return true; }
    static bool implied(const HasUri&) { return true; }
    static bool implied(const HasReference&) { return true; }
    static bool implied(const HasComposite&) { return true; }
    static bool implied(const RefersTo&) { return true; }
    static bool implied(const AllOf& condition) {
        return std::any_of(condition.parts.begin(), condition.parts.end(), implied_by);
    }
    static bool implied(const AnyOf& condition) {
        return !condition.parts.empty() &&
               std::all_of(condition.parts.begin(), condition.parts.end(), implied_by);
    }
    // Full text holds all types, a chart's rows name theirs, the rest may be told of the dead.
    template <class Other>
    static bool implied(const Other&) {
        return false;
    }
};

class Renderer {
 public:
    Renderer(const Names& names, const Known& known, const Layout& layout)
        : names_(names), known_(known), is_sharded_(layout.is_sharded()) {}

    /// Restricts the resources `alias` to the shards where matches can lie; empty when that is all.
    std::string within_homes(std::string_view alias, std::string_view home = "patient") const {
        if (!known_.homes) return {};
        if (known_.homes->empty()) return " AND false";
        return fmt::format(" AND {}.{} IN ({})", alias, home, fmt::join(*known_.homes, ","));
    }
    /// That two aliases are of one resource. In a sharded layout its rows lie together, and who
    /// says so is answered shard by shard.
    std::string same_resource(std::string_view left, std::string_view right,
                              std::string_view home = "patient") const {
        if (!is_sharded_) return fmt::format("{}.rid = {}.rid", left, right);
        return fmt::format("{0}.rid = {1}.rid AND {0}.{2} = {1}.patient", left, right, home);
    }

    /// True of the resource `alias` (a table with a rid) when the condition holds; as part of a
    /// conjunction, where PostgreSQL makes joins of it.
    ///
    /// Where one condition leaves few resources, the others are asked about each of these; only
    /// conditions of the best rank are sets to begin with. PostgreSQL would rather collect the set
    /// of each.
    std::string conjunct(const Condition& condition, const std::string& alias, Name type,
                         int best = Rank::worst) {
        if (const auto* all = std::get_if<AllOf>(&condition.as_variant())) {
            if (known_.rarest != nullptr && holds_rarest(*all))
                return about_rarest(*all, alias, type);
            const int best_here = std::min(best, best_set_of(*all));
            return joined(all->parts, " AND ", "true", [&](const Condition& part) {
                return conjunct(part, alias, type, best_here);
            });
        }
        if (const auto* within = std::get_if<ChangedWithin>(&condition.as_variant());
            within != nullptr && is_wide(*within) && is_resource(alias))
            return written_within(*within, alias);
        if (Rank::of(condition) > best || is_frequent(condition))
            return predicate(condition, alias, type);
        if (const auto* none = std::get_if<NoneOf>(&condition.as_variant()))
            return joined(none->parts, " AND ", "true",
                          [&](const Condition& part) { return negated(part, alias, type); });
        if (is_sharded_) {
            if (auto set = set_of(condition, type, Columns::place))
                return fmt::format("({0}.patient, {0}.rid) IN ({1})", alias, *set);
        }
        if (auto set = set_of(condition, type, Columns::rid)) {
            // What links lead to is worked out by itself, and first: taken apart, its joins would
            // be ordered among the others by guesses that are off by a hundred.
            const bool is_link = std::holds_alternative<RefersTo>(condition.as_variant()) ||
                                 std::holds_alternative<ReferredBy>(condition.as_variant());
            return is_link ? fmt::format("{}.rid = ANY (ARRAY ({}))", alias, *set)
                           : fmt::format("{}.rid IN ({})", alias, *set);
        }
        return predicate(condition, alias, type);
    }

    /// What one condition among several was counted by: the rows of its own, or of what a link
    /// leads to, each of which stands for `weight` resources.
    struct Counted {
        const Condition* part;
        int weight;
    };
    /// A statement that counts, for each of `parts` that ranges of index rows answer, the
    /// resources that satisfy it, up to `count_max`; the parts in the order of its columns. The
    /// last column is the number of resources of the type.
    std::pair<std::string, std::vector<Counted>> counting(std::span<const Condition> parts,
                                                          Name type, std::size_t count_max) {
        // What is rarer by its kind comes first: of each of the others no more is counted than of
        // those before it.
        std::vector<const Condition*> ranked;
        for (const Condition& part : parts) ranked.push_back(&part);
        std::ranges::stable_sort(ranked, {}, [](const Condition* part) { return Rank::of(*part); });
        std::string columns, from;
        std::string limit = std::to_string(count_max);
        std::vector<Counted> counted;
        for (const Condition* part : ranked) {
            const auto [condition, of_type, weight] = counted_by(*part, type);
            if (condition == nullptr || !is_of_own_rows(*condition)) continue;
            const auto set = set_of(*condition, of_type, Columns::rid);
            if (!set) continue;
            const std::string name = alias();
            from += fmt::format(
                "{0}(SELECT count(*) AS n FROM (SELECT FROM ({1}) AS s LIMIT {2}) AS l) AS {3}",
                from.empty() ? "" : " CROSS JOIN LATERAL ", *set, limit, name);
            columns += fmt::format("{}{}.n", columns.empty() ? "" : ", ", name);
            if (weight == 1) limit = fmt::format("least({}, {}.n + 1)", limit, name);
            counted.push_back({part, weight});
        }
        return {fmt::format("SELECT {}, (SELECT coalesce(sum(resources), 0)::bigint FROM "
                            "meridian.type_count WHERE type = {}) FROM {}",
                            columns, type, from),
                std::move(counted)};
    }

    /// The same anywhere in an expression.
    std::string predicate(const Condition& condition, const std::string& alias, Name type) {
        const auto part_of = [&](const Condition& part) { return predicate(part, alias, type); };
        if (std::holds_alternative<Everything>(condition.as_variant())) return "true";
        if (const auto* all = std::get_if<AllOf>(&condition.as_variant()))
            return joined(all->parts, " AND ", "true", part_of);
        if (const auto* any = std::get_if<AnyOf>(&condition.as_variant()))
            return joined(any->parts, " OR ", "false", part_of);
        if (const auto* none = std::get_if<NoneOf>(&condition.as_variant()))
            return "NOT " + joined(none->parts, " OR ", "false", part_of);
        const bool was_probing = std::exchange(is_probing_, true);
        const Leaves leaves = leaves_of(condition, type);
        is_probing_ = was_probing;
        std::string out;
        for (const Leaf& leaf : leaves) {
            if (!out.empty()) out += " OR ";
            out += exists(leaf, alias);
        }
        return leaves.empty() ? "false" : leaves.size() == 1 ? out : "(" + out + ")";
    }

    /// The rows of a chart as (rid, patient, date), one statement a patient and code; `patient` is
    /// where the resource lies.
    std::vector<std::string> chart_ranges(const OfPatient& path) {
        std::vector<std::string> ranges;
        const std::vector<std::int64_t> any{0};
        for (const Rid patient : known(path.patients)) {
            for (const std::int64_t code : path.codes.empty() ? any : occurring(path.codes)) {
                const Leaf leaf = chart_rows(path.type, {code}, path.date_from, path.date_below);
                const std::string name = name_in(leaf);
                ranges.push_back(fmt::format(
                    "SELECT {0}.rid, {0}.home AS patient, {0}.date FROM {1} WHERE {0}.patient = "
                    "{2} AND {3}",
                    name, leaf.from, literal(patient), leaf.where));
            }
        }
        return ranges;
    }
    /// The row ids of all that satisfies a condition which only the living do, each once or several
    /// times; nothing where that has to be asked about each resource, and in sharded layouts.
    std::optional<std::string> living_rows(const Condition& condition, Name type) {
        if (is_sharded_ || !Living::implied_by(condition)) return std::nullopt;
        return set_of(condition, type, Columns::rid);
    }

    /// The row ids behind `after` of the current resources that satisfy `driver`, in order, as
    /// `FROM <from> WHERE <where>` of the alias c. Nothing when index rows do not tell them.
    struct Candidates {
        std::string from;
        std::string where;
    };
    std::optional<Candidates> candidates(const Condition& driver, Name type, Rid after) {
        const std::string name = alias();
        std::string rows;
        if (const auto streams = streams_of(driver)) {
            // The rows of each lie in this order: they are merged as far as they are asked for.
            for (const Leaf& leaf : *streams)
                rows += fmt::format("{}SELECT {} FROM {} WHERE {} AND {} > {}",
                                    rows.empty() ? "" : " UNION ALL ", leaf.rid, leaf.from,
                                    leaf.where, leaf.rid, after);
            rows = fmt::format("SELECT {0}.rid FROM ({1}) AS {0}(rid)", name, rows);
        } else if (const auto set = set_of(driver, type, Columns::rid)) {
            rows = fmt::format("SELECT DISTINCT {0}.rid FROM ({1}) AS {0}(rid) WHERE {0}.rid > {2}",
                               name, *set, after);
        } else {
            return std::nullopt;
        }
        std::string where = "true";
        const bool are_current =
            Living::implied_by(driver) || std::holds_alternative<OfPatient>(driver.as_variant());
        if (!are_current)
            where = fmt::format(
                "EXISTS (SELECT FROM meridian.resource t WHERE t.rid = c.rid AND t.verb <> 3{} "
                "OFFSET 0)",
                type == 0 ? "" : fmt::format(" AND t.type = {}", type));
        return Candidates{fmt::format("({} ORDER BY {}.rid OFFSET 0) AS c", rows, name), where};
    }
    /// Ranges of indexes in the order of row ids, which together hold the matches: these need not
    /// be collected then. Nothing where there are none, or too many to be merged.
    std::optional<Leaves> streams_of(const Condition& condition) {
        constexpr std::size_t merged_max = 16;
        Leaves streams;
        if (const auto* token = std::get_if<HasToken>(&condition.as_variant())) {
            const auto& values = occurring(token->values);
            if (values.size() > merged_max) return std::nullopt;
            for (const std::int64_t value : values) {
                Leaf& leaf = streams.emplace_back(rows_of("idx_token", token->param));
                leaf.where += fmt::format(" AND {}.value = {}", name_in(leaf), literal(value));
            }
        } else if (const auto* reference = std::get_if<HasReference>(&condition.as_variant())) {
            const auto targets = known(reference->targets);
            if (targets.size() > merged_max) return std::nullopt;
            for (const Rid target : targets) {
                Leaf& leaf = streams.emplace_back(rows_of("idx_reference", reference->param));
                leaf.where += fmt::format(" AND {}.target = {}", name_in(leaf), target);
            }
        } else if (const auto* member = std::get_if<InCompartment>(&condition.as_variant());
                   member != nullptr && member->type == 0) {
            streams = leaves(*member, 0);
        }
        if (streams.empty()) return std::nullopt;
        return streams;
    }
    /// What `where` says beside its part `driver` of the resource `alias`, with an AND before it.
    std::string others_about(const Condition& where, const Condition& driver,
                             const std::string& alias, Name type) {
        std::string out;
        if (&where == &driver) return out;
        for (const Condition& part : std::get<AllOf>(where.as_variant()).parts) {
            if (&part != &driver) out += " AND " + conjunct(part, alias, type, no_sets);
        }
        return out;
    }

    Parameters take_parameters() { return std::move(parameters_); }
    std::string text(std::string_view value) {
        parameters_.text(value);
        return fmt::format("${}::text COLLATE \"C\"", parameters_.size());
    }
    std::string real(double value) {
        parameters_.real(value);
        return fmt::format("${}::float8", parameters_.size());
    }
    std::string integers(std::span<const std::int64_t> values) {
        if (values.size() == 1) return fmt::format("{}::bigint", literal(values.front()));
        parameters_.integers(values);
        return fmt::format("ANY(${}::bigint[])", parameters_.size());
    }
    std::string parameter() const { return fmt::format("${}", parameters_.size()); }
    Parameters& parameters() { return parameters_; }

 private:
    /// Whether a range of each index that a condition names answers it.
    static bool is_of_own_rows(const Condition& condition) {
        if (const auto* any = std::get_if<AnyOf>(&condition.as_variant()))
            return std::ranges::all_of(any->parts, is_of_own_rows);
        if (std::holds_alternative<RefersTo>(condition.as_variant()) ||
            std::holds_alternative<ReferredBy>(condition.as_variant()) ||
            std::holds_alternative<ChangedWithin>(condition.as_variant()) ||
            std::holds_alternative<AllOf>(condition.as_variant()))
            return false;
        constexpr int by_a_range = 5;
        return Rank::of(condition) <= by_a_range;
    }
    static constexpr int no_sets = -1;  ///< none ranks as low
    struct CountedBy {
        const Condition* condition;
        Name type;
        int weight;
    };
    static CountedBy counted_by(const Condition& part, Name type) {
        constexpr int sources_of_a_target = 100;  // what lies in a chart of one type
        if (const auto* link = std::get_if<ReferredBy>(&part.as_variant()))
            return {link->source.get(), link->source_type, 1};
        if (const auto* link = std::get_if<RefersTo>(&part.as_variant()))
            return {link->target.get(), link->target_type, sources_of_a_target};
        return {&part, type, 1};
    }
    bool is_frequent(const Condition& condition) const {
        return std::ranges::find(known_.frequent, &condition) != known_.frequent.end();
    }
    /// The best rank of those parts that may be sets.
    int best_set_of(const AllOf& all) const {
        int best = Rank::worst;
        for (const Condition& part : all.parts) {
            if (!is_frequent(part)) best = std::min(best, Rank::of(part));
        }
        return best;
    }
    bool holds_rarest(const AllOf& all) const {
        return std::ranges::any_of(
            all.parts, [this](const Condition& part) { return &part == known_.rarest; });
    }
    /// What satisfies the rarest condition is collected, and the others are asked about each of
    /// these, in the order of rids until there are enough: PostgreSQL cannot tell that they are
    /// few.
    std::string about_rarest(const AllOf& all, const std::string& alias, Name type) {
        std::string out = fmt::format("({}.rid = ANY (ARRAY ({}))", alias,
                                      *set_of(*known_.rarest, type, Columns::rid));
        for (const Condition& part : all.parts) {
            if (&part != known_.rarest) out += " AND " + conjunct(part, alias, type, no_sets);
        }
        return out + ")";
    }
    static bool is_resource(const std::string& alias) {
        return alias.starts_with('r') || alias.starts_with('t');
    }
    /// Whether reading the log's entries takes longer than looking at each resource.
    bool is_wide(const ChangedWithin& condition) const {
        constexpr Position few = 5'000;
        return std::min(condition.below, known_.log_end) - condition.from > few;
    }
    static std::string written_within(const ChangedWithin& condition, const std::string& alias) {
        return fmt::format(
            "EXISTS (SELECT FROM meridian.batch b WHERE b.id = {0}.batch AND b.base + {0}.ordinal "
            ">= {1} AND b.base + {0}.ordinal < {2})",
            alias, literal(condition.from), literal(condition.below));
    }
    static std::string literal(std::int64_t value) {
        // The smallest bigint has no literal of its own: its digits alone are too many.
        return value < 0 ? fmt::format("('{}')", value) : fmt::format("{}", value);
    }
    std::string alias() { return fmt::format("i{}", ++aliases_); }

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

    std::string negated(const Condition& condition, const std::string& alias, Name type) {
        if (const auto* any = std::get_if<AnyOf>(&condition.as_variant()))
            return joined(any->parts, " AND ", "true",
                          [&](const Condition& part) { return negated(part, alias, type); });
        return "NOT " + predicate(condition, alias, type);
    }

    std::string exists(const Leaf& leaf, const std::string& alias) const {
        // With OFFSET the rows are looked up for one resource after the other, as is meant;
        // PostgreSQL would try all orders of a join instead, and take some for better by guesses.
        if (!is_sharded_)
            return fmt::format("EXISTS (SELECT FROM {} WHERE {} AND {} = {}.rid OFFSET 0)",
                               leaf.from, leaf.where, leaf.rid, alias);
        // What lies elsewhere is collected first: shards do not ask one another.
        if (leaf.home.empty())
            return fmt::format("{}.rid IN ({})", alias, *rows_as(leaf, Columns::rid));
        if (leaf.lies_apart)
            return fmt::format("({0}.patient, {0}.rid) IN ({1})", alias,
                               *rows_as(leaf, Columns::place));
        return fmt::format("EXISTS (SELECT FROM {} WHERE {} AND {} = {}.rid AND {} = {}.patient{})",
                           leaf.from, leaf.where, leaf.rid, alias, leaf.home, alias,
                           among_homes(leaf));
    }

    std::optional<std::string> rows_as(const Leaf& leaf, Columns columns) const {
        if (columns == Columns::rid)
            return fmt::format("SELECT {} FROM {} WHERE {}", leaf.rid, leaf.from, leaf.where);
        if (leaf.home.empty()) return std::nullopt;
        return fmt::format("SELECT {}, {} FROM {} WHERE {}{}", leaf.home, leaf.rid, leaf.from,
                           leaf.where, among_homes(leaf));
    }
    /// The restriction to the shards of matches again, at their rows: of a list of homes PostgreSQL
    /// does not conclude that what is joined lies there too. What links lead to may lie elsewhere.
    std::string among_homes(const Leaf& leaf) const {
        if (!known_.homes || known_.homes->size() < 2 || is_in_link_ || leaf.lies_apart) return {};
        return fmt::format(" AND {} IN ({})", leaf.home, fmt::join(*known_.homes, ","));
    }

    /// The resources for which the condition holds, or nothing when that is no finite list of
    /// index rows, or these do not tell what `columns` asks for.
    std::optional<std::string> set_of(const Condition& condition, Name type, Columns columns) {
        if (const auto* any = std::get_if<AnyOf>(&condition.as_variant())) {
            std::string out;
            for (const Condition& part : any->parts) {
                const auto set = set_of(part, type, columns);
                if (!set) return std::nullopt;
                if (!out.empty()) out += " UNION ALL ";
                out += *set;
            }
            if (out.empty()) return std::nullopt;
            return out;
        }
        if (const auto* all = std::get_if<AllOf>(&condition.as_variant()))
            return set_of_all(all->parts, type, columns);
        if (std::holds_alternative<NoneOf>(condition.as_variant()) ||
            std::holds_alternative<Everything>(condition.as_variant()))
            return std::nullopt;
        std::string out;
        for (const Leaf& leaf : leaves_of(condition, type)) {
            const auto rows = rows_as(leaf, columns);
            if (!rows) return std::nullopt;
            if (!out.empty()) out += " UNION ALL ";
            out += *rows;
        }
        if (out.empty()) return std::nullopt;  // never true
        return out;
    }

    /// That of the part which leaves the fewest, with the others asked about each of them.
    std::optional<std::string> set_of_all(const Conditions& parts, Name type, Columns columns) {
        const Condition* base = nullptr;
        bool is_rarest = false;
        for (const Condition& part : parts) {
            if (&part == known_.rarest) base = &part, is_rarest = true;
            if (is_rarest || is_frequent(part)) continue;
            const bool is_better = base == nullptr || Rank::of(part) < Rank::of(*base);
            const bool counts =
                Living::implied_by(part) || base == nullptr || !Living::implied_by(*base);
            if (is_better && counts) base = &part;
        }
        if (base == nullptr) return std::nullopt;
        // The others are asked where each of them lies.
        const auto set = set_of(*base, type, is_sharded_ ? Columns::place : Columns::rid);
        if (!set) return std::nullopt;
        const std::string name = alias();
        std::string out = fmt::format(
            "SELECT {0} FROM ({1}) AS {2}({3}) WHERE true",
            columns == Columns::rid ? name + ".rid" : fmt::format("{0}.patient, {0}.rid", name),
            *set, name, is_sharded_ ? "patient, rid" : "rid");
        for (const Condition& part : parts) {
            if (&part != base)
                out += " AND " + conjunct(part, name, type, is_rarest ? no_sets : Rank::of(*base));
        }
        return out;
    }

    Leaves leaves_of(const Condition& condition, Name type) {
        return std::visit([&](const auto& each) { return leaves(each, type); },
                          condition.as_variant());
    }

    /// One table whose rows are of a parameter.
    Leaf rows_of(std::string_view table, Name param) {
        const std::string name = alias();
        return {fmt::format("meridian.{} {}", table, name),
                fmt::format("{}.param = {}", name, param), name + ".rid", name + ".patient"};
    }
    static std::string name_in(const Leaf& leaf) { return leaf.rid.substr(0, leaf.rid.find('.')); }

    Leaves leaves(const Nothing&, Name) { return {}; }
    // These are no leaves; who asks has looked before.
    Leaves leaves(const Everything&, Name) { return {}; }
    Leaves leaves(const AllOf&, Name) { return {}; }
    Leaves leaves(const AnyOf&, Name) { return {}; }
    Leaves leaves(const NoneOf&, Name) { return {}; }

    /// Those of a list of codes that occur, as far as that was asked.
    const std::vector<std::int64_t>& occurring(const std::vector<std::int64_t>& values) const {
        const auto found = known_.occurring.find(&values);
        return found == known_.occurring.end() ? values : found->second;
    }
    Leaves leaves(const HasToken& condition, Name) {
        const auto& values = occurring(condition.values);
        if (values.empty()) return {};
        Leaf leaf = rows_of("idx_token", condition.param);
        leaf.where += fmt::format(" AND {}.value = {}", name_in(leaf), integers(values));
        return {leaf};
    }
    Leaves leaves(const HasTokenIn& condition, Name) {
        Leaf leaf = rows_of("idx_token", condition.param);
        leaf.where += fmt::format(" AND {}.value BETWEEN {} AND {}", name_in(leaf),
                                  literal(condition.first), literal(condition.last));
        return {leaf};
    }
    Leaves leaves(const HasString& condition, Name) {
        Leaf leaf = rows_of("idx_string", condition.param);
        const std::string name = name_in(leaf);
        const std::string asked = text(text_of(condition.text));
        switch (condition.match) {
            case StringMatch::starts:
                leaf.where += fmt::format(" AND {}.folded ^@ {}", name, asked);
                break;
            case StringMatch::exact:
                leaf.where += fmt::format(
                    " AND CASE WHEN {0}.exact = '' THEN {0}.folded ELSE {0}.exact END = {1}", name,
                    asked);
                break;
            case StringMatch::contains:
                leaf.where += fmt::format(" AND strpos({}.folded, {}) > 0", name, asked);
                break;
            case StringMatch::ends:
                leaf.where += fmt::format(" AND right({0}.folded, length({1})) = {1}", name, asked);
                break;
        }
        return {leaf};
    }
    Leaves leaves(const HasDate& condition, Name) {
        Leaves both;
        for (const int span : {1, 0}) {
            Leaf leaf = rows_of("idx_date", condition.param);
            const std::string name = name_in(leaf);
            const DateBox& box = condition.box;
            if (!is_probing_) leaf.where += fmt::format(" AND {}.span = {}", name, span);
            if (box.lo_from)
                leaf.where += fmt::format(" AND {}.lo >= {}", name, literal(*box.lo_from));
            if (box.lo_below)
                leaf.where += fmt::format(" AND {}.lo < {}", name, literal(*box.lo_below));
            if (box.hi_above) {
                leaf.where += fmt::format(" AND {}.hi > {}", name, literal(*box.hi_above));
                // Of short rows, only those that start at most 32 days before can end after it.
                constexpr std::int64_t first = std::numeric_limits<std::int64_t>::min();
                if (!is_probing_ && span == 0 && *box.hi_above > first + short_span_milliseconds)
                    leaf.where += fmt::format(" AND {}.lo >= {}", name,
                                              literal(*box.hi_above - short_span_milliseconds));
            }
            if (box.hi_to)  // lo is at most hi
                leaf.where +=
                    fmt::format(" AND {0}.hi <= {1} AND {0}.lo <= {1}", name, literal(*box.hi_to));
            both.push_back(std::move(leaf));
            if (is_probing_) break;  // the rows of one resource are few: no key is walked
        }
        return both;
    }
    std::string inside(const NumberBox& box, const std::string& name) {
        std::string out;
        if (box.lo_from) out += fmt::format(" AND {}.lo >= {}", name, real(*box.lo_from));
        if (box.lo_below) out += fmt::format(" AND {}.lo < {}", name, real(*box.lo_below));
        if (box.hi_above) out += fmt::format(" AND {}.hi > {}", name, real(*box.hi_above));
        if (box.hi_to) {
            const std::string to = real(*box.hi_to);
            out += fmt::format(" AND {0}.hi <= {1} AND {0}.lo <= {1}", name, to);
        }
        return out;
    }
    Leaves leaves(const HasNumber& condition, Name) {
        Leaf leaf = rows_of("idx_number", condition.param);
        leaf.where += inside(condition.box, name_in(leaf));
        return {leaf};
    }
    Leaves leaves(const HasQuantity& condition, Name) {
        Leaf leaf = rows_of("idx_quantity", condition.param);
        const std::string name = name_in(leaf);
        if (!condition.units.empty())
            leaf.where +=
                fmt::format(" AND {}.unit IN ({})", name, fmt::join(condition.units, ","));
        leaf.where += inside(condition.box, name);
        return {leaf};
    }
    Leaves leaves(const HasUri& condition, Name) {
        Leaf leaf = rows_of("idx_uri", condition.param);
        const std::string name = name_in(leaf);
        leaf.where += fmt::format(" AND {}.uri = {}", name, text(key_of(condition.uri)));
        if (!condition.below) return {leaf};
        Leaf under = rows_of("idx_uri", condition.param);
        under.where +=
            fmt::format(" AND {}.uri ^@ {}", name_in(under), text(key_of(condition.uri + "/")));
        return {leaf, under};
    }
    std::vector<Rid> known(const std::vector<Identity>& identities) const {
        std::vector<Rid> rids;
        for (const Identity& identity : identities) {
            const auto found = known_.places.find({identity.type, identity.id});
            if (found != known_.places.end()) rids.push_back(found->second.rid);
        }
        return rids;
    }
    /// Where a known identity lies; what nobody wrote would lie with itself.
    Rid home_of(const Identity& identity) const {
        const Place& place = known_.places.at({identity.type, identity.id});
        return place.home.value_or(place.rid);
    }
    Leaves leaves(const HasReference& condition, Name) {
        const auto targets = known(condition.targets);
        if (targets.empty()) return {};
        Leaf leaf = rows_of("idx_reference", condition.param);
        leaf.where += fmt::format(" AND {}.target = {}", name_in(leaf), integers(targets));
        return {leaf};
    }
    Leaves leaves(const HasComposite& condition, Name) {
        const auto& keys = occurring(condition.keys);
        if (keys.empty()) return {};
        Leaf leaf = rows_of("idx_composite", condition.param);
        const std::string name = name_in(leaf);
        leaf.where += fmt::format(" AND {}.key = {}", name, integers(keys));
        if (!condition.seconds.empty())
            leaf.where += fmt::format(" AND {}.second = {}", name, integers(condition.seconds));
        leaf.where += inside(condition.box, name);
        if (condition.starts)
            leaf.where +=
                fmt::format(" AND {}.folded ^@ {}", name, text(text_of(*condition.starts)));
        return {leaf};
    }
    Leaves leaves(const HasText& condition, Name) {
        const std::string query = text_query(condition);
        if (query.empty()) return {};
        const std::string name = alias();
        parameters_.text(query);
        const bool content =
            names_.text(NameKind::parameter, condition.param).ends_with("_content");
        return {{fmt::format("meridian.idx_text {}", name),
                 fmt::format("{}.words @@ {}::text::tsquery AND {}.field = {}", name, parameter(),
                             name, content ? 1 : 0),
                 name + ".rid", name + ".patient"}};
    }
    Leaves leaves(const HasAny& condition, Name) {
        Leaves all;
        const auto holds = known_.tables.find(condition.param);
        for (std::size_t i = 0; i < parameter_tables.size(); ++i) {
            if (holds == known_.tables.end() || holds->second[i])
                all.push_back(rows_of(parameter_tables[i].name, condition.param));
        }
        const std::string name = names_.text(NameKind::parameter, condition.param);
        if (name.ends_with("_text") || name.ends_with("_content"))
            all.push_back(rows_of("idx_text", condition.param));
        return all;
    }
    Leaves leaves(const HasId& condition, Name type) {
        if (type != 0 && condition.type != type) return {};
        std::vector<Rid> rids;
        std::vector<Rid> homes;
        for (const std::string& id : condition.ids) {
            const auto found = known_.places.find({condition.type, id});
            if (found == known_.places.end()) continue;
            rids.push_back(found->second.rid);
            if (found->second.home) homes.push_back(*found->second.home);
        }
        if (rids.empty()) return {};
        const std::string name = alias();
        parameters_.integers(rids);
        const std::string list = parameter();
        if (!is_sharded_ || homes.size() != rids.size())
            return {{fmt::format("unnest({}::bigint[]) AS {}(rid)", list, name), "true",
                     name + ".rid", ""}};
        parameters_.integers(homes);
        return {{fmt::format("unnest({}::bigint[], {}::bigint[]) AS {}(rid, home)", list,
                             parameter(), name),
                 "true", name + ".rid", name + ".home"}};
    }
    /// What one resource refers to, each asked about the condition.
    Leaves to_targets(const RefersTo& condition) {
        const std::string name = alias();
        std::string target = predicate(*condition.target, name, condition.target_type);
        if (!Living::implied_by(*condition.target)) {
            const std::string resource = "t" + alias();
            target = fmt::format(
                "EXISTS (SELECT FROM meridian.resource {0} WHERE {0}.rid = {1}.rid AND {0}.verb <> "
                "3 AND {0}.type = {2} AND {3} OFFSET 0)",
                resource, name, condition.target_type,
                predicate(*condition.target, resource, condition.target_type));
        }
        return {{fmt::format("(SELECT f.rid AS source, f.target AS rid FROM meridian.idx_reference "
                             "f WHERE f.param = {}) AS {}",
                             condition.param, name),
                 target, name + ".source", ""}};
    }
    Leaves leaves(const RefersTo& condition, Name) {
        if (!condition.target) return {};
        if (is_probing_ && !is_sharded_) return to_targets(condition);
        Leaf leaf = rows_of("idx_reference", condition.param);
        leaf.where += fmt::format(" AND {}.target IN ({})", name_in(leaf),
                                  living(*condition.target, condition.target_type, Columns::rid));
        return {leaf};
    }
    /// What the chart of one resource holds of its sources.
    Leaves in_chart(const ReferredBy& condition) {
        const ChartRange& chart = *condition.chart;
        const auto& codes = occurring(chart.codes);
        if (codes.empty() != chart.codes.empty()) return {};
        Leaf leaf = chart_rows(chart.type, codes, chart.date_from, chart.date_below);
        const std::string name = name_in(leaf);
        Leaf reference = rows_of("idx_reference", condition.param);
        reference.where += fmt::format(" AND {}.target = {}.patient", name_in(reference), name);
        leaf.where += " AND " + exists(reference, name) + " AND " +
                      predicate(*condition.source, name, condition.source_type);
        leaf.rid = name + ".patient";
        return {std::move(leaf)};
    }
    Leaves leaves(const ReferredBy& condition, Name) {
        if (!condition.source) return {};
        if (is_probing_ && !is_sharded_ && condition.chart) return in_chart(condition);
        Leaf leaf = rows_of("idx_reference", condition.param);
        const std::string name = name_in(leaf);
        leaf.where +=
            is_sharded_
                ? fmt::format(" AND ({0}.patient, {0}.rid) IN ({1})", name,
                              living(*condition.source, condition.source_type, Columns::place))
                : fmt::format(" AND {}.rid IN ({})", name,
                              living(*condition.source, condition.source_type, Columns::rid));
        leaf.rid = name + ".target";
        leaf.home.clear();  // that of the source is another's
        return {leaf};
    }
    Leaves leaves(const OfPatient& condition, Name type) {
        if (type != 0 && condition.type != type) return {};
        const auto patients = known(condition.patients);
        if (patients.empty()) return {};
        Leaf leaf =
            chart_rows(condition.type, condition.codes, condition.date_from, condition.date_below);
        leaf.where =
            fmt::format("{}.patient = {} AND {}", name_in(leaf), integers(patients), leaf.where);
        return {std::move(leaf)};
    }
    /// Rows of the clinical access path, of whichever patient.
    Leaf chart_rows(Name type, std::vector<std::int64_t> codes, std::int64_t date_from,
                    std::int64_t date_below) {
        const std::string name = alias();
        if (codes.empty()) codes.push_back(0);
        std::string where =
            fmt::format("{0}.type = {1} AND {0}.code = {2}", name, type, integers(codes));
        if (date_from != std::numeric_limits<std::int64_t>::min())
            where += fmt::format(" AND {}.date >= {}", name, literal(date_from));
        if (date_below != std::numeric_limits<std::int64_t>::max())
            where += fmt::format(" AND {}.date < {}", name, literal(date_below));
        return {fmt::format("meridian.idx_patient {}", name), where, name + ".rid", name + ".home"};
    }
    Leaves leaves(const InCompartment& condition, Name type) {
        if (type != 0 && condition.type != 0 && condition.type != type) return {};
        const auto patient = known({condition.patient});
        if (patient.empty()) return {};
        const std::string member = alias();
        const std::string self = alias();
        Leaf in{fmt::format("meridian.compartment {}", member),
                fmt::format("{}.patient = {}", member, patient.front()), member + ".rid",
                member + ".home", true};
        if (condition.type != 0 && type == 0) in = of_type(in, condition.type);
        Leaves both{std::move(in)};
        if (condition.type == 0 || condition.type == condition.patient.type)
            both.push_back({fmt::format("(VALUES ({}::bigint, {}::bigint)) AS {}(rid, home)",
                                        patient.front(), home_of(condition.patient), self),
                            "true", self + ".rid", self + ".home"});
        return both;
    }
    /// The resources among those of a leaf that are of a type.
    Leaf of_type(const Leaf& leaf, Name type) {
        const std::string name = alias();
        return {
            fmt::format("meridian.resource {}", name),
            fmt::format("{0}.type = {1} AND {2} IN ({3})", name, type,
                        is_sharded_ ? fmt::format("({0}.patient, {0}.rid)", name) : name + ".rid",
                        *rows_as(leaf, is_sharded_ ? Columns::place : Columns::rid)),
            name + ".rid", name + ".patient"};
    }
    Leaves leaves(const ChangedWithin& condition, Name type) {
        if (condition.below <= condition.from) return {};
        const std::string entry = alias();
        const std::string current = alias();
        std::string where = fmt::format("{0}.position >= {1} AND {0}.position < {2}", entry,
                                        literal(condition.from), literal(condition.below));
        if (type != 0) where += fmt::format(" AND {}.type = {}", entry, type);
        return {{fmt::format("meridian.log {0} JOIN meridian.resource {1} ON {1}.rid = {0}.rid AND "
                             "{1}.version = {0}.version",
                             entry, current),
                 where, entry + ".rid", current + ".patient", true}};
    }

    /// The current resources of a type that satisfy a condition.
    std::string living(const Condition& condition, Name type, Columns columns) {
        const bool was_probing = std::exchange(is_probing_, false);
        const bool was_in_link = std::exchange(is_in_link_, true);
        const auto leave = [&] { is_probing_ = was_probing, is_in_link_ = was_in_link; };
        if (Living::implied_by(condition)) {
            if (auto set = set_of(condition, type, columns)) {
                leave();
                return *set;
            }
        }
        const std::string name = "t" + alias();
        std::string out =
            fmt::format("SELECT {1}{0}.rid FROM meridian.resource {0} WHERE {0}.verb <> 3", name,
                        columns == Columns::rid ? "" : name + ".patient, ");
        if (type != 0) out += fmt::format(" AND {}.type = {}", name, type);
        if (!std::holds_alternative<Everything>(condition.as_variant()))
            out += " AND " + conjunct(condition, name, type);
        leave();
        return out;
    }

    const Names& names_;
    const Known& known_;
    bool is_sharded_;
    bool is_probing_ = false;  ///< what is rendered is asked about one resource at a time
    bool is_in_link_ = false;  ///< what is rendered is asked about what a link leads to
    Parameters parameters_;
    unsigned aliases_ = 0;
};

}  // namespace meridian::store::postgres
