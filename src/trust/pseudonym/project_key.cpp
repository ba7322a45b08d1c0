// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/project_key.hpp"

#include "base/hash.hpp"
#include "base/instant.hpp"
#include "trust/pseudonym/limits.hpp"

namespace meridian::trust::pseudonym {

namespace {

constexpr std::size_t pseudonym_digits = 32;
constexpr unsigned middle_day_of_month = 15, middle_month = 7, middle_day_of_year = 2;
constexpr std::size_t date_bytes = 10;  // "2024-05-01"

std::string_view bytes_of(const SecretKey& key) {
    return {reinterpret_cast<const char*>(key.data()), key.size()};
}

}  // namespace

ProjectKey::ProjectKey(const SecretKey& secret)
    : ids_(derive_key(secret, "pseudonyms")), shifts_(derive_key(secret, "date shifts")) {}

std::string ProjectKey::pseudonym(std::string_view type, std::string_view id) const {
    // No type holds a "/", so two resources never give one text.
    return to_hex(hmac_sha256(bytes_of(ids_), fmt::format("{}/{}", type, id)))
        .substr(0, pseudonym_digits);
}

int ProjectKey::shift_days(std::string_view patient_id) const {
    const Sha256 hash = hmac_sha256(bytes_of(shifts_), patient_id);
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i) number = number << 8 | hash[i];
    // Never 0: no date stays what it was.
    const int days = static_cast<int>(number % (2 * limits::date_shift_days_max));
    return days < limits::date_shift_days_max ? days - limits::date_shift_days_max
                                              : days - limits::date_shift_days_max + 1;
}

std::optional<std::string> shifted(std::string_view date, int days) {
    const auto read = parse_date(date);
    if (!read) return std::nullopt;
    const bool has_month = read->precision != DatePrecision::year;
    const bool has_day = has_month && read->precision != DatePrecision::month;
    const unsigned month = has_month ? read->month : middle_month;
    const unsigned day = has_day ? read->day : has_month ? middle_day_of_month : middle_day_of_year;
    const CivilDate moved = civil_from_days(days_from_civil(read->year, month, day) + days);
    if (moved.year < 1 || moved.year > 9999) return std::nullopt;
    std::string text = fmt::format("{:04}", moved.year);
    if (has_month) text += fmt::format("-{:02}", moved.month);
    if (has_day) text += fmt::format("-{:02}", moved.day);
    if (has_day && date.size() > date_bytes) text += date.substr(date_bytes);
    return text;
}

std::string age_band(int years) {
    if (years >= limits::age_band_top_years) return fmt::format("{}+", limits::age_band_top_years);
    const int from = years / limits::age_band_years * limits::age_band_years;
    return fmt::format("{}-{}", from, from + limits::age_band_years - 1);
}

int years_between(std::string_view birth_date, std::string_view day) {
    const auto born = parse_date(birth_date);
    const auto at = parse_date(day);
    if (!born || !at) return 0;
    const bool is_before_birthday =
        std::pair(at->month, at->day) < std::pair(born->month, born->day);
    return std::max(0, at->year - born->year - (is_before_birthday ? 1 : 0));
}

}  // namespace meridian::trust::pseudonym
