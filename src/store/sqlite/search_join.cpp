// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/search_join.hpp"

namespace meridian::store::sqlite {

Join::Join(Run& run, AllNode& root, Stream* extra, std::uint64_t first_allowance)
    : run_(run), root_(root), allowance_(first_allowance), next_widening_(first_allowance) {
    if (extra != nullptr) {
        streams_.push_back(extra);
        typed_ = true;
    }
}

Stream& Join::keep(std::unique_ptr<Stream> stream) {
    owned_.push_back(std::move(stream));
    return *owned_.back();
}

void Join::start() {
    started_ = true;
    for (const auto& part : root_.parts()) {
        if (part->stream_width() == 0 || !part->stream_is_exact()) filters_.push_back({part.get()});
        if (part->stream_width() == 0) continue;
        streams_.push_back(&keep(part->stream()));
        typed_ = typed_ || part->scan_proves_type();
    }
    if (streams_.empty()) widen();
    ensure_type();
}

void Join::ensure_type() {
    if (!typed_ && type_stream_ == nullptr) {
        auto scan = root_.type() == 0
                        ? std::make_unique<KeyStream>(run_, Sql::whole_scan)
                        : std::make_unique<KeyStream>(run_, Sql::type_scan, root_.type());
        type_stream_ = &keep(std::move(scan));
        streams_.push_back(type_stream_);
    } else if (typed_ && type_stream_ != nullptr) {
        std::erase(streams_, type_stream_);
        type_stream_ = nullptr;
    }
}

/// What the walk is still going to cost, should matches go on to come as they did. Nothing where
/// all matches are wanted: then nobody knows.
std::uint64_t Join::forecast() const {
    if (wanted_ == 0 || given_ >= wanted_) return 0;
    return given_ == 0 ? spent_ * 2 * wanted_ : spent_ * (wanted_ - given_) / given_;
}

/// The filter's matches, when they can be had within the allowance or for less than the walk.
std::unique_ptr<Stream> Join::open(Filter& filter) {
    if (!filter.node->can_open() || allowance_ < filter.next_try) return nullptr;
    const auto price = filter.node->price(allowance_);
    if (price && *price > allowance_ && *price >= forecast()) return nullptr;
    constexpr std::uint64_t margin = 2;
    auto opened =
        filter.node->open(run_, price ? std::max(allowance_, margin * *price) : allowance_);
    // What begins anew with each try is tried less often.
    constexpr std::uint64_t patience = 4;
    if (opened == nullptr && !price && allowance_ < Allowance::unbounded / patience)
        filter.next_try = patience * allowance_;
    return opened;
}

void Join::widen() {
    for (auto filter = filters_.begin(); filter != filters_.end();) {
        auto opened = open(*filter);
        if (opened == nullptr) {
            ++filter;
            continue;
        }
        streams_.push_back(&keep(std::move(opened)));
        typed_ = typed_ || filter->node->scan_proves_type();
        if (!filter->node->open_is_exact()) checks_.push_back(filter->node);
        filter = filters_.erase(filter);
    }
    constexpr std::uint64_t growth = 2;
    if (allowance_ < Allowance::unbounded / growth) allowance_ *= growth;
}

/// Whether the wanted matches will be there before the next try to collect would be over, should
/// they go on to come as they did. Then that try is put off until they should be there.
bool Join::is_on_course() {
    if (given_ == 0 || given_ >= wanted_ || spent_ >= 2 * allowance_) return false;
    const auto tries = static_cast<std::uint64_t>(std::count_if(
        filters_.begin(), filters_.end(), [](auto& filter) { return filter.node->can_open(); }));
    const std::uint64_t to_come = spent_ * (wanted_ - given_) / given_;
    if (to_come > tries * allowance_) return false;
    next_widening_ = spent_ + std::max(to_come, spent_ / 2) + 1;
    return true;
}

bool Join::test(Rid rid) {
    Candidate candidate(run_, rid);
    constexpr std::uint64_t tests_per_ordering = 64;
    if (++tested_ % tests_per_ordering == 0 && filters_.size() > 1) {
        std::stable_sort(filters_.begin(), filters_.end(), [](const auto& a, const auto& b) {
            return a.work_per_rejection() < b.work_per_rejection();
        });
    }
    const auto passes = [&](Filter& filter) {
        const std::uint64_t before = run_.work();
        const bool passed = filter.node->test(candidate);
        filter.work += run_.work() - before + 1;
        if (!passed) ++filter.rejected;
        return passed;
    };
    return std::all_of(filters_.begin(), filters_.end(), passes) &&
           std::all_of(checks_.begin(), checks_.end(),
                       [&](Node* check) { return check->test(candidate); }) &&
           !run_.failed();
}

Rid Join::find(Rid at_least) {
    return *seek_within(at_least, Allowance::unbounded);
}

std::optional<Rid> Join::seek_within(Rid at_least, std::uint64_t work_limit) {
    if (!started_) start();
    Rid at = paused_at_ && paused_from_ == at_least ? *paused_at_ : at_least;
    paused_at_.reset();
    std::uint64_t entered = run_.work();
    while (true) {
        const std::uint64_t now = run_.work();
        spent_ += now - entered;
        entered = now;
        if (spent_ >= next_widening_ && !is_on_course()) {
            widen();
            ensure_type();
            next_widening_ = std::max(allowance_, spent_);
            entered = run_.work();
        }
        if (run_.failed()) return no_rid;
        if (now > work_limit) {
            paused_at_ = at;
            paused_from_ = at_least;
            return std::nullopt;
        }
        bool agreed = true;
        for (Stream* stream : streams_) {
            const Rid next = stream->seek(at);
            if (next == no_rid) {
                spent_ += run_.work() - entered;
                return no_rid;
            }
            if (next == at) continue;
            at = next;
            agreed = agreed && stream == streams_.front();
        }
        if (!agreed) continue;
        if (test(at)) {
            ++given_;
            spent_ += run_.work() - entered;
            return at;
        }
        ++at;
    }
}

}  // namespace meridian::store::sqlite
