// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/committer.hpp"

#include <sqlite3.h>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/engine/measures.hpp"

namespace meridian::store::sqlite {

namespace {

/// How long the last step of a checkpoint waits for readers of the old log before it is put off:
/// every writer waits with it, so it is short until the log has become very long.
constexpr int checkpoint_patience_milliseconds = 3;
constexpr int long_log_patience_milliseconds = 50;
constexpr int writing_patience_milliseconds = 5'000;
/// Writes pause for so long before the log is copied back although it is still short.
constexpr std::chrono::milliseconds idle_time{500};
constexpr int long_log_checkpoints = 4;  ///< a log of so many times its usual length is very long

int note_log_pages(void* pages, sqlite3*, const char*, int count) {
    static_cast<std::atomic<int>*>(pages)->store(count, std::memory_order_relaxed);
    return SQLITE_OK;
}

}  // namespace

Committer::Committer(std::unique_ptr<Writer> writer, std::unique_ptr<Database> checkpointer,
                     unsigned checkpoint_pages)
    : writer_(std::move(writer)),
      checkpointer_(std::move(checkpointer)),
      checkpoint_pages_(checkpoint_pages),
      checkpoint_at_pages_(static_cast<int>(checkpoint_pages)) {
    // The hook takes the place of SQLite's automatic checkpoint, which would run inside somebody's
    // commit.
    measures::note_store_works(true);
    sqlite3_wal_hook(writer_->database().handle(), note_log_pages, &log_pages_);
    checkpoint_thread_ = std::thread([this] { checkpoint(); });
    thread_ = std::thread([this] { work(); });
}

Committer::~Committer() {
    queue_.stop();
    thread_.join();
    {
        const std::lock_guard lock(checkpoint_mutex_);
        checkpoint_stopping_ = true;
    }
    checkpoint_wanted_.notify_all();
    checkpoint_thread_.join();
    if (writer_->broken()) {
        // Closing would copy the log back and fsync once more; what is left is for the next start
        // to recover.
        sqlite3_db_config(writer_->database().handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                          nullptr);
        sqlite3_db_config(checkpointer_->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        return;
    }
    // Readers may close later than this connection, and SQLite copies the log back only when the
    // last one closes: without this the next start would read its pages through the log.
    sqlite3_wal_checkpoint_v2(checkpointer_->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                              nullptr);
}

Result<void> Committer::run_and_wait(std::function<Result<void>(Writer&)> job) {
    return queue_.run_and_wait([this, job = std::move(job)] { return job(*writer_); });
}

void Committer::run_later(std::function<Result<void>(Writer&)> job) {
    queue_.run_later([this, job = std::move(job)] { return job(*writer_); });
}

void Committer::on_commit(std::function<void(Position)> listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
}

// --- the committer's thread ---

void Committer::work() {
    queue_.serve_from_this_thread();
    for (;;) {
        Group group = queue_.gather();
        if (group.empty()) return;
        const Position before = writer_->last_position();
        writer_->write_group(group);
        CommitQueue::answer(group);
        group.clear();
        if (writer_->last_position() != before) {
            const std::lock_guard lock(listener_mutex_);
            listener_(writer_->last_position());
        }
        tend_log();
    }
}

void Committer::tend_log() {
    if (writer_->broken()) return;
    std::unique_lock lock(checkpoint_mutex_);
    if (checkpoint_ == Checkpoint::completing) {
        checkpoint_ = Checkpoint::idle;
        const int background = checkpoint_code_;
        lock.unlock();
        complete_checkpoint(background);
    } else if (checkpoint_ == Checkpoint::idle &&
               log_pages_.load(std::memory_order_relaxed) >= checkpoint_at_pages_) {
        checkpoint_ = Checkpoint::wanted;
        lock.unlock();
        checkpoint_wanted_.notify_one();
    }
}

void Committer::complete_checkpoint(int background) {
    // The background copied nearly everything. What came since is little: copy it now, between two
    // groups, so that the next write starts the log from its beginning. Without this step a busy
    // log would grow for ever.
    sqlite3* handle = writer_->database().handle();
    int code = background;
    if (!is_lasting(code)) {
        const bool is_long = log_pages_.load(std::memory_order_relaxed) >
                             long_log_checkpoints * static_cast<int>(checkpoint_pages_);
        sqlite3_busy_timeout(
            handle, is_long ? long_log_patience_milliseconds : checkpoint_patience_milliseconds);
        code =
            sqlite3_wal_checkpoint_v2(handle, nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
        sqlite3_busy_timeout(handle, writing_patience_milliseconds);
    }
    if (code == SQLITE_OK) {
        log_pages_.store(0, std::memory_order_relaxed);
        checkpoint_at_pages_ = static_cast<int>(checkpoint_pages_);
    } else if (is_lasting(code)) {
        writer_->stop_writing(Error{
            Category::unavailable,
            fmt::format("the write-ahead log could not be copied back: {}", sqlite3_errstr(code))});
    } else {
        // A long snapshot, or no space: try again when the log has grown, not at every group.
        checkpoint_at_pages_ =
            log_pages_.load(std::memory_order_relaxed) + static_cast<int>(checkpoint_pages_ / 4);
    }
}

// --- the checkpoint's thread ---

void Committer::checkpoint() {
    // What an earlier process left in the log is copied at once.
    run_checkpoint();
    std::unique_lock lock(checkpoint_mutex_);
    int seen = 0, copied = 0;
    for (;;) {
        checkpoint_wanted_.wait_for(lock, idle_time, [this] {
            return checkpoint_stopping_ || checkpoint_ == Checkpoint::wanted;
        });
        if (checkpoint_stopping_) return;
        const int pages = log_pages_.load(std::memory_order_relaxed);
        const bool is_wanted = checkpoint_ == Checkpoint::wanted;
        // A page in the log is looked up there by every reader and lies outside the memory map:
        // when writers rest, readers should not pay for what they wrote.
        const bool is_idle = checkpoint_ == Checkpoint::idle && pages == seen && pages != copied;
        seen = pages;
        if (!is_wanted && !is_idle) continue;
        checkpoint_ = Checkpoint::running;
        lock.unlock();
        const int code = run_checkpoint();
        lock.lock();
        copied = pages;
        checkpoint_code_ = code;
        // Only the committer may stop the writing, so it hears of a lasting error too.
        checkpoint_ = is_wanted || is_lasting(code) ? Checkpoint::completing : Checkpoint::idle;
    }
}

int Committer::run_checkpoint() {
    const int code = sqlite3_wal_checkpoint_v2(checkpointer_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
        log::warning("the write-ahead log could not be copied back",
                     {{"reason", sqlite3_errmsg(checkpointer_->handle())}});
    }
    return code;
}

}  // namespace meridian::store::sqlite
