// SPDX-License-Identifier: Apache-2.0
#include "fhir/ucum/ucum.hpp"

#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "fhir/ucum/units.hpp"

namespace meridian::fhir::ucum {
namespace {

using Wide = __int128;

/// Without trailing zeros anywhere: 1200 becomes 12 × 10^2.
Decimal stripped(const Decimal& value) {
    Wide coefficient = value.coefficient();
    int scale = value.scale();
    if (coefficient == 0) return Decimal(0);
    while (coefficient % 10 == 0) {
        coefficient /= 10;
        --scale;
    }
    return Decimal::from_parts(coefficient, scale);
}

Decimal power_of_ten(int exponent) {
    return Decimal::from_parts(1, -exponent);
}

/// At most `digits` significant digits, rounded half away from zero.
Decimal shortened(const Decimal& value, int digits) {
    Wide coefficient = value.coefficient();
    int scale = value.scale();
    Wide bound = 1;
    for (int i = 0; i < digits; ++i) bound *= 10;
    int last = 0;
    while (coefficient >= bound || coefficient <= -bound) {
        last = static_cast<int>(coefficient % 10);
        coefficient /= 10;
        --scale;
    }
    if (last >= 5) ++coefficient;
    if (last <= -5) --coefficient;
    return stripped(Decimal::from_parts(coefficient, scale));
}

/// The product, exact when it has at most 38 digits, else of factors shortened to 18 digits.
Result<Decimal> times(const Decimal& left, const Decimal& right) {
    Decimal a = stripped(left), b = stripped(right);
    auto exact = Decimal::multiply(a, b);
    Decimal product = exact ? stripped(*exact)
                            : stripped(TRY(Decimal::multiply(shortened(a, 18), shortened(b, 18))));
    if (product.scale() > limits::ucum_magnitude_max ||
        product.scale() < -limits::ucum_magnitude_max) {
        return fail(Category::too_large, "the unit conversion leaves the range of numbers");
    }
    return product;
}

Wide greatest_common_divisor(Wide a, Wide b) {
    if (a < 0) a = -a;
    if (b < 0) b = -b;
    while (b != 0) a = std::exchange(b, a % b);
    return a;
}

/// A positive factor as a fraction, so that 60 /min is exactly 1 /s.
struct Ratio {
    Decimal numerator = 1;
    Decimal denominator = 1;

