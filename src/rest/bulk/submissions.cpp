// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/submissions.hpp"

#include <filesystem>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "rest/arguments.hpp"
#include "rest/bulk/files.hpp"
#include "rest/bulk/import_operations.hpp"

namespace meridian::rest {

namespace {

namespace fs = std::filesystem;
using Status = Submission::Status;

constexpr const char* definitions = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/";

const char* text_of(Status status) {
    switch (status) {
        case Status::in_progress:
            return "in-progress";
        case Status::completed:
            return "completed";
        case Status::stopped:
            return "stopped";
    }
    return "stopped";
}

/// The codes of the specification and of the Argonaut draft before it.
Result<Status> read_status(std::string_view code) {
    if (code.empty() || code == "in-progress") return Status::in_progress;
    if (code == "completed" || code == "complete") return Status::completed;
    if (code == "stopped" || code == "aborted") return Status::stopped;
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no submissionStatus: expected in-progress, completed or "
                            "stopped",
                            code.substr(0, 40)),
                "submissionStatus");
}

// --- the state file ---

std::string to_text(const Submission& submission) {
    JsonDocument document;
    Json made = document.object(), manifests = document.array();
    const auto set = [&](std::string_view key, std::string_view value) {
        document.set(made, key, document.string(value));
    };
    set("submissionId", submission.submission_id);
    set("status", text_of(submission.status));
    document.set(made, "changed", document.number(submission.changed.milliseconds));
    set("job", submission.job);
    document.set(made, "queued", document.boolean(submission.is_job_queued));
    set("request", submission.request_url);
    set("base", submission.base_url);
    set("actor", submission.caller.actor);
    // As with a job: what a limited caller may do cannot be kept in a file.
    document.set(made, "unrestricted",
                 document.boolean(submission.caller.access->sees_everything()));
    for (const ImportManifest& manifest : submission.manifests) {
        Json item = document.object(), headers = document.array();
        for (const auto& [name, value] : manifest.headers) {
            Json header = document.array();
            document.append(header, document.string(name));
            document.append(header, document.string(value));
            document.append(headers, header);
        }
        document.set(item, "url", document.string(manifest.url));
        document.set(item, "source", document.string(manifest.source));
        document.set(item, "headers", headers);
        document.append(manifests, item);
    }
    document.set(made, "manifests", manifests);
    return meridian::to_text(made);
}

Submission submission_of(const Json& json) {
    Submission submission;
    submission.submission_id = json.string_at("submissionId");
    submission.status = read_status(json.string_at("status")).value_or(Status::stopped);
    const std::string_view changed = json["changed"].text();
    std::from_chars(changed.data(), changed.data() + changed.size(),
                    submission.changed.milliseconds);
    submission.job = json.string_at("job");
    submission.is_job_queued = json["queued"].boolean();
    submission.request_url = json.string_at("request");
    submission.base_url = json.string_at("base");
    submission.caller.actor = json.string_at("actor");
    if (submission.status == Status::completed && !submission.is_job_queued &&
        !json["unrestricted"].boolean())
        submission.status = Status::in_progress;  // to be completed again, by who may
    for (const Json& item : json["manifests"].items()) {
        ImportManifest manifest;
        manifest.url = item.string_at("url");
        manifest.source = item.string_at("source");
        for (const Json& header : item["headers"].items()) {
            if (header.size() == 2)
                manifest.headers.emplace_back(header.items()[0].text(), header.items()[1].text());
        }
        submission.manifests.push_back(std::move(manifest));
    }
    return submission;
}

// --- the parameters ---

/// value[x] of a parameter or part: the text, or the code of a Coding.
std::string_view value_of(const Json& parameter) {
    for (const JsonMember& member : parameter.members()) {
        if (!member.key.starts_with("value")) continue;
        return member.value.is_object() ? member.value.string_at("code") : member.value.text();
    }
    return {};
}

struct SubmitRequest {
    std::string submitter{}, submission_id{}, status{}, manifest{}, replaces{}, base{};
    FetchHeaders headers{};
};

