// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/evaluator.hpp"

#include "base/limits.hpp"
#include "fhir/path/compare.hpp"
#include "fhir/path/functions.hpp"

namespace meridian::fhir::path {

std::unexpected<Error> wrong_at(const Node& node, std::string_view why) {
    return fail(Category::incorrect,
                fmt::format("line {}, column {}: {}", node.line, node.column, why),
                fmt::format("{}:{}", node.line, node.column));
}

Result<std::optional<bool>> truth_of(const Collection& collection) {
    if (collection.empty()) return std::nullopt;
    if (collection.size() > 1) {
        return fail(
            Category::incorrect,
            fmt::format("a single truth value was expected, not {} items", collection.size()));
    }
    const Item& item = collection.front();
    if (item.kind() == Kind::boolean) return item.boolean();
    return true;
}

Evaluator::Evaluator(const Evaluation& evaluation)
    : evaluation_(evaluation), focus_(evaluation.focus) {
    if (focus_.empty() && evaluation.resource != nullptr)
        focus_.push_back(Item::resource(*evaluation.resource));
}

Result<Collection> Evaluator::run(const Node& root) {
    return evaluate(root, Context{&focus_, 0});
}

Result<void> Evaluator::step(std::size_t count) {
    steps_ += count;
    if (steps_ > limits::fhirpath_steps_max) [[unlikely]] {
        return fail(Category::too_large, fmt::format("the expression takes more than {} steps",
                                                     limits::fhirpath_steps_max));
    }
    return {};
}

Result<void> Evaluator::check_size(const Collection& collection) const {
    if (collection.size() > limits::fhirpath_items_max) [[unlikely]] {
        return fail(Category::too_large,
                    fmt::format("a collection has more than {} items", limits::fhirpath_items_max));
    }
    return {};
}

Instant Evaluator::now() {
    if (!now_) now_ = meridian::now();
    return *now_;
}

Result<void> Evaluator::define(std::string name, Collection value) {
    for (const auto& [known, ignored] : defined_) {
        if (known == name)
            return fail(Category::incorrect,
                        fmt::format("the variable %{} is defined already", name));
    }
    for (std::string_view known : {"context", "resource", "rootResource", "ucum", "sct", "loinc"}) {
        if (known == name)
            return fail(Category::incorrect,
                        fmt::format("the variable %{} cannot be defined", name));
    }
    defined_.emplace_back(std::move(name), std::move(value));
    return {};
}

Result<Collection> Evaluator::argument(const Node& node, const Context& context) {
    std::size_t defined = defined_.size();
    auto result = evaluate(node, context);
    defined_.resize(std::min(defined, defined_.size()));
    return result;
}

Result<Collection> Evaluator::evaluate(const Node& node, const Context& context) {
    TRY(step());
    switch (node.kind) {
        case NodeKind::literal:
            return Collection(node.literal);
        case NodeKind::empty:
            return Collection();
        case NodeKind::member:
            return member(node, context);
        case NodeKind::function:
            return function(node, context);
        case NodeKind::this_:
            return *context.focus;
        case NodeKind::index:
            return context.index ? single(Item::integer(*context.index)) : Collection();
        case NodeKind::total:
            return context.total != nullptr ? *context.total : Collection();
        case NodeKind::variable:
            return variable(node);
        case NodeKind::indexer:
            return indexer(node, context);
        case NodeKind::unary:
            return unary(node, context);
        case NodeKind::binary:
            return binary(node, context);
        case NodeKind::is:
        case NodeKind::as: {
            Collection input = TRY(argument(node.arguments[0], context));
            if (input.empty()) return input;
            if (node.kind == NodeKind::as && evaluation_.as_filters) {
                Collection out;
                for (const Item& item : input) {
                    if (is_of_type(item, node)) out.push_back(item);
                }
                return out;
            }
            if (input.size() > 1) {
                return wrong_at(node,
                                fmt::format("{} needs a single item, not {}",
                                            node.kind == NodeKind::is ? "is" : "as", input.size()));
            }
            bool matches = is_of_type(input.front(), node);
            if (node.kind == NodeKind::is) return boolean(matches);
            return matches ? std::move(input) : Collection();
        }
    }
    return Collection();
}

Result<Collection> Evaluator::member(const Node& node, const Context& context) {
    Collection out;
    if (node.target == nullptr) {
        bool is_type_name = node.text[0] >= 'A' && node.text[0] <= 'Z';
        for (const Item& item : *context.focus) {
            // A path may start with the name of the context's type: Patient.name.
            bool names_item =
                is_type_name && item.is_node() &&
                (node.type != nullptr && item.type() != nullptr ? item.type()->is_a(*node.type)
                                                                : item.type_name() == node.text);
            if (names_item) {
                out.push_back(item);
            } else {
                navigate(item, node.text, out);
            }
        }
    } else {
        Collection input = TRY(evaluate(*node.target, context));
        for (const Item& item : input) navigate(item, node.text, out);
    }
    TRY(step(out.size()));
    TRY(check_size(out));
    return out;
}

Result<Collection> Evaluator::variable(const Node& node) const {
    std::string_view name = node.text;
    for (const auto& [known, value] : defined_) {
        if (known == name) return value;
    }
    for (const auto& [known, value] : evaluation_.variables) {
        if (known == name) return value;
    }
    auto resource = [](const Json* json) {
        return json != nullptr ? single(Item::resource(*json)) : Collection();
    };
    if (name == "context") return focus_;
    if (name == "resource") return resource(evaluation_.resource);
    if (name == "rootResource") return resource(root_resource());
    if (name == "ucum") return single(Item::string("http://unitsofmeasure.org"));
    if (name == "sct") return single(Item::string("http://snomed.info/sct"));
    if (name == "loinc") return single(Item::string("http://loinc.org"));
    if (name.starts_with("vs-"))
        return single(Item::string(fmt::format("http://hl7.org/fhir/ValueSet/{}", name.substr(3))));
    if (name.starts_with("ext-")) {
        return single(Item::string(
            fmt::format("http://hl7.org/fhir/StructureDefinition/{}", name.substr(4))));
    }
    return wrong_at(node, fmt::format("there is no variable %{}", name));
}

Result<Collection> Evaluator::indexer(const Node& node, const Context& context) {
    Collection input = TRY(evaluate(*node.target, context));
    Collection at = TRY(argument(node.arguments[0], context));
    if (at.empty()) return Collection();
    if (at.size() > 1 || at.front().kind() != Kind::integer)
        return wrong_at(node, "an index must be a single Integer");
    auto index = at.front().integer();
    if (!index || *index < 0 || static_cast<std::size_t>(*index) >= input.size())
        return Collection();
    return single(input[static_cast<std::size_t>(*index)]);
}

Result<Collection> Evaluator::unary(const Node& node, const Context& context) {
    Collection input = TRY(evaluate(node.arguments[0], context));
    if (input.empty()) return input;
    if (input.size() > 1)
        return wrong_at(node,
                        fmt::format("a sign needs a single number, not {} items", input.size()));
    const Item& item = input.front();
    bool negative = node.op == Operator::minus;
    if (item.kind() == Kind::integer) {
        auto value = item.integer();
        return value ? single(Item::integer(negative ? -*value : *value)) : Collection();
    }
    if (item.kind() == Kind::decimal) {
        auto value = item.decimal();
        return value ? single(Item::decimal(negative ? value->negate() : *value)) : Collection();
    }
    if (auto quantity = item.quantity()) {
        if (negative) quantity->value = quantity->value.negate();
        return single(Item::quantity(std::move(*quantity)));
    }
    return wrong_at(node, fmt::format("a sign needs a number, not {}", item.type_name()));
}

namespace {

bool is_logic(Operator op) {
    return op == Operator::and_ || op == Operator::or_ || op == Operator::xor_ ||
           op == Operator::implies;
}

Result<Collection> ordered(const Node& node, const Collection& left, const Collection& right) {
    if (left.empty() || right.empty()) return Collection();
    if (left.size() > 1 || right.size() > 1)
        return wrong_at(node, "a comparison needs single values on both sides");
    auto result = compare(left.front(), right.front());
    if (!result) return wrong_at(node, result.error().message);
    if (*result == std::partial_ordering::unordered) return Collection();
    switch (node.op) {
        case Operator::less:
            return boolean(*result < 0);
        case Operator::less_equal:
            return boolean(*result <= 0);
        case Operator::greater:
            return boolean(*result > 0);
        default:
            return boolean(*result >= 0);
    }
}

Result<Collection> membership(const Node& node, const Collection& needle, const Collection& hay) {
    if (needle.empty()) return Collection();
    if (needle.size() > 1) return wrong_at(node, "membership is asked of a single item");
    for (const Item& item : hay) {
        if (equals(needle.front(), item) == true) return boolean(true);
    }
    return boolean(false);
}

Collection united(const Collection& left, const Collection& right) {
    Collection out;
    Seen seen;
    for (const Collection* side : {&left, &right}) {
        for (const Item& item : *side) {
            if (seen.add(item)) out.push_back(item);
        }
    }
    return out;
}

}  // namespace

Result<Collection> Evaluator::binary(const Node& node, const Context& context) {
    if (is_logic(node.op)) return logic(node, context);
    Collection left = TRY(argument(node.arguments[0], context));
    Collection right = TRY(argument(node.arguments[1], context));
    switch (node.op) {
        case Operator::union_: {
            TRY(step(left.size() + right.size()));
            Collection out = united(left, right);
            TRY(check_size(out));
            return out;
        }
        case Operator::equal:
        case Operator::not_equal: {
            if (left.empty() || right.empty()) return Collection();
            auto same = equals(left, right);
            if (!same) return Collection();
            return boolean(*same == (node.op == Operator::equal));
        }
        case Operator::equivalent:
        case Operator::not_equivalent:
            TRY(step(left.size() * right.size()));
            return boolean(equivalent(left, right) == (node.op == Operator::equivalent));
        case Operator::less:
        case Operator::less_equal:
        case Operator::greater:
        case Operator::greater_equal:
            return ordered(node, left, right);
        case Operator::in:
            return membership(node, left, right);
        case Operator::contains:
            return membership(node, right, left);
        default: {
            auto result = arithmetic(node.op, left, right);
            if (!result && result.error().where.empty())
                return wrong_at(node, result.error().message);
            return result;
        }
    }
}

/// Three-valued logic (N1 §6.5). The right side is not evaluated when the left one decides.
Result<Collection> Evaluator::logic(const Node& node, const Context& context) {
    auto side = [&](std::size_t index) -> Result<std::optional<bool>> {
        auto truth = truth_of(TRY(argument(node.arguments[index], context)));
        if (!truth) return wrong_at(node, truth.error().message);
        return truth;
    };
    std::optional<bool> left = TRY(side(0));
    if (node.op == Operator::and_ && left == false) return boolean(false);
    if (node.op == Operator::or_ && left == true) return boolean(true);
    if (node.op == Operator::implies && left == false) return boolean(true);
    std::optional<bool> right = TRY(side(1));
    switch (node.op) {
        case Operator::and_:
            if (right == false) return boolean(false);
            return left && right ? boolean(true) : Collection();
        case Operator::or_:
            if (right == true) return boolean(true);
            return left && right ? boolean(false) : Collection();
        case Operator::xor_:
            return left && right ? boolean(*left != *right) : Collection();
        default:  // implies
            if (right == true) return boolean(true);
            return left && right ? boolean(false) : Collection();
    }
}

std::optional<bool> Evaluator::quick_criterion(const Node& node, const Item& item) {
    if (node.kind != NodeKind::binary || node.op != Operator::equal) return std::nullopt;
    const Node& left = node.arguments[0];
    const Node& right = node.arguments[1];
    if (left.kind != NodeKind::member || left.target != nullptr || right.kind != NodeKind::literal)
        return std::nullopt;
    if (right.literal.kind() != Kind::string || item.type() == nullptr || item.node() == nullptr ||
        !item.node()->is_object()) {
        return std::nullopt;
    }
    const Element* element = item.type()->element(left.text);
    if (element == nullptr || element->is_choice || element->is_array() || element->types.empty())
        return std::nullopt;
    if (system_kind(element->types.front().type) != Kind::string) return std::nullopt;
    const Json* value = item.node()->find(left.text);
    if (value == nullptr || !value->is_string())
        return std::nullopt;  // perhaps only extensions: the long way
    return value->text() == *right.literal.string();
}

Result<std::optional<bool>> Evaluator::criterion(const Node& node, const Item& item,
                                                 std::int64_t index, const Context& context) {
    TRY(step());
    if (auto quick = quick_criterion(node, item)) return quick;
    Collection focus(item);
    auto truth = truth_of(TRY(argument(node, Context{&focus, index, context.total})));
    if (!truth) return wrong_at(node, truth.error().message);
    return truth;
}

// --- calls ---

std::unexpected<Error> Call::wrong(std::string_view why) const {
    return wrong_at(node, fmt::format("{}(): {}", node.text, why));
}

Result<const Item*> Call::input_item() const {
    if (input.empty()) return nullptr;
    if (input.size() > 1)
        return wrong(fmt::format("a single item was expected, not {}", input.size()));
    return &input.front();
}

Result<std::optional<std::string_view>> Call::input_string() const {
    const Item* item = TRY(input_item());
    if (item == nullptr) return std::nullopt;
    if (item->kind() != Kind::string) {
        // Numbers and dates have a text but are no String; FHIRPath has no implicit conversion to
        // String.
        return wrong(fmt::format("a String was expected, not {}", item->type_name()));
    }
    return item->string();
}

Result<std::optional<std::string>> Call::string_argument(std::size_t index) const {
    Collection value = TRY(argument(index));
    if (value.empty()) return std::nullopt;
    if (value.size() > 1 || value.front().kind() != Kind::string) {
        return wrong(fmt::format("argument {} must be a single String", index + 1));
    }
    auto text = value.front().string();
    if (!text) return std::nullopt;
    return std::string(*text);
}

Result<std::optional<std::int64_t>> Call::integer_argument(std::size_t index) const {
    Collection value = TRY(argument(index));
    if (value.empty()) return std::nullopt;
    if (value.size() > 1 || value.front().kind() != Kind::integer) {
        return wrong(fmt::format("argument {} must be a single Integer", index + 1));
    }
    return value.front().integer();
}

Result<Collection> Evaluator::function(const Node& node, const Context& context) {
    Collection input;
    const Collection* focus = context.focus;
    if (node.target != nullptr) {
        input = TRY(evaluate(*node.target, context));
        focus = &input;
    }
    TRY(step(focus->size()));
    Call call{*this, node, *focus, context};
    Result<Collection> result;
    if (node.function <= Function::is_distinct) {
        result = call_existence(call);
    } else if (node.function <= Function::iif) {
        result = call_collection(call);
    } else if (node.function <= Function::converts_to_quantity) {
        result = call_conversion(call);
    } else if (node.function <= Function::join) {
        result = call_string(call);
    } else if (node.function <= Function::precision) {
        result = call_mathematics(call);
    } else if (node.function <= Function::comparable) {
        result = call_utility(call);
    } else {
        result = call_fhir(call);
    }
    if (result) TRY(check_size(*result));
    return result;
}

}  // namespace meridian::fhir::path
