// SPDX-License-Identifier: Apache-2.0
// A date that is accepted covers a span of time that its own texts fall into.
#include <cstdint>
#include <cstdlib>

#include "base/instant.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto http = meridian::parse_http_date(text)) {
        const auto again = meridian::parse_http_date(meridian::to_http_date(*http));
        if (!again || *again != *http) std::abort();
    }
    const auto date = meridian::parse_date(text);
    if (!date) return 0;
    for (const int zone : {-840, 0, 840}) {
        if (date->lower(zone) >= date->upper(zone)) std::abort();
        if (date->zone_minutes && date->lower(zone) != date->lower(0)) std::abort();
    }
    const std::string shown = meridian::to_text(date->lower());
    const auto again = meridian::parse_date(shown);
    // A zone can move the first instants of the year 0001 into the year 0000, which FHIR does not
    // have.
    if (!again ? !shown.starts_with("0000") : again->lower() != date->lower() && date->year < 9999)
        std::abort();
    return 0;
}
