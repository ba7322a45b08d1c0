// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/import_jobs.hpp"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"

namespace meridian::rest {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view state_name = "job.json";
constexpr auto save_interval = std::chrono::seconds(1);
constexpr auto retry_interval = std::chrono::seconds(1);

std::int64_t integer_at(const Json& object, std::string_view key) {
    std::int64_t value = 0;
    const std::string_view text = object[key].text();
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// --- job.json ---

Json to_json(JsonDocument& document, const ImportInput& input) {
    Json made = document.object();
    document.set(made, "type", document.string(input.type));
    document.set(made, "url", document.string(input.url));
    document.set(made, "manifest", document.string(input.manifest_url));
    document.set(made, "deletions", document.boolean(input.is_deletions));
    document.set(made, "line", document.number(input.line));
    document.set(made, "resources", document.number(input.resources));
    document.set(made, "rejected", document.number(input.rejected));
    document.set(made, "errorBytes", document.number(input.error_bytes));
    document.set(made, "finished", document.boolean(input.is_finished));
    document.set(made, "failure", document.string(input.failure));
    return made;
}

ImportInput input_of(const Json& json) {
    ImportInput input;
    input.type = json.string_at("type");
    input.url = json.string_at("url");
    input.manifest_url = json.string_at("manifest");
    input.is_deletions = json["deletions"].boolean();
    input.line = integer_at(json, "line");
    input.resources = integer_at(json, "resources");
    input.rejected = integer_at(json, "rejected");
    input.error_bytes = integer_at(json, "errorBytes");
    input.is_finished = json["finished"].boolean();
    input.failure = json.string_at("failure");
    return input;
}

Json to_json(JsonDocument& document, const ImportManifest& manifest) {
    Json made = document.object(), headers = document.array();
    for (const auto& [name, value] : manifest.headers) {
        Json header = document.object();
        document.set(header, "name", document.string(name));
        document.set(header, "value", document.string(value));
        document.append(headers, header);
    }
    document.set(made, "url", document.string(manifest.url));
    document.set(made, "source", document.string(manifest.source));
    document.set(made, "headers", headers);
    document.set(made, "read", document.boolean(manifest.is_read));
    return made;
}

ImportManifest manifest_of(const Json& json) {
    ImportManifest manifest;
    manifest.url = json.string_at("url");
    manifest.source = json.string_at("source");
    manifest.is_read = json["read"].boolean();
    for (const Json& header : json["headers"].items())
        manifest.headers.emplace_back(header.string_at("name"), header.string_at("value"));
    return manifest;
}

std::string to_text(const ImportJob& job) {
    JsonDocument document;
    Json made = document.object(), manifests = document.array(), inputs = document.array();
    const auto set = [&](std::string_view key, std::string_view value) {
        document.set(made, key, document.string(value));
    };
    set("request", job.request_url);
    set("base", job.base_url);
    set("source", job.source);
    document.set(made, "started", document.number(job.started.milliseconds));
    if (job.finished) document.set(made, "finished", document.number(job.finished->milliseconds));
    if (job.failure) set("failure", job.failure->message);
    set("actor", job.caller.actor);
    set("onBehalfOf", job.caller.on_behalf_of);
    set("organisation", job.caller.organisation);
    set("purpose", job.caller.purpose);
    // A filter cannot be kept in a file: only who may do everything goes on after a restart.
    document.set(made, "unrestricted", document.boolean(job.caller.access->sees_everything()));
    for (const ImportManifest& manifest : job.manifests)
        document.append(manifests, to_json(document, manifest));
    for (const ImportInput& input : job.inputs) document.append(inputs, to_json(document, input));
    document.set(made, "manifests", manifests);
    document.set(made, "inputs", inputs);
    return meridian::to_text(made);
}

ImportJob job_of(const Json& json) {
    ImportJob job;
    job.request_url = json.string_at("request");
    job.base_url = json.string_at("base");
    job.source = json.string_at("source");
    job.started.milliseconds = integer_at(json, "started");
    if (json.find("finished") != nullptr) job.finished = Instant{integer_at(json, "finished")};
    if (const std::string_view failure = json.string_at("failure"); !failure.empty())
        job.failure = Error{Category::fault, std::string(failure), {}, nullptr};
    job.caller.actor = json.string_at("actor");
    job.caller.on_behalf_of = json.string_at("onBehalfOf");
    job.caller.organisation = json.string_at("organisation");
    job.caller.purpose = json.string_at("purpose");
    for (const Json& manifest : json["manifests"].items())
        job.manifests.push_back(manifest_of(manifest));
    for (const Json& input : json["inputs"].items()) job.inputs.push_back(input_of(input));
    if (job.is_at_work() && !json["unrestricted"].boolean())
        job.failure = Error{Category::forbidden,
                            "the server was restarted and cannot know what the caller may still "
                            "do; start the import again",
                            {},
                            nullptr};
    return job;
}

}  // namespace

// --- ImportJob ---

std::int64_t ImportJob::resources() const {
    std::int64_t sum = 0;
    for (const ImportInput& input : inputs) sum += input.resources;
    return sum;
}

std::int64_t ImportJob::rejected() const {
    std::int64_t sum = 0;
    for (const ImportInput& input : inputs) sum += input.rejected;
    return sum;
}

std::string ImportJob::progress() const {
    const auto done = std::count_if(inputs.begin(), inputs.end(),
                                    [](const ImportInput& input) { return input.is_finished; });
    const auto files = static_cast<std::ptrdiff_t>(inputs.size());
    return fmt::format("{} resources, {} rejected, file {} of {}", resources(), rejected(),
                       std::min(done + 1, files), files);
}

std::string ImportJob::error_file(std::size_t input) {
    return fmt::format("errors-{}.ndjson", input + 1);
}

// --- the queue ---

struct ImportJobs::Entry {
    ImportJob job;
    bool is_resumed = false;
    std::atomic<bool> is_cancelled{false};
};

struct ImportJobs::State {
    fhir::Repository& repository;
    const Options& options;
    mutable std::mutex mutex;  ///< guards jobs, their content, waiting and at_work
    std::condition_variable changed;
    std::map<std::string, std::shared_ptr<Entry>> jobs;
    std::deque<std::shared_ptr<Entry>> waiting;
    std::shared_ptr<Entry> at_work;
    std::atomic<bool> is_stopping{false};
    std::thread thread;
    std::chrono::steady_clock::time_point saved_at{};