    void reduce() {
        numerator = stripped(numerator);
        denominator = stripped(denominator);
        Wide divisor = greatest_common_divisor(numerator.coefficient(), denominator.coefficient());
        if (divisor > 1) {
            numerator = Decimal::from_parts(numerator.coefficient() / divisor, numerator.scale());
            denominator =
                Decimal::from_parts(denominator.coefficient() / divisor, denominator.scale());
        }
        numerator =
            Decimal::from_parts(numerator.coefficient(), numerator.scale() - denominator.scale());
        denominator = Decimal::from_parts(denominator.coefficient(), 0);
    }
};

Result<Ratio> multiply(const Ratio& left, const Ratio& right) {
    Ratio result{TRY(times(left.numerator, right.numerator)),
                 TRY(times(left.denominator, right.denominator))};
    result.reduce();
    return result;
}

Ratio inverted(const Ratio& ratio) {
    Ratio result{ratio.denominator, ratio.numerator};
    result.reduce();
    return result;
}

/// value × ratio, to 34 significant digits where the quotient has no end.
Result<Decimal> apply(const Decimal& value, const Ratio& ratio) {
    if (value.is_zero()) return Decimal(0);
    Decimal product = TRY(times(value, ratio.numerator));
    Wide divisor = ratio.denominator.coefficient();
    if (divisor == 1) return product;
    Wide dividend = product.coefficient();
    int scale = product.scale();
    Wide bound = 1;
    for (int i = 0; i < 37; ++i) bound *= 10;
    while (dividend % divisor != 0 && dividend < bound && dividend > -bound) {
        dividend *= 10;
        ++scale;
    }
    Wide quotient = dividend / divisor;
    Wide rest = dividend % divisor;
    if (rest < 0) rest = -rest;
    if (rest >= divisor - rest) quotient += dividend < 0 ? -1 : 1;
    Decimal result = Decimal::from_parts(quotient, scale);
    return rest == 0 ? stripped(result) : shortened(result, 34);
}

/// A unit in base units: factor, offset of a temperature scale, and the exponent of each base unit.
struct Meaning {
    Ratio factor;
    Decimal offset = 0;
    bool is_offset = false;
    std::map<std::string, int, std::less<>> dimension;
};

void add_dimension(Meaning& meaning, const Meaning& other, int power) {
    for (const auto& [base, exponent] : other.dimension) {
        int& sum = meaning.dimension[base];
        sum += exponent * power;
        if (sum == 0) meaning.dimension.erase(base);
    }
}

struct Prefix {
    std::string_view code;
    std::int64_t value;  ///< of the binary prefixes; 0 for powers of ten
    int exponent;
};

// UCUM tables 1 and 2 (prefixes).
constexpr Prefix prefixes[] = {
    {"Ki", 1024, 0}, {"Mi", 1048576, 0}, {"Gi", 1073741824, 0}, {"Ti", 1099511627776, 0},
    {"da", 0, 1},    {"Y", 0, 24},       {"Z", 0, 21},          {"E", 0, 18},
    {"P", 0, 15},    {"T", 0, 12},       {"G", 0, 9},           {"M", 0, 6},
    {"k", 0, 3},     {"h", 0, 2},        {"d", 0, -1},          {"c", 0, -2},
    {"m", 0, -3},    {"u", 0, -6},       {"n", 0, -9},          {"p", 0, -12},
    {"f", 0, -15},   {"a", 0, -18},      {"z", 0, -21},         {"y", 0, -24},
};

const Atom* find_atom(std::string_view code) {
    static const auto index = [] {
        std::unordered_map<std::string_view, const Atom*> map;
        for (const Atom& atom : atoms()) map.emplace(atom.code, &atom);
        return map;
    }();
    auto it = index.find(code);
    return it == index.end() ? nullptr : it->second;
}

std::unexpected<Error> unknown(std::string_view unit, std::string_view why) {
    return fail(Category::incorrect, fmt::format("\"{}\" is no UCUM unit: {}", unit, why));
}

Result<Meaning> meaning_of_atom(const Atom& atom);

/// Recursive descent over the grammar of UCUM §3 (main-term).
class Parser {
 public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<Meaning> parse() {
        if (text_.empty()) return Meaning{};
        if (text_.size() > limits::ucum_unit_bytes_max)
            return unknown(text_.substr(0, 32), "it is too long");
        Meaning meaning = TRY(term());
        if (at_ != text_.size())
            return unknown(text_, fmt::format("unexpected \"{}\"", text_.substr(at_)));
        return meaning;
    }

 private:
    bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool at_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

    Result<Meaning> term() {
        if (++depth_ > limits::ucum_depth_max) return unknown(text_, "it is nested too deeply");
        Meaning product;
        int power = 1;
        bool first = true;
        if (at('/')) {
            power = -1;
            ++at_;
        }
        while (true) {
            Meaning part = TRY(component());
            if (first && power == 1) {
                product = std::move(part);
            } else {
                TRY(combine(product, part, power));
            }
            first = false;
            if (!at('.') && !at('/')) break;
            power = at('.') ? 1 : -1;
            ++at_;
        }
        --depth_;
        return product;
    }

    Result<void> combine(Meaning& product, const Meaning& part, int power) {
        // UCUM §21: units on other than ratio scales take part in no product, a number excepted.
        bool numbers = product.dimension.empty() || part.dimension.empty();
        if ((product.is_offset || part.is_offset) && !(numbers && power == 1)) {
            return unknown(text_, "a temperature scale cannot be part of a product");
        }
        if (part.is_offset) {
            product.is_offset = true;
            product.offset = part.offset;
        }
        product.factor =
            TRY(multiply(product.factor, power == 1 ? part.factor : inverted(part.factor)));
        add_dimension(product, part, power);
        return {};
    }

    Result<Meaning> component() {
        Meaning meaning;
        if (at('(')) {
            ++at_;
            meaning = TRY(term());
            if (!at(')')) return unknown(text_, "a parenthesis is not closed");
            ++at_;
        } else if (at('{')) {
            TRY(annotation());
            return meaning;
        } else if (at_digit() && !is_power_of_ten_atom()) {
            meaning.factor.numerator = TRY(number());
            if (meaning.factor.numerator.is_zero()) return unknown(text_, "a factor of zero");
        } else {
            meaning = TRY(simple_unit());
        }
        if (at('{')) TRY(annotation());
        return meaning;
    }

    bool is_power_of_ten_atom() const {
        std::string_view rest = text_.substr(at_);
        return rest.starts_with("10*") || rest.starts_with("10^");
    }

    Result<void> annotation() {
        auto end = text_.find('}', at_);
        if (end == std::string_view::npos) return unknown(text_, "an annotation is not closed");
        at_ = end + 1;
        return {};
    }

