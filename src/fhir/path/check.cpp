// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/check.hpp"

#include <algorithm>
#include <vector>

#include "fhir/path/evaluator.hpp"
#include "fhir/path/functions.hpp"

namespace meridian::fhir::path {
namespace {

/// What an expression may yield: FHIR types, or anything. A System value is no known type either:
/// it has no elements to check.
struct Possible {
    bool anything = false;
    bool unordered = false;
    std::vector<const Type*> types{};

    static Possible any() { return Possible{true, false, {}}; }
    static Possible of(const Type& type) { return Possible{false, false, {&type}}; }
    static Possible value() { return Possible{}; }

    void add(const Type* type) {
        if (type == nullptr || (type->is_resource() && type->is_abstract)) {
            anything = true;
        } else if (std::find(types.begin(), types.end(), type) == types.end()) {
            types.push_back(type);
        }
    }
    void add(const Possible& other) {
        anything = anything || other.anything;
        for (const Type* type : other.types) add(type);
    }
    bool is_value() const { return !anything && types.empty(); }
};

class Checker {
 public:
    explicit Checker(const Type& context) : root_(context) {}

    Result<Possible> visit(const Node& node, const Possible& focus) {
        switch (node.kind) {
            case NodeKind::literal:
            case NodeKind::empty:
            case NodeKind::index:
                return Possible::value();
            case NodeKind::this_:
                return focus;
            case NodeKind::total:
                return Possible::any();
            case NodeKind::variable:
                return variable(node);
            case NodeKind::member:
                return member(node, focus);
            case NodeKind::indexer:
                return indexer(node, focus);
            case NodeKind::unary:
                TRY(visit(node.arguments[0], focus));
                return Possible::value();
            case NodeKind::binary:
                return binary(node, focus);
            case NodeKind::is:
                TRY(visit(node.arguments[0], focus));
                return Possible::value();
            case NodeKind::as:
                TRY(visit(node.arguments[0], focus));
                return named(node);
            case NodeKind::function:
                return function(node, focus);
        }
        return Possible::any();
    }

 private:
    static Possible named(const Node& node) {
        return node.type != nullptr ? Possible::of(*node.type) : Possible::value();
    }

    Possible variable(const Node& node) const {
        if (node.text == "context") return Possible::of(root_);
        if (node.text == "resource" && root_.is_resource()) return Possible::of(root_);
        if (node.text == "resource" || node.text == "rootResource") return Possible::any();
        bool is_text = node.text == "ucum" || node.text == "sct" || node.text == "loinc" ||
                       node.text.starts_with("vs-") || node.text.starts_with("ext-");
        return is_text ? Possible::value() : Possible::any();
    }

    Result<Possible> member(const Node& node, const Possible& focus) {
        if (node.target == nullptr && node.type != nullptr) {
            // The path starts with a type name; it must be that of what is in focus.
            bool fits = focus.anything;
            for (const Type* type : focus.types)
                fits = fits || type->is_a(*node.type) || node.type->is_a(*type);
            if (!fits)
                return wrong_at(node, fmt::format("a path on {} cannot start with {}",
                                                  describe(focus), node.text));
            return focus;
        }
        Possible source = node.target != nullptr ? TRY(visit(*node.target, focus)) : focus;
        if (source.anything || source.is_value()) {
            if (source.is_value() && !is_value_member(node.text)) {
                return wrong_at(node, fmt::format("a value has no element \"{}\"", node.text));
            }
            return Possible::any();
        }
        Possible out;
        out.unordered = source.unordered;
        bool known = false;
        for (const Type* type : source.types) {
            if (type->is_primitive() && node.text == "value") {
                known = true;
                continue;
            }
            const Element* element = type->element(node.text);
            if (element == nullptr) continue;
            known = true;
            for (const ElementType& choice : element->types) out.add(choice.type);
        }
        if (!known)
            return wrong_at(node, fmt::format("{} has no element \"{}\"{}", describe(source),
                                              node.text, hint(source, node.text)));
        return out;
    }

    /// Members of type() and of a System.Quantity.
    static bool is_value_member(std::string_view name) {
        return name == "name" || name == "namespace" || name == "value" || name == "unit" ||
               name == "code";
    }

