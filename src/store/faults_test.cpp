// SPDX-License-Identifier: Apache-2.0
#include "store/faults.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <random>
#include <thread>

#include "store/store_test_support.hpp"

namespace meridian::store {
namespace {

/// Fails the operations of one kind from a count on.
class Failing final : public FileFaults {
 public:
    Fault before(const FileEvent& event) override {
        if (!armed || event.operation != operation ||
            (path_part != nullptr && event.path.find(path_part) == event.path.npos))
            return Fault::none;
        return seen++ >= after ? kind : Fault::none;
    }
    std::atomic<bool> armed{false};
    FileOperation operation = FileOperation::write;
    Fault kind = Fault::fail;
    const char* path_part = nullptr;
    int after = 0;
    std::atomic<int> seen{0};
};

std::unique_ptr<Store> open_with(const std::string& folder, std::shared_ptr<FileFaults> faults) {
    OpenOptions options;
    options.folder = folder;
    options.cache_bytes = 16 << 20;
    options.faults = std::move(faults);
    return must(open(options));
}

bool is_there(Store& store, const std::string& id) {
    auto snapshot = must(store.snapshot());
    return must(snapshot->find({store.names().intern(NameKind::type, "Patient"), id})).has_value();
}

void expect_stop_after(FileOperation operation, Fault kind, int after) {
    SCOPED_TRACE(fmt::format("operation {}, fault {}, after {}", static_cast<int>(operation),
                             static_cast<int>(kind), after));
    const TestFolder folder;
    const auto faults = std::make_shared<Failing>();
    faults->operation = operation;
    faults->kind = kind;
    faults->after = after;
    {
        auto store = open_with(folder.path(), faults);
        must(store->commit(make_commit(make_change(*store, "Patient", "before", "1"))));
        faults->armed = true;
        Commit commit;
        for (int i = 0; i < 200; ++i)
            commit.changes.push_back(
                make_change(*store, "Patient", "lost-" + std::to_string(i), "1"));
        const auto lost = store->commit(std::move(commit));
        ASSERT_FALSE(lost);
        EXPECT_EQ(lost.error().category, Category::unavailable);
        faults->armed = false;
        const auto later = store->commit(make_commit(make_change(*store, "Patient", "later", "1")));
        ASSERT_FALSE(later) << "a store that lost a write must not go on as if nothing had been";
        EXPECT_EQ(later.error().category, Category::unavailable);
        EXPECT_TRUE(is_there(*store, "before")) << "reads go on";
        EXPECT_FALSE(is_there(*store, "lost-0"));
    }
    auto store = must_open(folder.path());
    EXPECT_TRUE(is_there(*store, "before"));
    EXPECT_FALSE(is_there(*store, "later"));
    must(store->commit(make_commit(make_change(*store, "Patient", "reopened", "1"))));
    // What was not answered may be there or not, but whole.
    EXPECT_EQ(is_there(*store, "lost-0"), is_there(*store, "lost-199"));
    store.reset();
    expect_clean(folder.path());
}

TEST(Faults, FailedAndTornWritesStopTheWriter) {
    for (const int after : {0, 1, 5, 20}) {
        expect_stop_after(FileOperation::write, Fault::fail, after);
        expect_stop_after(FileOperation::write, Fault::torn, after);
    }
}

TEST(Faults, AFailedSyncStopsTheWriter) {
    expect_stop_after(FileOperation::sync, Fault::fail, 0);
}

TEST(Faults, AFullDiskIsSaidReadsGoOnAndWritesRecover) {
    const TestFolder folder;
    const auto faults = std::make_shared<Failing>();
    faults->kind = Fault::full;
    auto store = open_with(folder.path(), faults);
    must(store->commit(make_commit(make_change(*store, "Patient", "before", "1"))));
    for (int round = 0; round < 3; ++round) {
        faults->seen = 0;
        faults->after = round;
        faults->armed = true;
        const auto refused =
            store->commit(make_commit(make_change(*store, "Patient", "refused", "1")));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().category, Category::storage_full);
        EXPECT_TRUE(is_there(*store, "before"));
        EXPECT_FALSE(is_there(*store, "refused"));
        faults->armed = false;
        must(store->commit(
            make_commit(make_change(*store, "Patient", "round-" + std::to_string(round), "1"))));
    }
    auto snapshot = must(store->snapshot());
    EXPECT_EQ(snapshot->position(), 3) << "positions stay dense";
    snapshot.reset();
    store.reset();
    expect_clean(folder.path());
}

TEST(Faults, ARealFullFileSystemRecovers) {
    const TestFolder folder;
    const std::string mount = folder.path() + "/small";
    std::filesystem::create_directory(mount);
    if (::mount("none", mount.c_str(), "tmpfs", 0, "size=3m") != 0)
        GTEST_SKIP() << "needs the right to mount a tmpfs";
    {
        auto store = must_open(mount);
        int written = 0;
        Result<Receipt> answer;
        const std::string value(8'000, 'v');
        for (; written < 2'000; ++written) {
            Change change = make_change(*store, "Patient", "p" + std::to_string(written),
                                        std::to_string(written));
            std::mt19937_64 random(static_cast<unsigned>(written));
            for (int i = 0; i < 2'000; ++i) change.body.push_back(static_cast<char>(random()));
            answer = store->commit(make_commit(std::move(change)));
            if (!answer) break;
        }
        ASSERT_FALSE(answer) << "the file system never filled";
        EXPECT_EQ(answer.error().category, Category::storage_full) << answer.error().message;
        EXPECT_TRUE(is_there(*store, "p0"));
        EXPECT_FALSE(is_there(*store, "p" + std::to_string(written)));
        ASSERT_EQ(::mount("none", mount.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
        must(store->commit(make_commit(make_change(*store, "Patient", "again", "1"))));
        EXPECT_EQ(must(store->snapshot())->position(), written);
    }
    const CheckReport report = must(check(mount, {}));
    EXPECT_EQ(report.problems, 0) << report.first_problem;
    ::umount2(mount.c_str(), MNT_DETACH);
}

TEST(Faults, PowerLossWithReorderedWritesKeepsACommittedPrefix) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE(seed);
        const TestFolder folder;
        const auto disk = std::make_shared<LosingDisk>();
        std::mt19937_64 random(seed);
        int acknowledged = 0;
        std::vector<Sha256> blobs;
        {
            auto store = open_with(folder.path(), disk);
            const int commits = 5 + static_cast<int>(random() % 40);
            for (; acknowledged < commits; ++acknowledged) {
                Commit commit;
                commit.changes.push_back(
                    make_change(*store, "Patient", "left-" + std::to_string(acknowledged), "1"));
                commit.changes.push_back(
                    make_change(*store, "Patient", "right-" + std::to_string(acknowledged), "1"));
                must(store->commit(std::move(commit)));
                if (acknowledged % 5 == 0)
                    blobs.push_back(must(store->put_blob("blob " + std::to_string(acknowledged))));
            }
            disk->lose_power();
            EXPECT_FALSE(store->commit(make_commit(make_change(*store, "Patient", "dark", "1"))));
            EXPECT_FALSE(store->put_blob("dark"));
        }
        disk->settle(seed * 31);
        {
            auto store = must_open(folder.path());
            for (int number = 0; number < acknowledged; ++number) {
                EXPECT_TRUE(is_there(*store, "left-" + std::to_string(number))) << number;
                EXPECT_TRUE(is_there(*store, "right-" + std::to_string(number))) << number;
            }
            for (const Sha256& hash : blobs) EXPECT_TRUE(must(store->blob(hash)));
            must(store->commit(make_commit(make_change(*store, "Patient", "light", "1"))));
        }
        expect_clean(folder.path());
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace meridian::store