    Result<Decimal> number() {
        std::size_t start = at_;
        while (at_digit()) ++at_;
        if (at_ - start > 18) return unknown(text_, "a factor has too many digits");
        return Decimal::parse(text_.substr(start, at_ - start));
    }

    Result<Meaning> simple_unit() {
        Meaning meaning;
        if (is_power_of_ten_atom()) {
            at_ += 3;
            int exponent = TRY(exponent_or_one());
            meaning.factor.numerator = power_of_ten(exponent);
            return meaning;
        }
        std::size_t start = at_;
        TRY(skip_symbol());
        if (at_ == start) return unknown(text_, "a unit is missing");
        meaning = TRY(symbol(text_.substr(start, at_ - start)));
        int exponent = TRY(exponent_or_one());
        return raised(meaning, exponent);
    }

    /// A symbol ends before an operator or a digit; what is in square brackets belongs to it whole.
    Result<void> skip_symbol() {
        while (at_ < text_.size()) {
            char c = text_[at_];
            if (c == '[') {
                auto end = text_.find(']', at_);
                if (end == std::string_view::npos)
                    return unknown(text_, "a square bracket is not closed");
                at_ = end + 1;
                continue;
            }
            if (c <= ' ' || c >= 127 ||
                std::string_view("()+-./={}\"]").find(c) != std::string_view::npos || at_digit())
                break;
            ++at_;
        }
        return {};
    }

    Result<int> exponent_or_one() {
        bool negative = at('-');
        std::size_t start = at_;
        if (at('-') || at('+')) ++at_;
        if (!at_digit()) {
            if (at_ != start) return unknown(text_, "a sign without an exponent");
            return 1;
        }
        int exponent = 0;
        while (at_digit()) {
            exponent = exponent * 10 + (text_[at_++] - '0');
            if (exponent > limits::ucum_exponent_max)
                return unknown(text_, "an exponent is too large");
        }
        return negative ? -exponent : exponent;
    }

    Result<Meaning> raised(const Meaning& meaning, int exponent) {
        if (exponent == 1) return meaning;
        if (meaning.is_offset) return unknown(text_, "a temperature scale cannot have an exponent");
        Meaning result;
        Ratio base = exponent < 0 ? inverted(meaning.factor) : meaning.factor;
        for (int i = 0; i < std::abs(exponent); ++i)
            result.factor = TRY(multiply(result.factor, base));
        add_dimension(result, meaning, exponent);
        return result;
    }