Result<void> take_header(const Json& parameter, SubmitRequest& request) {
    std::string name, value;
    for (const Json& part : parameter["part"].items()) {
        if (part.string_at("name") == "headerName") name = value_of(part);
        if (part.string_at("name") == "headerValue") value = value_of(part);
    }
    if (name.empty() || value.empty() || request.headers.size() >= limits::subscription_headers_max)
        return fail(Category::incorrect,
                    fmt::format("expected parts headerName and headerValue, at most {} times",
                                limits::subscription_headers_max),
                    "fileRequestHeader");
    request.headers.emplace_back(std::move(name), std::move(value));
    return {};
}

/// What this server cannot do for a submission, with the way round it. Files that it could not
/// read are no matter of handling=lenient.
Result<void> refuse_parameter(std::string_view name, bool lenient) {
    if (name == "oauthMetadataUrl")
        return fail(Category::unsupported,
                    "this server asks no authorization server for a token: send the one that the "
                    "files want as fileRequestHeader (headerName Authorization)",
                    "oauthMetadataUrl");
    if (name == "fileEncryptionKey")
        return fail(Category::unsupported,
                    "this server reads no encrypted files: offer them as they are, over https",
                    "fileEncryptionKey");
    if (lenient) return {};
    const bool is_known = name == "import";
    return fail(is_known ? Category::unsupported : Category::incorrect,
                fmt::format("the parameter \"{}\" is not {} here", name.substr(0, 40),
                            is_known ? "supported" : "known"),
                std::string(name.substr(0, 40)));
}

Result<void> take_parameter(const Json& parameter, bool lenient, SubmitRequest& request) {
    const std::string_view name = parameter.string_at("name");
    if (name == "submitter") {
        const Json& identifier = parameter["valueIdentifier"];
        if (identifier.string_at("value").empty())
            return fail(Category::incorrect, "expected a valueIdentifier with a value",
                        "submitter");
        request.submitter =
            fmt::format("{}|{}", identifier.string_at("system"), identifier.string_at("value"));
    } else if (name == "submissionId") {
        request.submission_id = value_of(parameter);
    } else if (name == "submissionStatus") {
        request.status = value_of(parameter);
    } else if (name == "manifestUrl") {
        request.manifest = value_of(parameter);
    } else if (name == "replacesManifestUrl") {
        request.replaces = value_of(parameter);
    } else if (name == "fhirBaseUrl") {
        request.base = value_of(parameter);
    } else if (name == "outputFormat" || name == "_outputFormat") {
        return check_ndjson(value_of(parameter), name);
    } else if (name == "fileRequestHeader") {
        return take_header(parameter, request);
    } else if (name != "metadata") {
        return refuse_parameter(name, lenient);
    }
    return {};
}

Result<SubmitRequest> read_request(const Exchange& exchange) {
    const auto body = TRY(parse_body(exchange));
    if (body->root().string_at("resourceType") != "Parameters")
        return fail(Category::incorrect, "the body of this operation is a Parameters resource");
    SubmitRequest request;
    for (const Json& parameter : body->root()["parameter"].items())
        TRY(take_parameter(parameter, exchange.lenient, request));
    if (request.submitter.empty())
        return fail(Category::incorrect, "expected a submitter", "submitter");
    if (request.submission_id.empty())
        return fail(Category::incorrect, "expected a submissionId", "submissionId");
    return request;
}

std::string key_of(const SubmitRequest& request) {
    return to_hex(sha256(fmt::format("{}\n{}", request.submitter, request.submission_id)))
        .substr(0, 32);
}

