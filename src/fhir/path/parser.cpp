// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/parser.hpp"

#include "base/limits.hpp"
#include "fhir/path/functions.hpp"
#include "fhir/path/lexer.hpp"
#include "fhir/path/regex.hpp"
#include "fhir/path/temporal.hpp"

namespace meridian::fhir::path {
namespace {

/// How tightly binary operators bind, in the order of the grammar's alternatives (N1 §6.8 operator
/// precedence).
enum Precedence : int {
    binds_implies = 1,
    binds_or,
    binds_and,
    binds_membership,
    binds_equality,
    binds_inequality,
    binds_union,
    binds_type,
    binds_additive,
    binds_multiplicative,
    binds_unary,
};

struct BinaryOperator {
    std::string_view text;
    Operator op;
    int precedence;
};

constexpr BinaryOperator binary_operators[] = {
    {"implies", Operator::implies, binds_implies},
    {"or", Operator::or_, binds_or},
    {"xor", Operator::xor_, binds_or},
    {"and", Operator::and_, binds_and},
    {"in", Operator::in, binds_membership},
    {"contains", Operator::contains, binds_membership},
    {"=", Operator::equal, binds_equality},
    {"!=", Operator::not_equal, binds_equality},
    {"~", Operator::equivalent, binds_equality},
    {"!~", Operator::not_equivalent, binds_equality},
    {"<", Operator::less, binds_inequality},
    {"<=", Operator::less_equal, binds_inequality},
    {">", Operator::greater, binds_inequality},
    {">=", Operator::greater_equal, binds_inequality},
    {"|", Operator::union_, binds_union},
    {"is", Operator::none, binds_type},
    {"as", Operator::none, binds_type},
    {"+", Operator::plus, binds_additive},
    {"-", Operator::minus, binds_additive},
    {"&", Operator::concatenate, binds_additive},
    {"*", Operator::multiply, binds_multiplicative},
    {"/", Operator::divide, binds_multiplicative},
    {"div", Operator::div, binds_multiplicative},
    {"mod", Operator::modulo, binds_multiplicative},
};

/// "days" → "day", when it is a calendar word.
std::optional<std::string_view> calendar_word(std::string_view text) {
    for (std::string_view word :
         {"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}) {
        if (text == word ||
            (text.size() == word.size() + 1 && text.starts_with(word) && text.back() == 's'))
            return word;
    }
    return std::nullopt;
}

Kind system_type(std::string_view name) {
    constexpr std::pair<std::string_view, Kind> names[] = {
        {"Boolean", Kind::boolean}, {"Integer", Kind::integer},   {"Decimal", Kind::decimal},
        {"String", Kind::string},   {"Date", Kind::date},         {"DateTime", Kind::date_time},
        {"Time", Kind::time},       {"Quantity", Kind::quantity},
    };
    for (const auto& [text, kind] : names) {
        if (text == name) return kind;
    }
    return Kind::none;
}

bool starts_upper(std::string_view text) {
    return !text.empty() && text[0] >= 'A' && text[0] <= 'Z';
}

class Parser {
 public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    Result<Node> run() {
        Node root = TRY(expression(binds_implies));
        if (token().kind != TokenKind::end)
            return wrong(fmt::format("unexpected \"{}\"", token().text));
        return root;
    }

 private:
    const Token& token(std::size_t ahead = 0) const {
        return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
    }
    bool at_symbol(std::string_view text) const {
        return token().kind == TokenKind::symbol && token().text == text;
    }
    bool take_symbol(std::string_view text) {
        if (!at_symbol(text)) return false;
        ++at_;
        return true;
    }

    std::unexpected<Error> wrong_at(const Token& token, std::string_view why,
                                    Category category = Category::incorrect) const {
        return fail(category, fmt::format("line {}, column {}: {}", token.line, token.column, why),
                    fmt::format("{}:{}", token.line, token.column));
    }
    std::unexpected<Error> wrong(std::string_view why) const { return wrong_at(token(), why); }

    Result<void> expect(std::string_view symbol) {
        if (take_symbol(symbol)) return {};
        if (token().kind == TokenKind::end)
            return wrong(fmt::format("the expression ends where \"{}\" was expected", symbol));
        return wrong(fmt::format("unexpected \"{}\" (expected \"{}\")", token().text, symbol));
    }

    Node node_at(NodeKind kind, const Token& token) const {
        Node node;
        node.kind = kind;
        node.line = token.line;
        node.column = token.column;
        return node;
    }

    /// Sets the height from the parts. Errors: too_large.
    Result<Node> finished(Node node) const {
        unsigned below = node.target ? node.target->height : 0;
        for (const Node& argument : node.arguments) below = std::max(below, argument.height);
        node.height = below + 1;
        if (node.height > limits::fhirpath_depth_max) {
            return fail(
                Category::too_large,
                fmt::format("line {}, column {}: the expression is nested more than {} deep",
                            node.line, node.column, limits::fhirpath_depth_max));
        }
        return node;
    }

    const BinaryOperator* binary_operator() const {
        if (token().kind != TokenKind::symbol && token().kind != TokenKind::identifier)
            return nullptr;
        for (const BinaryOperator& candidate : binary_operators) {
            if (candidate.text == token().text) return &candidate;
        }
        return nullptr;
    }

    /// Precedence climbing; every operator is left-associative.
    Result<Node> expression(int lowest) {
        if (++depth_ > limits::fhirpath_depth_max) {
            return wrong_at(token(),
                            fmt::format("the expression is nested more than {} deep",
                                        limits::fhirpath_depth_max),
                            Category::too_large);
        }
        Node left = TRY(unary());
        while (const BinaryOperator* found = binary_operator()) {
            if (found->precedence < lowest) break;
            const Token& at = token();
            ++at_;
            Node node;
            if (found->precedence == binds_type) {
                node = node_at(found->text == "is" ? NodeKind::is : NodeKind::as, at);
                TRY(type_specifier(node, node.text));
                node.arguments.push_back(std::move(left));
            } else {
                node = node_at(NodeKind::binary, at);
                node.op = found->op;
                Node right = TRY(expression(found->precedence + 1));
                node.arguments.push_back(std::move(left));
                node.arguments.push_back(std::move(right));
            }
            left = TRY(finished(std::move(node)));
        }
        --depth_;
        return left;
    }

    Result<Node> unary() {
        if (!at_symbol("+") && !at_symbol("-")) return postfix();
        Node node = node_at(NodeKind::unary, token());
        node.op = at_symbol("-") ? Operator::minus : Operator::plus;
        ++at_;
        node.arguments.push_back(TRY(expression(binds_unary)));
        return finished(std::move(node));
    }

    Result<Node> postfix() {
        Node node = TRY(term());
        while (true) {
            if (take_symbol(".")) {
                node = TRY(invocation(std::make_unique<Node>(std::move(node))));
            } else if (at_symbol("[")) {
                Node indexer = node_at(NodeKind::indexer, token());
                ++at_;
                indexer.target = std::make_unique<Node>(std::move(node));
                indexer.arguments.push_back(TRY(expression(binds_implies)));
                TRY(expect("]"));
                node = TRY(finished(std::move(indexer)));
            } else {
                return node;
            }
        }
    }

    Result<Node> term() {
        const Token& at = token();
        switch (at.kind) {
            case TokenKind::end:
                return wrong("the expression ends where a value was expected");
            case TokenKind::string: {
                ++at_;
                Node node = node_at(NodeKind::literal, at);
                node.literal = Item::string(at.text);
                return node;
            }
            case TokenKind::number:
                return number();
            case TokenKind::date:
                return temporal_literal(Kind::date);
            case TokenKind::date_time:
                return temporal_literal(Kind::date_time);
            case TokenKind::time:
                return temporal_literal(Kind::time);
            case TokenKind::external: {
                ++at_;
                Node node = node_at(NodeKind::variable, at);
                node.text = at.text;
                return node;
            }
            case TokenKind::identifier:
                if ((at.text == "true" || at.text == "false") &&
                    !(token(1).kind == TokenKind::symbol && token(1).text == "(")) {
                    ++at_;
                    Node node = node_at(NodeKind::literal, at);
                    node.literal = Item::boolean(at.text == "true");
                    return node;
                }
                return invocation(nullptr);
            case TokenKind::delimited:
            case TokenKind::special:
                return invocation(nullptr);
            case TokenKind::symbol:
                return bracketed();
        }
        return wrong("unexpected token");
    }

    Result<Node> bracketed() {
        if (take_symbol("(")) {
            Node node = TRY(expression(binds_implies));
            TRY(expect(")"));
            return node;
        }
        if (at_symbol("{")) {
            Node node = node_at(NodeKind::empty, token());
            ++at_;
            TRY(expect("}"));
            return node;
        }
        return wrong(fmt::format("unexpected \"{}\" where a value was expected", token().text));
    }

    Result<Node> number() {
        const Token& at = token();
        ++at_;
        Node node = node_at(NodeKind::literal, at);
        auto value = Decimal::parse(at.text);
        if (!value) return wrong_at(at, value.error().message);
        if (token().kind == TokenKind::string) {
            node.literal = Item::quantity(Quantity{*value, token().text});
            ++at_;
            return node;
        }
        if (auto word = token().kind == TokenKind::identifier ? calendar_word(token().text)
                                                              : std::nullopt) {
            Quantity quantity{*value, std::string(*word), true};
            quantity.plural = token().text.size() != word->size();
            node.literal = Item::quantity(std::move(quantity));
            ++at_;
            return node;
        }
        bool is_decimal = at.text.find('.') != std::string::npos;
        auto integer = value->to_integer();
        // An Integer has 32 bits (N1 §4.1.3); longer digits are a Decimal.
        if (!is_decimal && integer && *integer <= INT32_MAX) {
            node.literal = Item::integer(*integer);
        } else {
            node.literal = Item::decimal(*value);
        }
        return node;
    }

    Result<Node> temporal_literal(Kind kind) {
        const Token& at = token();
        auto value = temporal::parse(kind, at.text);
        if (!value) return wrong_at(at, fmt::format("\"{}\" is no valid date or time", at.text));
        ++at_;
        Node node = node_at(NodeKind::literal, at);
        node.literal = Item::temporal(kind, *value);
        return node;
    }

    /// A member, a function call or a $variable, after a dot or at the start of a path.
    Result<Node> invocation(std::unique_ptr<Node> target) {
        const Token& at = token();
        if (at.kind == TokenKind::special) {
            ++at_;
            if (target) return wrong_at(at, fmt::format("${} cannot follow a dot", at.text));
            return node_at(at.text == "this"    ? NodeKind::this_
                           : at.text == "index" ? NodeKind::index
                                                : NodeKind::total,
                           at);
        }
        if (at.kind != TokenKind::identifier && at.kind != TokenKind::delimited) {
            return wrong(at.kind == TokenKind::end
                             ? "the expression ends where a name was expected"
                             : fmt::format("unexpected \"{}\" where a name was expected", at.text));
        }
        ++at_;
        if (at.kind == TokenKind::identifier && at_symbol("("))
            return function(at, std::move(target));
        Node node = node_at(NodeKind::member, at);
        node.text = at.text;
        if (!target && starts_upper(node.text)) node.type = definitions().find(node.text);
        node.target = std::move(target);
        return finished(std::move(node));
    }

    Result<Node> function(const Token& name, std::unique_ptr<Node> target) {
        const Signature* signature = find_function(name.text);
        if (signature == nullptr)
            return wrong_at(name, fmt::format("there is no function {}()", name.text));
        Node node = node_at(NodeKind::function, name);
        node.text = name.text;
        node.function = signature->function;
        node.target = std::move(target);
        TRY(expect("("));
        if (signature->takes_type) {
            TRY(type_specifier(node, node.type_text));
            TRY(expect(")"));
            return finished(std::move(node));
        }
        if (!at_symbol(")")) {
            do {
                node.arguments.push_back(TRY(argument(signature->function)));
            } while (take_symbol(","));
        }
        TRY(expect(")"));
        std::size_t count = node.arguments.size();
        if (count < signature->min_arguments || count > signature->max_arguments) {
            return wrong_at(name, fmt::format("{}() takes {} argument(s), not {}", name.text,
                                              expected_count(*signature), count));
        }
        prepare(node);
        return finished(std::move(node));
    }

    static std::string expected_count(const Signature& signature) {
        return signature.min_arguments == signature.max_arguments
                   ? std::to_string(signature.min_arguments)
                   : fmt::format("{} to {}", signature.min_arguments, signature.max_arguments);
    }

    /// sort() reads `-key`, `key asc` and `key desc`; everywhere else an argument is an expression.
    Result<Node> argument(Function function) {
        Node node = TRY(expression(binds_implies));
        if (function != Function::sort) return node;
        if (node.kind == NodeKind::unary && node.op == Operator::minus) {
            Node key = std::move(node.arguments[0]);
            key.descending = true;
            if (key.kind != NodeKind::binary && key.kind != NodeKind::unary)
                key.op = Operator::minus;
            return key;
        }
        if (token().kind == TokenKind::identifier &&
            (token().text == "asc" || token().text == "desc")) {
            node.descending = token().text == "desc";
            ++at_;
        }
        return node;
    }

    /// A regular expression that is a literal is compiled once; a bad one is reported when it is
    /// used.
    static void prepare(Node& node) {
        bool has_pattern = node.function == Function::matches ||
                           node.function == Function::matches_full ||
                           node.function == Function::replace_matches;
        std::size_t flags_at = node.function == Function::replace_matches ? 2 : 1;
        if (!has_pattern || node.arguments[0].kind != NodeKind::literal ||
            node.arguments.size() > flags_at)
            return;
        auto pattern = node.arguments[0].literal.string();
        if (!pattern) return;
        if (auto regex = Regex::compile(*pattern, "")) node.prepared = *regex;
    }

    /// identifier ('.' identifier)*; resolved to a FHIR type or a System type.
    Result<void> type_specifier(Node& node, std::string& text) {
        const Token& first = token();
        while (true) {
            if (token().kind != TokenKind::identifier && token().kind != TokenKind::delimited) {
                return wrong("a type name was expected");
            }
            text += token().text;
            ++at_;
            if (!at_symbol(".")) break;
            ++at_;
            text += '.';
        }
        std::string_view name = text;
        if (name.starts_with("System.")) {
            node.system = system_type(name.substr(7));  // an unknown one is a type that nothing has
            return {};
        }
        if (name.starts_with("FHIR.")) name.remove_prefix(5);
        node.type = definitions().find(name);
        if (name.size() == text.size() && (node.type == nullptr || name == "Quantity"))
            node.system = system_type(name);
        if (node.type == nullptr && node.system == Kind::none) {
            return wrong_at(first, fmt::format("\"{}\" is no type of FHIR R4 or FHIRPath", text));
        }
        return {};
    }

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
};

}  // namespace

Result<Node> parse(std::string_view text) {
    if (text.size() > limits::fhirpath_expression_bytes_max) {
        return fail(Category::too_large,
                    fmt::format("a FHIRPath expression may have at most {} bytes",
                                limits::fhirpath_expression_bytes_max));
    }
    return Parser(TRY(tokenize(text))).run();
}

}  // namespace meridian::fhir::path
