// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/operations.hpp"

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/query_string.hpp"
#include "rest/bulk/export.hpp"
#include "rest/bulk/files.hpp"

namespace meridian::rest {

namespace {

namespace fs = std::filesystem;

struct Job {
    std::string id;
    std::string request_url;
    ExportRequest request;
    fhir::Caller caller;
    std::string owner{};  ///< whose export it is, and nobody else's: kept beside the files
    std::atomic<bool> cancelled{false};
    std::atomic<std::int64_t> done{0}, total{0};
    std::mutex mutex;  ///< guards the three below
    std::optional<Error> failure{};
    std::string manifest{};                ///< set when finished
    std::optional<Instant> finished_at{};  ///< also of one that failed
    std::thread thread{};
};

constexpr const char* owner_file = "owner";

/// As which caller an export is known: nothing of the record stands in it.
std::string owner_of(const fhir::Caller& caller) {
    return to_hex(sha256(caller.cursor_key()));
}

std::string manifest_json(const Job& job, const ExportResult& result) {
    const auto write_files = [&](std::string_view member, const std::vector<ExportFile>& files,
                                 std::string& out) {
        out += fmt::format(R"("{}":[)", member);
        for (std::size_t i = 0; i < files.size(); ++i) {
            out += fmt::format(R"({}{{"type":"{}","url":)", i == 0 ? "" : ",", files[i].type);
            write_string(fmt::format("{}/$export-file?job={}&file={}", job.request.base_url, job.id,
                                     files[i].name),
                         out);
            out += fmt::format(R"(,"count":{}}})", files[i].count);
        }
        out += "],";
    };
    std::string out =
        fmt::format(R"({{"transactionTime":"{}","request":)", to_text(result.transaction_time));
    write_string(job.request_url, out);
    // The files are asked for as anything else: by somebody, where anybody is asked.
    out += fmt::format(R"(,"requiresAccessToken":{},)", job.caller.origin != nullptr);
    write_files("output", result.output, out);
    write_files("deleted", result.deleted, out);
    out += R"("error":[]})";
    return out;
}

}  // namespace

struct ExportJobs::State {
    fhir::Repository& repository;
    std::string folder;
    ExportKeeping keeping;
    std::mutex mutex;  ///< guards the jobs and is_stopping
    std::map<std::string, std::shared_ptr<Job>> jobs;
    bool is_stopping = false;
    std::condition_variable changed;
    std::thread keeper{};  ///< removes finished jobs whose time is over

    State(fhir::Repository& owner, std::string where, ExportKeeping keep)
        : repository(owner), folder(std::move(where)), keeping(keep) {}

    fs::path folder_of(const Job& job) const { return fs::path(folder) / job.id; }

    std::shared_ptr<Job> find(const std::string& id) {
        const std::lock_guard lock(mutex);
        const auto found = jobs.find(id);
        return found == jobs.end() ? nullptr : found->second;
    }

