// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/replica.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/open.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/snapshot.hpp"

namespace meridian::store::postgres {

namespace {

Result<void> require_same_record(Connection& connection, const SipKey& token_key) {
    if (const auto layout = prepare_schema(connection, /*create=*/false); !layout) {
        // A standby may not have heard of a store that was made just now.
        const std::int64_t is_standby =
            TRY(connection.integer("SELECT pg_is_in_recovery()::integer", 0));
        if (layout.error().category != Category::not_found || is_standby == 0)
            return std::unexpected(layout.error());
        return fail(Category::unavailable, "it does not show the store yet");
    }
    const Answer key =
        TRY(connection.ask("SELECT value FROM meridian.setting WHERE key = 'token_key'"));
    const bool is_same =
        !key.empty() && key.bytes(0, 0).size() == token_key.size() &&
        std::memcmp(key.bytes(0, 0).data(), token_key.data(), token_key.size()) == 0;
    if (is_same) return {};
    return fail(Category::conflict, "this database holds another record than that of --store");
}

}  // namespace

Connection::Options Replica::options(std::string_view part) const {
    return {.url = url_,
            .application_name = fmt::format("meridian {}", part),
            .setup = "SET jit = off",
            .line = line_};
}

Replica::Replica(const std::string& url, const Layout& layout, const Beats& beats)
    : url_(url),
      layout_(layout),
      beats_(beats),
      pool_(options("replica reader")),
      pulse_(options("replica pulse"), [this](const Pulse::Sign& sign) { beat_ = sign.beat; }) {}

Result<void> Replica::check(const SipKey& token_key) {
    const auto checked = [&]() -> Result<void> {
        const auto connection = TRY(Connection::open(options("replica check")));
        return require_same_record(*connection, token_key);
    }();
    if (checked) return {};
    if (checked.error().category == Category::unavailable) {
        log::warning("a replica cannot be used yet", {{"reason", checked.error().message}});
        return {};
    }
    Error error = checked.error();
    error.where = replica_option;
    return std::unexpected(std::move(error));
}

std::optional<std::chrono::seconds> Replica::age_of(std::int64_t beat) const {
    const auto made_at = beats_.made_at(beat);
    if (!made_at) return std::nullopt;
    // Rounded up: what is told is a bound.
    return std::max(std::chrono::seconds(0), std::chrono::ceil<std::chrono::seconds>(
                                                 std::chrono::steady_clock::now() - *made_at));
}

bool Replica::is_within(std::chrono::seconds max_stale) const {
    if (line_->is_silent()) return false;
    const auto age = age_of(beat_);
    return age && *age <= max_stale;
}

Result<std::unique_ptr<Snapshot>> Replica::snapshot(std::chrono::seconds max_stale,
                                                    const Dictionary& names) {
    auto snapshot =
        TRY(PostgresSnapshot::begin(pool_, names, layout_, counts_, /*of_replica=*/true));
    // The URL may lead to several machines: what counts is what this very snapshot shows.
    const auto age = age_of(snapshot->beat());
    if (!age || *age > max_stale) return std::unique_ptr<Snapshot>();
    snapshot->set_age(*age);
    return std::unique_ptr<Snapshot>(std::move(snapshot));
}

}  // namespace meridian::store::postgres