/// Puts the manifest that the request names into the submission.
Result<void> take_manifest(const SubmitRequest& request, const ImportSources& sources,
                           Submission& submission) {
    const auto with_url = [&](const std::string& url) {
        return std::find_if(submission.manifests.begin(), submission.manifests.end(),
                            [&](const ImportManifest& manifest) { return manifest.url == url; });
    };
    if (!request.replaces.empty()) {
        const auto old = with_url(request.replaces);
        if (old == submission.manifests.end())
            return fail(Category::unprocessable,
                        "this submission has no manifest of that address to replace",
                        "replacesManifestUrl");
        submission.manifests.erase(old);
    }
    if (request.manifest.empty()) return {};
    if (request.base.empty())
        return fail(Category::incorrect, "expected a fhirBaseUrl beside the manifestUrl",
                    "fhirBaseUrl");
    const auto allowed = sources.check(request.manifest);
    if (!allowed) return fail(allowed.error().category, allowed.error().message, "manifestUrl");
    if (with_url(request.manifest) != submission.manifests.end())
        return fail(Category::conflict,
                    "this submission has that manifest already; replacesManifestUrl replaces one",
                    "manifestUrl");
    if (submission.manifests.size() >= limits::submission_manifests_max)
        return fail(
            Category::too_large,
            fmt::format("a submission has at most {} manifests", limits::submission_manifests_max),
            "manifestUrl");
    submission.manifests.push_back({request.manifest, request.base, request.headers, false});
    return {};
}

Answer outcome_answer(int status, std::string_view message) {
    Answer answer;
    answer.status = status;
    answer.json = outcome_json(Severity::information, "informational", message);
    return answer;
}

// --- what came of it ---

/// One item of the manifest's outcome section.
Json outcome_item(JsonDocument& document, const std::string& url, const std::string& manifest,
                  std::int64_t count) {
    Json item = document.object();
    document.set(item, "type", document.string("OperationOutcome"));
    document.set(item, "url", document.string(url));
    document.set(item, "manifestUrl", document.string(manifest));
    document.set(item, "count", document.number(count));
    return item;
}

std::string status_manifest(const Submission& submission, const ImportJob* job) {
    JsonDocument document;
    Json made = document.object(), outcome = document.array();
    for (std::size_t i = 0; job != nullptr && i < submission.manifests.size(); ++i) {
        const std::string& url = submission.manifests[i].url;
        const auto files =
            std::count_if(job->inputs.begin(), job->inputs.end(), [&](const ImportInput& input) {
                return input.manifest_url == url && input.failure.empty();
            });
        if (files == 0) continue;
        document.append(outcome,
                        outcome_item(document,
                                     fmt::format("{}/$bulk-submit-file?submission={}&manifest={}",
                                                 submission.base_url, submission.key, i),
                                     url, files));
    }
    for (std::size_t i = 0; job != nullptr && i < job->inputs.size(); ++i) {
        const ImportInput& input = job->inputs[i];
        const std::int64_t count = input.rejected + (input.failure.empty() ? 0 : 1);
        if (count == 0) continue;
        document.append(outcome,
                        outcome_item(document,
                                     fmt::format("{}/$import-file?job={}&file={}", job->base_url,
                                                 job->id, ImportJob::error_file(i)),
                                     input.manifest_url, count));
    }
    const auto set = [&](std::string_view key, std::string_view value) {
        document.set(made, key, document.string(value));
    };
    set("submissionId", submission.submission_id);
    set("manifestType",
        "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkSubmitStatusManifest");
    set("transactionTime",
        to_text(job != nullptr && job->finished ? *job->finished : submission.changed));
    set("request", submission.request_url);
    document.set(made, "requiresAccessToken",
                 document.boolean(submission.caller.origin != nullptr));
    set("outputFormat", "application/fhir+ndjson");
    document.set(made, "output", document.array());
    document.set(made, "outcome", outcome);
    document.set(made, "error", document.copy(outcome));  // its name in the Argonaut draft
    return meridian::to_text(made);
}

}  // namespace

Result<std::shared_ptr<Submissions>> Submissions::open(std::shared_ptr<ImportJobs> jobs,
                                                       std::string folder) {
    std::shared_ptr<Submissions> made(new Submissions(std::move(jobs), std::move(folder)));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(made->folder_, error)) {
        const auto text = read_file(entry.path().string());
        const auto document = text ? JsonDocument::parse(*text) : fail(Category::not_found, "");
        if (!document || entry.path().extension() != ".json") continue;
        Submission submission = submission_of(document->root());
        submission.key = entry.path().stem().string();
        // The process ended between the two steps of a completion.
        if (submission.status == Status::completed && !submission.is_job_queued) {
            if (const auto completed = made->complete(submission); !completed)
                log::error("a submission could not be queued",
                           {{"submission", submission.key}, {"error", completed.error().message}});
        }
        made->submissions_.emplace(submission.key, std::move(submission));
    }
    return made;
}

