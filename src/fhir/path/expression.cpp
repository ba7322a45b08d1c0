// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/expression.hpp"

#include "fhir/path/check.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/parser.hpp"
#include "fhir/path/syntax.hpp"

namespace meridian::fhir::path {

const Json* Environment::resolve(std::string_view) const {
    return nullptr;
}

std::optional<bool> Environment::member_of(const Item&, std::string_view) const {
    return std::nullopt;
}

std::optional<bool> Environment::subsumes(const Item&, const Item&) const {
    return std::nullopt;
}

Result<Expression> Expression::compile(std::string_view text, std::string_view context) {
    auto tree = std::make_shared<Tree>();
    tree->root = TRY(parse(text));
    tree->text = text;
    if (!context.empty()) {
        const Type* type = definitions().find(context);
        if (type == nullptr)
            return fail(Category::incorrect, fmt::format("\"{}\" is no type of FHIR R4", context));
        TRY(check(tree->root, *type));
    }
    Expression expression;
    expression.tree_ = std::move(tree);
    return expression;
}

Result<Collection> Expression::evaluate(const Evaluation& evaluation) const {
    return path::evaluate(tree_->root, evaluation);
}

Result<Collection> evaluate(const Node& node, const Evaluation& evaluation) {
    return Evaluator(evaluation).run(node);
}

Result<std::optional<bool>> Expression::truth(const Evaluation& evaluation) const {
    return truth_of(TRY(evaluate(evaluation)));
}

const std::string& Expression::text() const {
    return tree_->text;
}

}  // namespace meridian::fhir::path
