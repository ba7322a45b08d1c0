// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/import.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <thread>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "fhir/bundle/transaction.hpp"
#include "rest/answer.hpp"
#include "rest/bulk/lines.hpp"
#include "rest/bulk/loader.hpp"

namespace meridian::rest {

namespace {

/// How often a source that breaks off is asked again, and the pauses before it.
constexpr std::chrono::seconds retry_pauses[] = {std::chrono::seconds(1), std::chrono::seconds(4)};

/// What a commit of an import may take: others wait for one or two of them.
constexpr std::chrono::milliseconds commit_time(limits::load_commit_milliseconds);

/// The error file of one input: only what belongs to durable progress is kept in it.
class ErrorFile {
 public:
    ErrorFile() = default;
    ~ErrorFile() {
        if (file_ >= 0) close(file_);
    }
    ErrorFile(const ErrorFile&) = delete;
    ErrorFile& operator=(const ErrorFile&) = delete;

    /// Forgets what was written behind `bytes` before the process ended.
    Result<void> open(const std::string& path, std::int64_t bytes) {
        path_ = path;
        if (bytes == 0 && !std::filesystem::exists(path)) return {};
        return open_at(bytes);
    }

    Result<void> append(std::string_view text) {
        if (file_ < 0) TRY(open_at(0));
        while (!text.empty()) {
            const ssize_t written = ::write(file_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failure();
            text.remove_prefix(static_cast<std::size_t>(written));
            is_dirty_ = true;
        }
        return {};
    }

    Result<void> sync() {
        if (!is_dirty_) return {};
        is_dirty_ = false;
        return fdatasync(file_) == 0 ? Result<void>() : failure();
    }

 private:
    Result<void> open_at(std::int64_t bytes) {
        file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (file_ < 0 || ftruncate(file_, bytes) != 0 || lseek(file_, bytes, SEEK_SET) < 0)
            return failure();
        return {};
    }
    std::unexpected<Error> failure() const {
        return fail(errno == ENOSPC ? Category::storage_full : Category::unavailable,
                    fmt::format("an error file cannot be written: {}", std::strerror(errno)));
    }

    std::string path_;
    int file_ = -1;
    bool is_dirty_ = false;
};

/// The reference of the resource in a rejected line, when it can be read.
std::string reference_in(const std::string& text) {
    const auto document = JsonDocument::parse(text);
    if (!document) return {};
    const std::string_view type = document->root().string_at("resourceType");
    const std::string_view id = document->root().string_at("id");
    if (fhir::definitions().resource(type) == nullptr || !is_fhir_id(id)) return {};
    return fmt::format("{}/{}", type, id);
}

/// An OperationOutcome as one line. The resource concerned is named as Bulk Data Submit asks:
/// https://hl7.org/fhir/StructureDefinition/operationoutcome-sourceResource
std::string outcome_line(const ImportInput& input, std::int64_t line, const Error& reason,
                         const std::string& text) {
    std::string out = R"({"resourceType":"OperationOutcome",)";
    if (const std::string reference = reference_in(text); !reference.empty()) {
        out += fmt::format(
            R"("extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-sourceResource","valueReference":{{"reference":"{}"}}}}],)",
            reference);
    }
    Error placed = reason;
    const std::string place = fmt::format("{} line {}: ", input.url, line);
    if (placed.issues && !placed.issues->empty()) {
        std::vector<Issue> issues = *placed.issues;
        for (Issue& issue : issues) issue.message = place + issue.message;
        placed.issues = std::make_shared<const std::vector<Issue>>(std::move(issues));
    } else {
        placed.message = place + placed.message;
    }
    const std::string outcome = outcome_json(placed);
    out += outcome.substr(outcome.find(R"("issue":)"));
    out += '\n';
    return out;
}

}  // namespace

std::string failure_line(std::string_view url, std::string_view reason) {
    return outcome_json(Severity::error, "processing", fmt::format("{}: {}", url, reason)) + "\n";
}

namespace {

class InputLoad {
 public:
    InputLoad(fhir::Repository& repository, const ImportSources& sources,
              const ImportContext& context, ImportInput& input,
              const std::function<Result<void>(const ImportInput&)>& on_progress)
        : repository_(repository),
          sources_(sources),
          context_(context),
          input_(input),
          on_progress_(on_progress) {}