Result<void> Submissions::keep(Submission& submission) {
    submission.changed = now();
    std::error_code error;
    fs::create_directories(folder_, error);
    fs::permissions(folder_, fs::perms::owner_all, error);
    return write_file_atomically((fs::path(folder_) / (submission.key + ".json")).string(),
                                 to_text(submission));
}

Result<void> Submissions::make_room() {
    if (submissions_.size() < limits::submissions_max) return {};
    auto oldest = submissions_.end();
    for (auto at = submissions_.begin(); at != submissions_.end(); ++at) {
        if (at->second.status != Status::in_progress &&
            (oldest == submissions_.end() || at->second.changed < oldest->second.changed))
            oldest = at;
    }
    if (oldest == submissions_.end())
        return fail(Category::busy, "too many submissions are in progress; complete or stop some");
    std::error_code error;
    fs::remove(fs::path(folder_) / (oldest->first + ".json"), error);
    submissions_.erase(oldest);
    return {};
}

/// Durable in two steps: what is to be loaded, then that it is queued.
Result<void> Submissions::complete(Submission& submission) {
    if (submission.job.empty()) submission.job = new_uuid();
    if (!jobs_->find(submission.job)) {
        ImportJob job;
        job.id = submission.job;
        job.request_url = submission.request_url;
        job.base_url = submission.base_url;
        job.caller = submission.caller;
        job.manifests = submission.manifests;
        TRY(keep(submission));
        TRY(jobs_->add(std::move(job)));
    }
    submission.is_job_queued = true;
    for (ImportManifest& manifest : submission.manifests) manifest.headers.clear();
    return keep(submission);
}

Result<Answer> Submissions::submit(const Exchange& exchange) {
    const SubmitRequest request = TRY(read_request(exchange));
    const Status wanted = TRY(read_status(request.status));
    if (request.manifest.empty() && request.replaces.empty() && request.status.empty())
        return fail(Category::incorrect, "expected a manifestUrl or a submissionStatus");
    const std::lock_guard lock(mutex_);
    const auto found = submissions_.find(key_of(request));
    if (found == submissions_.end()) TRY(make_room());
    Submission submission = found == submissions_.end() ? Submission{} : found->second;
    if (submission.status != Status::in_progress) {
        return fail(
            Category::conflict,
            fmt::format("this submission is {} and takes nothing more", text_of(submission.status)),
            "submissionId");
    }
    submission.key = key_of(request);
    submission.submission_id = request.submission_id;
    submission.request_url = exchange.base_url + "/$bulk-submit";
    submission.base_url = exchange.base_url;
    submission.caller = exchange.caller;
    TRY(take_manifest(request, jobs_->sources(), submission));
    const Submission before = submission;
    submission.status = wanted;
    if (wanted == Status::stopped) submission.manifests.clear();
    if (wanted == Status::completed) {
        if (const auto completed = complete(submission); !completed) {
            Submission open = before;  // with its manifest, ready to be completed again
            TRY(keep(open));
            submissions_.insert_or_assign(open.key, std::move(open));
            return std::unexpected(completed.error());
        }
    } else {
        TRY(keep(submission));
    }
    const std::string message =
        fmt::format("The submission is {}, with {} manifests.", text_of(submission.status),
                    submission.manifests.size());
    submissions_.insert_or_assign(submission.key, std::move(submission));
    return outcome_answer(200, message);
}

Result<Answer> Submissions::ask_status(const Exchange& exchange) {
    const SubmitRequest request = TRY(read_request(exchange));
    const std::string key = key_of(request);
    const std::lock_guard lock(mutex_);
    if (!submissions_.contains(key))
        return fail(Category::not_found, "this submitter has no such submission", "submissionId");
    Answer answer =
        outcome_answer(202, "Ask the address in Content-Location for the submission's status.");
    answer.headers.emplace_back(
        "Content-Location",
        fmt::format("{}/$bulk-submit-status?submission={}", exchange.base_url, key));
    return answer;
}

