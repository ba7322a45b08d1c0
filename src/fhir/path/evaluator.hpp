// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "fhir/path/syntax.hpp"

/// One evaluation of one expression. Private to the engine.
namespace meridian::fhir::path {

/// What $this, $index and $total stand for at a place of the expression.
struct Context {
    const Collection* focus;
    std::optional<std::int64_t> index{};
    const Collection* total = nullptr;
};

class Evaluator {
 public:
    explicit Evaluator(const Evaluation& evaluation);

    Result<Collection> run(const Node& root);

    Result<Collection> evaluate(const Node& node, const Context& context);
    /// An argument: what it defines with defineVariable() ends with it.
    Result<Collection> argument(const Node& node, const Context& context);
    /// Criteria of where() and its kin for one item: nothing when empty.
    Result<std::optional<bool>> criterion(const Node& node, const Item& item, std::int64_t index,
                                          const Context& context);

    /// Counts work. Errors: `too_large` beyond limits::fhirpath_steps_max.
    Result<void> step(std::size_t count = 1);
    Result<void> check_size(const Collection& collection) const;

    const Evaluation& evaluation() const { return evaluation_; }
    /// The same moment throughout one evaluation.
    Instant now();
    const Json* root_resource() const {
        return evaluation_.root_resource != nullptr ? evaluation_.root_resource
                                                    : evaluation_.resource;
    }
    Result<void> define(std::string name, Collection value);

 private:
    Result<Collection> member(const Node& node, const Context& context);
    Result<Collection> variable(const Node& node) const;
    Result<Collection> indexer(const Node& node, const Context& context);
    Result<Collection> unary(const Node& node, const Context& context);
    Result<Collection> binary(const Node& node, const Context& context);
    Result<Collection> logic(const Node& node, const Context& context);
    Result<Collection> function(const Node& node, const Context& context);
    /// `name = 'text'` on one element, the criterion met most, without collections; nothing when it
    /// is another shape.
    std::optional<bool> quick_criterion(const Node& node, const Item& item);

    const Evaluation& evaluation_;
    Collection focus_;
    std::vector<std::pair<std::string, Collection>> defined_;
    std::optional<Instant> now_;
    std::size_t steps_ = 0;
};

/// A call of a function: its input is what stands before the dot, or $this.
struct Call {
    Evaluator& engine;
    const Node& node;
    const Collection& input;
    const Context& context;

    std::unexpected<Error> wrong(std::string_view why) const;
    Result<Collection> argument(std::size_t index) const {
        return engine.argument(node.arguments[index], context);
    }
    bool has_argument(std::size_t index) const { return index < node.arguments.size(); }

    // Singletons; nothing when empty. Errors: `incorrect` for several items or another type.
    Result<const Item*> input_item() const;
    Result<std::optional<std::string_view>> input_string() const;
    Result<std::optional<std::string>> string_argument(std::size_t index) const;
    Result<std::optional<std::int64_t>> integer_argument(std::size_t index) const;
};

// The functions by group; functions_*.cpp.
Result<Collection> call_existence(const Call& call);
Result<Collection> call_collection(const Call& call);
Result<Collection> call_conversion(const Call& call);
Result<Collection> call_string(const Call& call);
Result<Collection> call_mathematics(const Call& call);
Result<Collection> call_utility(const Call& call);
Result<Collection> call_fhir(const Call& call);

/// Appends the elements called `name` of an item; every element when `name` is empty.
void navigate(const Item& item, std::string_view name, Collection& out);
/// is: the item's type is the node's type or derives from it.
bool is_of_type(const Item& item, const Node& node);
/// Singleton evaluation to a truth value (N1 §4.5): one item that is no Boolean counts as true.
/// Errors: `incorrect` for several.
Result<std::optional<bool>> truth_of(const Collection& collection);
Result<Collection> arithmetic(Operator op, const Collection& left, const Collection& right);
/// as an element's value: Decimal, String … of System.
Item system_value(const Item& item);

std::unexpected<Error> wrong_at(const Node& node, std::string_view why);
inline Collection single(Item item) {
    return Collection(std::move(item));
}
inline Collection boolean(bool value) {
    return Collection(Item::boolean(value));
}
inline Collection boolean(std::optional<bool> value) {
    return value ? boolean(*value) : Collection();
}

}  // namespace meridian::fhir::path
