// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/charts.hpp"

namespace meridian::fhir::search {

namespace {

constexpr std::int64_t first_date = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t last_date = std::numeric_limits<std::int64_t>::max();

/// What a condition says about a resource's place in a chart.
class Bounds {
 public:
    Bounds(const Parameters& parameters, std::string_view type)
        : code_(parameters.main_code(type)), date_(parameters.main_date(type)) {
        range_.type = parameters.type_name(type);
        if (code_ != nullptr) range_.code_param = code_->name;
        // Of several dates the path holds the first only.
        if (date_ != nullptr && date_->repeats) date_ = nullptr;
    }

    /// As the path: only rows that begin within it.
    void narrow(const store::Condition& where) { narrow_to(of(where)); }
    void narrow(const Parameter& parameter, const std::vector<store::DateBox>& boxes) {
        if (&parameter != date_ || boxes.empty()) return;
        store::ChartRange all = none();
        for (const auto& box : boxes) widen(all, of_box(box));
        narrow_to(all);
    }
    std::optional<store::ChartRange> range() const {
        const bool is_whole = range_.codes.empty() && range_.date_from == first_date &&
                              range_.date_below == last_date;
        return is_whole ? std::nullopt : std::optional(range_);
    }

 private:
    static store::ChartRange none() { return {0, 0, {}, last_date, first_date}; }
    static store::ChartRange of_box(const store::DateBox& box) {
        return {0, 0, {}, box.lo_from.value_or(first_date), box.lo_below.value_or(last_date)};
    }

    store::ChartRange of(const store::Condition& where) const {
        if (const auto* token = std::get_if<store::HasToken>(&where.as_variant());
            token != nullptr && code_ != nullptr && token->param == code_->name)
            return {0, 0, token->values};
        if (const auto* date = std::get_if<store::HasDate>(&where.as_variant());
            date != nullptr && date_ != nullptr && date->param == date_->name)
            return of_box(date->box);
        if (const auto* all = std::get_if<store::AllOf>(&where.as_variant())) {
            store::ChartRange range{};
            for (const auto& part : all->parts) intersect_with(range, of(part));
            return range;
        }
        if (const auto* any = std::get_if<store::AnyOf>(&where.as_variant());
            any != nullptr && !any->parts.empty()) {
            store::ChartRange range = of(any->parts.front());
            for (std::size_t i = 1; i < any->parts.size(); ++i) {
                store::ChartRange other = of(any->parts[i]);
                if (range.codes.empty() || other.codes.empty()) {
                    range.codes.clear();
                    other.codes.clear();
                }
                widen(range, other);
            }
            return range;
        }
        return {};
    }
    static void widen(store::ChartRange& range, const store::ChartRange& other) {
        range.codes.insert(range.codes.end(), other.codes.begin(), other.codes.end());
        range.date_from = std::min(range.date_from, other.date_from);
        range.date_below = std::max(range.date_below, other.date_below);
    }
    /// Of two conditions on the code either is enough.
    static void intersect_with(store::ChartRange& range, const store::ChartRange& other) {
        if (range.codes.empty()) range.codes = other.codes;
        range.date_from = std::max(range.date_from, other.date_from);
        range.date_below = std::min(range.date_below, other.date_below);
    }
    void narrow_to(const store::ChartRange& other) { intersect_with(range_, other); }

    const Parameter* code_;
    const Parameter* date_;
    store::ChartRange range_{};
};

const Parameter* parameter_named(const Parameters& parameters, std::string_view type,
                                 store::Name name) {
    for (const Parameter* parameter : parameters.list(type)) {
        if (parameter->name == name) return parameter;
    }
    return nullptr;
}

}  // namespace

std::optional<store::ChartRange> chart_range(const Parameters& parameters, std::string_view source,
                                             const Parameter& reference,
                                             const store::Condition& where) {
    if (!reference.in_patient_compartment) return std::nullopt;
    Bounds bounds(parameters, source);
    bounds.narrow(where);
    auto range = bounds.range();
    if (range && !reference.repeats) range->other_paths = reference.other_patient_paths;
    return range;
}

void add_chart_ranges(const Parameters& parameters, std::string_view type,
                      std::vector<Criterion>& criteria) {
    const store::Name patient = parameters.type_name("Patient");
    for (Criterion& criterion : criteria) {
        auto* chain =
            std::get_if<store::RefersTo>(static_cast<store::Condition::variant*>(&criterion.where));
        if (chain == nullptr || chain->target_type != patient) continue;
        const Parameter* reference = parameter_named(parameters, type, chain->param);
        if (reference == nullptr || !reference->in_patient_compartment) continue;
        Bounds bounds(parameters, type);
        for (const Criterion& other : criteria) {
            if (other.dates.empty()) {
                bounds.narrow(other.where);
            } else {
                bounds.narrow(*other.parameter, other.dates);
            }
        }
        chain->chart = bounds.range();
    }
}

}  // namespace meridian::fhir::search
