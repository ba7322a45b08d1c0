// SPDX-License-Identifier: Apache-2.0
// Existence, filtering, projection, subsetting, combining (N1 §5.1 to §5.4) and iif().
#include <deque>
#include <numeric>

#include "base/limits.hpp"
#include "fhir/path/compare.hpp"
#include "fhir/path/evaluator.hpp"

namespace meridian::fhir::path {
namespace {

/// allTrue() and its kin: every item must be a Boolean.
Result<Collection> quantified(const Call& call, bool wanted, bool all) {
    bool result = all;
    for (const Item& item : call.input) {
        if (item.kind() != Kind::boolean)
            return call.wrong(fmt::format("a Boolean was expected, not {}", item.type_name()));
        bool matches = item.boolean() == wanted;
        if (matches != all) result = !all;
    }
    return boolean(result);
}

bool contains_all(const Collection& whole, const Collection& part) {
    Seen seen;
    for (const Item& item : whole) seen.add(item);
    for (const Item& item : part) {
        if (!seen.holds(item)) return false;
    }
    return true;
}

Collection distinct(const Collection& input) {
    Collection out;
    Seen seen;
    for (const Item& item : input) {
        if (seen.add(item)) out.push_back(item);
    }
    return out;
}

Result<Collection> exists(const Call& call) {
    if (!call.has_argument(0)) return boolean(!call.input.empty());
    std::int64_t index = 0;
    for (const Item& item : call.input) {
        auto truth =
            TRY(call.engine.criterion(call.node.arguments[0], item, index++, call.context));
        if (truth == true) return boolean(true);
    }
    return boolean(false);
}

Result<Collection> all(const Call& call) {
    std::int64_t index = 0;
    for (const Item& item : call.input) {
        auto truth =
            TRY(call.engine.criterion(call.node.arguments[0], item, index++, call.context));
        if (truth != true) return boolean(false);
    }
    return boolean(true);
}

Result<Collection> where(const Call& call) {
    Collection out;
    std::int64_t index = 0;
    for (const Item& item : call.input) {
        auto truth =
            TRY(call.engine.criterion(call.node.arguments[0], item, index++, call.context));
        if (truth == true) out.push_back(item);
    }
    return out;
}

/// The projection of one item.
Result<Collection> projected(const Call& call, const Item& item,
                             std::optional<std::int64_t> index) {
    Collection focus(item);
    return call.engine.argument(call.node.arguments[0], Context{&focus, index, call.context.total});
}

Result<Collection> select(const Call& call) {
    Collection out;
    std::int64_t index = 0;
    for (const Item& item : call.input) {
        out.append(TRY(projected(call, item, index++)));
        TRY(call.engine.check_size(out));
    }
    return out;
}

/// repeat() takes an item again only when it is new; repeatAll() always, so that only the limits
/// end an endless one.
Result<Collection> repeat(const Call& call, bool unique) {
    Collection out;
    Seen seen;
    std::deque<Item> waiting(call.input.begin(), call.input.end());
    while (!waiting.empty()) {
        Item item = std::move(waiting.front());
        waiting.pop_front();
        for (Item& found : TRY(projected(call, item, call.context.index))) {
            TRY(call.engine.step());
            if (unique && !seen.add(found)) continue;
            waiting.push_back(found);
            out.push_back(std::move(found));
        }
        TRY(call.engine.check_size(out));
    }
    return out;
}

Collection slice(const Collection& input, std::size_t from, std::size_t to) {
    Collection out;
    for (std::size_t i = from; i < std::min(to, input.size()); ++i) out.push_back(input[i]);
    return out;
}

Result<Collection> skip_or_take(const Call& call) {
    auto count = TRY(call.integer_argument(0));
    if (!count) return Collection();
    auto bounded = static_cast<std::size_t>(
        std::clamp<std::int64_t>(*count, 0, static_cast<std::int64_t>(call.input.size())));
    if (call.node.function == Function::skip) return slice(call.input, bounded, call.input.size());
    return slice(call.input, 0, bounded);
}

Result<Collection> combined(const Call& call) {
    Collection other = TRY(call.argument(0));
    TRY(call.engine.step(other.size()));
    switch (call.node.function) {
        case Function::subset_of:
            return boolean(contains_all(other, call.input));
        case Function::superset_of:
            return boolean(contains_all(call.input, other));
        case Function::combine: {
            Collection out = call.input;
            out.append(other);
            return out;
        }
        case Function::union_: {
            Collection both = call.input;
            both.append(other);
            return distinct(both);
        }
        default: {  // intersect removes duplicates, exclude keeps them
            bool wanted = call.node.function == Function::intersect;
            Seen others;
            for (const Item& item : other) others.add(item);
            Collection out;
            for (const Item& item : call.input) {
                if (others.holds(item) == wanted) out.push_back(item);
            }
            return wanted ? distinct(out) : out;
        }
    }
}

Result<Collection> iif(const Call& call) {
    if (call.input.size() > 1)
        return call.wrong(fmt::format("a single item was expected, not {}", call.input.size()));
    Context inner{&call.input, call.context.index, call.context.total};
    auto criterion = truth_of(TRY(call.engine.argument(call.node.arguments[0], inner)));
    if (!criterion) return call.wrong(criterion.error().message);
    if (*criterion == true) return call.engine.argument(call.node.arguments[1], inner);
    if (call.has_argument(2)) return call.engine.argument(call.node.arguments[2], inner);
    return Collection();
}

Result<Collection> aggregate(const Call& call) {
    Collection total;
    if (call.has_argument(1)) total = TRY(call.argument(1));
    std::int64_t index = 0;
    for (const Item& item : call.input) {
        Collection focus(item);
        total = TRY(call.engine.argument(call.node.arguments[0], Context{&focus, index++, &total}));
        TRY(call.engine.check_size(total));
    }
    return total;
}

/// The keys of one item, at most one value each.
Result<std::vector<Collection>> keys_of(const Call& call, const Item& item) {
    std::vector<Collection> keys;
    Collection focus(item);
    if (call.node.arguments.empty()) keys.push_back(focus);
    for (const Node& argument : call.node.arguments) {
        keys.push_back(
            TRY(call.engine.argument(argument, Context{&focus, std::nullopt, call.context.total})));
        if (keys.back().size() > 1) return call.wrong("a sort key must be a single value");
    }
    return keys;
}

/// Less than zero when `left` comes first. An empty key comes first, with `key desc` last; `-key`
/// of an empty one is empty.
Result<int> compare_keys(const Call& call, const std::vector<Collection>& left,
                         const std::vector<Collection>& right) {
    for (std::size_t i = 0; i < left.size(); ++i) {
        const Node* key = call.node.arguments.empty() ? nullptr : &call.node.arguments[i];
        bool descending = key != nullptr && key->descending;
        bool by_sign = descending && key->op == Operator::minus;
        if (left[i].empty() != right[i].empty()) {
            bool left_first = left[i].empty() != (descending && !by_sign);
            return left_first ? -1 : 1;
        }
        if (left[i].empty()) continue;
        auto order = compare(left[i].front(), right[i].front());
        if (!order) return call.wrong(order.error().message);
        if (*order == std::partial_ordering::less) return descending ? 1 : -1;
        if (*order == std::partial_ordering::greater) return descending ? -1 : 1;
    }
    return 0;
}

Result<Collection> sort(const Call& call) {
    std::vector<std::vector<Collection>> keys;
    for (const Item& item : call.input) keys.push_back(TRY(keys_of(call, item)));
    std::vector<std::size_t> order(call.input.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::optional<Error> failure;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (failure) return false;
        auto result = compare_keys(call, keys[a], keys[b]);
        if (!result) failure = result.error();
        return result && *result < 0;
    });
    if (failure) return std::unexpected(*failure);
    Collection out;
    for (std::size_t index : order) out.push_back(call.input[index]);
    return out;
}

Result<Collection> coalesce(const Call& call) {
    for (std::size_t i = 0; i < call.node.arguments.size(); ++i) {
        Collection value = TRY(call.argument(i));
        if (!value.empty()) return value;
    }
    return Collection();
}

Result<Collection> define_variable(const Call& call) {
    auto name = TRY(call.string_argument(0));
    if (!name) return call.wrong("a name is needed");
    Collection value = call.input;
    if (call.has_argument(1)) {
        Context inner{&call.input, call.context.index, call.context.total};
        value = TRY(call.engine.argument(call.node.arguments[1], inner));
    }
    TRY(call.engine.define(*name, std::move(value)));
    return call.input;
}

}  // namespace

