// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/loader.hpp"

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "fhir/references.hpp"

namespace meridian::rest {

Loader::Loader(fhir::Repository& repository, fhir::Caller caller, LoaderOptions options,
               Events events)
    : repository_(repository),
      caller_(std::move(caller)),
      options_(std::move(options)),
      events_(std::move(events)),
      // The store has nothing to do until the first batch is ready, so that one is small; each one
      // after it is twice as large.
      batch_changes_(options_.commit_time.count() > 0
                         ? std::min(options_.batch_changes, limits::load_batch_changes_min)
                         : std::max<std::size_t>(options_.batch_changes / 8, 1)) {
    if (options_.threads == 0) options_.threads = std::max(1u, std::thread::hardware_concurrency());
}

Loader::~Loader() {
    // Futures of std::async wait for their threads: nothing of ours is used after we are gone.
    in_work_.clear();
    if (committing_.valid()) committing_.wait();
}

Result<bool> Loader::is_current(const store::Change& change) const {
    auto snapshot = TRY(repository_.store().snapshot());
    const auto stored = TRY(snapshot->find(change.identity));
    if (!stored || stored->deleted()) return false;
    // The log keeps the hash of every body that was written.
    const auto entries = TRY(snapshot->log(stored->position, 1));
    return !entries.empty() && entries.front().position == stored->position &&
           entries.front().body_hash == change.body_hash;
}

Result<std::optional<store::Change>> Loader::change_of(std::int64_t number,
                                                       const std::string& json) const {
    JsonDocument document = TRY(JsonDocument::parse(json));
    Json& resource = document.root();
    const std::string type(resource.string_at("resourceType"));
    if (fhir::definitions().resource(type) == nullptr)
        return fail(Category::incorrect, "this is no FHIR R4 resource", "resourceType");
    if (!options_.only_type.empty() && type != options_.only_type) {
        return fail(Category::incorrect,
                    fmt::format("this is a {}; expected a {}", type, options_.only_type),
                    "resourceType");
    }
    if (!options_.foreign_base.empty())
        fhir::make_relative(document, resource, options_.foreign_base);
    if (!options_.source.empty()) {
        if (resource.find("meta") == nullptr) document.set(resource, "meta", document.object());
        Json* meta = resource.find_mutable("meta");
        if (meta->is_object() && meta->find("source") == nullptr)
            document.set(*meta, "source", document.string(options_.source));
    }
    std::string id(resource.string_at("id"));
    if (id.empty() && resource.find("id") == nullptr) {
        id = options_.id_seed.empty()
                 ? new_ordered_uuid()
                 : to_hex(sha256(fmt::format("{}:{}", options_.id_seed, number))).substr(0, 32);
    }
    store::Change change = TRY(repository_.prepare(caller_, type, id, resource));
    if (options_.skip_unchanged && TRY(is_current(change))) return std::nullopt;
    return change;
}

Loader::Prepared Loader::prepare(std::int64_t number, std::string json) const {
    Prepared prepared;
    prepared.number = number;
    prepared.bytes = json.size();
    auto change = change_of(number, json);
    if (change) {
        prepared.change = *std::move(change);
    } else {
        prepared.reason = std::move(change).error();
        prepared.text = std::move(json);
    }
    return prepared;
}

Result<void> Loader::add(std::string json, std::int64_t number) {
    lines_bytes_ += json.size();
    lines_.emplace_back(number, std::move(json));
    const bool is_full =
        lines_.size() >=
        std::min(limits::import_chunk_lines, std::max<std::size_t>(options_.batch_changes, 1));
    if (!is_full && lines_bytes_ < limits::load_bytes_max) return {};
    submit_chunk();
    // Two chunks per thread keep every core busy and bound the memory.
    return in_work_.size() < options_.threads * 2 ? Result<void>() : take_chunk();
}

void Loader::submit_chunk() {
    lines_bytes_ = 0;
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
    for (Prepared& prepared : chunk) TRY(take(std::move(prepared)));
    return {};
}

Result<void> Loader::take(Prepared prepared) {
    if (prepared.reason) {
        // What cannot be looked up now is no fault of the line.
        if (prepared.reason->category == Category::unavailable)
            return std::unexpected(*std::move(prepared.reason));
        last_number_ = prepared.number;
        return events_.rejected(prepared.number, *prepared.reason, prepared.text);
    }
    if (prepared.change) {
        // One commit holds an identity once.
        std::string key =
            fmt::format("{}/{}", prepared.change->identity.type, prepared.change->identity.id);
        if (in_batch_.contains(key)) TRY(flush());
        in_batch_.insert(std::move(key));
        batch_.push_back(*std::move(prepared.change));
        batch_bytes_ += prepared.bytes;
    }
    ++accepted_;
    last_number_ = prepared.number;
    const bool is_full = batch_.size() >= batch_changes_ || batch_bytes_ >= limits::load_bytes_max;
    return is_full ? flush() : Result<void>();
}

Result<void> Loader::flush() {
    TRY(wait_for_commit());
    if (batch_.empty()) return {};
    committing_accepted_ = accepted_;
    committing_number_ = last_number_;
    committing_changes_ = batch_.size();
    committing_ = std::async(
        std::launch::async, [this, changes = std::exchange(batch_, {})]() mutable -> Committed {
            const auto begun = std::chrono::steady_clock::now();
            auto receipt = repository_.commit_prepared(caller_, std::move(changes));
            return {std::move(receipt), std::chrono::steady_clock::now() - begun};
        });
    in_batch_.clear();
    batch_bytes_ = 0;
    return {};
}

Result<void> Loader::wait_for_commit() {
    if (!committing_.valid()) return {};
    Committed committed = committing_.get();
    TRY(std::move(committed.receipt));
    adjust_batch(committed.taken);
    count_ = committing_accepted_;
    return events_.committed ? events_.committed(committing_number_) : Result<void>();
}

void Loader::adjust_batch(std::chrono::steady_clock::duration taken) {
    if (options_.commit_time.count() == 0) {
        batch_changes_ = std::min(batch_changes_ * 2, options_.batch_changes);
        return;
    }
    if (committing_changes_ < limits::load_batch_changes_min) return;
    // Halfway to what this commit says, so that one slow fsync does not decide alone.
    const double wanted = static_cast<double>(committing_changes_) *
                          std::chrono::duration<double>(options_.commit_time).count() /
                          std::max(1e-6, std::chrono::duration<double>(taken).count());
    const auto limited = static_cast<std::size_t>(
        std::clamp(wanted, static_cast<double>(limits::load_batch_changes_min),
                   static_cast<double>(options_.batch_changes)));
    batch_changes_ = (batch_changes_ + limited) / 2;
}

Result<void> Loader::finish() {
    if (!lines_.empty()) submit_chunk();
    while (!in_work_.empty()) TRY(take_chunk());
    TRY(flush());
    TRY(wait_for_commit());
    // What came after the last batch changed nothing: it is as durable as the rest.
    count_ = accepted_;
    return {};
}

std::string reason_text(const Error& error) {
    return error.where.empty() ? error.message : error.where + ": " + error.message;
}

}  // namespace meridian::rest
