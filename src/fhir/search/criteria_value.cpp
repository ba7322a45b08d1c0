// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>

#include "base/limits.hpp"
#include "fhir/search/criteria.hpp"
#include "fhir/search/quantity.hpp"
#include "fhir/search/soundex.hpp"
#include "text/fold.hpp"

/// Strings, dates, numbers, quantities, URIs, positions.
namespace meridian::fhir::search {

using store::Condition;
using store::Conditions;

namespace {

std::unexpected<Error> at_place(Error error, std::string_view where) {
    if (error.where.empty()) error.where = where;
    return std::unexpected(std::move(error));
}

NumberInterval as_doubles(const NumberValue& number) {
    return {number.value.to_double(), number.low.to_double(), number.high.to_double()};
}

/// The part of a folded text that an index row can hold.
std::string cut_to_row(std::string folded) {
    if (folded.size() <= limits::index_string_bytes_max) return folded;
    std::size_t size = limits::index_string_bytes_max;
    while (size > 0 && (static_cast<unsigned char>(folded[size]) & 0xC0U) == 0x80U) --size;
    folded.resize(size);
    return folded;
}

/// Rows lie by their folded text, so its start leads to the few that can be exactly equal. (A cut
/// text folds to something else at its end: there all rows are looked at.)
Condition beside_start(const Parameter& parameter, std::string_view text, Condition exact) {
    std::string folded = text::fold(text);
    if (parameter.code == "phonetic") folded = phonetic_key(folded);
    if (folded.empty() || std::max(text.size(), folded.size()) > limits::index_string_bytes_max)
        return exact;
    Conditions both;
    both.push_back(store::HasString{parameter.name, store::StringMatch::starts, std::move(folded)});
    both.push_back(std::move(exact));
    return store::AllOf{std::move(both)};
}

}  // namespace

Result<Condition> Criteria::string(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    store::StringMatch match = store::StringMatch::starts;
    if (asked.modifier == "exact") {
        match = store::StringMatch::exact;
    } else if (asked.modifier == "contains" || asked.modifier == "text") {
        match = store::StringMatch::contains;
    } else if (asked.modifier == filter_ends_with && in_filter_) {
        match = store::StringMatch::ends;
    } else if (!asked.modifier.empty()) {
        return no_modifier(asked);
    }
    Conditions any;
    for (const auto value : values) {
        const auto plain = unescape_value(value);
        if (!plain) return at_place(plain.error(), asked.name);
        std::string text = match == store::StringMatch::exact ? *plain : text::fold(*plain);
        if (parameter.code == "phonetic" && match != store::StringMatch::exact)
            text = phonetic_key(text);
        if (text.empty()) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" holds no letter or digit to search for", plain->substr(0, 80)),
                std::string(asked.name));
        }
        Condition has = store::HasString{parameter.name, match, cut_to_row(std::move(text))};
        if (match == store::StringMatch::exact)
            has = beside_start(parameter, *plain, std::move(has));
        any.push_back(std::move(has));
    }
    return any_of(std::move(any));
}

Result<std::vector<store::DateBox>> Criteria::date(const Asked& asked, const Values& values) {
    if (!asked.modifier.empty()) return no_modifier(asked);
    std::vector<store::DateBox> boxes;
    for (const auto value : values) {
        const Prefixed prefixed = split_prefix(value);
        const auto interval = date_interval(prefixed.rest, options_.zone_minutes);
        if (!interval)
            return fail(Category::incorrect, interval.error().message, std::string(asked.name));
        for (auto& box : date_boxes(prefixed.prefix, *interval, options_.now)) boxes.push_back(box);
    }
    return boxes;
}

Result<Condition> Criteria::number(const Asked& asked, const Values& values) {
    if (!asked.modifier.empty()) return no_modifier(asked);
    Conditions any;
    for (const auto value : values) {
        const Prefixed prefixed = split_prefix(value);
        const auto number = number_value(prefixed.rest);
        if (!number) return at_place(number.error(), asked.name);
        for (auto& box : number_boxes(prefixed.prefix, as_doubles(*number)))
            any.push_back(store::HasNumber{asked.parameter->name, box});
    }
    return any_of(std::move(any));
}

bool is_age(const Parameter& parameter) {
    return parameter.code == "age" && parameter.type == "Patient" && parameter.expression.empty();
}

