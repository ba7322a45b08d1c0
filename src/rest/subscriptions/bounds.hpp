// SPDX-License-Identifier: Apache-2.0
// The bounds of this folder that nobody else needs; those of the whole server stand in
// base/limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.hpp"

namespace meridian::limits {

inline constexpr std::int64_t subscription_chunk_events =
    64;  ///< positions that share one stored chunk
inline constexpr std::int64_t subscription_notification_events =
    100;  ///< of one notification, unless the subscriber asks for fewer
inline constexpr std::int64_t subscription_answer_events = 1'000;  ///< of one $events answer
inline constexpr unsigned subscription_backoff_doublings_max =
    9;  ///< a pause between tries is at most 2^9 times the first
inline constexpr unsigned subscription_timeout_seconds =
    10;  ///< for a receiver's answer, unless the subscriber asks otherwise
inline constexpr unsigned subscription_timeout_seconds_max = 60;
inline constexpr std::size_t subscription_headers_max = 20;  ///< channel.header of one subscription
inline constexpr std::size_t subscription_tokens_max =
    10'000;  ///< websocket tokens that are valid at the same time
inline constexpr unsigned subscription_token_life_seconds = 600;
inline constexpr std::size_t subscription_sockets_max = 64;  ///< bound to one subscription
inline constexpr std::size_t subscription_owner_versions =
    50;  ///< versions looked through for who wrote a subscription
inline constexpr std::size_t subscription_save_threads =
    16;  ///< that wait for the same fsync when many subscriptions have events

}  // namespace meridian::limits