    State(fhir::Repository& owner, const Options& its_options)
        : repository(owner), options(its_options) {}

    fs::path folder_of(const std::string& id) const { return fs::path(options.folder) / id; }

    Result<void> save(const ImportJob& job) {
        saved_at = std::chrono::steady_clock::now();
        return write_file_atomically((folder_of(job.id) / state_name).string(), to_text(job));
    }

    ImportJob copy(const Entry& entry) const {
        const std::lock_guard lock(mutex);
        return entry.job;
    }

    void recover() {
        std::error_code error;
        std::vector<std::shared_ptr<Entry>> unfinished;
        for (const auto& folder : fs::directory_iterator(options.folder, error)) {
            const auto text = read_file((folder.path() / state_name).string());
            const auto document = text ? JsonDocument::parse(*text) : fail(Category::not_found, "");
            if (!document) {
                // Without a state nobody was told of it.
                std::error_code ignored;
                fs::remove_all(folder.path(), ignored);
                continue;
            }
            auto entry = std::make_shared<Entry>();
            entry->job = job_of(document->root());
            entry->job.id = folder.path().filename().string();
            entry->is_resumed = true;
            if (entry->job.is_at_work()) unfinished.push_back(entry);
            jobs.emplace(entry->job.id, std::move(entry));
        }
        std::sort(unfinished.begin(), unfinished.end(), [](const auto& left, const auto& right) {
            return left->job.started < right->job.started;
        });
        waiting.assign(unfinished.begin(), unfinished.end());
    }

