// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search_node.hpp"

#include "base/limits.hpp"
#include "store/sqlite/search_join.hpp"

namespace meridian::store::sqlite {

std::unique_ptr<Stream> Node::open(Run& run, std::uint64_t work_max) {
    if (stream_width() > 0 && stream_is_exact()) return stream();
    std::vector<Rid> rids;
    if (!collect(rids, Allowance(run, work_max))) return nullptr;
    sort_unique(rids);
    return std::make_unique<SetStream>(std::move(rids));
}

namespace {

/// Holds for every resource or for none.
class ConstantNode final : public Node {
 public:
    explicit ConstantNode(bool holds) : holds_(holds) {}
    bool test(Candidate&) override { return holds_; }
    std::optional<bool> constant() const override { return holds_; }
    bool can_open() const override { return !holds_; }
    bool scan_proves_type() const override { return !holds_; }
    bool test_proves_type() const override { return !holds_; }

 protected:
    bool collect(std::vector<Rid>&, const Allowance&) override { return !holds_; }

 private:
    bool holds_;
};

}  // namespace

std::unique_ptr<Node> never() {
    return std::make_unique<ConstantNode>(false);
}
std::unique_ptr<Node> always() {
    return std::make_unique<ConstantNode>(true);
}

/// Any of its parts.
class AnyNode final : public Node {
 public:
    explicit AnyNode(Nodes parts) : parts_(std::move(parts)) {
        for (const auto& part : parts_) rank_ = std::max(rank_, part->rank());
    }
    bool test(Candidate& candidate) override {
        return std::any_of(parts_.begin(), parts_.end(),
                           [&](auto& part) { return part->test(candidate); });
    }
    int rank() const override { return rank_; }
    std::size_t stream_width() const override {
        std::size_t width = 0;
        for (const auto& part : parts_) {
            const std::size_t own = part->stream_width();
            width += own;
            if (own == 0 || width > limits::search_streams_max) return 0;
        }
        return width;
    }
    std::unique_ptr<Stream> stream() override {
        std::vector<std::unique_ptr<Stream>> streams;
        for (auto& part : parts_) streams.push_back(part->stream());
        return std::make_unique<UnionStream>(std::move(streams));
    }
    bool stream_is_exact() const override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [](auto& part) { return part->stream_is_exact(); });
    }
    bool can_open() const override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [](auto& part) { return part->can_open(); });
    }
    bool scan_proves_type() const override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [](auto& part) { return part->scan_proves_type(); });
    }
    bool test_proves_type() const override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [](auto& part) { return part->test_proves_type(); });
    }
    std::size_t reach_keys() const override {
        std::size_t keys = 0;
        for (const auto& part : parts_) {
            if (part->reach_keys() == 0) return 0;
            keys += part->reach_keys();
        }
        return keys;
    }
    bool reach(std::vector<Rid>& out, const Allowance& allowance) override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [&](auto& part) { return part->reach(out, allowance); });
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        return std::all_of(parts_.begin(), parts_.end(),
                           [&](auto& part) { return part->collect(out, allowance); });
    }

 private:
    Nodes parts_;
    int rank_ = 0;
};

namespace {

/// None of its parts.
class NoneNode final : public Node {
 public:
    explicit NoneNode(std::unique_ptr<Node> any) : any_(std::move(any)) {}
    bool test(Candidate& candidate) override { return !any_->test(candidate); }
    int rank() const override { return any_->rank(); }
    bool can_open() const override { return false; }
    bool scan_proves_type() const override { return false; }
    bool test_proves_type() const override { return false; }

 protected:
    bool collect(std::vector<Rid>&, const Allowance&) override { return false; }

 private:
    std::unique_ptr<Node> any_;
};

std::unique_ptr<Node> prepare_any(Run& run, const Conditions& conditions, Name type) {
    Nodes parts;
    for (const Condition& condition : conditions) {
        auto part = prepare_node(run, condition, type);
        if (part->constant() == true) return part;
        if (part->constant() != false) parts.push_back(std::move(part));
    }
    if (parts.empty()) return never();
    if (parts.size() == 1) return std::move(parts.front());
    return std::make_unique<AnyNode>(std::move(parts));
}

void add_all(Run& run, const Conditions& conditions, Name type, Nodes& into) {
    for (const Condition& condition : conditions) {
        if (const auto* all = std::get_if<AllOf>(&condition.as_variant())) {
            add_all(run, all->parts, type, into);
        } else {
            into.push_back(prepare_node(run, condition, type));
        }
    }
}

std::unique_ptr<Node> prepare_none(Run& run, const Conditions& conditions, Name type) {
    auto any = prepare_any(run, conditions, type);
    if (const auto constant = any->constant()) return *constant ? never() : always();
    return std::make_unique<NoneNode>(std::move(any));
}

}  // namespace

