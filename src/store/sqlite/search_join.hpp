// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "store/sqlite/search_node.hpp"

namespace meridian::store::sqlite {

/// The heart of a search: the resources that satisfy all of some conditions, in rid order.
///
/// Conditions whose matches lie in rid order in some key are walked together, each skipping to
/// where the others stand; so the rarest of them sets the pace without anybody knowing which one it
/// is. The others are tested on each candidate, those first that reject the most for their cost.
/// Whenever the walk has cost twice as much as at the last try, each tested condition is tried as a
/// walked one: its matches are collected within an allowance of the same size, or for a price known
/// beforehand that is less than what the walk looks like costing. So the whole never costs more
/// than a small multiple of the better way, whatever the data.
class Join final : public Stream {
 public:
    /// `root` must outlive the join. `extra` is walked too when it is given; it gives current
    /// resources of the root's type.
    Join(Run& run, AllNode& root, Stream* extra = nullptr)
        : Join(run, root, extra, run.allowances().join) {}
    Join(Run& run, AllNode& root, Stream* extra, std::uint64_t first_allowance);

    /// The asker wants about this many matches: while they come fast enough, nothing else is tried.
    void expect(std::size_t matches) { wanted_ = matches; }

    /// As seek(), but gives up (nothing) once the run's work exceeds `work_limit`; ask again with
    /// the same rid to go on.
    std::optional<Rid> seek_within(Rid at_least, std::uint64_t work_limit);

    /// Call it when `extra` was aimed at another key.
    void restart() {
        forget();
        paused_at_.reset();
    }

 protected:
    Rid find(Rid at_least) override;

 private:
    /// A condition that is tested, and how that went.
    struct Filter {
        Node* node;
        std::uint64_t next_try = 0;  ///< the allowance with which it may be collected again
        std::uint64_t work = 0;
        std::uint64_t rejected = 0;
        double work_per_rejection() const {
            return static_cast<double>(work) / static_cast<double>(rejected + 1);
        }
    };

    void start();
    void widen();
    std::unique_ptr<Stream> open(Filter& filter);
    std::uint64_t forecast() const;
    bool is_on_course();
    void ensure_type();
    bool test(Rid rid);
    Stream& keep(std::unique_ptr<Stream> stream);

    Run& run_;
    AllNode& root_;
    std::vector<std::unique_ptr<Stream>> owned_;
    std::vector<Stream*> streams_;
    std::vector<Filter> filters_;
    std::uint64_t tested_ = 0;
    std::vector<Node*> checks_;  ///< walked, and to be tested as well
    Stream* type_stream_ = nullptr;
    bool typed_ = false;  ///< a stream other than type_stream_ proves the type
    bool started_ = false;
    std::size_t wanted_ = 0;  ///< 0 = unknown
    std::size_t given_ = 0;
    std::uint64_t spent_ = 0;
    std::uint64_t allowance_;
    std::uint64_t next_widening_;
    std::optional<Rid> paused_at_;  ///< where seek_within goes on
    Rid paused_from_ = 0;
};

}  // namespace meridian::store::sqlite