    /// Makes room: the job that ended longest ago goes. Errors: `busy` when all are at work.
    Result<void> make_room() {
        while (jobs.size() >= limits::import_jobs_max) {
            auto oldest = jobs.end();
            for (auto job = jobs.begin(); job != jobs.end(); ++job) {
                if (!job->second->job.is_at_work() &&
                    (oldest == jobs.end() ||
                     job->second->job.started < oldest->second->job.started))
                    oldest = job;
            }
            if (oldest == jobs.end())
                return fail(Category::busy, "too many imports are in work; try again later");
            std::error_code ignored;
            fs::remove_all(folder_of(oldest->first), ignored);
            jobs.erase(oldest);
        }
        return {};
    }

    // --- the worker ---

    void work() {
        for (;;) {
            std::shared_ptr<Entry> entry;
            {
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return is_stopping || !waiting.empty(); });
                if (is_stopping) return;
                entry = at_work = waiting.front();
                waiting.pop_front();
            }
            Result<void> result = run(*entry);
            // Too many commits wait, or the disk is full: that passes.
            while (!result && go_on(*entry) &&
                   (result.error().category == Category::busy ||
                    result.error().category == Category::storage_full)) {
                std::this_thread::sleep_for(retry_interval);
                entry->is_resumed = true;
                result = run(*entry);
            }
            finish(*entry, result);
            const std::lock_guard lock(mutex);
            at_work.reset();
            changed.notify_all();
        }
    }

    void finish(Entry& entry, const Result<void>& result) {
        if (entry.is_cancelled) return;
        if (is_stopping && !result) {
            // The next start goes on there; without this it would go on a second earlier.
            (void)save(copy(entry));
            return;
        }
        ImportJob job;
        {
            const std::lock_guard lock(mutex);
            if (result) {
                entry.job.finished = now();
            } else {
                entry.job.failure = result.error();
            }
            for (ImportManifest& manifest : entry.job.manifests) manifest.headers.clear();
            job = entry.job;
        }
        if (!result) {
            log::warning("an import failed", {{"job", job.id}, {"error", result.error().message}});
            // A store that stopped writing works again after a restart, and so does the import.
            if (result.error().category == Category::unavailable) return;
        }
        if (const auto saved = save(job); !saved)
            log::error("the state of an import could not be saved",
                       {{"job", job.id}, {"error", saved.error().message}});
    }

    Result<void> go_on(const Entry& entry) const {
        if (entry.is_cancelled) return fail(Category::unavailable, "the import was cancelled");
        if (is_stopping) return fail(Category::unavailable, "the server stops");
        return {};
    }

    Result<void> run(Entry& entry) {
        TRY(read_manifests(entry));
        ImportJob job = copy(entry);
        for (std::size_t i = 0; i < job.inputs.size(); ++i) {
            if (job.inputs[i].is_finished) continue;
            TRY(go_on(entry));
            TRY(load(entry, job, i));
            TRY(save(job = copy(entry)));
        }
        return {};
    }

    Result<void> load(Entry& entry, const ImportJob& job, std::size_t index) {
        ImportContext context;
        context.id = job.id;
        context.source = job.source;
        context.caller = job.caller;
        context.resumed = entry.is_resumed;
        context.rejects_told = job.rejected() - job.inputs[index].rejected;
        ImportInput input = job.inputs[index];
        for (const ImportManifest& manifest : job.manifests) {
            if (manifest.url != input.manifest_url) continue;
            context.headers = manifest.headers;
            context.source = manifest.source;
            context.foreign_base = manifest.source;
        }
        const std::string errors = (folder_of(job.id) / ImportJob::error_file(index)).string();
        const auto on_progress = [&](const ImportInput& progress) -> Result<void> {
            {
                const std::lock_guard lock(mutex);
                entry.job.inputs[index] = progress;
            }
            if (std::chrono::steady_clock::now() - saved_at >= save_interval)
                TRY(save(copy(entry)));
            return go_on(entry);
        };
        return import_input(repository, *options.sources, context, input, errors, on_progress);
    }

    Result<void> read_manifests(Entry& entry) {
        const std::size_t count = copy(entry).manifests.size();
        for (std::size_t i = 0; i < count; ++i) {
            const ImportJob job = copy(entry);
            const ImportManifest& manifest = job.manifests[i];
            if (manifest.is_read) continue;
            auto inputs = read_manifest(*options.sources, manifest.url, manifest.headers,
                                        [&] { return go_on(entry); });
            TRY(go_on(entry));
            if (!inputs) TRY(note_missing(job, manifest, inputs));
            {
                const std::lock_guard lock(mutex);
                entry.job.inputs.insert(entry.job.inputs.end(), inputs->begin(), inputs->end());
                entry.job.manifests[i].is_read = true;
            }
            TRY(save(copy(entry)));
        }
        return {};
    }

    /// A manifest that cannot be had stands among the files as one that failed.
    Result<void> note_missing(const ImportJob& job, const ImportManifest& manifest,
                              Result<std::vector<ImportInput>>& inputs) {
        ImportInput missing;
        missing.url = manifest.url;
        missing.manifest_url = manifest.url;
        missing.failure = inputs.error().message;
        missing.is_finished = true;
        const std::string line = failure_line(missing.url, missing.failure);
        missing.error_bytes = static_cast<std::int64_t>(line.size());
        TRY(write_file_atomically(
            (folder_of(job.id) / ImportJob::error_file(job.inputs.size())).string(), line));
        inputs = std::vector<ImportInput>{missing};
        return {};
    }
};

