// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/functions.hpp"

#include <unordered_map>

namespace meridian::fhir::path {
namespace {

using F = Function;

// clang-format off
constexpr Signature signatures[] = {
    // N1 §5.1 existence, §5.2 filtering and projection, §5.3 subsetting, §5.4 combining
    {"empty", F::empty, 0, 0}, {"exists", F::exists, 0, 1, false, true}, {"all", F::all, 1, 1, false, true},
    {"allTrue", F::all_true, 0, 0}, {"anyTrue", F::any_true, 0, 0}, {"allFalse", F::all_false, 0, 0}, {"anyFalse", F::any_false, 0, 0},
    {"subsetOf", F::subset_of, 1, 1}, {"supersetOf", F::superset_of, 1, 1}, {"count", F::count, 0, 0},
    {"distinct", F::distinct, 0, 0}, {"isDistinct", F::is_distinct, 0, 0},
    {"where", F::where, 1, 1, false, true}, {"select", F::select, 1, 1, false, true}, {"repeat", F::repeat, 1, 1, false, true},
    {"repeatAll", F::repeat_all, 1, 1, false, true}, {"ofType", F::of_type, 1, 1, true}, {"single", F::single, 0, 0},
    {"first", F::first, 0, 0}, {"last", F::last, 0, 0}, {"tail", F::tail, 0, 0}, {"skip", F::skip, 1, 1}, {"take", F::take, 1, 1},
    {"intersect", F::intersect, 1, 1}, {"exclude", F::exclude, 1, 1}, {"union", F::union_, 1, 1}, {"combine", F::combine, 1, 2},
    {"sort", F::sort, 0, 16, false, true}, {"aggregate", F::aggregate, 1, 2, false, true},
    {"coalesce", F::coalesce, 1, 64}, {"defineVariable", F::define_variable, 1, 2},
    // N1 §5.5 conversion
    {"iif", F::iif, 2, 3, false, true}, {"toBoolean", F::to_boolean, 0, 0}, {"convertsToBoolean", F::converts_to_boolean, 0, 0},
    {"toInteger", F::to_integer, 0, 0}, {"convertsToInteger", F::converts_to_integer, 0, 0}, {"toDecimal", F::to_decimal, 0, 0},
    {"convertsToDecimal", F::converts_to_decimal, 0, 0}, {"toString", F::to_string, 0, 0},
    {"convertsToString", F::converts_to_string, 0, 0}, {"toDate", F::to_date, 0, 0}, {"convertsToDate", F::converts_to_date, 0, 0},
    {"toDateTime", F::to_date_time, 0, 0}, {"convertsToDateTime", F::converts_to_date_time, 0, 0}, {"toTime", F::to_time, 0, 0},
    {"convertsToTime", F::converts_to_time, 0, 0}, {"toQuantity", F::to_quantity, 0, 1},
    {"convertsToQuantity", F::converts_to_quantity, 0, 1},
    // N1 §5.6 strings, with the additional ones of 2.1
    {"indexOf", F::index_of, 1, 1}, {"lastIndexOf", F::last_index_of, 1, 1}, {"substring", F::substring, 1, 2},
    {"startsWith", F::starts_with, 1, 1}, {"endsWith", F::ends_with, 1, 1}, {"contains", F::contains, 1, 1}, {"upper", F::upper, 0, 0},
    {"lower", F::lower, 0, 0}, {"replace", F::replace, 2, 2}, {"matches", F::matches, 1, 2}, {"matchesFull", F::matches_full, 1, 2},
    {"replaceMatches", F::replace_matches, 2, 3}, {"length", F::length, 0, 0}, {"toChars", F::to_chars, 0, 0},
    {"encode", F::encode, 1, 1}, {"decode", F::decode, 1, 1}, {"escape", F::escape, 1, 1}, {"unescape", F::unescape, 1, 1},
    {"trim", F::trim, 0, 0}, {"split", F::split, 1, 1}, {"join", F::join, 0, 1},
    // N1 §5.7 mathematics, with the boundaries of 2.1
    {"abs", F::abs, 0, 0}, {"ceiling", F::ceiling, 0, 0}, {"exp", F::exp, 0, 0}, {"floor", F::floor, 0, 0}, {"ln", F::ln, 0, 0},
    {"log", F::log, 1, 1}, {"power", F::power, 1, 1}, {"round", F::round, 0, 1}, {"sqrt", F::sqrt, 0, 0},
    {"truncate", F::truncate, 0, 0}, {"lowBoundary", F::low_boundary, 0, 1}, {"highBoundary", F::high_boundary, 0, 1},
    {"precision", F::precision, 0, 0},
    // N1 §5.8 tree, §5.9 utilities, §6.3 types
    {"children", F::children, 0, 0}, {"descendants", F::descendants, 0, 0}, {"trace", F::trace, 1, 2, false, true},
    {"now", F::now, 0, 0}, {"timeOfDay", F::time_of_day, 0, 0}, {"today", F::today, 0, 0}, {"not", F::not_, 0, 0},
    {"is", F::is, 1, 1, true}, {"as", F::as, 1, 1, true}, {"type", F::type, 0, 0}, {"comparable", F::comparable, 1, 1},
    // FHIR R4, https://hl7.org/fhir/R4/fhirpath.html#functions
    {"extension", F::extension, 1, 1}, {"hasValue", F::has_value, 0, 0}, {"getValue", F::get_value, 0, 0},
    {"resolve", F::resolve, 0, 0}, {"memberOf", F::member_of, 1, 1}, {"conformsTo", F::conforms_to, 1, 1},
    {"htmlChecks", F::html_checks, 0, 0}, {"subsumes", F::subsumes, 1, 1}, {"subsumedBy", F::subsumed_by, 1, 1},
    {"checkModifiers", F::check_modifiers, 1, 64},
};
// clang-format on

}  // namespace

const Signature* find_function(std::string_view name) {
    static const auto index = [] {
        std::unordered_map<std::string_view, const Signature*> map;
        for (const Signature& signature : signatures) map.emplace(signature.name, &signature);
        return map;
    }();
    auto it = index.find(name);
    return it == index.end() ? nullptr : it->second;
}

const Signature& signature_of(Function function) {
    for (const Signature& signature : signatures) {
        if (signature.function == function) return signature;
    }
    return signatures[0];
}

}  // namespace meridian::fhir::path
