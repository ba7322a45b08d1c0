// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/extract.hpp"

#include <cmath>

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "fhir/search/extraction.hpp"
#include "fhir/search/pairs.hpp"
#include "fhir/search/quantity.hpp"
#include "fhir/search/soundex.hpp"
#include "text/fold.hpp"

namespace meridian::fhir::search {
namespace {

constexpr std::int64_t open_start = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t open_end = std::numeric_limits<std::int64_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// At most `size` bytes of UTF-8, cut between characters.
std::string_view cut(std::string_view text, std::size_t size = limits::index_string_bytes_max) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    return text.substr(0, size);
}

bool has_upper(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// The element is there, with more than extensions.
bool is_present(const Json& value) {
    if (value.is_null()) return false;
    if (!value.is_object()) return true;
    return std::any_of(
        value.members().begin(), value.members().end(),
        [](const JsonMember& member) { return member.key != "extension" && member.key != "id"; });
}

std::optional<double> number_of(const Json& value) {
    const auto decimal = Decimal::parse(value.text());
    if (!decimal) return std::nullopt;
    return decimal->to_double();
}

bool has_extension(const Json& value, std::string_view url) {
    for (const Json& extension : value["extension"].items()) {
        if (extension.string_at("url") == url) return true;
    }
    return false;
}

bool passes(const RouteFilter& filter, const Json& value) {
    switch (filter.kind) {
        case RouteFilter::Kind::none:
        case RouteFilter::Kind::first:
            return true;
        case RouteFilter::Kind::equals:
            return value.string_at(filter.member) == filter.value;
        case RouteFilter::Kind::has_extension:
            return has_extension(value, filter.value);
    }
    return false;
}

}  // namespace

std::string fold_token(std::string_view code) {
    std::string folded(code);
    for (char& c : folded) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return folded;
}

bool is_folded_system(std::string_view system) {
    return !definitions().is_case_sensitive(system);
}

ReferenceParts split_reference(std::string_view reference, std::string_view base_url) {
    ReferenceParts parts;
    std::string_view rest = reference;
    const bool is_absolute = rest.starts_with("http://") || rest.starts_with("https://");
    if (is_absolute && !base_url.empty() && rest.starts_with(base_url) &&
        rest.size() > base_url.size() && rest[base_url.size()] == '/') {
        rest.remove_prefix(base_url.size() + 1);
        parts.is_local = true;
    } else {
        parts.is_local = !is_absolute && !rest.starts_with("urn:");
    }
    if (const std::size_t history = rest.find("/_history/"); history != std::string_view::npos)
        rest = rest.substr(0, history);
    if (const std::size_t fragment = rest.find('#'); fragment != std::string_view::npos)
        rest = rest.substr(0, fragment);
    if (const std::size_t question = rest.find('?'); question != std::string_view::npos) {
        const std::size_t before = rest.rfind('/', question);
        parts.type = rest.substr(before == std::string_view::npos ? 0 : before + 1,
                                 question - (before == std::string_view::npos ? 0 : before + 1));
        return parts;
    }
    const std::size_t slash = rest.rfind('/');
    if (slash == std::string_view::npos || slash == 0) return parts;
    parts.id = rest.substr(slash + 1);
    const std::size_t before = rest.rfind('/', slash - 1);
    if (parts.is_local && before != std::string_view::npos) return {};
    parts.type = rest.substr(before == std::string_view::npos ? 0 : before + 1,
                             slash - (before == std::string_view::npos ? 0 : before + 1));
    return parts;
}

store::Version reference_version(std::string_view reference) {
    constexpr std::string_view history = "/_history/";
    const std::size_t at = reference.find(history);
    if (at == std::string_view::npos) return 0;
    const std::string_view text = reference.substr(at + history.size());
    store::Version version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    return error == std::errc() && end == text.data() + text.size() && version > 0 ? version : 0;
}

std::string versioned_marker(std::string_view type) {
    return std::string(type) + "#versioned";
}

std::optional<store::Identity> reference_identity(const Parameters& parameters,
                                                  std::string_view reference,
                                                  std::string_view base_url) {
    if (reference.empty() || reference.front() == '#') return std::nullopt;
    const ReferenceParts parts = split_reference(reference, base_url);
    if (parts.is_local && !parts.id.empty() && is_fhir_id(parts.id)) {
        const store::Name type = parameters.type_name(parts.type);
        if (type != 0) return store::Identity{type, std::string(parts.id)};
    }
    return store::Identity{0, std::string(reference)};
}

// --- the walk ---

void Extraction::run() {
    emit_all(program_.of_resource, resource_);
    walk(program_.root, resource_);
    for (const auto& rule : program_.fallbacks) run_fallback(rule);
    add_patients();
    add_text();
}

void Extraction::walk(const ProgramNode& node, const Json& object) {
    for (const JsonMember& member : object.members()) {
        const int first = node.table.find(member.key);
        if (first < 0) continue;
        for (std::size_t i = static_cast<std::size_t>(first);
             i < node.edges.size() && node.edges[i].property == member.key; ++i) {
            enter(node.edges[i], member.value);
        }
    }
}

void Extraction::enter(const ProgramEdge& edge, const Json& value) {
    const auto visit = [&](const Json& item) {
        if (!passes(edge.filter, item)) return;
        emit_all(edge.node->groups, item);
        if (!edge.node->edges.empty() && item.is_object()) walk(*edge.node, item);
    };
    if (!value.is_array()) return visit(value);
    for (const Json& item : value.items()) {
        visit(item);
        if (edge.filter.kind == RouteFilter::Kind::first) return;
    }
}

void Extraction::emit_all(const std::vector<EmitGroup>& groups, const Json& value) {
    for (const EmitGroup& group : groups) emit(group, value);
}

void Extraction::emit(const EmitGroup& group, const Json& value) {
    if (group.emitter == Emitter::composite) {
        for (const EmitTarget& target : group.targets) composite(target, value);
        return;
    }
    if (emit_value(group, value) || !is_present(value)) return;
    for (const EmitTarget& target : group.targets) {
        // A reference that a resolve() condition keeps out is no element of the parameter at all.
        const store::Name name = target.parameter->present_name;
        if (name != 0 && target.resolve_type == 0) rows_.tokens.push_back({name, 1});
    }
}

bool Extraction::emit_value(const EmitGroup& group, const Json& value) {
    switch (group.emitter) {
        case Emitter::token_coding:
        case Emitter::token_concept:
        case Emitter::token_identifier:
        case Emitter::token_contact:
        case Emitter::token_code:
        case Emitter::token_boolean:
        case Emitter::token_string:
            return emit_token_kind(group, value);
        case Emitter::string_plain:
        case Emitter::string_human_name:
        case Emitter::string_address:
        case Emitter::string_phonetic:
        case Emitter::string_phonetic_name:
            return emit_string_kind(group, value);
        case Emitter::reference_plain:
            return reference(group, value);
        case Emitter::reference_canonical:
            return canonical(group, value.text());
        case Emitter::reference_uri: {
            bool any = false;
            for (const EmitTarget& target : group.targets) {
                any = reference_to(target, value.text(), {}) || any;
                note(target, value.text());
            }
            return any;
        }
        case Emitter::reference_resource:
            return inner_resource(group, value);
        case Emitter::uri_plain:
            if (value.text().empty()) return false;
            for (const EmitTarget& target : group.targets) {
                rows_.uris.push_back({target.parameter->name, std::string(value.text())});
                // A canonical with a version (meta.profile) is found without it, too.
                const std::size_t bar = value.text().find('|');
                if (bar == std::string_view::npos) continue;
                rows_.uris.push_back(
                    {target.parameter->name, std::string(value.text().substr(0, bar))});
            }
            return true;
        default:
            return emit_range_kind(group, value);
    }
}

bool Extraction::emit_token_kind(const EmitGroup& group, const Json& value) {
    switch (group.emitter) {
        case Emitter::token_coding:
            return coding(group, value);
        case Emitter::token_concept:
            return concept_of(group, value);
        case Emitter::token_identifier:
            return identifier(group, value);
        case Emitter::token_contact:
            return token(group, {}, value.string_at("value"), true);
        case Emitter::token_boolean:
            return value.is_boolean() &&
                   token(group, {}, value.boolean() ? "true" : "false", false);
        case Emitter::token_string:
            return token(group, {}, value.text(), true);
        default:
            return token(group, {}, value.text(), false);
    }
}

bool Extraction::emit_string_kind(const EmitGroup& group, const Json& value) {
    switch (group.emitter) {
        case Emitter::string_human_name:
            return human_name(group, value, false);
        case Emitter::string_phonetic_name:
            return human_name(group, value, true);
        case Emitter::string_address:
            return address(group, value);
        case Emitter::string_phonetic:
            return phonetic(group, value.text());
        default:
            return string(group, value.text(), group.targets.front().parameter->code == "family");
    }
}

bool Extraction::emit_range_kind(const EmitGroup& group, const Json& value) {
    switch (group.emitter) {
        case Emitter::date_plain:
        case Emitter::date_period:
        case Emitter::date_timing:
            return date(group, interval_of(group.emitter, value));
        case Emitter::number_plain:
        case Emitter::number_range:
            return number(group, bounds_of(group.emitter, value));
        case Emitter::quantity_plain:
        case Emitter::quantity_money:
        case Emitter::quantity_range:
        case Emitter::quantity_sampled:
            return quantity(group, measure_of(group.emitter, value));
        case Emitter::location_position:
            return location(group, value);
        default:
            return false;
    }
}

// --- tokens ---

std::int64_t Extraction::token_of(std::string_view system, std::string_view code, bool fold) {
    const store::Name name = system.empty() ? 0 : names_.intern(store::NameKind::system, system);
    if (fold && has_upper(code) && is_folded_system(system))
        return store::token_value(names_, name, system, fold_token(code));
    return store::token_value(names_, name, system, code);
}

bool Extraction::token(const EmitGroup& group, std::string_view system, std::string_view code,
                       bool fold) {
    if (code.empty()) return false;
    const std::int64_t value = token_of(system, code, fold);
    for (const EmitTarget& target : group.targets)
        rows_.tokens.push_back({target.parameter->name, value});
    return true;
}

void Extraction::display(const EmitGroup& group, std::string_view text) {
    if (text.empty()) return;
    std::string folded = text::fold(text);
    folded = cut(folded);
    if (folded.empty()) return;
    for (const EmitTarget& target : group.targets) {
        const store::Name name = target.parameter->text_name;
        if (name == 0) continue;
        // A concept's text is most often the display of its coding: one row serves both.
        const std::size_t back =
            std::min<std::size_t>(rows_.strings.size(), 4 * group.targets.size());
        const bool is_known = std::any_of(
            rows_.strings.end() - static_cast<std::ptrdiff_t>(back), rows_.strings.end(),
            [&](const store::StringRow& row) { return row.param == name && row.folded == folded; });
        if (!is_known) rows_.strings.push_back({name, folded, folded});
    }
}

bool Extraction::coding(const EmitGroup& group, const Json& value) {
    display(group, value.string_at("display"));
    return token(group, value.string_at("system"), value.string_at("code"), true);
}

bool Extraction::concept_of(const EmitGroup& group, const Json& value) {
    bool any = false;
    std::string_view text;
    for (const JsonMember& member : value.members()) {
        if (member.key == "text") text = member.value.text();
        if (member.key != "coding") continue;
        for (const Json& item : member.value.items()) any = coding(group, item) || any;
    }
    display(group, text);
    return any;
}

bool Extraction::identifier(const EmitGroup& group, const Json& value) {
    const std::string_view code = value.string_at("value");
    const Json& type = value["type"];
    if (type.is_object()) {
        display(group, type.string_at("text"));
        for (const Json& kind : type["coding"].items()) {
            const std::string_view kind_code = kind.string_at("code");
            if (code.empty() || kind_code.empty()) continue;
            scratch_.assign(kind_code).append("|").append(code);
            const std::int64_t pair =
                token_of(kind.string_at("system"), fold_token(scratch_), false);
            for (const EmitTarget& target : group.targets) {
                if (target.parameter->of_type_name != 0)
                    rows_.tokens.push_back({target.parameter->of_type_name, pair});
            }
        }
    }
    return token(group, value.string_at("system"), code, true);
}

// --- strings ---

bool Extraction::string(const EmitGroup& group, std::string_view text, bool split_words) {
    if (text.empty()) return false;
    const std::string folded = text::fold(text);
    if (folded.empty() && text.find_first_not_of(" \t\r\n") == std::string_view::npos) return false;
    for (const EmitTarget& target : group.targets) {
        rows_.strings.push_back(
            {target.parameter->name, std::string(cut(folded)), std::string(cut(text))});
        // The later parts of a family name ("von Berg") are found from their start as well.
        if (!split_words) continue;
        for (std::size_t space = folded.find(' '); space != std::string::npos;
             space = folded.find(' ', space + 1)) {
            rows_.strings.push_back({target.parameter->name,
                                     std::string(cut(std::string_view(folded).substr(space + 1))),
                                     std::string(cut(text))});
        }
    }
    return true;
}

bool Extraction::phonetic(const EmitGroup& group, std::string_view text) {
    if (text.empty()) return false;
    const std::string key = phonetic_key(text::fold(text));
    for (const EmitTarget& target : group.targets) {
        rows_.strings.push_back(
            {target.parameter->name, std::string(cut(key)), std::string(cut(text))});
    }
    return true;
}

bool Extraction::human_name(const EmitGroup& group, const Json& value, bool is_phonetic) {
    bool any = false;
    const auto add = [&](std::string_view text, bool is_family) {
        any = (is_phonetic ? phonetic(group, text) : string(group, text, is_family)) || any;
    };
    for (const JsonMember& member : value.members()) {
        if (member.key == "family") add(member.value.text(), true);
        if (member.key == "text") add(member.value.text(), false);
        if (member.key != "given" && member.key != "prefix" && member.key != "suffix") continue;
        for (const Json& item : member.value.items()) add(item.text(), false);
    }
    return any;
}

bool Extraction::address(const EmitGroup& group, const Json& value) {
    bool any = false;
    for (const JsonMember& member : value.members()) {
        const std::string_view key = member.key;
        if (key == "line") {
            for (const Json& line : member.value.items()) any = string(group, line.text()) || any;
        } else if (key == "text" || key == "city" || key == "district" || key == "state" ||
                   key == "postalCode" || key == "country") {
            any = string(group, member.value.text()) || any;
        }
    }
    return any;
}

// --- dates, numbers, quantities ---

std::optional<Extraction::Interval> Extraction::instant_of(std::string_view text) const {
    if (text.empty()) return std::nullopt;
    const auto date = parse_date(text);
    if (!date) return std::nullopt;
    return Interval{date->lower(options_.zone_minutes).milliseconds,
                    date->upper(options_.zone_minutes).milliseconds};
}

std::optional<Extraction::Interval> Extraction::interval_of(Emitter emitter,
                                                            const Json& value) const {
    if (emitter == Emitter::date_plain) return instant_of(value.text());
    if (emitter == Emitter::date_period) {
        const auto start = instant_of(value.string_at("start"));
        const auto end = instant_of(value.string_at("end"));
        if (!start && !end) return std::nullopt;
        return Interval{start ? start->lo : open_start, end ? end->hi : open_end};
    }
    // Timing: only its outer limits count (FHIR R4 search, date).
    std::optional<Interval> outer;
    const auto widen = [&](std::optional<Interval> more) {
        if (!more) return;
        outer =
            outer ? Interval{std::min(outer->lo, more->lo), std::max(outer->hi, more->hi)} : *more;
    };
    for (const Json& event : value["event"].items()) widen(instant_of(event.text()));
    widen(interval_of(Emitter::date_period, value["repeat"]["boundsPeriod"]));
    return outer;
}

bool Extraction::date(const EmitGroup& group, std::optional<Interval> interval) {
    if (!interval) return false;
    for (const EmitTarget& target : group.targets)
        rows_.dates.push_back({target.parameter->name, interval->lo, interval->hi});
    return true;
}

std::optional<Extraction::Bounds> Extraction::bounds_of(Emitter emitter, const Json& value) const {
    if (emitter == Emitter::number_plain) {
        const auto number = number_of(value);
        if (!number) return std::nullopt;
        return Bounds{*number, *number};
    }
    const auto low = number_of(value["low"]["value"]);
    const auto high = number_of(value["high"]["value"]);
    if (!low && !high) return std::nullopt;
    return Bounds{low.value_or(-infinity), high.value_or(infinity)};
}

bool Extraction::number(const EmitGroup& group, std::optional<Bounds> bounds) {
    if (!bounds) return false;
    for (const EmitTarget& target : group.targets)
        rows_.numbers.push_back({target.parameter->name, bounds->lo, bounds->hi});
    return true;
}

namespace {

/// A value with a comparator stands for everything on that side: "<5" is (-∞, 5).
template <class Bounds>
Bounds with_comparator(std::string_view comparator, double value) {
    if (comparator == "<") return {-infinity, std::nextafter(value, -infinity)};
    if (comparator == "<=") return {-infinity, value};
    if (comparator == ">") return {std::nextafter(value, infinity), infinity};
    if (comparator == ">=") return {value, infinity};
    return {value, value};
}

}  // namespace

void Extraction::canonicalise(Measure& measure, const Json& low, const Json& high) {
    if (measure.system != ucum_system || measure.code.empty()) return;
    Bounds bounds{-infinity, infinity};
    bool any = false;
    for (const bool is_low : {true, false}) {
        const auto decimal = Decimal::parse((is_low ? low : high).text());
        if (!decimal) continue;
        const auto converted = canonical_number(*decimal, measure.code);
        if (!converted) return;
        measure.canonical_unit = names_.intern(store::NameKind::unit, converted->unit);
        (is_low ? bounds.lo : bounds.hi) = converted->value;
        any = true;
    }
    if (any) measure.canonical = bounds;
}

std::optional<Extraction::Measure> Extraction::measure_of(Emitter emitter, const Json& value) {
    Measure measure;
    if (emitter == Emitter::quantity_range) {
        const auto bounds = bounds_of(Emitter::number_range, value);
        if (!bounds) return std::nullopt;
        const Json& unit_of = value["low"]["value"].is_number() ? value["low"] : value["high"];
        measure = {*bounds,
                   unit_of.string_at("system"),
                   unit_of.string_at("code"),
                   unit_of.string_at("unit"),
                   {},
                   0};
        canonicalise(measure, value["low"]["value"], value["high"]["value"]);
        return measure;
    }
    if (emitter == Emitter::quantity_sampled) {
        const auto low = number_of(value["lowerLimit"]);
        const auto high = number_of(value["upperLimit"]);
        if (!low && !high) return std::nullopt;
        const Json& origin = value["origin"];
        measure = {{low.value_or(-infinity), high.value_or(infinity)},
                   origin.string_at("system"),
                   origin.string_at("code"),
                   origin.string_at("unit"),
                   {},
                   0};
        canonicalise(measure, value["lowerLimit"], value["upperLimit"]);
        return measure;
    }
    const Json& amount = value["value"];
    const auto number = number_of(amount);
    if (!number) return std::nullopt;
    if (emitter == Emitter::quantity_money) {
        measure = {{*number, *number}, currency_system, value.string_at("currency"), {}, {}, 0};
        return measure;
    }
    const std::string_view comparator = value.string_at("comparator");
    measure = {with_comparator<Bounds>(comparator, *number),
               value.string_at("system"),
               value.string_at("code"),
               value.string_at("unit"),
               {},
               0};
    canonicalise(measure, amount, amount);
    if (measure.canonical && !comparator.empty())
        measure.canonical = with_comparator<Bounds>(comparator, measure.canonical->lo);
    return measure;
}

store::Name Extraction::unit_name(std::string_view system, std::string_view code) {
    if (code.empty()) return 0;
    scratch_.assign(system).append("|").append(code);
    return names_.intern(store::NameKind::unit, scratch_);
}

bool Extraction::quantity(const EmitGroup& group, const std::optional<Measure>& measure) {
    if (!measure) return false;
    const store::Name coded = unit_name(measure->system, measure->code);
    // The written unit counts like a code (`5.4||mg`) where it says something else.
    const store::Name written = measure->unit == measure->code ? 0 : unit_name({}, measure->unit);
    const bool is_odd =
        group.emitter != Emitter::quantity_plain || measure->bounds.lo != measure->bounds.hi;
    for (const EmitTarget& target : group.targets) {
        const Parameter& parameter = *target.parameter;
        if (is_odd && !parameter.code.empty())
            names_.intern(store::NameKind::parameter, odd_quantity_marker(parameter));
        if (coded != 0 || written == 0)
            rows_.quantities.push_back(
                {parameter.name, coded, measure->bounds.lo, measure->bounds.hi});
        if (written != 0)
            rows_.quantities.push_back(
                {parameter.name, written, measure->bounds.lo, measure->bounds.hi});
        if (measure->canonical && parameter.canonical_name != 0) {
            rows_.quantities.push_back({parameter.canonical_name, measure->canonical_unit,
                                        measure->canonical->lo, measure->canonical->hi});
        }
    }
    return true;
}

bool Extraction::location(const EmitGroup& group, const Json& value) {
    const auto latitude = number_of(value["latitude"]);
    const auto longitude = number_of(value["longitude"]);
    if (!latitude || !longitude) return false;
    for (const EmitTarget& target : group.targets) {
        rows_.numbers.push_back({target.parameter->name, *latitude, *latitude});
        rows_.numbers.push_back({target.parameter->longitude_name, *longitude, *longitude});
    }
    return true;
}

// --- references ---

std::string_view Extraction::contained_type(std::string_view fragment) const {
    const auto place = contained_ == nullptr ? std::nullopt : contained_->find(fragment);
    return place ? parameters_.type_text(place->type) : std::string_view();
}

/// What an include has to look at in full.
void Extraction::note(const EmitTarget& target, std::string_view text) {
    if (text.empty() || text.front() == '#') return;
    if (options_.references != nullptr)
        options_.references->push_back({target.parameter, std::string(text)});
    if (has_versioned_ || reference_version(text) == 0) return;
    has_versioned_ = true;
    rows_.tokens.push_back(
        {names_.intern(store::NameKind::parameter, versioned_marker(target.parameter->type)), 1});
}

/// A reference to a contained resource leads to its place in this container.
void Extraction::local_reference(const Parameter& parameter, std::string_view fragment) {
    const auto place = contained_ == nullptr ? std::nullopt : contained_->find(fragment);
    if (!place) return;
    const std::string twin = names_.text(store::NameKind::parameter, parameter.name) + "#local";
    rows_.tokens.push_back({names_.intern(store::NameKind::parameter, twin), place->value()});
}

bool Extraction::reference_to(const EmitTarget& target, std::string_view text,
                              std::string_view stated_type) {
    if (text.empty()) return false;
    const Parameter& parameter = *target.parameter;
    const ReferenceParts parts = split_reference(text, options_.base_url);
    if (target.resolve_type != 0) {
        std::string_view type = text.front() == '#' ? contained_type(text) : parts.type;
        if (parameters_.type_name(type) == 0) type = stated_type;
        if (parameters_.type_name(type) != target.resolve_type) return false;
    }
    auto identity = reference_identity(parameters_, text, options_.base_url);
    if (!identity) {
        if (parameter.present_name != 0) rows_.tokens.push_back({parameter.present_name, 1});
        local_reference(parameter, text);
        return true;
    }
    const bool is_patient = target.patient_rank >= 0 && identity->type != 0 &&
                            identity->type == parameters_.type_name("Patient");
    if (is_patient) patients_.push_back({target.patient_rank, *identity});
    rows_.references.push_back({parameter.name, std::move(*identity)});
    return true;
}

bool Extraction::reference_identifier(const EmitGroup& group, const Json& value,
                                      std::string_view stated_type) {
    const std::string_view code = value.string_at("value");
    if (code.empty()) return false;
    const std::int64_t token_number = token_of(value.string_at("system"), code, true);
    const store::Name stated = stated_type.empty() ? 0 : parameters_.type_name(stated_type);
    for (const EmitTarget& target : group.targets) {
        if (target.resolve_type != 0 && stated != 0 && stated != target.resolve_type) continue;
        if (target.parameter->identifier_name != 0)
            rows_.tokens.push_back({target.parameter->identifier_name, token_number});
    }
    return true;
}

bool Extraction::reference(const EmitGroup& group, const Json& value) {
    const std::string_view stated_type = value.string_at("type");
    const std::string_view text = value.string_at("reference");
    bool any = false;
    for (const EmitTarget& target : group.targets) {
        if (!reference_to(target, text, stated_type)) continue;
        note(target, text);
        any = true;
    }
    if (const Json* identifier = value.find("identifier"))
        reference_identifier(group, *identifier, stated_type);
    return any;
}

bool Extraction::canonical(const EmitGroup& group, std::string_view text) {
    if (text.empty()) return false;
    text = text.substr(0, text.find('#'));
    const std::size_t bar = text.find('|');
    const std::string_view url = text.substr(0, bar);
    bool any = false;
    for (const EmitTarget& target : group.targets) {
        any = reference_to(target, url, {}) || any;
        note(target, text);
        if (bar == std::string_view::npos) continue;
        rows_.references.push_back({target.parameter->name, {0, std::string(text)}});
        if (target.parameter->below_name == 0) continue;
        // Each prefix of the version, for `:below`: 1, 1.2, 1.2.3.
        for (std::size_t dot = text.find('.', bar);; dot = text.find('.', dot + 1)) {
            rows_.references.push_back(
                {target.parameter->below_name, {0, std::string(text.substr(0, dot))}});
            if (dot == std::string_view::npos) break;
        }
    }
    return any;
}

bool Extraction::inner_resource(const EmitGroup& group, const Json& value) {
    const std::string_view type = value.string_at("resourceType");
    const std::string_view id = value.string_at("id");
    const store::Name name = parameters_.type_name(type);
    if (name == 0 || id.empty()) return false;
    for (const EmitTarget& target : group.targets) {
        if (!target.parameter->can_lead_to(type)) continue;
        rows_.references.push_back({target.parameter->name, {name, std::string(id)}});
        if (options_.references != nullptr)
            options_.references->push_back({target.parameter, fmt::format("{}/{}", type, id)});
    }
    return true;
}

// --- expressions beyond the simple subset ---

namespace {

/// References are never followed while a resource is indexed: resolve() yields a bare resource of
/// the type that the text names, so that `is` can be asked.
class TypeOnlyEnvironment : public path::Environment {
 public:
    TypeOnlyEnvironment(const Json& container, std::string_view base_url)
        : container_(container), base_url_(base_url) {}
    const Json* resolve(std::string_view reference) const override {
        if (reference.starts_with('#')) {
            for (const Json& contained : container_["contained"].items()) {
                if (contained.string_at("id") == reference.substr(1)) return &contained;
            }
            return nullptr;
        }
        const ReferenceParts parts = split_reference(reference, base_url_);
        if (definitions().resource(parts.type) == nullptr) return nullptr;
        documents_.emplace_back();
        JsonDocument& document = documents_.back();
        document.set_root(document.object());
        document.set(document.root(), "resourceType", document.string(parts.type));
        return &document.root();
    }