Result<Condition> Criteria::age(const Asked& asked, const Values& values) {
    if (!asked.modifier.empty()) return no_modifier(asked);
    const Parameter* birth = parameters_.find(asked.type, "birthdate");
    const Parameter* deceased = parameters_.find(asked.type, "deceased");
    TRY(allow(asked.type, "birthdate"));
    const std::int64_t today =
        (options_.now.milliseconds + std::int64_t{options_.zone_minutes} * 60'000) / 86'400'000;
    const CivilDate date = civil_from_days(today);
    // The first millisecond after the last birthday that makes somebody `years` old today.
    const auto born_before = [&](std::int64_t years) {
        const int year = date.year - static_cast<int>(years);
        const unsigned day = std::min(date.day, days_in_month(year, date.month));
        return (days_from_civil(year, date.month, day) + 1) * 86'400'000;
    };
    Conditions any;
    for (const auto value : values) {
        const Prefixed prefixed = split_prefix(value);
        const auto number = Decimal::parse(prefixed.rest);
        const auto years =
            number ? number->to_integer() : Result<std::int64_t>(fail(Category::incorrect, ""));
        constexpr std::int64_t years_max = 200;
        if (!years || *years < 0 || *years > years_max) {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no age in whole years", prefixed.rest.substr(0, 40)),
                        std::string(asked.name));
        }
        const std::int64_t slack = prefixed.prefix == Prefix::ap ? *years / 10 : 0;
        const store::DateBox exactly{.lo_from = born_before(*years + slack + 1),
                                     .lo_below = born_before(*years - slack)};
        const store::DateBox older{.lo_below = exactly.lo_from};
        const store::DateBox younger{.lo_from = exactly.lo_below};
        const Prefix prefix = prefixed.prefix;
        const auto add = [&](const store::DateBox& box) {
            any.push_back(store::HasDate{birth->name, box});
        };
        if (prefix == Prefix::eq || prefix == Prefix::ap || prefix == Prefix::ge ||
            prefix == Prefix::le)
            add(exactly);
        if (prefix == Prefix::gt || prefix == Prefix::ge || prefix == Prefix::sa ||
            prefix == Prefix::ne)
            add(older);
        if (prefix == Prefix::lt || prefix == Prefix::le || prefix == Prefix::eb ||
            prefix == Prefix::ne)
            add(younger);
    }
    // "Deceased patients are excluded" (definition of the parameter).
    Conditions both;
    both.push_back(any_of(std::move(any)));
    both.push_back(
        none_of(store::HasToken{deceased->name, {store::token_value(names_, 0, {}, "true")}}));
    return all_of(std::move(both));
}

Result<Criteria::Amount> Criteria::amount(const Parameter& parameter, std::string_view value,
                                          std::string_view where) const {
    const Prefixed prefixed = split_prefix(value);
    const auto parts = split_value(prefixed.rest, '|');
    if (parts.size() != 1 && parts.size() != 3) {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no quantity: write number, number|system|code or number||code",
                        value.substr(0, 80)),
            std::string(where));
    }
    const auto number = number_value(parts[0]);
    if (!number) return at_place(number.error(), where);
    Amount amount;
    amount.param = parameter.name;
    amount.boxes = number_boxes(prefixed.prefix, as_doubles(*number));
    if (parts.size() == 1) return amount;

    const std::string system = TRY(unescape_value(parts[1]));
    const std::string code = TRY(unescape_value(parts[2]));
    if (system == ucum_system && !code.empty()) {
        const auto middle = canonical_number(number->value, code);
        if (middle) {
            const store::Name unit = names_.find(store::NameKind::unit, middle->unit);
            NumberInterval interval{middle->value, 0, 0};
            interval.low = canonical_number(number->low, code)->value;
            interval.high = canonical_number(number->high, code)->value;
            amount.param = parameter.canonical_name;
            amount.boxes = number_boxes(prefixed.prefix, interval);
            amount.is_impossible = unit == 0;
            amount.units.push_back(unit);
            return amount;
        }
    }
    if (!system.empty()) {
        if (code.empty())
            return fail(Category::incorrect,
                        "a quantity with a system needs a code: number|system|code",
                        std::string(where));
        amount.units.push_back(names_.find(store::NameKind::unit, system + "|" + code));
        amount.is_impossible = amount.units.back() == 0;
        return amount;
    }
    if (code.empty()) return amount;
    // number||code: the code of any system, or the unit as written.
    for (const store::Name name : names_.all(store::NameKind::unit)) {
        const std::string text = names_.text(store::NameKind::unit, name);
        const std::size_t bar = text.rfind('|');
        if (bar != std::string::npos && std::string_view(text).substr(bar + 1) == code)
            amount.units.push_back(name);
    }
    amount.is_impossible = amount.units.empty();
    return amount;
}

Result<Condition> Criteria::quantity(const Asked& asked, const Values& values) {
    if (!asked.modifier.empty()) return no_modifier(asked);
    Conditions any;
    for (const auto value : values) {
        const Amount asked_amount = TRY(amount(*asked.parameter, value, asked.name));
        if (asked_amount.is_impossible) continue;
        for (const auto& box : asked_amount.boxes)
            any.push_back(store::HasQuantity{asked_amount.param, asked_amount.units, box});
    }
    return any_of(std::move(any));
}

