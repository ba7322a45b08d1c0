// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/layout.hpp"

#include <charconv>

#include "base/limits.hpp"

namespace meridian::store::postgres {

namespace {

constexpr std::string_view whole = "whole";
constexpr std::string_view partitions = "partitions ";
constexpr std::string_view citus = "citus ";

}  // namespace

std::string Layout::text() const {
    if (kind == Kind::whole) return std::string(whole);
    return std::string(kind == Kind::partitioned ? partitions : citus) + std::to_string(shards);
}

std::optional<Layout> Layout::parse(std::string_view text) {
    if (text == whole) return Layout{};
    Layout layout;
    if (text.starts_with(partitions)) {
        layout.kind = Kind::partitioned;
        text.remove_prefix(partitions.size());
    } else if (text.starts_with(citus)) {
        layout.kind = Kind::distributed;
        text.remove_prefix(citus.size());
    } else {
        return std::nullopt;
    }
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), layout.shards);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    if (!is_number || layout.shards < 1 || layout.shards > limits::database_shards_max)
        return std::nullopt;
    return layout;
}

}  // namespace meridian::store::postgres
