// SPDX-License-Identifier: Apache-2.0
#include "generate/region.hpp"

#include <fmt/format.h>

#include "base/limits.hpp"
#include "generate/detail/cast.hpp"
#include "generate/detail/city.hpp"
#include "generate/detail/life.hpp"
#include "generate/detail/record.hpp"

namespace meridian::generate {

struct Region::Parts {
    RegionOptions options;
    City city;
};

Result<void> Sink::truth(std::string_view, std::string_view) {
    return {};
}

Region::Region(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&&) noexcept = default;
Region::~Region() = default;

Result<Region> Region::create(const RegionOptions& options) {
    if (options.patients > limits::region_patients_max)
        return fail(Category::incorrect,
                    fmt::format("a region has at most {} patients; {} were asked for",
                                limits::region_patients_max, options.patients));
    if (!(options.english_share >= 0 && options.english_share <= 1))
        return fail(Category::incorrect, "the share of English names is a number from 0 to 1");
    if (options.years < 1 || options.years > limits::region_years_max)
        return fail(Category::incorrect,
                    fmt::format("a region covers 1 to {} years; {} were asked for",
                                limits::region_years_max, options.years));
    if (options.as_of.year < 2000 || options.as_of.year > 2099 || options.as_of.month < 1 ||
        options.as_of.month > 12 || options.as_of.day < 1 ||
        options.as_of.day > days_in_month(options.as_of.year, options.as_of.month))
        return fail(Category::incorrect,
                    "the region's last day is a date between 2000-01-01 and 2099-12-31");
    return Region(std::make_unique<Parts>(Parts{options, build_city(options.seed)}));
}

Result<void> Region::city(Sink& sink) const {
    return write_city(parts_->city, parts_->options, sink);
}

Result<void> Region::patient(std::uint64_t number, Sink& sink) const {
    Person person = live(parts_->options, number);
    TRY(Record(parts_->city, person, day_of(parts_->options.as_of), sink).write());
    // Its members are all known now, so that the group refers backwards like everything else.
    if (number == static_cast<std::uint64_t>(cast_size)) TRY(write_cast_groups(sink));
    return {};
}

Result<void> generate(const RegionOptions& options, Sink& sink) {
    const Region region = TRY(Region::create(options));
    TRY(region.city(sink));
    for (std::uint64_t number = 1; number <= options.patients; ++number)
        TRY(region.patient(number, sink));
    return {};
}

}  // namespace meridian::generate