Result<Submission> Submissions::addressed(const Exchange& exchange) {
    const std::string* key = exchange.parameter("submission");
    const std::lock_guard lock(mutex_);
    const auto found = key == nullptr ? submissions_.end() : submissions_.find(*key);
    if (found == submissions_.end())
        return fail(Category::not_found, "there is no such submission", "submission");
    return found->second;
}

Result<Answer> Submissions::cancel(Submission submission) {
    if (!submission.job.empty()) {
        if (const auto removed = jobs_->remove(submission.job);
            !removed && removed.error().category != Category::not_found)
            return std::unexpected(removed.error());
    }
    const std::lock_guard lock(mutex_);
    submissions_.erase(submission.key);
    std::error_code error;
    fs::remove(fs::path(folder_) / (submission.key + ".json"), error);
    return outcome_answer(202,
                          "The submission is forgotten; what it had loaded stays in the record.");
}

Result<Answer> Submissions::status(const Exchange& exchange) {
    Submission submission = TRY(addressed(exchange));
    if (exchange.method == net::Method::delete_) return cancel(std::move(submission));
    Answer answer;
    std::optional<ImportJob> job;
    if (submission.status == Status::completed) {
        auto found = jobs_->find(submission.job);
        if (!found)
            return fail(Category::gone, "the report of this submission is not kept any more");
        if (found->failure) return std::unexpected(*found->failure);
        job = *std::move(found);
    }
    if (submission.status == Status::in_progress || (job && !job->finished)) {
        answer.status = 202;
        answer.headers.emplace_back(
            "X-Progress", job ? job->progress()
                              : fmt::format("in progress, {} manifests; loaded when completed",
                                            submission.manifests.size()));
        answer.headers.emplace_back("Retry-After", job ? "1" : "10");
        return answer;
    }
    answer.json = status_manifest(submission, job ? &*job : nullptr);
    answer.content_type = "application/json";
    return answer;
}

/// One line for each file of a manifest that was loaded.
Result<Answer> Submissions::file(const Exchange& exchange) {
    const Submission submission = TRY(addressed(exchange));
    const ImportJob job = TRY(jobs_->find(submission.job));
    const std::string* manifest = exchange.parameter("manifest");
    std::size_t index = 0;
    if (manifest == nullptr ||
        std::from_chars(manifest->data(), manifest->data() + manifest->size(), index).ec !=
            std::errc() ||
        index >= submission.manifests.size())
        return fail(Category::not_found, "there is no such file", "manifest");
    Answer answer;
    answer.content_type = "application/fhir+ndjson";
    for (const ImportInput& input : job.inputs) {
        if (input.manifest_url != submission.manifests[index].url || !input.failure.empty())
            continue;
        answer.json += outcome_json(
            Severity::information, "informational",
            fmt::format("{}: {} {}, {} rejected", input.url, input.resources,
                        input.is_deletions ? "resources removed" : "resources taken over",
                        input.rejected));
        answer.json += '\n';
    }
    return answer;
}

void Submissions::add_operations(Service& service) {
    service.add_operation(
        {.name = "bulk-submit",
         .on_system = true,
         .definition = fmt::format("{}bulk-submit", definitions),
         .changes_state = true,
         .run = [this](Service&, const Exchange& exchange) { return submit(exchange); }});
    service.add_operation({.name = "bulk-submit-status",
                           .on_system = true,
                           .definition = fmt::format("{}bulk-submit-status", definitions),
                           .run = [this](Service&, const Exchange& exchange) {
                               return exchange.method == net::Method::post ? ask_status(exchange)
                                                                           : status(exchange);
                           }});
    service.add_operation(
        {.name = "bulk-submit-file",
         .on_system = true,
         .definition = fmt::format("{}bulk-submit-status", definitions),
         .run = [this](Service&, const Exchange& exchange) { return file(exchange); }});
}

}  // namespace meridian::rest