    /// Finished jobs of an earlier run; what was in work when the server ended is removed.
    void recover() {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error)) {
            std::ifstream file(entry.path() / "manifest.json");
            std::string manifest((std::istreambuf_iterator<char>(file)),
                                 std::istreambuf_iterator<char>());
            if (manifest.empty()) {
                fs::remove_all(entry.path(), error);
                continue;
            }
            auto job = std::make_shared<Job>();
            job->id = entry.path().filename().string();
            job->manifest = std::move(manifest);
            std::ifstream owner(entry.path() / owner_file);
            job->owner.assign(std::istreambuf_iterator<char>(owner),
                              std::istreambuf_iterator<char>());
            const auto written = fs::last_write_time(entry.path() / "manifest.json", error);
            job->finished_at =
                Instant{std::chrono::duration_cast<std::chrono::milliseconds>(
                            fs::file_time_type::clock::to_sys(written).time_since_epoch())
                            .count()};
            jobs.emplace(job->id, std::move(job));
        }
    }

    /// That all this was given out is told before anybody can fetch it.
    Result<void> tell(const Job& job, const ExportResult& result) {
        fhir::AuditRecord record{.interaction = fhir::Interaction::bulk_export,
                                 .query = job.request_url,
                                 .resources = result.resources};
        return repository.note(job.caller, {std::move(record)});
    }

    void run(const std::shared_ptr<Job>& job) {
        auto result =
            export_to_folder(repository, job->caller, job->request, folder_of(*job).string(),
                             [&](const ExportProgress& progress) {
                                 job->done = progress.done;
                                 job->total = progress.total;
                                 return !job->cancelled;
                             });
        // The manifest makes an export a finished one, also for the next start: it is there whole
        // or not at all.
        std::string manifest;
        if (result) {
            if (auto told = tell(*job, *result); !told) result = std::unexpected(told.error());
        }
        if (result) {
            manifest = manifest_json(*job, *result);
            auto kept = write_file_atomically((folder_of(*job) / owner_file).string(), job->owner);
            if (kept)
                kept =
                    write_file_atomically((folder_of(*job) / "manifest.json").string(), manifest);
            if (!kept) result = std::unexpected(kept.error());
        }
        {
            const std::lock_guard lock(job->mutex);
            if (result) {
                job->manifest = std::move(manifest);
            } else {
                job->failure = std::move(result).error();
                log::warning("an export failed",
                             {{"job", job->id}, {"error", job->failure->message}});
                std::error_code error;
                fs::remove_all(folder_of(*job), error);
            }
            job->finished_at = now();
        }
        const std::lock_guard lock(mutex);  // else the keeper could miss it
        changed.notify_all();
    }

    Instant end_of(Instant finished) const {
        return {
            finished.milliseconds +
            std::chrono::duration_cast<std::chrono::milliseconds>(keeping.finished_life).count()};
    }

    /// Takes out the finished jobs that are too old or too many, the oldest first.
    std::vector<std::shared_ptr<Job>> take_superfluous() {
        std::vector<std::pair<Instant, std::shared_ptr<Job>>> finished;
        for (const auto& [id, job] : jobs) {
            const std::lock_guard lock(job->mutex);
            if (job->finished_at) finished.emplace_back(*job->finished_at, job);
        }
        std::sort(finished.begin(), finished.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        std::vector<std::shared_ptr<Job>> taken;
        for (std::size_t i = 0; i < finished.size(); ++i) {
            const bool is_kept =
                finished.size() - i <= keeping.finished_max && now() < end_of(finished[i].first);
            if (is_kept) break;
            jobs.erase(finished[i].second->id);
            taken.push_back(std::move(finished[i].second));
        }
        return taken;
    }

    /// The keeper's work: looks when a job has finished, and about once a second.
    void keep() {
        std::unique_lock lock(mutex);
        while (!is_stopping) {
            const auto taken = take_superfluous();
            lock.unlock();
            for (const auto& job : taken) remove(*job);
            lock.lock();
            if (!is_stopping && taken.empty()) changed.wait_for(lock, std::chrono::seconds(1));
        }
    }

    /// Ends a job that is in the list no more, and removes its files.
    void remove(Job& job) {
        job.cancelled = true;
        if (job.thread.joinable()) job.thread.join();
        std::error_code error;
        fs::remove_all(folder_of(job), error);
    }

    Result<void> forget(const std::string& id) {
        std::shared_ptr<Job> job;
        {
            const std::lock_guard lock(mutex);
            const auto found = jobs.find(id);
            if (found == jobs.end()) return fail(Category::not_found, "there is no such export");
            job = found->second;
            jobs.erase(found);
        }
        remove(*job);
        return {};
    }
};

