// SPDX-License-Identifier: Apache-2.0
#include "trust/sessions/fresh_proof.hpp"

#include <algorithm>
#include <charconv>

namespace meridian::trust {

namespace {

constexpr std::string_view mark = "step-up;max_age=";

std::string in_words(std::chrono::seconds age) {
    const auto count = age.count();
    if (count % 60 != 0) return fmt::format("{} seconds", count);
    return count == 60 ? "one minute" : fmt::format("{} minutes", count / 60);
}

}  // namespace

Result<void> require_recent(const Subject& subject, std::chrono::seconds age, Instant at,
                            std::initializer_list<std::string_view> methods) {
    const bool is_recent = at.milliseconds - subject.authenticated_at.milliseconds <=
                           std::chrono::milliseconds(age).count();
    const bool is_strong =
        methods.size() == 0 ||
        std::any_of(methods.begin(), methods.end(), [&](std::string_view wanted) {
            return std::find(subject.methods.begin(), subject.methods.end(), wanted) !=
                   subject.methods.end();
        });
    if (is_recent && is_strong) return {};
    return fail(Category::unauthenticated,
                fmt::format("this asks for a proof of who you are that is not older than {}: "
                            "confirm it at /step-up, or sign in again through your app",
                            in_words(age)),
                fmt::format("{}{}", mark, age.count()));
}

std::optional<std::chrono::seconds> wanted_proof_age(const Error& error) {
    const std::size_t at = error.where.rfind(mark);
    if (error.category != Category::unauthenticated || at == std::string::npos) return std::nullopt;
    std::int64_t seconds = 0;
    std::from_chars(error.where.data() + at + mark.size(), error.where.data() + error.where.size(),
                    seconds);
    return std::chrono::seconds(seconds);
}

std::string_view place_of(const Error& error) {
    std::string_view place = error.where;
    place = place.substr(0, place.rfind(mark));
    if (place.ends_with('.')) place.remove_suffix(1);
    return place;
}

}  // namespace meridian::trust
