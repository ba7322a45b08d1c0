// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "store/plan.hpp"
#include "store/sqlite/probe.hpp"

namespace meridian::store::sqlite {

/// How much work an attempt may still cost.
class Allowance {
 public:
    Allowance(const Run& run, std::uint64_t work_max)
        : run_(run), stop_(work_max > unbounded - run.work() ? unbounded : run.work() + work_max) {}
    bool spent() const { return run_.work() > stop_; }
    std::uint64_t limit() const { return stop_; }
    std::uint64_t left() const { return spent() ? 0 : stop_ - run_.work(); }
    static constexpr std::uint64_t unbounded = std::numeric_limits<std::uint64_t>::max();

 private:
    const Run& run_;
    std::uint64_t stop_;
};

/// A condition made ready for one search: names and identities are looked up, values sorted. It can
/// always be tested on a candidate; most conditions can also give their matches.
class Node {
 public:
    virtual ~Node() = default;
    /// Whether the candidate satisfies the condition.
    virtual bool test(Candidate& candidate) = 0;
    /// Tests of a smaller rank are tried first.
    virtual int rank() const { return 1; }
    /// True or false for conditions that hold for every resource or for none.
    virtual std::optional<bool> constant() const { return std::nullopt; }
    /// Number of key ranges that stream() walks side by side; 0 when the matches do not lie in rid
    /// order in any key.
    virtual std::size_t stream_width() const { return 0; }
    /// The matches in rid order, straight from a key; only with a stream_width.
    virtual std::unique_ptr<Stream> stream() { return nullptr; }
    /// What stream() gives are matches; otherwise all matches are among it, and each has to be
    /// tested.
    virtual bool stream_is_exact() const { return true; }
    /// True when open() can succeed with a large enough allowance.
    virtual bool can_open() const { return true; }
    /// The matches in rid order, collected when no key has them so; null when that takes more than
    /// `work_max`.
    virtual std::unique_ptr<Stream> open(Run& run, std::uint64_t work_max);
    /// What open() would cost, as far as finding that out takes no more than about `most`:
    /// Allowance::unbounded when it costs more than that to tell, nothing when only trying tells.
    virtual std::optional<std::uint64_t> price(std::uint64_t most) {
        (void)most;
        return std::nullopt;
    }
    /// The number of matches, or some number above `most` when there are more; nothing when it
    /// takes more than stepping through a key to tell.
    virtual std::optional<std::uint64_t> size_within(std::uint64_t most) {
        (void)most;
        return std::nullopt;
    }
    /// What the last open() gave are matches; otherwise each still has to be tested.
    virtual bool open_is_exact() const { return true; }
    /// Whether reach() gives the matches by the keys of some resources that the condition names,
    /// and by how many keys; 0 when it does not.
    virtual std::size_t reach_keys() const { return 0; }
    /// Adds all resources that can match, in any order, with repetitions, as the keys of what the
    /// condition names lead to them. False when it gave up. Only with reach_keys.
    virtual bool reach(std::vector<Rid>& out, const Allowance& allowance) {
        return collect(out, allowance);
    }
    /// Streams give only current resources of the search's type.
    virtual bool scan_proves_type() const { return true; }
    /// test() holds only for current resources of the search's type.
    virtual bool test_proves_type() const { return true; }

 protected:
    /// Adds the matches to `out` in any order, with repetitions. False when it gave up.
    virtual bool collect(std::vector<Rid>& out, const Allowance& allowance) = 0;

    friend class AnyNode;
};

using Nodes = std::vector<std::unique_ptr<Node>>;

/// All of some conditions on resources of one type. The root of every search, of every chain's end,
/// and of nested AllOf.
class AllNode final : public Node {
 public:
    AllNode(Run& run, Name type, Nodes parts);
    bool test(Candidate& candidate) override;
    int rank() const override { return rank_; }
    std::optional<bool> constant() const override;
    bool can_open() const override;
    bool test_proves_type() const override;
    std::size_t reach_keys() const override;
    bool reach(std::vector<Rid>& out, const Allowance& allowance) override;

    Name type() const { return type_; }
    /// Cheapest test first.
    const Nodes& parts() const { return parts_; }
    /// The only part, when there is just one and it stands for the whole.
    std::unique_ptr<Node> release_single() {
        return parts_.size() == 1 ? std::move(parts_.front()) : nullptr;
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override;

 private:
    Run& run_;
    Name type_;
    Nodes parts_;
    int rank_ = 0;
    bool never_ = false;
};

/// Makes `condition` on resources of `type` (0 = any) ready for `run`.
std::unique_ptr<AllNode> prepare(Run& run, const Condition& condition, Name type);
/// The same for one condition, which may come out as any kind of node.
std::unique_ptr<Node> prepare_node(Run& run, const Condition& condition, Name type);

/// Conditions on the values in index rows (search_values.cpp).
std::unique_ptr<Node> prepare_value(Run& run, const HasToken& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasTokenIn& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasString& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasDate& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasNumber& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasQuantity& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasUri& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasComposite& condition);
std::unique_ptr<Node> prepare_value(Run& run, const HasAny& condition);
/// Conditions on a resource's place among others (search_links.cpp).
std::unique_ptr<Node> prepare_link(Run& run, const HasId& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const HasReference& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const HasText& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const RefersTo& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const ReferredBy& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const OfPatient& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const InCompartment& condition, Name type);
std::unique_ptr<Node> prepare_link(Run& run, const ChangedWithin& condition, Name type);
std::unique_ptr<Node> never();
std::unique_ptr<Node> always();

/// Those of the values that any row has, in order. A code without a system is one value for each
/// system known, of which a parameter uses one or two: what is left can be walked.
HasToken held(Run& run, const HasToken& condition);

/// The rid of an identity; 0 when it was never mentioned.
Rid rid_of(Run& run, const Identity& identity);
/// Ascending, without those never mentioned.
std::vector<Rid> rids_of(Run& run, const std::vector<Identity>& identities);

}  // namespace meridian::store::sqlite