 private:
    const Json& container_;
    std::string_view base_url_;
    mutable std::deque<JsonDocument> documents_;
};

}  // namespace

void Extraction::run_fallback(const FallbackRule& rule) {
    const TypeOnlyEnvironment environment(
        contained_ == nullptr ? resource_ : contained_->container(), options_.base_url);
    path::Evaluation evaluation;
    evaluation.resource = &resource_;
    evaluation.environment = &environment;
    const auto result = rule.expression.evaluate(evaluation);
    if (!result) return;  // an expression that does not apply to this resource selects nothing
    for (const path::Item& item : *result) {
        if (item.node() == nullptr || item.type() == nullptr) {
            computed(rule.target, item);
            continue;
        }
        const Parameter& parameter = *rule.target.parameter;
        if (item.type()->name == "Extension") {
            for (const JsonMember& member : item.node()->members()) {
                const Type* extension = definitions().find("Extension");
                const auto property = extension->find(member.key);
                if (property.type == nullptr || !member.key.starts_with("value")) continue;
                const Emitter emitter =
                    emitter_for(parameter.kind, parameter.code, *property.type->type);
                if (emitter != Emitter::none) emit({emitter, {rule.target}}, member.value);
            }
            continue;
        }
        const Emitter emitter = emitter_for(parameter.kind, parameter.code, *item.type());
        if (emitter != Emitter::none && emitter != Emitter::composite)
            emit({emitter, {rule.target}}, *item.node());
    }
}

void Extraction::computed(const EmitTarget& target, const path::Item& item) {
    const EmitGroup group{Emitter::none, {target}};
    const auto text = item.to_text();
    if (!text) return;
    switch (target.parameter->kind) {
        case SearchType::token:
            token(group, {}, *text, true);
            return;
        case SearchType::string:
            string(group, *text);
            return;
        case SearchType::uri:
            rows_.uris.push_back({target.parameter->name, *text});
            return;
        case SearchType::date:
            date(group, instant_of(*text));
            return;
        case SearchType::reference:
            reference_to(target, *text, {});
            return;
        case SearchType::number:
            if (const auto decimal = item.decimal())
                number(group, Bounds{decimal->to_double(), decimal->to_double()});
            return;
        case SearchType::quantity:
            if (const auto amount = item.quantity()) {
                JsonDocument document;
                emit({Emitter::quantity_plain, {target}}, item.to_json(document));
            }
            return;
        default:
            return;
    }
}

// --- entry points ---

store::Rows extract(const Parameters& parameters, std::string_view type, const Json& resource,
                    store::Names& names, const ExtractOptions& options) {
    store::Rows rows;
    const Program* program = parameters.program(type);
    if (program == nullptr) return rows;
    if (resource.find("contained") == nullptr) {
        Extraction(parameters, *program, resource, names, options, rows).run();
        add_pair_rows(parameters, type, names, rows);
        return rows;
    }
    const ContainedResources contained(parameters, resource);
    Extraction(parameters, *program, resource, names, options, rows, &contained).run();
    add_pair_rows(parameters, type, names, rows);
    for (const auto& member : contained.members()) {
        const Program* inner = parameters.program(member.type);
        if (inner == nullptr) continue;
        store::Rows inner_rows;
        Extraction(parameters, *inner, *member.resource, names, options, inner_rows, &contained)
            .run();
        add_contained_rows(std::move(inner_rows), member, type, parameters, names, rows);
    }
    return rows;
}

store::Rows extract_only(const Parameters& parameters, std::string_view type, const Json& resource,
                         store::Names& names, std::span<const store::Name> params,
                         const ExtractOptions& options) {
    store::Rows rows = extract(parameters, type, resource, names, options);
    const auto keep = [&](auto& kind) {
        std::erase_if(kind, [&](const auto& row) {
            return std::find(params.begin(), params.end(), row.param) == params.end();
        });
    };
    keep(rows.tokens);
    keep(rows.strings);
    keep(rows.dates);
    keep(rows.numbers);
    keep(rows.quantities);
    keep(rows.references);
    keep(rows.uris);
    keep(rows.composites);
    keep(rows.texts);
    rows.patients.clear();
    rows.compartments.clear();
    return rows;
}

}  // namespace meridian::fhir::search
