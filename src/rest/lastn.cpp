// SPDX-License-Identifier: Apache-2.0
// Observation/$lastn: the newest observations of each code
// (https://hl7.org/fhir/R4/observation-operation-lastn.html).
#include "base/json.hpp"
#include "base/limits.hpp"
#include "rest/arguments.hpp"
#include "rest/basic_operations.hpp"

namespace meridian::rest {

namespace {

/// Observations that share a coding (or, without codings, their text) belong to one group.
class Groups {
 public:
    /// The group of an observation, by its code.
    std::size_t group_of(const Json& code) {
        std::vector<std::string> keys;
        for (const Json& coding : code["coding"].items())
            keys.push_back(
                fmt::format("{}|{}", coding.string_at("system"), coding.string_at("code")));
        if (keys.empty()) keys.push_back(fmt::format("text:{}", code.string_at("text")));
        std::size_t group = taken_.size();
        for (const std::string& key : keys) {
            if (const auto found = groups_.find(key); found != groups_.end()) {
                group = found->second;
                break;
            }
        }
        if (group == taken_.size()) taken_.push_back(0);
        for (std::string& key : keys) groups_.emplace(std::move(key), group);
        return group;
    }
    /// Counts one more of the group; false when it has its `max` already.
    bool take(std::size_t group, std::size_t max) {
        return taken_[group] < max && ++taken_[group] > 0;
    }

 private:
    std::unordered_map<std::string, std::size_t> groups_;
    std::vector<std::size_t> taken_;
};

Result<std::size_t> read_max(const std::string& value) {
    std::size_t max = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), max);
    if (error != std::errc() || end != value.data() + value.size() || max == 0)
        return fail(Category::incorrect, "max is a whole number from 1", "max");
    return max;
}

}  // namespace

Result<Answer> last_n(Service& service, const Exchange& exchange) {
    TRY(exchange.caller.access->allow(fhir::Right::operation, "Observation"));
    std::size_t max = 1;
    bool has_subject = false;
    fhir::QueryParameters query;
    for (const auto& [name, value] : TRY(query_parameters_of(exchange))) {
        if (name == "max") {
            max = TRY(read_max(value));
            continue;
        }
        has_subject = has_subject || name.starts_with("patient") || name.starts_with("subject");
        query.emplace_back(name, value);
    }
    if (!has_subject)
        return fail(Category::incorrect, "$lastn needs a subject: patient=ID or subject=Type/ID",
                    "patient");
    query.emplace_back("_sort", "-date");
    const std::size_t seen_max = service.options().everything_resources_max;
    query.emplace_back("_count", std::to_string(std::min(limits::page_size_max, seen_max)));
    fhir::SearchOptions options;
    options.base_url = exchange.base_url;
    options.lenient = exchange.lenient;

    fhir::Page found =
        TRY(service.repository().search(exchange.caller, "Observation", query, options));
    fhir::Page newest;
    newest.self_path = "Observation/$lastn";
    Groups groups;
    for (std::size_t seen = 0; true;) {
        newest.age = std::max(newest.age, found.age);
        for (fhir::Page::Entry& entry : found.entries) {
            if (entry.mode != fhir::Page::Entry::Mode::match) continue;
            const JsonDocument document = TRY(JsonDocument::parse(entry.resource.json));
            if (groups.take(groups.group_of(document.root()["code"]), max))
                newest.entries.push_back(std::move(entry));
        }
        seen += found.entries.size();
        if (found.next.empty()) break;
        if (seen >= seen_max)
            return fail(Category::too_large,
                        "the subject has too many observations for $lastn: narrow it by code, "
                        "category or date");
        found = TRY(service.repository().next_page(exchange.caller, found.next));
    }
    newest.total = static_cast<std::int64_t>(newest.entries.size());
    return answer_of_page(newest, exchange);
}

}  // namespace meridian::rest