    static std::string describe(const Possible& source) {
        std::string text;
        for (std::size_t i = 0; i < std::min<std::size_t>(source.types.size(), 3); ++i) {
            if (i != 0) text += " or ";
            text += source.types[i]->name;
        }
        return source.types.size() > 3 ? text + " …" : text;
    }

    static std::string hint(const Possible& source, std::string_view name) {
        for (const Type* type : source.types) {
            auto property = type->find(name);
            if (property.element != nullptr && property.element->is_choice) {
                return fmt::format(" (say {} or {}.ofType({}))", property.element->name,
                                   property.element->name, property.type->type->name);
            }
        }
        return {};
    }

    Result<Possible> indexer(const Node& node, const Possible& focus) {
        Possible source = TRY(visit(*node.target, focus));
        TRY(visit(node.arguments[0], focus));
        TRY(require_order(node, source, "an index"));
        return source;
    }

    Result<void> require_order(const Node& node, const Possible& source,
                               std::string_view what) const {
        if (!source.unordered) return {};
        return wrong_at(
            node,
            fmt::format("{} needs an order, which children() and descendants() do not have", what));
    }

    Result<Possible> binary(const Node& node, const Possible& focus) {
        Possible left = TRY(visit(node.arguments[0], focus));
        Possible right = TRY(visit(node.arguments[1], focus));
        if (node.op != Operator::union_) return Possible::value();
        if (left.is_value() || right.is_value()) return Possible::any();
        left.add(right);
        return left;
    }

    Result<Possible> function(const Node& node, const Possible& focus) {
        Possible input = node.target != nullptr ? TRY(visit(*node.target, focus)) : focus;
        const Signature& signature = signature_of(node.function);
        Possible last = Possible::any();
        for (std::size_t i = 0; i < node.arguments.size(); ++i) {
            bool opens_scope =
                signature.is_scoped && !(node.function == Function::aggregate && i == 1);
            Possible inner = opens_scope ? item_of(input) : focus;
            if (node.function == Function::repeat || node.function == Function::repeat_all)
                inner = Possible::any();
            Possible result = TRY(visit(node.arguments[i], inner));
            if (node.function == Function::iif && i == 1) last = result;
            if (node.function == Function::iif && i == 2) last = either(last, result);
            if (node.function != Function::iif) last = result;
        }
        return result_of(node, input, last);
    }

    /// One item of a collection has an order of its own.
    static Possible item_of(Possible input) {
        input.unordered = false;
        return input;
    }

    static Possible either(Possible left, const Possible& right) {
        if (left.is_value() || right.is_value()) return Possible::any();
        left.add(right);
        return left;
    }

    Result<Possible> result_of(const Node& node, Possible input, const Possible& argument) {
        switch (node.function) {
            case Function::first:
            case Function::last:
            case Function::tail:
            case Function::skip:
            case Function::take:
                TRY(require_order(node, input, node.text + "()"));
                return input;
            case Function::where:
            case Function::distinct:
            case Function::single:
            case Function::exclude:
            case Function::intersect:
            case Function::trace:
            case Function::define_variable:
            case Function::check_modifiers:
                return input;
            case Function::sort:
                return item_of(std::move(input));
            case Function::select:
            case Function::iif:
                return argument;
            case Function::combine:
            case Function::union_:
                return either(std::move(input), argument);
            case Function::of_type:
            case Function::as:
                return named(node);
            case Function::children:
            case Function::descendants: {
                Possible out = Possible::any();
                out.unordered = true;
                return out;
            }
            case Function::extension: {
                const Type* type = definitions().find("Extension");
                return type != nullptr ? Possible::of(*type) : Possible::any();
            }
            case Function::resolve:
            case Function::repeat:
            case Function::repeat_all:
            case Function::aggregate:
            case Function::coalesce:
            case Function::type:
            case Function::get_value:
                return Possible::any();
            default:
                return Possible::value();
        }
    }

    const Type& root_;
};

}  // namespace

Result<void> check(const Node& root, const Type& context) {
    Possible focus;
    focus.add(&context);
    TRY(Checker(context).visit(root, focus));
    return {};
}

}  // namespace meridian::fhir::path