namespace {

Result<void> take_parameter(std::string_view name, const std::string& value, bool lenient,
                            ExportRequest& request) {
    if (name == "_outputFormat") {
        return check_ndjson(value, name);
    } else if (name == "_since") {
        request.since = TRY(parse_date(value)).lower();
    } else if (name == "_until") {
        request.until = TRY(parse_date(value)).lower();
    } else if (name == "_type") {
        request.types.push_back(value);
    } else if (name == "_typeFilter") {
        request.type_filters.push_back(value);
    } else if (name == "_elements") {
        std::size_t begin = 0;
        while (begin < value.size()) {
            const std::size_t end = std::min(value.find(',', begin), value.size());
            request.elements.push_back(value.substr(begin, end - begin));
            begin = end + 1;
        }
    } else if (name == "patient") {
        request.patients.push_back(value.starts_with("Patient/") ? value.substr(8) : value);
    } else if (name == "organizeOutputBy" || name == "includeAssociatedData" ||
               name == "allowPartialManifests") {
        // Bulk Data §"Query Parameters": a server that does not support one of these refuses it
        // unless handling=lenient.
        if (!lenient)
            return fail(
                Category::incorrect,
                fmt::format(
                    "{} is not supported; send Prefer: handling=lenient to go on without it", name),
                std::string(name));
    } else if (!lenient) {
        return fail(Category::incorrect,
                    fmt::format("$export does not know the parameter \"{}\"", name.substr(0, 40)),
                    std::string(name));
    }
    return {};
}

Result<ExportRequest> read_request(const Exchange& exchange) {
    ExportRequest request;
    request.base_url = exchange.base_url;
    if (exchange.path.size() == 2) request.scope = ExportRequest::Scope::patient;
    if (exchange.path.size() == 3) {
        request.scope = ExportRequest::Scope::group;
        request.group_id = exchange.path[1];
    }
    for (const auto& [name, value] : exchange.parameters)
        TRY(take_parameter(name, value, exchange.lenient, request));
    if (exchange.method != net::Method::post || exchange.body.empty()) return request;
    const auto body = TRY(parse_body(exchange));
    for (const Json& parameter : body->root()["parameter"].items()) {
        const std::string_view name = parameter.string_at("name");
        for (const JsonMember& member : parameter.members()) {
            if (!member.key.starts_with("value")) continue;
            const std::string value(member.value.is_object() ? member.value.string_at("reference")
                                                             : member.value.text());
            TRY(take_parameter(name, value, exchange.lenient, request));
        }
    }
    return request;
}

}  // namespace

ExportJobs::ExportJobs(fhir::Repository& repository, std::string folder, ExportKeeping keeping)
    : state_(std::make_shared<State>(repository, std::move(folder), keeping)) {
    state_->recover();
    state_->keeper = std::thread([state = state_.get()] { state->keep(); });
}

ExportJobs::~ExportJobs() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->is_stopping = true;
        for (auto& [id, job] : state_->jobs) job->cancelled = true;
    }
    state_->changed.notify_all();
    state_->keeper.join();
    for (auto& [id, job] : state_->jobs) {
        if (job->thread.joinable()) job->thread.join();
    }
}

namespace {

Result<Answer> kick_off(const std::shared_ptr<ExportJobs::State>& state, const Exchange& exchange);
Result<Answer> status(ExportJobs::State& state, const Exchange& exchange);
Result<Answer> file(ExportJobs::State& state, const Exchange& exchange);

}  // namespace

void ExportJobs::add_operations(Service& service) {
    const std::string base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/";
    const auto state = state_;
    const auto start = [state](Service&, const Exchange& exchange) {
        return kick_off(state, exchange);
    };
    service.add_operation(
        {.name = "export", .on_system = true, .definition = base + "export", .run = start});
    service.add_operation({.name = "export",
                           .on_type = true,
                           .types = {"Patient"},
                           .definition = base + "patient-export",
                           .run = start});
    service.add_operation({.name = "export",
                           .on_instance = true,
                           .types = {"Group"},
                           .definition = base + "group-export",
                           .run = start});
    service.add_operation(
        {.name = "export-status",
         .on_system = true,
         .definition = base + "export",
         .run = [state](Service&, const Exchange& exchange) { return status(*state, exchange); }});
    service.add_operation(
        {.name = "export-file",
         .on_system = true,
         .definition = base + "export",
         .run = [state](Service&, const Exchange& exchange) { return file(*state, exchange); }});
}

