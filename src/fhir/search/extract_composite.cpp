// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/extraction.hpp"
#include "text/fold.hpp"

namespace meridian::fhir::search {
namespace {

bool passes_filter(const RouteFilter& filter, const Json& value) {
    return filter.kind != RouteFilter::Kind::equals ||
           value.string_at(filter.member) == filter.value;
}

}  // namespace

void Extraction::part_values(const CompositePart& part, const Json& at, std::size_t step,
                             std::vector<PartValue>& out) {
    if (step == part.route.steps.size()) return part_value(part, at, out);
    const RouteStep& next = part.route.steps[step];
    const Json* child = at.find(next.property);
    if (child == nullptr) return;
    if (!child->is_array()) {
        if (passes_filter(next.filter, *child)) part_values(part, *child, step + 1, out);
        return;
    }
    for (const Json& item : child->items()) {
        if (passes_filter(next.filter, item)) part_values(part, item, step + 1, out);
        if (next.filter.kind == RouteFilter::Kind::first) return;
    }
}

void Extraction::part_value(const CompositePart& part, const Json& value,
                            std::vector<PartValue>& out) {
    // A component's rows are read back from what the plain emitters make for a parameter of its
    // own: one idea, one place. The twin name tells the canonical quantity rows apart from the
    // plain ones.
    static const Parameter probe = [] {
        Parameter made;
        made.name = 1;
        made.canonical_name = 2;
        return made;
    }();
    store::Rows rows;
    Extraction reader(parameters_, program_, resource_, names_, options_, rows);
    reader.emit_value({part.emitter, {{&probe, 0, -1, {}}}}, value);

    for (const auto& row : rows.tokens) out.push_back({.token = row.value});
    for (const auto& row : rows.strings) out.push_back({.folded = row.folded});
    for (const auto& row : rows.dates)
        out.push_back({.lo = static_cast<double>(row.lo), .hi = static_cast<double>(row.hi)});
    for (const auto& row : rows.numbers) out.push_back({.lo = row.lo, .hi = row.hi});
    const store::QuantityRow* canonical_row = nullptr;
    for (const auto& row : rows.quantities) {
        if (row.param == probe.canonical_name) canonical_row = &row;
    }
    for (const auto& row : rows.quantities) {
        if (row.param != probe.name) continue;
        PartValue part_row{.lo = row.lo, .hi = row.hi, .unit = row.unit};
        if (canonical_row != nullptr) {
            part_row.canonical_unit = canonical_row->unit;
            part_row.canonical_lo = canonical_row->lo;
            part_row.canonical_hi = canonical_row->hi;
            canonical_row = nullptr;  // once, even where the unit is written in two ways
        }
        out.push_back(std::move(part_row));
    }
    for (const auto& row : rows.references) {
        const std::string text =
            row.target.type == 0
                ? row.target.id
                : fmt::format("{}/{}", parameters_.type_text(row.target.type), row.target.id);
        out.push_back({.token = token_of({}, text, false)});
    }
}

void Extraction::composite(const EmitTarget& target, const Json& base) {
    const CompositePlan& plan = *target.composite;
    if (plan.components.size() < 2 || plan.components.size() > 3) return;
    std::vector<std::vector<PartValue>> parts;
    for (const auto& component : plan.components) {
        std::vector<PartValue> values;
        for (const CompositePart& part : component)
            part_values(part, part.from_resource ? resource_ : base, 0, values);
        if (values.empty()) return;  // all parts must be there
        parts.push_back(std::move(values));
    }
    composite_rows(target, parts, plan.components.size());
}

void Extraction::composite_rows(const EmitTarget& target,
                                const std::vector<std::vector<PartValue>>& parts,
                                std::size_t component_count) {
    const Parameter& parameter = *target.parameter;
    for (const PartValue& key : parts[0]) {
        for (const PartValue& second : parts[1]) {
            if (component_count == 2) {
                const std::int64_t number = second.unit != 0 ? second.unit : second.token;
                rows_.composites.push_back(
                    {parameter.name, key.token, number, second.lo, second.hi, second.folded});
                if (second.canonical_unit != 0 && parameter.canonical_name != 0) {
                    rows_.composites.push_back({parameter.canonical_name,
                                                key.token,
                                                second.canonical_unit,
                                                second.canonical_lo,
                                                second.canonical_hi,
                                                {}});
                }
                continue;
            }
            // Three parts: a start and an end (MolecularSequence windows) make one interval.
            for (const PartValue& third : parts[2]) {
                rows_.composites.push_back(
                    {parameter.name, key.token, second.token, second.lo, third.hi, {}});
            }
        }
    }
}

}  // namespace meridian::fhir::search
