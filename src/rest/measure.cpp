// SPDX-License-Identifier: Apache-2.0
#include "rest/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/metrics.hpp"

namespace meridian::rest {

namespace {

constexpr std::array<std::string_view, 12> names{"read",   "search",    "page",         "history",
                                                 "create", "update",    "patch",        "delete",
                                                 "bundle", "operation", "capabilities", "other"};
static_assert(names.size() == static_cast<std::size_t>(Interaction::other) + 1);

bool reads(net::Method method) {
    return method == net::Method::get || method == net::Method::head;
}

Interaction of_instance_or_type(net::Method method, bool is_instance) {
    switch (method) {
        case net::Method::get:
        case net::Method::head:
            return is_instance ? Interaction::read : Interaction::search;
        case net::Method::post:
            return is_instance ? Interaction::other : Interaction::create;
        case net::Method::put:
            return Interaction::update;
        case net::Method::patch:
            return Interaction::patch;
        case net::Method::delete_:
            return Interaction::remove;
        default:
            return Interaction::other;
    }
}

}  // namespace

Interaction interaction_of(net::Method method, std::span<const std::string> path, bool has_cursor) {
    if (has_cursor) return Interaction::next_page;
    if (path.empty()) {
        if (method == net::Method::post) return Interaction::bundle;
        return reads(method) ? Interaction::search : Interaction::capabilities;
    }
    const auto is = [&](std::string_view word) {
        return std::ranges::find(path, word) != path.end();
    };
    if (path.front() == "metadata") return Interaction::capabilities;
    if (path.back().starts_with('$')) return Interaction::operation;
    // Type/id/_history/version reads one version.
    if (path.size() == 4 && path[2] == "_history") return Interaction::read;
    if (is("_history")) return Interaction::history;
    if (is("_search")) return Interaction::search;
    if (path.size() > 2) return reads(method) ? Interaction::search : Interaction::other;
    return of_instance_or_type(method, path.size() == 2);
}

void note_interaction(Interaction interaction, std::chrono::steady_clock::time_point since) {
    static const std::array<metrics::Histogram*, names.size()> histograms = [] {
        std::array<metrics::Histogram*, names.size()> made{};
        for (std::size_t i = 0; i < made.size(); ++i) {
            made[i] = &metrics::histogram("meridian_interaction_seconds",
                                          "time to answer a FHIR interaction",
                                          fmt::format("interaction=\"{}\"", names[i]));
        }
        return made;
    }();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - since;
    histograms[static_cast<std::size_t>(interaction)]->observe(taken.count());
}

}  // namespace meridian::rest