    Result<void> run(const std::string& error_file) {
        TRY(errors_.open(error_file, input_.error_bytes));
        for (std::size_t retry = 0;; ++retry) {
            const auto read = load();
            if (stop_) return std::unexpected(*std::move(stop_));
            if (read) break;
            if (read.error().category != Category::unavailable ||
                retry == std::size(retry_pauses)) {
                input_.failure = reason_text(read.error());
                break;
            }
            TRY(pause(retry_pauses[retry]));
        }
        if (!input_.failure.empty()) {
            const std::string line = failure_line(input_.url, input_.failure);
            TRY(errors_.append(line));
            input_.error_bytes += static_cast<std::int64_t>(line.size());
        }
        TRY(errors_.sync());
        input_.is_finished = true;
        return on_progress_(input_);
    }

 private:
    /// Remembers that it is not the source that fails.
    Result<void> own(Result<void> result) {
        if (!result && !stop_) stop_ = result.error();
        return result;
    }

    Result<void> pause(std::chrono::seconds length) {
        const auto end = std::chrono::steady_clock::now() + length;
        while (std::chrono::steady_clock::now() < end) {
            TRY(on_progress_(input_));
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return {};
    }

    /// Reads the file once, from its first line on; lines that are done are skipped.
    Result<void> load() {
        Loader::Events events;
        const auto reject = [this](std::int64_t line, const Error& reason,
                                   const std::string& text) {
            rejects_.push_back({line, told_ < limits::import_rejects_max
                                          ? outcome_line(input_, line, reason, text)
                                          : std::string()});
            ++told_;
            return Result<void>();
        };
        events.rejected = reject;
        told_ = static_cast<std::size_t>(context_.rejects_told + input_.rejected);
        const std::int64_t resources_before = input_.resources;
        LoaderOptions options;
        // Half of the cores: requests want the others.
        options.threads = std::max(1u, std::thread::hardware_concurrency() / 2);
        options.batch_changes = limits::import_chunk_lines;
        options.commit_time = commit_time;
        options.only_type = input_.type;
        options.source = context_.source;
        options.foreign_base = context_.foreign_base;
        options.id_seed = fmt::format("{} {}", context_.id, input_.url);
        options.skip_unchanged = context_.resumed;
        Loader* counter = nullptr;
        events.committed = [&](std::int64_t line) {
            return reached(line, resources_before + counter->count());
        };
        Loader loader(repository_, context_.caller, options, std::move(events));
        counter = &loader;
        std::int64_t last = input_.line;
        const auto settle = [&]() -> Result<void> {
            if (!input_.is_deletions) TRY(loader.finish());
            return reached(
                last, input_.is_deletions ? input_.resources : resources_before + loader.count());
        };
        const auto take = [&](std::string line, std::int64_t number) -> Result<void> {
            if (number <= input_.line) return {};
            last = number;
            if (input_.is_deletions) return own(remove(line, number));
            TRY(own(loader.add(std::move(line), number)));
            // Rejects wait for the batch they belong to; where nothing is accepted there is none.
            if (rejects_.size() >= limits::import_chunk_lines) TRY(own(settle()));
            return {};
        };
        const auto refuse = [&](std::string_view start, std::int64_t number,
                                const Error& reason) -> Result<void> {
            if (number <= input_.line) return {};
            TRY(own(settle()));  // rejects come in the order of their lines
            TRY(reject(number, reason, std::string(start)));
            last = number;
            return own(settle());
        };
        Lines lines(take, refuse);
        const auto fetched =
            sources_.fetch(input_.url, context_.headers, limits::import_fetch_bytes_max,
                           [&](std::string_view piece) -> Result<void> {
                               if (piece.empty()) return own(on_progress_(input_));
                               return lines.put(piece);
                           });
        // A last line without an end is whole only where the file ends.
        const Result<void> ended = fetched ? lines.finish() : fetched;
        if (!stop_) (void)own(settle());
        if (stop_) return std::unexpected(*stop_);
        return ended;
    }

    /// Everything up to `line` is durable: rejects up to there go into the error file.
    Result<void> reached(std::int64_t line, std::int64_t resources) {
        while (!rejects_.empty() && rejects_.front().line <= line) {
            const std::string& text = rejects_.front().outcome;
            TRY(errors_.append(text));
            input_.error_bytes += static_cast<std::int64_t>(text.size());
            ++input_.rejected;
            rejects_.pop_front();
        }
        TRY(errors_.sync());
        input_.line = std::max(input_.line, line);
        input_.resources = resources;
        return on_progress_(input_);
    }

    /// One line of a `deleted` file: a transaction bundle of DELETE entries.
    Result<void> remove(const std::string& line, std::int64_t number) {
        const auto removed = [&]() -> Result<std::int64_t> {
            auto document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(line)));
            for (const Json& entry : document->root()["entry"].items()) {
                if (entry["request"].string_at("method") != "DELETE")
                    return fail(Category::incorrect, "expected a transaction of DELETE entries",
                                "Bundle.entry");
            }
            fhir::ParsedTransaction parsed = TRY(fhir::parse_transaction(document, {}));
            parsed.transaction.want_json = false;
            const auto count = static_cast<std::int64_t>(parsed.transaction.operations.size());
            TRY(repository_.commit(context_.caller, std::move(parsed.transaction)));
            return count;
        }();
        if (!removed) {
            const Category category = removed.error().category;
            if (category == Category::unavailable || category == Category::storage_full)
                return std::unexpected(removed.error());
            rejects_.push_back({number, outcome_line(input_, number, removed.error(), {})});
        }
        return reached(number, input_.resources + removed.value_or(0));
    }

