// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

namespace meridian::metrics {

namespace {

/// All metrics of one kind by name and labels. Nothing is ever removed, so references stay valid.
template <class Metric>
struct Family {
    std::string help;
    std::map<std::string, std::unique_ptr<Metric>, std::less<>> by_labels;
};

template <class Metric>
using Families = std::map<std::string, Family<Metric>, std::less<>>;

struct Registry {
    std::mutex mutex;
    Families<Counter> counters;
    Families<Gauge> gauges;
    Families<Histogram> histograms;
};

Registry& registry() {
    static auto* const instance =
        new Registry;  // never destroyed: threads may count until the process ends
    return *instance;
}

template <class Metric>
Metric& metric(Families<Metric> Registry::* kind, std::string_view name, std::string_view help,
               std::string_view labels) {
    const std::lock_guard lock(registry().mutex);
    Families<Metric>& families = registry().*kind;
    auto family = families.find(name);
    if (family == families.end())
        family = families.emplace(std::string(name), Family<Metric>{std::string(help), {}}).first;
    auto& place = family->second.by_labels;
    auto found = place.find(labels);
    if (found == place.end())
        found = place.emplace(std::string(labels), std::make_unique<Metric>()).first;
    return *found->second;
}

std::string in_braces(std::string_view labels) {
    return labels.empty() ? std::string() : fmt::format("{{{}}}", labels);
}

template <class Metric>
void header(std::string& out, std::string_view name, const Family<Metric>& family,
            std::string_view type) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                   type);
}

template <class Metric>
void expose_values(std::string& out, const Families<Metric>& families, std::string_view type) {
    for (const auto& [name, family] : families) {
        header(out, name, family, type);
        for (const auto& [labels, value] : family.by_labels) {
            fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, in_braces(labels),
                           value->value());
        }
    }
}

}  // namespace

void Histogram::observe(double seconds) {
    const auto bucket = std::ranges::lower_bound(bounds, seconds) - std::begin(bounds);
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    const double nanoseconds = std::clamp(seconds, 0.0, 1e9) * 1e9;
    sum_nanoseconds_.fetch_add(static_cast<std::uint64_t>(nanoseconds), std::memory_order_relaxed);
}

Counter& counter(std::string_view name, std::string_view help, std::string_view labels) {
    return metric(&Registry::counters, name, help, labels);
}
Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels) {
    return metric(&Registry::gauges, name, help, labels);
}
Histogram& histogram(std::string_view name, std::string_view help, std::string_view labels) {
    return metric(&Registry::histograms, name, help, labels);
}

std::string exposition() {
    std::string out;
    const std::lock_guard lock(registry().mutex);
    expose_values(out, registry().counters, "counter");
    expose_values(out, registry().gauges, "gauge");
    for (const auto& [name, family] : registry().histograms) {
        header(out, name, family, "histogram");
        for (const auto& [labels, histogram] : family.by_labels) {
            const std::string separator = labels.empty() ? "" : labels + ",";
            std::uint64_t count = 0;
            for (int i = 0; i <= Histogram::bound_count; ++i) {
                count += histogram->buckets_[i].load(std::memory_order_relaxed);
                const std::string bound =
                    i < Histogram::bound_count ? fmt::format("{}", Histogram::bounds[i]) : "+Inf";
                fmt::format_to(std::back_inserter(out), "{}_bucket{{{}le=\"{}\"}} {}\n", name,
                               separator, bound, count);
            }
            const double sum =
                static_cast<double>(histogram->sum_nanoseconds_.load(std::memory_order_relaxed)) /
                1e9;
            fmt::format_to(std::back_inserter(out), "{0}_sum{1} {2}\n{0}_count{1} {3}\n", name,
                           in_braces(labels), sum, count);
        }
    }
    return out;
}

}  // namespace meridian::metrics
