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
        if (part->stream_width() == 0) {
            filters_.push_back(part.get());
            continue;
        }
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

void Join::widen() {
    for (auto filter = filters_.begin(); filter != filters_.end();) {
        auto opened = (*filter)->can_open() ? (*filter)->open(run_, allowance_) : nullptr;
        if (opened == nullptr) {
            ++filter;
            continue;
        }
        streams_.push_back(&keep(std::move(opened)));
        typed_ = typed_ || (*filter)->scan_proves_type();
        if (!(*filter)->open_is_exact()) checks_.push_back(*filter);
        filter = filters_.erase(filter);
    }
    constexpr std::uint64_t growth = 4;
    if (allowance_ < Allowance::unbounded / growth) allowance_ *= growth;
}

/// Whether the wanted matches will be there before the next try to collect would be over, should
/// they go on to come as they did. Then that try is put off until they should be there.
bool Join::is_on_course() {
    if (given_ == 0 || given_ >= wanted_ || spent_ >= 2 * allowance_) return false;
    const auto tries = static_cast<std::uint64_t>(std::count_if(
        filters_.begin(), filters_.end(), [](Node* filter) { return filter->can_open(); }));
    const std::uint64_t to_come = spent_ * (wanted_ - given_) / given_;
    if (to_come > tries * allowance_) return false;
    next_widening_ = spent_ + std::max(to_come, spent_ / 2) + 1;
    return true;
}

bool Join::test(Rid rid) {
    Candidate candidate(run_, rid);
    const auto holds = [&](Node* condition) { return condition->test(candidate); };
    return std::all_of(filters_.begin(), filters_.end(), holds) &&
           std::all_of(checks_.begin(), checks_.end(), holds) && !run_.failed();
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