    struct Reject {
        std::int64_t line;
        std::string outcome;
    };
    fhir::Repository& repository_;
    const ImportSources& sources_;
    const ImportContext& context_;
    ImportInput& input_;
    const std::function<Result<void>(const ImportInput&)>& on_progress_;
    ErrorFile errors_;
    std::deque<Reject>
        rejects_;  ///< of lines that are not durable yet, at most some chunks of them
    std::size_t told_ = 0;
    std::optional<Error> stop_;  ///< an error of ours, not of the source
};

}  // namespace

Result<void> import_input(fhir::Repository& repository, const ImportSources& sources,
                          const ImportContext& context, ImportInput& input,
                          const std::string& error_file,
                          const std::function<Result<void>(const ImportInput&)>& on_progress) {
    return InputLoad(repository, sources, context, input, on_progress).run(error_file);
}

namespace {

Result<void> take_files(const Json& manifest, std::string_view member, const std::string& url,
                        std::vector<ImportInput>& inputs) {
    for (const Json& file : manifest[member].items()) {
        if (inputs.size() == limits::import_inputs_max)
            return fail(Category::too_large, fmt::format("the manifest lists more than {} files",
                                                         limits::import_inputs_max));
        ImportInput input;
        input.is_deletions = member == "deleted";
        if (!input.is_deletions) input.type = file.string_at("type");
        input.url = file.string_at("url");
        input.manifest_url = url;
        if (input.url.empty())
            return fail(Category::incorrect, "a file has no url",
                        fmt::format("{}[{}].url", member, inputs.size()));
        inputs.push_back(std::move(input));
    }
    return {};
}

}  // namespace

Result<std::vector<ImportInput>> read_manifest(const ImportSources& sources, const std::string& url,
                                               const FetchHeaders& headers,
                                               const std::function<Result<void>()>& on_wait) {
    std::vector<ImportInput> inputs;
    std::string page = url;
    for (std::size_t pages = 0; !page.empty(); ++pages) {
        if (pages == limits::import_inputs_max)
            return fail(Category::too_large, fmt::format("the manifest has more than {} pages",
                                                         limits::import_inputs_max));
        std::string text;
        TRY(sources.fetch(page, headers, limits::manifest_bytes_max,
                          [&](std::string_view piece) -> Result<void> {
                              text += piece;
                              return piece.empty() ? on_wait() : Result<void>();
                          }));
        const JsonDocument document = TRY(JsonDocument::parse(text));
        const Json& manifest = document.root();
        if (!manifest["output"].is_array() && !manifest["deleted"].is_array() && pages == 0)
            return fail(Category::incorrect, "this is no bulk data manifest: it has no output");
        if (manifest["requiresAccessToken"].boolean() && headers.empty())
            return fail(Category::unsupported,
                        "its files want an access token; name the header as fileRequestHeader");
        TRY(take_files(manifest, "output", url, inputs));
        TRY(take_files(manifest, "deleted", url, inputs));
        page.clear();
        for (const Json& link : manifest["link"].items()) {
            if (link.string_at("relation") == "next") page = link.string_at("url");
        }
    }
    return inputs;
}

}  // namespace meridian::rest
