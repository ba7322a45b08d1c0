// SPDX-License-Identifier: Apache-2.0
// Tree navigation, utilities and types (N1 §5.8, §5.9, §6.3).
#include "fhir/path/compare.hpp"
#include "fhir/path/evaluator.hpp"
#include "fhir/path/temporal.hpp"
#include "fhir/ucum/ucum.hpp"

namespace meridian::fhir::path {
namespace {

Collection children(const Collection& input) {
    Collection out;
    for (const Item& item : input) navigate(item, {}, out);
    return out;
}

/// All children, their children, and so on; the depth is bounded by limits::json_depth_max.
Result<Collection> descendants(const Call& call) {
    Collection out;
    Collection level = children(call.input);
    while (!level.empty()) {
        TRY(call.engine.step(level.size()));
        out.append(level);
        TRY(call.engine.check_size(out));
        level = children(level);
    }
    return out;
}

/// The current moment in UTC.
PartialDate current(Instant instant) {
    constexpr std::int64_t day = 86'400'000;
    std::int64_t days = instant.milliseconds / day;
    std::int64_t rest = instant.milliseconds % day;
    if (rest < 0) {
        rest += day;
        --days;
    }
    CivilDate civil = civil_from_days(days);
    PartialDate date;
    date.year = civil.year;
    date.month = civil.month;
    date.day = civil.day;
    date.hour = static_cast<unsigned>(rest / 3'600'000);
    date.minute = static_cast<unsigned>(rest / 60'000 % 60);
    date.second = static_cast<unsigned>(rest / 1000 % 60);
    date.millisecond = static_cast<unsigned>(rest % 1000);
    date.precision = DatePrecision::millisecond;
    date.zone_minutes = 0;
    return date;
}

Item today(Instant instant) {
    PartialDate date = current(instant);
    date.precision = DatePrecision::day;
    date.hour = date.minute = date.second = date.millisecond = 0;
    date.zone_minutes.reset();
    return Item::temporal(Kind::date, date);
}

Item time_of_day(Instant instant) {
    PartialDate time = current(instant);
    time.zone_minutes.reset();
    return Item::temporal(Kind::time, time);
}

/// FHIR.Patient, System.String; an anonymous backbone type tells its base's name.
TypeInfo info_of(const Item& item) {
    const Type* type = item.type();
    if (type != nullptr && type->kind == TypeKind::backbone && type->base != nullptr)
        type = type->base;
    return {std::string(item.type_space()),
            std::string(type != nullptr ? type->name : item.type_name())};
}

Result<Collection> is_or_as(const Call& call) {
    bool asks = call.node.function == Function::is;
    if (call.input.empty()) return Collection();
    if (call.input.size() > 1) {
        if (asks || !call.engine.evaluation().as_filters) {
            return call.wrong(fmt::format("a single item was expected, not {}", call.input.size()));
        }
    }
    Collection out;
    for (const Item& item : call.input) {
        if (is_of_type(item, call.node)) out.push_back(item);
    }
    if (asks) return boolean(!out.empty());
    return out;
}

Result<Collection> comparable(const Call& call) {
    const Item* item = TRY(call.input_item());
    Collection other = TRY(call.argument(0));
    if (item == nullptr || other.empty()) return Collection();
    auto left = item->quantity();
    auto right = other.size() == 1 ? other.front().quantity() : std::nullopt;
    if (!left || !right) return call.wrong("two Quantities were expected");
    bool same = left->unit == right->unit && left->calendar == right->calendar;
    return boolean(same || ucum::comparable(ucum_code(*left), ucum_code(*right)));
}

/// What is traced may be about a patient, so it goes nowhere; the arguments are evaluated for their
/// errors.
Result<Collection> trace(const Call& call) {
    TRY(call.string_argument(0));
    if (call.has_argument(1)) {
        std::int64_t index = 0;
        for (const Item& item : call.input) {
            Collection focus(item);
            TRY(call.engine.argument(call.node.arguments[1],
                                     Context{&focus, index++, call.context.total}));
        }
    }
    return call.input;
}

}  // namespace

Result<Collection> call_utility(const Call& call) {
    switch (call.node.function) {
        case Function::children:
            return children(call.input);
        case Function::descendants:
            return descendants(call);
        case Function::trace:
            return trace(call);
        case Function::now:
            return single(Item::temporal(Kind::date_time, current(call.engine.now())));
        case Function::today:
            return single(today(call.engine.now()));
        case Function::time_of_day:
            return single(time_of_day(call.engine.now()));
        case Function::not_: {
            auto truth = truth_of(call.input);
            if (!truth) return call.wrong(truth.error().message);
            return *truth ? boolean(!**truth) : Collection();
        }
        case Function::is:
        case Function::as:
            return is_or_as(call);
        case Function::type: {
            Collection out;
            for (const Item& item : call.input) out.push_back(Item::type_info(info_of(item)));
            return out;
        }
        default:
            return comparable(call);
    }
}

}  // namespace meridian::fhir::path
