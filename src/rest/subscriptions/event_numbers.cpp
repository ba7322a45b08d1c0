// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/event_numbers.hpp"

#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

#include "base/limits.hpp"

namespace meridian::rest::subscriptions {

namespace {

std::string chunk_text(std::span<const store::Position> positions) {
    return fmt::format("{}", fmt::join(positions, " "));
}

std::vector<store::Position> read_chunk(std::string_view text) {
    std::vector<store::Position> positions;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    while (at < end) {
        store::Position position = 0;
        const auto [next, error] = std::from_chars(at, end, position);
        if (error != std::errc()) break;
        positions.push_back(position);
        at = next + 1;
    }
    return positions;
}

}  // namespace

std::int64_t EventNumbers::chunk_size() {
    return limits::subscription_chunk_events;
}

std::string EventNumbers::key(std::int64_t chunk) const {
    return fmt::format("subscription-events:{}:{}", id_, chunk);
}

Result<EventNumbers> EventNumbers::load(store::Store& store, std::string_view id) {
    EventNumbers numbers;
    numbers.id_ = id;
    const auto exists = [&](std::int64_t chunk) -> Result<bool> {
        return TRY(store.setting(numbers.key(chunk))).has_value();
    };
    if (!TRY(exists(0))) return numbers;
    // Chunks exist without gaps: double until one is missing, then halve.
    std::int64_t known = 0;
    std::int64_t missing = 1;
    while (TRY(exists(missing))) {
        known = missing;
        missing *= 2;
    }
    while (missing - known > 1) {
        const std::int64_t middle = known + (missing - known) / 2;
        (TRY(exists(middle)) ? known : missing) = middle;
    }
    numbers.full_chunks_ = known;
    const auto last = TRY(store.setting(numbers.key(known)));
    numbers.open_ = read_chunk(last.value_or(std::string()));
    if (!numbers.open_.empty()) numbers.last_position_ = numbers.open_.back();
    if (static_cast<std::int64_t>(numbers.open_.size()) == chunk_size()) {
        ++numbers.full_chunks_;
        numbers.open_.clear();
    }
    return numbers;
}

std::vector<std::pair<std::string, std::string>> EventNumbers::with(
    std::span<const store::Position> positions) const {
    std::vector<std::pair<std::string, std::string>> settings;
    std::vector<store::Position> chunk = open_;
    std::int64_t number = full_chunks_;
    for (const store::Position position : positions) {
        chunk.push_back(position);
        if (static_cast<std::int64_t>(chunk.size()) < chunk_size()) continue;
        settings.emplace_back(key(number++), chunk_text(chunk));
        chunk.clear();
    }
    if (!chunk.empty()) settings.emplace_back(key(number), chunk_text(chunk));
    return settings;
}

void EventNumbers::append(std::span<const store::Position> positions) {
    for (const store::Position position : positions) {
        open_.push_back(position);
        last_position_ = position;
        if (static_cast<std::int64_t>(open_.size()) < chunk_size()) continue;
        ++full_chunks_;
        open_.clear();
    }
}

Result<std::vector<store::Position>> EventNumbers::positions(store::Store& store,
                                                             std::int64_t first,
                                                             std::int64_t last) const {
    std::vector<store::Position> found;
    std::vector<store::Position> stored;
    std::int64_t stored_chunk = -1;
    for (std::int64_t number = first; number <= last; ++number) {
        const std::int64_t chunk = (number - 1) / chunk_size();
        const auto place = static_cast<std::size_t>((number - 1) % chunk_size());
        if (chunk < full_chunks_ && chunk != stored_chunk) {
            stored = read_chunk(TRY(store.setting(key(chunk))).value_or(std::string()));
            stored_chunk = chunk;
        }
        const auto& positions = chunk < full_chunks_ ? stored : open_;
        if (place >= positions.size())
            return fail(Category::fault,
                        fmt::format("event {} of Subscription/{} is not kept", number, id_));
        found.push_back(positions[place]);
    }
    return found;
}

Result<void> save_all(store::Store& store,
                      const std::vector<std::vector<std::pair<std::string, std::string>>>& lists) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    Result<void> outcome;
    const auto save_lists = [&] {
        for (std::size_t at = next++; at < lists.size(); at = next++) {
            for (const auto& [name, value] : lists[at]) {
                auto saved = store.save_setting(name, value);
                if (saved) continue;
                const std::lock_guard lock(mutex);
                if (outcome) outcome = std::move(saved);
                return;
            }
        }
    };
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < std::min(lists.size(), limits::subscription_save_threads); ++i)
        threads.emplace_back(save_lists);
    save_lists();
    for (std::thread& thread : threads) thread.join();
    return outcome;
}

}  // namespace meridian::rest::subscriptions
