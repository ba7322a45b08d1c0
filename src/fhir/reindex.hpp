// SPDX-License-Identifier: Apache-2.0
// Private to the room: keeps the index rows and the search parameters in step.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "fhir/caller.hpp"
#include "fhir/search/parameters.hpp"

namespace meridian::fhir {

class StoreRepository;

/// How far a reindex is.
struct ReindexProgress {
    std::string type;
    std::int64_t done = 0;
    std::int64_t total = 0;
};

/// Extracts the rows of `params` anew (empty = all of the type) for every current resource of
/// `type`, while others read and write. Resumable: the last row id that was handled is kept under a
/// setting called `job`, and removed at the end. `go_on` is asked between batches; false stops with
/// what was done kept. Errors: the store's. Blocking: long.
Result<void> reindex_type(StoreRepository& repository, std::string_view job, std::string_view type,
                          std::vector<store::Name> params,
                          const std::function<bool(const ReindexProgress&)>& go_on);

/// Follows SearchParameter resources: a new or changed one is extracted from the next write on,
/// then the resources that are already stored are indexed in the background, and only then it may
/// be searched by.
class CustomParameters final : public FollowingView {
 public:
    explicit CustomParameters(StoreRepository& repository);
    ~CustomParameters() override;
    std::string_view name() const override { return "search-parameters"; }
    Result<void> follow(store::Snapshot& snapshot,
                        std::span<const store::LogEntry> entries) override;
    /// Reads all stored SearchParameters; those that were not fully indexed go on.
    Result<void> load();
    void stop();

 private:
    /// Needs the lock of `change_mutex_`.
    Result<void> apply(const Json& resource);
    /// Takes the parameter of the deleted SearchParameter `url` away. Needs no lock.
    Result<void> take_away(const std::string& url);
    void run();
    Result<void> index(const std::string& url);
    /// The parameter `url` is indexed: it may be searched by, unless it was changed meanwhile.
    Result<void> note_ready(const std::string& url);

    StoreRepository& repository_;
    /// Held from reading the repository's parameters to setting them: changes come from the log and
    /// from the thread that indexes, and one must not undo the other. Taken before `mutex_`.
    std::mutex change_mutex_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::string> urls_;  ///< waiting to be indexed
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace meridian::fhir
