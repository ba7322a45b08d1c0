// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.hpp"
#include "rest/bulk/import.hpp"

namespace meridian::rest {

/// A manifest whose files a job loads, and the header fields its files want.
struct ImportManifest {
    std::string url{};
    std::string source{};  ///< meta.source of its resources that have none
    FetchHeaders headers{};
    bool is_read = false;
};

/// One import: what was asked for, and how far it has come.
struct ImportJob {
    std::string id{};
    std::string request_url{};
    std::string base_url{};  ///< for the addresses of its files
    std::string source{};    ///< inputSource
    Instant started{};
    std::optional<Instant> finished{};
    fhir::Caller caller{};
    std::vector<ImportManifest> manifests{};  ///< read when the job begins; empty for $import
    std::vector<ImportInput> inputs{};
    std::optional<Error> failure{};  ///< why the job ended before its files did

    bool is_at_work() const { return !finished && !failure; }
    std::int64_t resources() const;
    std::int64_t rejected() const;
    /// "1200 resources, 3 rejected, file 2 of 7": what an X-Progress header says.
    std::string progress() const;
    /// Name of the error file of an input.
    static std::string error_file(std::size_t input);
};

/// The import jobs of one server: a queue with one worker, so that imports never crowd out
/// requests. Every job is a folder with its state (job.json, written at least once a second while
/// it works) and its error files; a job that was at work when the process ended goes on behind its
/// last durable line.
class ImportJobs {
 public:
    struct Options {
        std::string folder;
        std::shared_ptr<const ImportSources> sources;
    };
    /// Reads the jobs of earlier runs; nothing works before start().
    ImportJobs(fhir::Repository& repository, Options options);
    ~ImportJobs();
    ImportJobs(const ImportJobs&) = delete;
    ImportJobs& operator=(const ImportJobs&) = delete;

    void start();
    /// Stops the job at work behind its last commit; the next start goes on there.
    void stop();

    /// Queues a job and gives its id: a new one where it has none. Errors: `busy` beyond
    /// limits::import_jobs_max jobs at work; `storage_full`, `unavailable` when its state cannot be
    /// saved. Blocking: disk.
    Result<std::string> add(ImportJob job);
    /// A copy of the job as it stands. Errors: `not_found`.
    Result<ImportJob> find(const std::string& id) const;
    /// Cancels it (what is loaded stays in the record) and removes its files. Errors: `not_found`.
    /// Blocking: until the batch in work is committed.
    Result<void> remove(const std::string& id);
    /// Path of an error file. Errors: `not_found`.
    Result<std::string> file(const std::string& id, const std::string& name) const;
    const ImportSources& sources() const { return *options_.sources; }

 private:
    struct Entry;
    struct State;
    Options options_;
    std::unique_ptr<State> state_;
};

}  // namespace meridian::rest
