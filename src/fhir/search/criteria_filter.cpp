// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "fhir/search/criteria.hpp"

/// _filter: https://hl7.org/fhir/R4/search_filter.html
///   filter    = term { ("and" | "or") term }        ("and" binds tighter)
///   term      = "not" "(" filter ")" | "(" filter ")" | path op value
///   path      = name [ "[" filter "]" ] { "." name }
namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

namespace {

/// An operator of the filter language as a modifier or prefix of the plain one.
struct FilterOperator {
    std::string_view name;
    std::string_view modifier;  ///< ":contains" and the like
    std::string_view prefix;    ///< for number, date and quantity
    bool is_negated;
};
constexpr std::array<FilterOperator, 19> operators{{{"eq", "", "eq", false},
                                                    {"ne", "", "eq", true},
                                                    {"co", "contains", "", false},
                                                    {"sw", "", "", false},
                                                    {"gt", "", "gt", false},
                                                    {"lt", "", "lt", false},
                                                    {"ge", "", "ge", false},
                                                    {"le", "", "le", false},
                                                    {"ap", "", "ap", false},
                                                    {"sa", "", "sa", false},
                                                    {"eb", "", "eb", false},
                                                    {"pr", "missing", "", false},
                                                    {"in", "in", "", false},
                                                    {"ni", "not-in", "", false},
                                                    {"ss", "below", "", false},
                                                    {"sb", "above", "", false},
                                                    {"re", "", "", false},
                                                    {"po", "", "po", false},
                                                    {"ew", filter_ends_with, "", false}}};

/// A value of the filter language may hold a comma; in a plain value that would mean OR.
std::string escape_commas(std::string_view value) {
    std::string escaped;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == ',' && (i == 0 || value[i - 1] != '\\')) escaped += '\\';
        escaped += value[i];
    }
    return escaped;
}