Result<Collection> call_existence(const Call& call) {
    switch (call.node.function) {
        case Function::empty:
            return boolean(call.input.empty());
        case Function::exists:
            return exists(call);
        case Function::all:
            return all(call);
        case Function::all_true:
            return quantified(call, true, true);
        case Function::any_true:
            return quantified(call, true, false);
        case Function::all_false:
            return quantified(call, false, true);
        case Function::any_false:
            return quantified(call, false, false);
        case Function::count:
            return single(Item::integer(static_cast<std::int64_t>(call.input.size())));
        case Function::distinct:
            return distinct(call.input);
        case Function::is_distinct:
            return boolean(distinct(call.input).size() == call.input.size());
        default:
            return combined(call);
    }
}

Result<Collection> call_collection(const Call& call) {
    const Collection& input = call.input;
    switch (call.node.function) {
        case Function::where:
            return where(call);
        case Function::select:
            return select(call);
        case Function::repeat:
            return repeat(call, true);
        case Function::repeat_all:
            return repeat(call, false);
        case Function::of_type: {
            Collection out;
            for (const Item& item : input) {
                if (is_of_type(item, call.node)) out.push_back(item);
            }
            return out;
        }
        case Function::single:
            if (input.size() > 1)
                return call.wrong(fmt::format("a single item was expected, not {}", input.size()));
            return input;
        case Function::first:
            return slice(input, 0, 1);
        case Function::last:
            return input.empty() ? Collection() : single(input.back());
        case Function::tail:
            return slice(input, 1, input.size());
        case Function::skip:
        case Function::take:
            return skip_or_take(call);
        case Function::sort:
            return sort(call);
        case Function::aggregate:
            return aggregate(call);
        case Function::coalesce:
            return coalesce(call);
        case Function::define_variable:
            return define_variable(call);
        case Function::iif:
            return iif(call);
        default:
            return combined(call);
    }
}

}  // namespace meridian::fhir::path
