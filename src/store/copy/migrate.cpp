// SPDX-License-Identifier: Apache-2.0
#include "store/copy/migrate.hpp"

#include <future>

#include "store/copy/packs.hpp"
#include "store/copy/sides.hpp"
#include "store/sqlite/blobs.hpp"

namespace meridian::store::copy {

namespace {

class Migration {
 public:
    Migration(Source& source, Target& target, const MigrateOptions& options)
        : source_(source), target_(target), options_(options) {}

    Result<MigrateReport> run() {
        done_ = TRY(target_.begin(source_.names().token_key()));
        for (;;) {
            // Asked before the end is, so that nothing comes behind that end.
            const bool is_last = TRY(source_.is_at_rest());
            const Position begun = done_.next;
            TRY(catch_up());
            if (is_last) return finish();
            if (done_.next - begun <= limits::migrate_entries_behind) break;
        }
        report_.position = done_.next - 1;
        return report_;
    }

 private:
    void tell(std::string_view part, std::int64_t done, std::int64_t total) {
        if (options_.progress) options_.progress(part, done, total);
    }
    Result<void> catch_up();
    Result<void> copy_log(Position end);
    Result<void> copy_identities();
    Result<MigrateReport> finish();
    Result<void> take_over_reindexed();
    Result<void> replace_rows(const std::vector<Rid>& rids);
    Result<LogSum> sum_of(Result<std::unique_ptr<Store>> store, std::string_view which);

    Source& source_;
    Target& target_;
    const MigrateOptions& options_;
    Progress done_;
    MigrateReport report_;
};

/// Everything that the source has now.
Result<void> Migration::catch_up() {
    const Position end = TRY(source_.end());
    TRY(copy_log(end));
    // What the entries mention was there before them.
    TRY(target_.add_names(TRY(source_.all_names())));
    TRY(copy_identities());
    report_.packs_bytes += TRY(copy_packs(source_.blobs_folder(), target_.blobs_folder()));
    return {};
}

Result<void> Migration::copy_log(Position end) {
    // While one batch is written the next one is read.
    using Batch = Result<std::vector<Carried>>;
    const auto read = [&](Position from) {
        return std::async(std::launch::async, [this, from, end]() -> Batch {
            return from < end ? source_.read(from, end, options_.batch_entries)
                              : Batch(std::vector<Carried>());
        });
    };
    std::future<Batch> coming = read(done_.next);
    while (done_.next < end) {
        auto batch = TRY(coming.get());
        if (!is_dense(batch, done_.next)) {
            return fail(Category::fault,
                        fmt::format("an entry is missing in the source's log, at position {} or "
                                    "behind it; run `meridian check` on it",
                                    done_.next));
        }
        const Position next = batch.back().entry.position + 1;
        coming = read(next);
        TRY(target_.write(batch));
        done_.next = next;
        tell("log", done_.next, end);
    }
    return {};
}

Result<void> Migration::copy_identities() {
    const Rid last = TRY(source_.last_rid());
    std::int64_t count = 0;
    TRY(source_.identities(done_.identities_upto, [&](std::vector<KnownIdentity> part) {
        count += static_cast<std::int64_t>(part.size());
        tell("identities", count, 0);
        return target_.add_identities(part);
    }));
    TRY(target_.save_identities_upto(last));
    done_.identities_upto = last;
    return {};
}

/// A reindex of the source leaves no entry in the log, so whoever was copied before it has rows
/// that are no longer those of the source.
Result<void> Migration::take_over_reindexed() {
    Rid after = 0;
    std::int64_t compared = 0;
    for (;;) {
        const auto here = TRY(source_.index_states(after));
        if (here.empty()) return {};
        const auto there = TRY(target_.index_states(after));
        std::vector<Rid> differing;
        auto other = there.begin();
        for (const IndexState& state : here) {
            if (other == there.end()) break;  // the next step begins with it
            if (other->rid != state.rid || other->version != state.version) {
                return fail(Category::fault,
                            fmt::format("the resource {} has not arrived as it is; run `meridian "
                                        "check` on the source",
                                        state.rid));
            }
            if (other->forward != state.forward) differing.push_back(state.rid);
            after = state.rid;
            ++other;
            ++compared;
        }
        if (there.empty())
            return fail(Category::fault,
                        fmt::format("the resource {} has not arrived", here.front().rid));
        TRY(replace_rows(differing));
        tell("rows", compared, 0);
    }
}

Result<void> Migration::replace_rows(const std::vector<Rid>& rids) {
    if (rids.empty()) return {};
    auto batch = TRY(source_.read_newest(rids));
    return target_.replace_rows(batch);
}

Result<LogSum> Migration::sum_of(Result<std::unique_ptr<Store>> opened, std::string_view which) {
    const auto store = TRY(std::move(opened));
    return log_sum(*store, {}, [&](std::string_view, std::int64_t done, std::int64_t total) {
        tell(which, done, total);
    });
}

Result<MigrateReport> Migration::finish() {
    TRY(take_over_reindexed());
    TRY(target_.put_belongings(TRY(source_.belongings()), TRY(source_.last_rid())));
    TRY(sqlite::Blobs::open({.folder = target_.blobs_folder()}));  // makes the index of the packs
    report_.source = TRY(sum_of(source_.open(), "hash of the source"));
    report_.target = TRY(sum_of(target_.open(), "hash of the target"));
    if (report_.source.position != report_.target.position ||
        report_.source.hash != report_.target.hash) {
        return fail(Category::fault,
                    fmt::format("the logs differ: {} up to position {} on one side, {} up to {} on "
                                "the other; the target stays closed",
                                to_hex(report_.source.hash), report_.source.position,
                                to_hex(report_.target.hash), report_.target.position));
    }
    if (!TRY(source_.is_at_rest())) {
        return fail(Category::conflict,
                    "a server was started on the source meanwhile; stop it, then run this again",
                    "--from");
    }
    TRY(target_.finish());
    report_.position = report_.target.position;
    report_.is_finished = true;
    return report_;
}

}  // namespace

Result<MigrateReport> migrate(const Place& from, const Place& to, const BodyReader& reader,
                              const MigrateOptions& options) {
    if (from.database.empty() == to.database.empty()) {
        return fail(Category::incorrect,
                    "both stores are on the same engine; a folder is moved with backup and "
                    "restore, a database with PostgreSQL's own tools");
    }
    std::unique_ptr<Source> source = from.database.empty()
                                         ? TRY(sqlite_source(from.folder))
                                         : TRY(postgres_source(from.database, from.folder, reader));
    std::unique_ptr<Target> target =
        to.database.empty() ? TRY(sqlite_target(to.folder, source->names()))
                            : TRY(postgres_target(to.database, to.folder, source->names()));
    return Migration(*source, *target, options).run();
}

}  // namespace meridian::store::copy