ImportJobs::ImportJobs(fhir::Repository& repository, Options options)
    : options_(std::move(options)), state_(std::make_unique<State>(repository, options_)) {
    state_->recover();
}

ImportJobs::~ImportJobs() {
    stop();
}

void ImportJobs::start() {
    state_->thread = std::thread([state = state_.get()] { state->work(); });
}

void ImportJobs::stop() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->is_stopping = true;
    }
    state_->changed.notify_all();
    if (state_->thread.joinable()) state_->thread.join();
}

Result<std::string> ImportJobs::add(ImportJob job) {
    auto entry = std::make_shared<Entry>();
    if (job.id.empty()) job.id = new_uuid();
    job.started = now();
    entry->job = std::move(job);
    const std::string id = entry->job.id;
    const std::lock_guard lock(state_->mutex);
    if (state_->is_stopping) return fail(Category::unavailable, "the server stops");
    TRY(state_->make_room());
    std::error_code error;
    fs::create_directories(state_->folder_of(id), error);
    fs::permissions(options_.folder, fs::perms::owner_all, error);
    TRY(write_file_atomically((state_->folder_of(id) / state_name).string(), to_text(entry->job)));
    state_->jobs.emplace(id, entry);
    state_->waiting.push_back(std::move(entry));
    state_->changed.notify_all();
    return id;
}

Result<ImportJob> ImportJobs::find(const std::string& id) const {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->jobs.find(id);
    if (found == state_->jobs.end()) return fail(Category::not_found, "there is no such import");
    return found->second->job;
}

Result<void> ImportJobs::remove(const std::string& id) {
    std::unique_lock lock(state_->mutex);
    const auto found = state_->jobs.find(id);
    if (found == state_->jobs.end()) return fail(Category::not_found, "there is no such import");
    const auto entry = found->second;
    state_->jobs.erase(found);
    entry->is_cancelled = true;
    std::erase(state_->waiting, entry);
    state_->changed.wait(lock, [&] { return state_->at_work != entry; });
    lock.unlock();
    std::error_code ignored;
    fs::remove_all(state_->folder_of(id), ignored);
    return {};
}

Result<std::string> ImportJobs::file(const std::string& id, const std::string& name) const {
    TRY(find(id));
    const fs::path path = state_->folder_of(id) / name;
    std::error_code error;
    if (name.find('/') != std::string::npos || !name.ends_with(".ndjson") ||
        !fs::is_regular_file(path, error))
        return fail(Category::not_found, "there is no such file");
    return path.string();
}

}  // namespace meridian::rest