    Result<Meaning> symbol(std::string_view code) {
        if (const Atom* atom = find_atom(code)) return meaning_of_atom(*atom);
        for (const Prefix& prefix : prefixes) {
            if (!code.starts_with(prefix.code)) continue;
            const Atom* atom = find_atom(code.substr(prefix.code.size()));
            if (atom == nullptr || !atom->is_metric) continue;
            Meaning meaning = TRY(meaning_of_atom(*atom));
            Ratio factor{prefix.value != 0 ? Decimal(prefix.value) : power_of_ten(prefix.exponent),
                         1};
            if (meaning.is_offset) meaning.offset = TRY(apply(meaning.offset, inverted(factor)));
            meaning.factor = TRY(multiply(meaning.factor, factor));
            return meaning;
        }
        return unknown(text_, fmt::format("\"{}\" is no unit symbol", code));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
};

/// The table defines its units by base units alone, so this recursion is one level deep.
Result<Meaning> meaning_of_atom(const Atom& atom) {
    Meaning meaning;
    if (atom.scale == Scale::own) {
        meaning.dimension.emplace(atom.code, 1);
        return meaning;
    }
    meaning = TRY(Parser(atom.unit).parse());
    auto slash = atom.value.find('/');
    Ratio value{TRY(Decimal::parse(atom.value.substr(0, slash))), 1};
    if (slash != std::string_view::npos)
        value.denominator = TRY(Decimal::parse(atom.value.substr(slash + 1)));
    meaning.factor = TRY(multiply(meaning.factor, value));
    if (atom.scale == Scale::offset) {
        meaning.is_offset = true;
        meaning.offset = TRY(Decimal::parse(atom.offset));
    }
    return meaning;
}

/// Parsed units are few and asked for millions of times: each thread keeps the ones it has seen.
Result<std::shared_ptr<const Meaning>> meaning_of(std::string_view unit) {
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    thread_local std::unordered_map<std::string, std::shared_ptr<const Meaning>, Hash,
                                    std::equal_to<>>
        seen;
    if (auto it = seen.find(unit); it != seen.end()) return it->second;
    auto meaning = std::make_shared<const Meaning>(TRY(Parser(unit).parse()));
    if (seen.size() >= limits::ucum_units_kept_max) seen.clear();
    seen.emplace(std::string(unit), meaning);
    return meaning;
}

std::string canonical_text(const Meaning& meaning) {
    constexpr std::string_view base_order[] = {"m", "s", "g", "rad", "K", "C", "cd"};
    std::string text;
    auto append = [&](std::string_view base, int exponent) {
        if (!text.empty()) text += '.';
        text += base;
        if (exponent != 1) text += std::to_string(exponent);
    };
    for (std::string_view base : base_order) {
        if (auto it = meaning.dimension.find(base); it != meaning.dimension.end())
            append(base, it->second);
    }
    for (const auto& [base, exponent] : meaning.dimension) {
        if (std::find(std::begin(base_order), std::end(base_order), base) == std::end(base_order))
            append(base, exponent);
    }
    return text.empty() ? "1" : text;
}

Result<Decimal> to_base(const Decimal& value, const Meaning& meaning) {
    Decimal number = meaning.is_offset ? TRY(Decimal::add(value, meaning.offset)) : value;
    return apply(number, meaning.factor);
}

Result<Canonical> combined(const Decimal& left, std::string_view left_unit, const Decimal& right,
                           std::string_view right_unit, int power) {
    auto a = TRY(meaning_of(left_unit));
    auto b = TRY(meaning_of(right_unit));
    if (a->is_offset || b->is_offset)
        return unknown(left_unit, "a temperature scale cannot be part of a product");
    Ratio factor = TRY(multiply(a->factor, power == 1 ? b->factor : inverted(b->factor)));
    Meaning product;
    add_dimension(product, *a, 1);
    add_dimension(product, *b, power);
    if (b->dimension.empty() && right_unit == "1") {
        factor = Ratio{};
    } else if (a->dimension.empty() && left_unit == "1" && power == 1) {
        factor = Ratio{};
    }
    Decimal value;
    if (power == 1) {
        value = TRY(apply(TRY(times(left, right)), factor));
    } else {
        if (right.is_zero()) return fail(Category::incorrect, "division by zero");
        Ratio inverse = inverted(Ratio{right.is_negative() ? right.negate() : right, 1});
        value = TRY(apply(TRY(apply(left, factor)), inverse));
        if (right.is_negative()) value = value.negate();
    }
    std::string unit = right_unit == "1"                ? std::string(left_unit)
                       : left_unit == "1" && power == 1 ? std::string(right_unit)
                                                        : canonical_text(product);
    return Canonical{value, unit};
}

}  // namespace

Result<Canonical> canonical(const Decimal& value, std::string_view unit) {
    auto meaning = TRY(meaning_of(unit));
    return Canonical{TRY(to_base(value, *meaning)), canonical_text(*meaning)};
}

bool is_valid(std::string_view unit) {
    return meaning_of(unit).has_value();
}

bool comparable(std::string_view left, std::string_view right) {
    auto a = meaning_of(left);
    auto b = meaning_of(right);
    return a && b && (*a)->dimension == (*b)->dimension;
}

Result<Decimal> convert(const Decimal& value, std::string_view from, std::string_view to) {
    auto source = TRY(meaning_of(from));
    auto target = TRY(meaning_of(to));
    if (source->dimension != target->dimension) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" cannot be converted to \"{}\"", from, to));
    }
    if (from == to) return value;
    if (!source->is_offset && !target->is_offset) {
        Ratio factor = TRY(multiply(source->factor, inverted(target->factor)));
        if (factor.numerator.coefficient() == 1 && factor.denominator.coefficient() == 1) {
            return Decimal::from_parts(value.coefficient(),
                                       value.scale() + factor.numerator.scale());
        }
        return apply(value, factor);
    }
    Decimal base = TRY(to_base(value, *source));
    Decimal number = TRY(apply(base, inverted(target->factor)));
    return target->is_offset ? Decimal::subtract(number, target->offset) : Result<Decimal>(number);
}

Result<Canonical> multiply(const Decimal& left, std::string_view left_unit, const Decimal& right,
                           std::string_view right_unit) {
    return combined(left, left_unit, right, right_unit, 1);
}

Result<Canonical> divide(const Decimal& left, std::string_view left_unit, const Decimal& right,
                         std::string_view right_unit) {
    return combined(left, left_unit, right, right_unit, -1);
}

}  // namespace meridian::fhir::ucum
