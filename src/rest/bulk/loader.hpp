// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "fhir/repository.hpp"

namespace meridian::rest {

/// How a Loader works.
struct LoaderOptions {
    unsigned threads = 0;  ///< that parse, validate and extract; 0 = one per core
    std::size_t batch_changes =
        limits::load_batch_changes;  ///< of one commit; small ones let other writers in between
    /// When set, commits are made smaller or larger, up to batch_changes, so that one takes about
    /// so long: other writers wait for at most two of them.
    std::chrono::milliseconds commit_time{0};
    std::string only_type{};     ///< other types are refused; empty = any
    std::string source{};        ///< meta.source of resources that have none; empty = leave it
    std::string foreign_base{};  ///< another server's base: references below it become relative
    /// Resources without an id get one that this text and their number decide, so that a second
    /// load of the same lines meets the same ids. Empty = a new id each time.
    std::string id_seed{};
    /// Resources that are current already, word for word, are not written again.
    bool skip_unchanged = false;
};

/// Loads many resources in large sorted batches: several threads parse, validate and extract, one
/// batch is written while the next is made ready, and the order in which resources were added is
/// kept. Memory is bounded by batch_changes and by limits::load_bytes_max.
class Loader {
 public:
    struct Events {
        /// A resource that was refused, with the number it was added under and its text.
        std::function<Result<void>(std::int64_t number, const Error& reason,
                                   const std::string& text)>
            rejected{};
        /// Everything up to this number is durable (or was rejected), and count() says how much.
        std::function<Result<void>(std::int64_t number)> committed{};
    };
    Loader(fhir::Repository& repository, fhir::Caller caller, LoaderOptions options, Events events);
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    /// Adds one resource as JSON text; `number` grows. May wait for earlier work. Errors: the
    /// store's, or those of the events.
    Result<void> add(std::string json, std::int64_t number);
    /// Waits until everything that was added is durable.
    Result<void> finish();
    /// Resources that are durable.
    std::int64_t count() const { return count_; }

 private:
    struct Prepared {
        std::int64_t number = 0;
        std::size_t bytes = 0;
        std::optional<store::Change> change;
        std::optional<Error> reason{};
        std::string text{};  ///< of a rejected one
    };
    using Lines = std::vector<std::pair<std::int64_t, std::string>>;
    using Chunk = std::vector<Prepared>;

    Prepared prepare(std::int64_t number, std::string json) const;
    Result<std::optional<store::Change>> change_of(std::int64_t number,
                                                   const std::string& json) const;
    Result<bool> is_current(const store::Change& change) const;
    void submit_chunk();
    Result<void> take_chunk();
    Result<void> take(Prepared prepared);
    Result<void> flush();
    Result<void> wait_for_commit();
    void adjust_batch(std::chrono::steady_clock::duration taken);

    /// A commit and the time that it took.
    struct Committed {
        Result<store::Receipt> receipt;
        std::chrono::steady_clock::duration taken;
    };

    fhir::Repository& repository_;
    fhir::Caller caller_;
    LoaderOptions options_;
    Events events_;
    Lines lines_;
    std::size_t lines_bytes_ = 0;
    std::deque<std::future<Chunk>> in_work_;
    std::vector<store::Change> batch_;
    std::size_t batch_bytes_ = 0;
    std::size_t batch_changes_;  ///< of the next commit
    std::unordered_set<std::string> in_batch_;
    std::int64_t last_number_ = 0;
    std::int64_t accepted_ = 0;
    std::future<Committed> committing_;
    std::size_t committing_changes_ = 0;
    std::int64_t committing_accepted_ = 0;
    std::int64_t committing_number_ = 0;
    std::int64_t count_ = 0;
};

/// "place: message" of a refusal, for people.
std::string reason_text(const Error& error);

}  // namespace meridian::rest
