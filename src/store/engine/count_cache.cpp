// SPDX-License-Identifier: Apache-2.0
#include "store/engine/count_cache.hpp"

#include "base/limits.hpp"

namespace meridian::store {

std::optional<std::int64_t> CountCache::find(const std::string& question,
                                             const std::vector<Position>& stamp) {
    const std::lock_guard lock(mutex_);
    if (auto old = older_.extract(question); !old.empty()) {
        begin_anew_when_full();
        recent_.insert(std::move(old));
    }
    const auto known = recent_.find(question);
    if (known == recent_.end() || known->second.stamp != stamp) return std::nullopt;
    return known->second.count;
}

void CountCache::begin_anew_when_full() {
    if (recent_.size() < limits::counts_kept_max / 2) return;
    older_ = std::move(recent_);
    recent_.clear();
}

void CountCache::keep(std::string question, std::vector<Position> stamp, std::int64_t count) {
    if (question.size() > limits::counted_question_bytes_max) return;
    const std::lock_guard lock(mutex_);
    begin_anew_when_full();
    recent_.insert_or_assign(std::move(question), Known{std::move(stamp), count});
}

}  // namespace meridian::store
