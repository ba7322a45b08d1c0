// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/retention.hpp"

#include <filesystem>

#include "base/config.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr Option options[] = {
    {.key = "records.years",
     .kind = Option::Kind::integer,
     .fallback = "15",
     .help = "years that a record is kept after its last entry",
     .least = 1,
     .most = limits::retention_years_max},
    {.key = "media.years",
     .kind = Option::Kind::integer,
     .fallback = "3",
     .help = "years that chat, sound and pictures of consultations are kept",
     .least = 1,
     .most = limits::retention_years_max},
    {.key = "media.types",
     .kind = Option::Kind::list,
     .fallback = "Media",
     .help = "resource types that count as such"},
    {.key = "hold.labels",
     .kind = Option::Kind::list,
     .fallback = "",
     .help = "security labels, system|code, of resources that must not be erased"},
};

/// The same day some years later; of 29 February the day after it.
Instant later(Instant instant, std::int64_t years) {
    constexpr std::int64_t day = 86'400'000;
    const std::int64_t days = instant.milliseconds / day;
    CivilDate date = civil_from_days(days);
    date.year += static_cast<int>(years);
    if (date.day > days_in_month(date.year, date.month)) date = {date.year, 3, 1};
    return {days_from_civil(date.year, date.month, date.day) * day + instant.milliseconds % day};
}

void keep_later(std::optional<Instant>& kept, Instant instant) {
    if (!kept || *kept < instant) kept = instant;
}

}  // namespace

Result<RetentionRules> read_retention(const std::string& folder) {
    Config config(options);
    const std::string path = folder + "/retention.toml";
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) TRY(config.read_file(path));
    return RetentionRules{.record_years = config.integer("records.years"),
                          .media_years = config.integer("media.years"),
                          .media_types = config.list("media.types"),
                          .hold_labels = config.list("hold.labels")};
}

void RetentionClock::see(std::string_view type, Instant updated, const Json& resource) {
    const auto& media = rules_.media_types;
    const bool is_media = std::find(media.begin(), media.end(), type) != media.end();
    keep_later(is_media ? last_media_ : last_record_, updated);
    for (const Json& label : resource["meta"]["security"].items()) {
        const std::string text =
            fmt::format("{}|{}", label.string_at("system"), label.string_at("code"));
        const auto& holds = rules_.hold_labels;
        if (hold_.empty() && std::find(holds.begin(), holds.end(), text) != holds.end())
            hold_ = fmt::format("{}/{} is labelled {}", type, resource.string_at("id"), text);
    }
}

std::optional<Instant> RetentionClock::allowed_from() const {
    std::optional<Instant> allowed;
    if (last_record_) keep_later(allowed, later(*last_record_, rules_.record_years));
    if (last_media_) keep_later(allowed, later(*last_media_, rules_.media_years));
    return allowed;
}

}  // namespace meridian::trust