Result<Condition> Criteria::uri(const Asked& asked, const Values& values) {
    const Parameter& parameter = *asked.parameter;
    Conditions any;
    for (const auto value : values) {
        const std::string text = TRY(unescape_value(value));
        if (asked.modifier.empty()) {
            any.push_back(store::HasUri{parameter.name, false, text});
            continue;
        }
        if (asked.modifier != "above" && asked.modifier != "below") return no_modifier(asked);
        const std::size_t scheme = text.find("://");
        if (scheme == std::string::npos) {
            return fail(Category::incorrect,
                        fmt::format("\":{}\" takes a URL: \"{}\" has no levels", asked.modifier,
                                    text.substr(0, 80)),
                        std::string(asked.name));
        }
        if (asked.modifier == "below") {
            any.push_back(
                store::HasUri{parameter.name, true,
                              text.ends_with('/') ? text.substr(0, text.size() - 1) : text});
            continue;
        }
        // The URL itself and each URL that it lies below, with and without a slash at the end.
        any.push_back(store::HasUri{parameter.name, false, text});
        for (std::size_t slash = text.rfind('/'); slash != std::string::npos && slash > scheme + 2;
             slash = text.rfind('/', slash - 1)) {
            any.push_back(store::HasUri{parameter.name, false, text.substr(0, slash)});
            any.push_back(store::HasUri{parameter.name, false, text.substr(0, slash + 1)});
        }
    }
    return any_of(std::move(any));
}

namespace {

/// A circle on the globe as strips of latitude: each a rectangle that covers the circle there.
Conditions circle(const Parameter& parameter, double latitude, double longitude,
                  double kilometres) {
    constexpr double kilometres_per_degree = 40'007.863 / 360;  // mean meridian, WGS 84
    constexpr int strips = 32;
    const double reach = kilometres / kilometres_per_degree;
    Conditions any;
    for (int i = 0; i < strips; ++i) {
        const double low = latitude - reach + 2 * reach * i / strips;
        const double high = latitude - reach + 2 * reach * (i + 1) / strips;
        const double nearest = low > latitude    ? low - latitude
                               : high < latitude ? latitude - high
                                                 : 0;
        const double across = std::sqrt(std::max(0.0, reach * reach - nearest * nearest));
        const double shrink = std::max(
            0.01, std::cos(std::min(std::abs(low), std::abs(high)) * std::numbers::pi / 180));
        Conditions both;
        both.push_back(store::HasNumber{
            parameter.name, {.lo_from = low, .lo_below = std::nextafter(high, 1000.0)}});
        both.push_back(
            store::HasNumber{parameter.longitude_name,
                             {.lo_from = longitude - across / shrink,
                              .lo_below = std::nextafter(longitude + across / shrink, 1000.0)}});
        any.push_back(store::AllOf{std::move(both)});
    }
    return any;
}

}  // namespace

Result<Condition> Criteria::near(const Asked& asked, const Values& values) {
    // R4: latitude|longitude|distance|units, kilometres unless said otherwise.
    static constexpr std::array<std::pair<std::string_view, double>, 7> units{
        {{"", 1},
         {"km", 1},
         {"m", 0.001},
         {"[mi_us]", 1.609347},
         {"[mi_i]", 1.609344},
         {"mi", 1.609344},
         {"[nmi_i]", 1.852}}};
    if (!asked.modifier.empty()) return no_modifier(asked);
    const auto wrong = [&](std::string_view value) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no place: write latitude|longitude|distance|km",
                                value.substr(0, 80)),
                    std::string(asked.name));
    };
    Conditions any;
    for (const auto value : values) {
        const auto parts = split_value(value, '|');
        if (parts.size() < 2 || parts.size() > 4) return wrong(value);
        constexpr double default_kilometres = 50;
        double numbers[3] = {0, 0, default_kilometres};
        for (std::size_t i = 0; i < std::min<std::size_t>(parts.size(), 3); ++i) {
            if (i == 2 && parts[i].empty()) continue;
            const auto number = Decimal::parse(parts[i]);
            if (!number) return wrong(value);
            numbers[i] = number->to_double();
        }
        const std::string_view unit = parts.size() == 4 ? parts[3] : std::string_view();
        const auto known = std::find_if(units.begin(), units.end(),
                                        [&](const auto& u) { return u.first == unit; });
        if (known == units.end() || std::abs(numbers[0]) > 90 || std::abs(numbers[1]) > 180 ||
            numbers[2] < 0)
            return wrong(value);
        for (auto& strip :
             circle(*asked.parameter, numbers[0], numbers[1], numbers[2] * known->second))
            any.push_back(std::move(strip));
    }
    return any_of(std::move(any));
}

}  // namespace meridian::fhir::search
