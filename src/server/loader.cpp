// SPDX-License-Identifier: Apache-2.0
#include "server/loader.hpp"

#include "base/ids.hpp"
#include "base/limits.hpp"

namespace meridian::server {

Loader::Loader(fhir::Repository& repository, fhir::Caller caller, unsigned threads, Events events)
    : repository_(repository),
      caller_(std::move(caller)),
      threads_(threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency())),
      events_(std::move(events)) {}

Loader::~Loader() {
    // Futures of std::async wait for their threads: nothing of ours is used after we are gone.
    in_work_.clear();
    if (committing_.valid()) committing_.wait();
}

Loader::Prepared Loader::prepare(std::int64_t number, std::string json) const {
    Prepared prepared{number, std::nullopt, {}, {}};
    auto change = [&]() -> Result<store::Change> {
        const JsonDocument document = TRY(JsonDocument::parse(json));
        const Json& resource = document.root();
        const std::string_view type = resource.string_at("resourceType");
        if (fhir::definitions().resource(type) == nullptr)
            return fail(Category::incorrect, "this is no FHIR R4 resource", "resourceType");
        const std::string_view id = resource.string_at("id");
        return repository_.prepare(caller_, type, id.empty() ? new_ordered_uuid() : std::string(id),
                                   resource);
    }();
    if (change) {
        prepared.change = *std::move(change);
    } else {
        prepared.reason = change.error().where.empty()
                              ? change.error().message
                              : change.error().where + ": " + change.error().message;
        prepared.text = std::move(json);
    }
    return prepared;
}

Result<void> Loader::add(std::string json, std::int64_t number) {
    lines_.emplace_back(number, std::move(json));
    if (lines_.size() < limits::import_chunk_lines) return {};
    submit_chunk();
    // Two chunks per thread keep every core busy and bound the memory.
    return in_work_.size() < threads_ * 2 ? Result<void>() : take_chunk();
}

void Loader::submit_chunk() {
    in_work_.push_back(
        std::async(std::launch::async, [this, lines = std::exchange(lines_, {})]() mutable {
            Chunk chunk;
            chunk.reserve(lines.size());
            for (auto& [number, json] : lines) chunk.push_back(prepare(number, std::move(json)));
            return chunk;
        }));
}

Result<void> Loader::take_chunk() {
    Chunk chunk = in_work_.front().get();
    in_work_.pop_front();
    for (Prepared& prepared : chunk) {
        if (prepared.change) {
            TRY(add_change(*std::move(prepared.change)));
        } else {
            TRY(events_.rejected(prepared.number, prepared.reason, prepared.text));
        }
        last_number_ = prepared.number;
    }
    return {};
}

Result<void> Loader::add_change(store::Change change) {
    // One commit holds an identity once.
    std::string key = fmt::format("{}/{}", change.identity.type, change.identity.id);
    if (in_batch_.contains(key)) TRY(flush());
    in_batch_.insert(std::move(key));
    batch_.push_back(std::move(change));
    return batch_.size() < limits::load_batch_changes ? Result<void>() : flush();
}

Result<void> Loader::flush() {
    TRY(wait_for_commit());
    if (batch_.empty()) return {};
    committing_count_ = static_cast<std::int64_t>(batch_.size());
    committing_number_ = last_number_;
    committing_ =
        std::async(std::launch::async, [this, changes = std::exchange(batch_, {})]() mutable {
            return repository_.commit_prepared(caller_, std::move(changes));
        });
    in_batch_.clear();
    return {};
}

Result<void> Loader::wait_for_commit() {
    if (!committing_.valid()) return {};
    TRY(committing_.get());
    count_ += committing_count_;
    return events_.committed ? events_.committed(committing_number_) : Result<void>();
}

Result<void> Loader::finish() {
    if (!lines_.empty()) submit_chunk();
    while (!in_work_.empty()) TRY(take_chunk());
    TRY(flush());
    return wait_for_commit();
}

}  // namespace meridian::server