namespace {

Result<Answer> kick_off(const std::shared_ptr<ExportJobs::State>& state, const Exchange& exchange) {
    if (!exchange.respond_async && !exchange.lenient) {
        return fail(Category::incorrect,
                    "an export runs in the background: send the header Prefer: respond-async",
                    "Prefer");
    }
    auto job = std::make_shared<Job>();
    job->request = TRY(read_request(exchange));
    job->caller = exchange.caller;
    job->owner = owner_of(exchange.caller);
    TRY(export_types(state->repository, job->caller, job->request));
    job->id = new_uuid();
    job->request_url = exchange.base_url;
    for (const std::string& segment : exchange.path) job->request_url += "/" + segment;
    if (!exchange.parameters.empty()) job->request_url += "?" + query_string(exchange.parameters);
    {
        const std::lock_guard lock(state->mutex);
        const auto running =
            std::count_if(state->jobs.begin(), state->jobs.end(), [](const auto& pair) {
                const std::lock_guard job_lock(pair.second->mutex);
                return !pair.second->finished_at;
            });
        if (running >= static_cast<std::ptrdiff_t>(limits::export_jobs_max))
            return fail(Category::busy, "too many exports are in work; try again later");
        job->thread = std::thread([state = state.get(), job] { state->run(job); });
        state->jobs.emplace(job->id, job);
    }
    Answer answer;
    answer.status = 202;
    answer.headers.emplace_back(
        "Content-Location", fmt::format("{}/$export-status?job={}", exchange.base_url, job->id));
    answer.json = outcome_json(Severity::information, "informational",
                               "The export has started; ask the address in Content-Location.");
    return answer;
}

Result<std::shared_ptr<Job>> job_of(ExportJobs::State& state, const Exchange& exchange) {
    const std::string* id = exchange.parameter("job");
    auto job = id == nullptr ? nullptr : state.find(*id);
    // Somebody else's is as one that is not there.
    if (job && job->owner != owner_of(exchange.caller)) job = nullptr;
    if (!job)
        return fail(
            Category::not_found,
            fmt::format("there is no such export: finished ones are kept for {} hours, "
                        "and at most {} of them",
                        std::chrono::ceil<std::chrono::hours>(state.keeping.finished_life).count(),
                        state.keeping.finished_max),
            "job");
    return job;
}

Result<Answer> status(ExportJobs::State& state, const Exchange& exchange) {
    Answer answer;
    if (exchange.method == net::Method::delete_) {
        const auto job = TRY(job_of(state, exchange));
        TRY(state.forget(job->id));
        answer.status = 202;
        answer.json = outcome_json(Severity::information, "informational",
                                   "The export is cancelled and its files are removed.");
        return answer;
    }
    const auto job = TRY(job_of(state, exchange));
    const std::lock_guard lock(job->mutex);
    if (job->failure) return std::unexpected(*job->failure);
    if (job->manifest.empty()) {
        const std::int64_t total = std::max<std::int64_t>(1, job->total);
        answer.status = 202;
        // How many there are that the caller may not see is nothing to tell.
        if (exchange.caller.access->sees_everything())
            answer.headers.emplace_back(
                "X-Progress",
                fmt::format("{} of {} resources ({} %)", job->done.load(), job->total.load(),
                            std::min<std::int64_t>(100, job->done * 100 / total)));
        answer.headers.emplace_back("Retry-After", "1");
        return answer;
    }
    answer.headers.emplace_back("Expires", to_http_date(state.end_of(*job->finished_at)));
    answer.json = job->manifest;
    answer.content_type = "application/json";
    return answer;
}

Result<Answer> file(ExportJobs::State& state, const Exchange& exchange) {
    const auto job = TRY(job_of(state, exchange));
    const std::string* name = exchange.parameter("file");
    if (name == nullptr || name->find('/') != std::string::npos || !name->ends_with(".ndjson"))
        return fail(Category::not_found, "there is no such file", "file");
    return file_answer(state.folder_of(*job) / *name);
}

}  // namespace

}  // namespace meridian::rest
