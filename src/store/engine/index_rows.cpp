// SPDX-License-Identifier: Apache-2.0
#include "store/engine/index_rows.hpp"

namespace meridian::store {

int date_span(std::int64_t lo, std::int64_t hi) {
    // The unsigned difference is right even where a signed one would overflow (open ends are
    // INT64_MIN and INT64_MAX).
    const std::uint64_t length = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo);
    return hi >= lo && length <= static_cast<std::uint64_t>(short_span_milliseconds) ? 0 : 1;
}

}  // namespace meridian::store