AllNode::AllNode(Run& run, Name type, Nodes parts) : run_(run), type_(type) {
    for (auto& part : parts) {
        const auto constant = part->constant();
        if (constant == false) never_ = true;
        if (!constant) parts_.push_back(std::move(part));
    }
    // A condition that never holds stands alone; its empty set ends every walk at once.
    if (never_) {
        parts_.clear();
        parts_.push_back(never());
    }
    std::stable_sort(parts_.begin(), parts_.end(),
                     [](auto& a, auto& b) { return a->rank() < b->rank(); });
    for (const auto& part : parts_) rank_ = std::max(rank_, part->rank());
}

bool AllNode::test(Candidate& candidate) {
    return std::all_of(parts_.begin(), parts_.end(),
                       [&](auto& part) { return part->test(candidate); });
}

std::optional<bool> AllNode::constant() const {
    if (never_) return false;
    return parts_.empty() ? std::optional(true) : std::nullopt;
}

bool AllNode::can_open() const {
    return std::any_of(parts_.begin(), parts_.end(), [](auto& part) { return part->can_open(); });
}

bool AllNode::test_proves_type() const {
    return std::any_of(parts_.begin(), parts_.end(),
                       [](auto& part) { return part->test_proves_type(); });
}

/// By the part with the fewest keys.
std::size_t AllNode::reach_keys() const {
    std::size_t fewest = 0;
    for (const auto& part : parts_) {
        const std::size_t keys = part->reach_keys();
        if (keys != 0 && (fewest == 0 || keys < fewest)) fewest = keys;
    }
    return fewest;
}

bool AllNode::reach(std::vector<Rid>& out, const Allowance& allowance) {
    const std::size_t fewest = reach_keys();
    const auto part = std::find_if(parts_.begin(), parts_.end(),
                                   [&](auto& each) { return each->reach_keys() == fewest; });
    return (*part)->reach(out, allowance);
}

bool AllNode::collect(std::vector<Rid>& out, const Allowance& allowance) {
    Join join(run_, *this);
    Rid from = 1;
    while (true) {
        const auto rid = join.seek_within(from, allowance.limit());
        if (!rid) return false;
        if (*rid == no_rid) return true;
        out.push_back(*rid);
        from = *rid + 1;
    }
}

std::unique_ptr<Node> prepare_node(Run& run, const Condition& condition, Name type) {
    return std::visit(
        [&]<class Kind>(const Kind& kind) -> std::unique_ptr<Node> {
            if constexpr (std::is_same_v<Kind, Everything>) {
                return always();
            } else if constexpr (std::is_same_v<Kind, Nothing>) {
                return never();
            } else if constexpr (std::is_same_v<Kind, AllOf>) {
                auto all = prepare(run, condition, type);
                if (const auto constant = all->constant()) return *constant ? always() : never();
                auto single = all->release_single();
                if (single != nullptr) return single;
                return all;
            } else if constexpr (std::is_same_v<Kind, AnyOf>) {
                return prepare_any(run, kind.parts, type);
            } else if constexpr (std::is_same_v<Kind, NoneOf>) {
                return prepare_none(run, kind.parts, type);
            } else if constexpr (requires { prepare_value(run, kind); }) {
                return prepare_value(run, kind);
            } else {
                return prepare_link(run, kind, type);
            }
        },
        condition.as_variant());
}

std::unique_ptr<AllNode> prepare(Run& run, const Condition& condition, Name type) {
    Nodes parts;
    if (const auto* all = std::get_if<AllOf>(&condition.as_variant())) {
        add_all(run, all->parts, type, parts);
    } else {
        parts.push_back(prepare_node(run, condition, type));
    }
    return std::make_unique<AllNode>(run, type, std::move(parts));
}

}  // namespace meridian::store::sqlite
