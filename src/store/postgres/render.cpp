// SPDX-License-Identifier: Apache-2.0
// Conditions about a resource, and sets of resources, as SQL.
#include "store/postgres/render.hpp"

namespace meridian::store::postgres {

std::string Renderer::within_homes(std::string_view alias, std::string_view home) const {
    if (!known_.homes) return {};
    if (known_.homes->empty()) return " AND false";
    return fmt::format(" AND {}.{} IN ({})", alias, home, fmt::join(*known_.homes, ","));
}

std::string Renderer::same_resource(std::string_view left, std::string_view right,
                                    std::string_view home) const {
    if (!is_sharded_) return fmt::format("{}.rid = {}.rid", left, right);
    return fmt::format("{0}.rid = {1}.rid AND {0}.{2} = {1}.patient", left, right, home);
}

std::string Renderer::conjunct(const Condition& condition, const std::string& alias, Name type,
                               int best) {
    if (const auto* all = std::get_if<AllOf>(&condition.as_variant())) {
        if (known_.rarest != nullptr && holds_rarest(*all)) return about_rarest(*all, alias, type);
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

std::string Renderer::predicate(const Condition& condition, const std::string& alias, Name type) {
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

std::string Renderer::text(std::string_view value) {
    parameters_.text(value);
    return fmt::format("${}::text COLLATE \"C\"", parameters_.size());
}

std::string Renderer::real(double value) {
    parameters_.real(value);
    return fmt::format("${}::float8", parameters_.size());
}

std::string Renderer::integers(std::span<const std::int64_t> values) {
    if (values.size() == 1) return fmt::format("{}::bigint", literal(values.front()));
    parameters_.integers(values);
    return fmt::format("ANY(${}::bigint[])", parameters_.size());
}

bool Renderer::is_frequent(const Condition& condition) const {
    return std::ranges::find(known_.frequent, &condition) != known_.frequent.end();
}

int Renderer::best_set_of(const AllOf& all) const {
    int best = Rank::worst;
    for (const Condition& part : all.parts) {
        if (!is_frequent(part)) best = std::min(best, Rank::of(part));
    }
    return best;
}

bool Renderer::holds_rarest(const AllOf& all) const {
    return std::ranges::any_of(all.parts,
                               [this](const Condition& part) { return &part == known_.rarest; });
}

std::string Renderer::about_rarest(const AllOf& all, const std::string& alias, Name type) {
    std::string out = fmt::format("({}.rid = ANY (ARRAY ({}))", alias,
                                  *set_of(*known_.rarest, type, Columns::rid));
    for (const Condition& part : all.parts) {
        if (&part != known_.rarest) out += " AND " + conjunct(part, alias, type, no_sets);
    }
    return out + ")";
}

bool Renderer::is_resource(const std::string& alias) {
    return alias.starts_with('r') || alias.starts_with('t');
}

bool Renderer::is_wide(const ChangedWithin& condition) const {
    constexpr Position few = 5'000;
    return std::min(condition.below, known_.log_end) - condition.from > few;
}

std::string Renderer::written_within(const ChangedWithin& condition, const std::string& alias) {
    return fmt::format(
        "EXISTS (SELECT FROM meridian.batch b WHERE b.id = {0}.batch AND b.base + {0}.ordinal "
        ">= {1} AND b.base + {0}.ordinal < {2})",
        alias, literal(condition.from), literal(condition.below));
}

std::string Renderer::literal(std::int64_t value) {
    // The smallest bigint has no literal of its own: its digits alone are too many.
    return value < 0 ? fmt::format("('{}')", value) : fmt::format("{}", value);
}

std::string Renderer::negated(const Condition& condition, const std::string& alias, Name type) {
    if (const auto* any = std::get_if<AnyOf>(&condition.as_variant()))
        return joined(any->parts, " AND ", "true",
                      [&](const Condition& part) { return negated(part, alias, type); });
    return "NOT " + predicate(condition, alias, type);
}

std::string Renderer::exists(const Leaf& leaf, const std::string& alias) const {
    // With OFFSET the rows are looked up for one resource after the other, as is meant;
    // PostgreSQL would try all orders of a join instead, and take some for better by guesses.
    if (!is_sharded_)
        return fmt::format("EXISTS (SELECT FROM {} WHERE {} AND {} = {}.rid OFFSET 0)", leaf.from,
                           leaf.where, leaf.rid, alias);
    // What lies elsewhere is collected first: shards do not ask one another.
    if (leaf.home.empty())
        return fmt::format("{}.rid IN ({})", alias, *rows_as(leaf, Columns::rid));
    if (leaf.lies_apart)
        return fmt::format("({0}.patient, {0}.rid) IN ({1})", alias,
                           *rows_as(leaf, Columns::place));
    return fmt::format("EXISTS (SELECT FROM {} WHERE {} AND {} = {}.rid AND {} = {}.patient{})",
                       leaf.from, leaf.where, leaf.rid, alias, leaf.home, alias, among_homes(leaf));
}

std::optional<std::string> Renderer::rows_as(const Leaf& leaf, Columns columns) const {
    if (columns == Columns::rid)
        return fmt::format("SELECT {} FROM {} WHERE {}", leaf.rid, leaf.from, leaf.where);
    if (leaf.home.empty()) return std::nullopt;
    return fmt::format("SELECT {}, {} FROM {} WHERE {}{}", leaf.home, leaf.rid, leaf.from,
                       leaf.where, among_homes(leaf));
}

std::string Renderer::among_homes(const Leaf& leaf) const {
    if (!known_.homes || known_.homes->size() < 2 || is_in_link_ || leaf.lies_apart) return {};
    return fmt::format(" AND {} IN ({})", leaf.home, fmt::join(*known_.homes, ","));
}

std::optional<std::string> Renderer::set_of(const Condition& condition, Name type,
                                            Columns columns) {
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

std::optional<std::string> Renderer::set_of_all(const Conditions& parts, Name type,
                                                Columns columns) {
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
        columns == Columns::rid ? name + ".rid" : fmt::format("{0}.patient, {0}.rid", name), *set,
        name, is_sharded_ ? "patient, rid" : "rid");
    for (const Condition& part : parts) {
        if (&part != base)
            out += " AND " + conjunct(part, name, type, is_rarest ? no_sets : Rank::of(*base));
    }
    return out;
}

Leaves Renderer::leaves_of(const Condition& condition, Name type) {
    return std::visit([&](const auto& each) { return leaves(each, type); }, condition.as_variant());
}

const std::vector<std::int64_t>& Renderer::occurring(
    const std::vector<std::int64_t>& values) const {
    const auto found = known_.occurring.find(&values);
    return found == known_.occurring.end() ? values : found->second;
}

std::vector<Rid> Renderer::known(const std::vector<Identity>& identities) const {
    std::vector<Rid> rids;
    for (const Identity& identity : identities) {
        const auto found = known_.places.find({identity.type, identity.id});
        if (found != known_.places.end()) rids.push_back(found->second.rid);
    }
    return rids;
}

Rid Renderer::home_of(const Identity& identity) const {
    const Place& place = known_.places.at({identity.type, identity.id});
    return place.home.value_or(place.rid);
}

std::string Renderer::living(const Condition& condition, Name type, Columns columns) {
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

}  // namespace meridian::store::postgres