std::string escape_text(std::string_view value) {
    std::string escaped;
    for (const char c : value) {
        if (c == ',' || c == '\\' || c == '|' || c == '$') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

}  // namespace

/// Reads one filter for resources of one type. Private to this file; a friend in spirit of
/// Criteria, whose public face it uses.
class FilterReader {
 public:
    FilterReader(Criteria& criteria, const Parameters& parameters, std::string_view text,
                 unsigned depth)
        : criteria_(criteria), parameters_(parameters), text_(text), depth_(depth) {}

    Result<Condition> whole(std::string_view type) {
        Condition condition = TRY(either(type, 0));
        skip_space();
        if (at_ != text_.size()) return wrong("the filter should end here");
        return condition;
    }

 private:
    static constexpr unsigned nesting_max = 20;

    std::unexpected<Error> wrong(std::string_view message) const {
        return fail(Category::incorrect,
                    fmt::format("{} (character {} of the filter)", message, at_ + 1), "_filter");
    }
    void skip_space() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    bool take(char c) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool take_word(std::string_view word) {
        skip_space();
        if (text_.substr(at_, word.size()) != word) return false;
        const std::size_t end = at_ + word.size();
        if (end < text_.size() && text_[end] != ' ' && text_[end] != '(') return false;
        at_ = end;
        return true;
    }

    Result<Condition> either(std::string_view type, unsigned nesting) {
        if (nesting > nesting_max)
            return fail(Category::too_large, "the filter is nested too deep", "_filter");
        Conditions any;
        do {
            Conditions all;
            do {
                if (++terms_ > limits::search_parameters_max)
                    return fail(Category::too_large, "the filter has too many terms", "_filter");
                all.push_back(TRY(term(type, nesting)));
            } while (take_word("and"));
            any.push_back(all_of(std::move(all)));
        } while (take_word("or"));
        return any_of(std::move(any));
    }

    Result<Condition> term(std::string_view type, unsigned nesting) {
        const bool is_negated = take_word("not");
        if (take('(')) {
            Condition inner = TRY(either(type, nesting + 1));
            if (!take(')')) return wrong("a \")\" is missing");
            if (is_negated) return none_of(std::move(inner));
            return inner;
        }
        if (is_negated) return wrong("\"not\" takes a filter in parentheses");
        return comparison(type, nesting);
    }

    std::string_view name() {
        skip_space();
        const std::size_t start = at_;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                      text_[at_] == '-' || text_[at_] == '_' || text_[at_] == ':'))
            ++at_;
        return text_.substr(start, at_ - start);
    }

    Result<Condition> comparison(std::string_view type, unsigned nesting) {
        std::string path(name());
        if (path.empty()) return wrong("a search parameter is expected");
        if (at_ < text_.size() && text_[at_] == '[') return filtered_chain(type, path, nesting);
        while (at_ < text_.size() && text_[at_] == '.') {
            ++at_;
            const std::string_view next = name();
            if (next.empty()) return wrong("a search parameter is expected after \".\"");
            (path += '.') += next;
        }
        return operation(type, path);
    }

    /// subject[name eq "x"].birthdate gt 1980: the inner filter and the rest hold for the same
    /// target.
    Result<Condition> filtered_chain(std::string_view type, const std::string& code,
                                     unsigned nesting) {
        ++at_;
        const ParameterName head = split_modifier(code);
        const Parameter* reference = parameters_.find(type, head.code);
        if (reference == nullptr || reference->kind != SearchType::reference) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" of {} is no reference: it takes no [filter]", head.code, type),
                "_filter");
        }
        TRY(criteria_.allow(type, head.code));
        std::string_view target = head.modifier;
        if (target.empty() && reference->targets.size() == 1) target = reference->targets.front();
        if (parameters_.type_name(target) == 0) {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" can refer to several types: write {}:Type[…]",
                                    head.code, head.code),
                        "_filter");
        }
        Conditions all;
        all.push_back(TRY(either(target, nesting + 1)));
        if (!take(']')) return wrong("a \"]\" is missing");
        if (at_ >= text_.size() || text_[at_] != '.')
            return wrong("\".\" and a search parameter are expected after \"]\"");
        ++at_;
        all.push_back(TRY(comparison(target, nesting + 1)));
        return criteria_.follow(*reference, target, all_of(std::move(all)));
    }

    /// The parameter at the end of a chain, which decides how an operator is read; null when it is
    /// none of one type.
    const Parameter* final_parameter(std::string_view type, std::string_view path) const {
        for (unsigned hops = 0; hops <= limits::chain_depth_max; ++hops) {
            const std::size_t dot = path.find('.');
            const ParameterName head = split_modifier(path.substr(0, dot));
            const Parameter* parameter = parameters_.find(type, head.code);
            if (dot == std::string_view::npos || parameter == nullptr) return parameter;
            path = path.substr(dot + 1);
            const std::string_view next = split_modifier(path.substr(0, path.find('.'))).code;
            type = head.modifier;
            for (const std::string& target : parameter->targets) {
                if (type.empty() && parameters_.find(target, next) != nullptr) type = target;
            }
        }
        return nullptr;
    }

    Result<std::string> value(bool& is_quoted) {
        skip_space();
        is_quoted = at_ < text_.size() && text_[at_] == '"';
        if (!is_quoted) {
            const std::size_t end = std::min(text_.find_first_of(" )]", at_), text_.size());
            std::string plain(text_.substr(at_, end - at_));
            if (plain.empty()) return wrong("a value is expected");
            at_ = end;
            return plain;
        }
        std::string plain;
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
            plain += text_[at_];
        }
        if (!take('"')) return wrong("a quotation mark is missing");
        return plain;
    }

    Result<Condition> operation(std::string_view type, const std::string& path) {
        skip_space();
        const std::string_view word = name();
        const auto found = std::find_if(operators.begin(), operators.end(),
                                        [&](const auto& o) { return o.name == word; });
        if (found == operators.end())
            return wrong(
                fmt::format("\"{}\" is no operator of a filter (eq, ne, co, sw, gt, lt, ge, le, "
                            "ew, ap, sa, eb, pr, po, ss, sb, in, ni, re)",
                            word.substr(0, 40)));
        bool is_quoted = false;
        std::string given = TRY(value(is_quoted));
        if (found->name == "pr") {
            if (given != "true" && given != "false") return wrong("\"pr\" takes true or false");
            given = given == "true" ? "false" : "true";
            return criteria_.condition(type, path + ":missing", given, depth_ + 1);
        }
        const Parameter* last = final_parameter(type, path);
        const bool is_ordered =
            last == nullptr
                ? !is_quoted && found->prefix != "eq" && !found->prefix.empty()
                : last->kind == SearchType::number || last->kind == SearchType::date ||
                      last->kind == SearchType::quantity || last->code == "_lastUpdated";
        if (found->name == "po") return overlap(type, path, last, given);
        if (found->name == "ew" && (last == nullptr || last->kind != SearchType::string))
            return wrong(fmt::format("\"ew\" takes a string parameter, and \"{}\" is none", path));
        std::string full = path;
        if (!found->modifier.empty()) (full += ':') += found->modifier;
        std::string text = is_quoted ? escape_text(given) : escape_commas(given);
        if (is_ordered) text = std::string(found->prefix) + text;
        const bool is_string = last != nullptr && last->kind == SearchType::string;
        if (is_string && (found->name == "eq" || found->name == "ne")) full += ":exact";
        Condition condition = TRY(criteria_.condition(type, full, text, depth_ + 1));
        if (found->is_negated) return none_of(std::move(condition));
        return condition;
    }

    Result<Condition> overlap(std::string_view type, const std::string& path, const Parameter* last,
                              const std::string& given) {
        if (last == nullptr || last->kind != SearchType::date)
            return wrong(fmt::format("\"po\" takes a date parameter, and \"{}\" is none", path));
        TRY(criteria_.allow(type, last->code));
        const auto interval = date_interval(given, criteria_.zone_minutes());
        if (!interval) return wrong(interval.error().message);
        return store::HasDate{last->name, {.lo_below = interval->hi, .hi_above = interval->lo}};
    }

    Criteria& criteria_;
    const Parameters& parameters_;
    std::string_view text_;
    unsigned depth_;
    std::size_t at_ = 0;
    std::size_t terms_ = 0;
};

Result<Condition> Criteria::filter(std::string_view type, std::string_view expression,
                                   unsigned depth) {
    const bool was_in_filter = std::exchange(in_filter_, true);
    auto condition = FilterReader(*this, parameters_, expression, depth).whole(type);
    in_filter_ = was_in_filter;
    return condition;
}

}  // namespace meridian::fhir::search
