// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "rest/bulk/import_jobs.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

/// What a data provider has submitted so far under one submissionId.
struct Submission {
    enum class Status : unsigned char { in_progress, completed, stopped };
    std::string key{};  ///< made of submitter and submissionId; names it in addresses and on disk
    std::string submission_id{};
    Status status = Status::in_progress;
    Instant changed{};
    std::vector<ImportManifest> manifests{};
    std::string job{};           ///< once completed
    bool is_job_queued = false;  ///< false: a restart queues it
    std::string request_url{}, base_url{};
    fhir::Caller caller{};
};

/// Bulk Data Submit: a provider names manifests one by one, and completes or stops the submission.
///
/// Nothing is loaded before it is completed: so what is stopped, or replaced by another manifest,
/// has left no trace in the record, as the specification asks. Then all manifests become one import
/// job. Every change is durable before it is answered.
/// Source: Bulk Data Access 4.0.0-ballot, https://build.fhir.org/ig/HL7/bulk-data/en/submit.html;
/// the words of the Argonaut draft (complete, aborted, error) are understood and given too.
class Submissions {
 public:
    /// Errors: `unavailable` when the folder cannot be made. Blocking: disk.
    static Result<std::shared_ptr<Submissions>> open(std::shared_ptr<ImportJobs> jobs,
                                                     std::string folder);
    void add_operations(Service& service);

 private:
    Submissions(std::shared_ptr<ImportJobs> jobs, std::string folder)
        : jobs_(std::move(jobs)), folder_(std::move(folder)) {}
    Result<Answer> submit(const Exchange& exchange);
    Result<Answer> ask_status(const Exchange& exchange);
    Result<Answer> status(const Exchange& exchange);
    Result<Answer> cancel(Submission submission);
    Result<Answer> file(const Exchange& exchange);
    Result<Submission> addressed(const Exchange& exchange);
    Result<void> complete(Submission& submission);
    Result<void> keep(Submission& submission);
    Result<void> make_room();

    std::shared_ptr<ImportJobs> jobs_;
    std::string folder_;
    std::mutex mutex_;  ///< guards what follows
    std::map<std::string, Submission> submissions_;
};

}  // namespace meridian::rest
