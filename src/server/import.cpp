// SPDX-License-Identifier: Apache-2.0
#include "server/import.hpp"

#include <filesystem>
#include <fstream>

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "fhir/bundle/transaction.hpp"
#include "fhir/format/xml.hpp"
#include "rest/bulk/loader.hpp"
#include "server/line_reader.hpp"

namespace meridian::server {

namespace {

namespace fs = std::filesystem;

struct File {
    std::string path;
    std::int64_t bytes = 0;
    bool is_lines = false;  ///< NDJSON
    bool is_xml = false;
};

/// What a path's name says about its content, without .gz.
std::optional<File> file_at(const fs::path& path) {
    std::string name = path.filename().string();
    if (name == "truth.ndjson")
        return std::nullopt;  // what `generate --out` writes beside its FHIR files
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    File file{path.string(), static_cast<std::int64_t>(fs::file_size(path)), false, false};
    file.is_lines = name.ends_with(".ndjson") || name.ends_with(".jsonl");
    file.is_xml = name.ends_with(".xml");
    if (!file.is_lines && !file.is_xml && !name.ends_with(".json")) return std::nullopt;
    return file;
}

Result<std::vector<File>> list_files(const std::vector<std::string>& paths) {
    std::vector<File> files;
    for (const std::string& path : paths) {
        std::error_code error;
        if (fs::is_directory(path, error)) {
            std::vector<fs::path> below;
            for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
                if (entry.is_regular_file()) below.push_back(entry.path());
            }
            std::sort(below.begin(), below.end());
            for (const auto& entry : below) {
                if (auto file = file_at(entry)) files.push_back(*std::move(file));
            }
        } else if (fs::is_regular_file(path, error)) {
            auto file = file_at(path);
            if (!file)
                return fail(Category::incorrect,
                            "is none of .json, .ndjson, .xml (or these with .gz)", path);
            files.push_back(*std::move(file));
        } else {
            return fail(Category::not_found, "there is no such file or folder", path);
        }
    }
    return files;
}

class Import {
 public:
    Import(fhir::Repository& repository, const ImportOptions& options,
           const std::function<bool(const ImportProgress&)>& report)
        : repository_(repository),
          options_(options),
          report_(report),
          caller_(fhir::Caller::system("import")) {
        threads_ = options.threads != 0 ? options.threads
                                        : std::max(1u, std::thread::hardware_concurrency());
    }

    Result<ImportSummary> run() {
        const std::vector<File> files = TRY(list_files(options_.paths));
        for (const File& file : files) progress_.bytes_total += file.bytes;
        TRY(resume(files));
        std::vector<const File*> bundles, lines;
        for (const File& file : files) {
            if (is_done(file)) {
                ++summary_.files_skipped;
                progress_.bytes_done += file.bytes;
            } else {
                (file.is_lines ? lines : bundles).push_back(&file);
            }
        }
        TRY(load_line_files(lines));
        TRY(load_documents(bundles));
        TRY(forget_progress());
        summary_.resources = progress_.resources;
        summary_.rejected = progress_.rejected;
        return summary_;
    }

 private:
    // --- where an interrupted import stood: one setting, a line per finished file, plus the lines
    // of the one in work ---

    static constexpr std::string_view setting_key = "import-progress";

    static std::string name_of(const File& file) {
        return to_hex(sha256(fmt::format("{}:{}", fs::absolute(file.path).string(), file.bytes)))
            .substr(0, 24);
    }

    Result<void> resume(const std::vector<File>&) {
        if (options_.fresh_start) return {};
        const auto kept = TRY(repository_.store().setting(setting_key));
        if (!kept) return {};
        std::string_view text = *kept;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = text.substr(0, end);
            if (line.size() > 25) {
                std::int64_t lines = 0;
                std::from_chars(line.data() + 25, line.data() + line.size(), lines);
                done_lines_[std::string(line.substr(0, 24))] = lines;
            }
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return {};
    }

    static constexpr std::int64_t whole_file = -1;

    bool is_done(const File& file) const {
        const auto found = done_lines_.find(name_of(file));
        return found != done_lines_.end() && found->second == whole_file;
    }

    Result<void> save_progress() {
        std::string text;
        for (const auto& [name, lines] : done_lines_) text += fmt::format("{} {}\n", name, lines);
        return repository_.store().save_setting(setting_key, text);
    }

    Result<void> mark_done(const File& file) {
        done_lines_[name_of(file)] = whole_file;
        ++summary_.files;
        return save_progress();
    }

    Result<void> forget_progress() { return repository_.store().save_setting(setting_key, ""); }

    // --- rejects and progress ---

    Result<void> reject(std::string_view file, std::int64_t line, std::string_view reason,
                        std::string_view text) {
        ++progress_.rejected;
        if (summary_.first_reject.empty())
            summary_.first_reject =
                fmt::format("{}{}: {}", file, line > 0 ? fmt::format(":{}", line) : "", reason);
        if (options_.rejects_file.empty()) return {};
        if (!rejects_.is_open()) rejects_.open(options_.rejects_file, std::ios::app);
        std::string out = R"({"file":)";
        write_string(file, out);
        out += fmt::format(R"(,"line":{},"reason":)", line);
        write_string(reason, out);
        out += R"(,"text":)";
        write_string(text, out);
        rejects_ << out << "}\n";
        if (!rejects_.flush())
            return fail(Category::unavailable, "the file of rejects cannot be written",
                        options_.rejects_file);
        return {};
    }

    Result<void> tell(const File& file, std::int64_t bytes_done) {
        const auto time = std::chrono::steady_clock::now();
        if (time - last_told_ < std::chrono::milliseconds(200)) return {};
        last_told_ = time;
        ImportProgress progress = progress_;
        progress.bytes_done += bytes_done;
        progress.file = file.path;
        if (!report_(progress))
            return fail(Category::unavailable,
                        "the import was stopped; the same command goes on where it was");
        return {};
    }

    // --- lines of resources: one loader for all files, so that no core rests between two ---

    /// A file whose lines went to the loader. The loader knows a line by its number among all
    /// lines.
    struct LineFile {
        const File* file;
        std::int64_t before;     ///< lines of the files before it
        std::int64_t lines = 0;  ///< read so far
        bool is_read = false;    ///< to its end
    };

    Result<void> load_line_files(const std::vector<const File*>& files) {
        rest::Loader::Events events;
        events.rejected = [&](std::int64_t number, const Error& reason,
                              const std::string& content) {
            const LineFile& from = file_of(number);
            return reject(from.file->path, number - from.before, rest::reason_text(reason),
                          content);
        };
        events.committed = [&](std::int64_t number) { return note_committed(number); };
        rest::Loader loader(repository_, caller_, {.threads = threads_}, std::move(events));
        for (const File* file : files) TRY(load_lines(*file, loader));
        TRY(loader.finish());
        progress_.resources = loader.count();
        return note_committed(std::numeric_limits<std::int64_t>::max());
    }

    Result<void> load_lines(const File& file, rest::Loader& loader) {
        TextFile text = TRY(TextFile::open(file.path));
        const auto kept = done_lines_.find(name_of(file));
        const std::int64_t skip = kept == done_lines_.end() ? 0 : kept->second;
        const std::int64_t before =
            line_files_.empty() ? 0 : line_files_.back().before + line_files_.back().lines;
        line_files_.push_back({&file, before});
        std::string line;
        for (std::int64_t number = 1;; ++number) {
            auto read = text.line(line);
            const bool is_too_long = !read && read.error().category == Category::too_large;
            if (!is_too_long && !TRY(std::move(read))) break;
            line_files_.back().lines = number;
            if (number <= skip || line.empty()) continue;
            if (is_too_long) {
                TRY(reject(file.path, number, read.error().message, line));
                continue;
            }
            TRY(loader.add(std::move(line), before + number));
            progress_.resources = loader.count();
            if (number % 256 == 0) TRY(tell(file, text.position()));
        }
        line_files_.back().is_read = true;
        progress_.bytes_done += file.bytes;
        return {};
    }

    const LineFile& file_of(std::int64_t number) const {
        const auto after =
            std::partition_point(line_files_.begin(), line_files_.end(),
                                 [number](const LineFile& file) { return file.before < number; });
        return *std::prev(after);
    }

    /// Everything up to this line is durable or was rejected.
    Result<void> note_committed(std::int64_t number) {
        for (; files_done_ < line_files_.size(); ++files_done_) {
            const LineFile& file = line_files_[files_done_];
            if (!file.is_read || number < file.before + file.lines) {
                std::int64_t& done = done_lines_[name_of(*file.file)];
                done = std::max(done, number - file.before);
                break;
            }
            done_lines_[name_of(*file.file)] = whole_file;
            ++summary_.files;
        }
        return save_progress();
    }

    // --- bundles and single resources: a file is a unit; files are worked on by several threads
    // ---

    Result<void> load_documents(const std::vector<const File*>& files) {
        std::mutex mutex;
        std::size_t next = 0;
        std::optional<Error> failure;
        const auto work = [&] {
            while (true) {
                const File* file = nullptr;
                {
                    const std::lock_guard lock(mutex);
                    if (failure || next == files.size()) return;
                    file = files[next++];
                }
                auto loaded = load_document(*file, mutex);
                const std::lock_guard lock(mutex);
                if (!loaded && !failure) failure = std::move(loaded).error();
            }
        };
        std::vector<std::thread> threads;
        // More threads than cores: a transaction waits for its fsync, and those that wait together
        // share one.
        for (unsigned i = 0; i < std::min<std::size_t>(threads_ * 4, files.size()); ++i)
            threads.emplace_back(work);
        for (std::thread& thread : threads) thread.join();
        if (failure) return std::unexpected(*std::move(failure));
        return {};
    }

    Result<void> load_document(const File& file, std::mutex& mutex) {
        auto written = [&]() -> Result<std::int64_t> {
            TextFile text = TRY(TextFile::open(file.path));
            const std::string content = TRY(text.rest());
            auto document = std::make_shared<JsonDocument>(
                file.is_xml ? TRY(fhir::from_xml(content)) : TRY(JsonDocument::parse(content)));
            return load_root(document, file, mutex);
        }();
        const std::lock_guard lock(mutex);
        if (written) {
            progress_.resources += *written;
        } else {
            const Category category = written.error().category;
            if (category == Category::unavailable || category == Category::storage_full ||
                category == Category::fault)
                return std::unexpected(std::move(written).error());
            TRY(reject(file.path, 0,
                       written.error().where.empty()
                           ? written.error().message
                           : written.error().where + ": " + written.error().message,
                       ""));
        }
        progress_.bytes_done += file.bytes;
        TRY(mark_done(file));
        return tell(file, 0);
    }

    Result<std::int64_t> load_root(const std::shared_ptr<JsonDocument>& document, const File& file,
                                   std::mutex& mutex) {
        const Json& root = document->root();
        if (root.string_at("resourceType") != "Bundle")
            return load_resources(std::vector<const Json*>{&root}, file, mutex);
        const std::string_view type = root.string_at("type");
        {
            const std::lock_guard lock(mutex);
            ++summary_.bundles;
        }
        if (type == "transaction" || type == "batch") {
            fhir::ParsedTransaction parsed = TRY(fhir::parse_transaction(document, {}));
            parsed.transaction.want_json = false;
            const auto count = static_cast<std::int64_t>(parsed.transaction.operations.size());
            TRY(repository_.commit(caller_, std::move(parsed.transaction)));
            return count;
        }
        std::vector<const Json*> resources;
        for (const Json& entry : root["entry"].items()) {
            if (const Json* resource = entry.find("resource")) resources.push_back(resource);
        }
        return load_resources(resources, file, mutex);
    }

    Result<store::Change> prepare_resource(const Json& resource) {
        const std::string_view type = resource.string_at("resourceType");
        if (fhir::definitions().resource(type) == nullptr)
            return fail(Category::incorrect, "this is no FHIR R4 resource", "resourceType");
        const std::string_view id = resource.string_at("id");
        return repository_.prepare(caller_, type, id.empty() ? new_ordered_uuid() : std::string(id),
                                   resource);
    }

    Result<std::int64_t> load_resources(const std::vector<const Json*>& resources, const File& file,
                                        std::mutex& mutex) {
        std::vector<store::Change> changes;
        std::int64_t index = 0;
        for (const Json* resource : resources) {
            ++index;
            auto change = prepare_resource(*resource);
            if (change) {
                changes.push_back(*std::move(change));
                continue;
            }
            const std::lock_guard lock(mutex);
            TRY(reject(file.path, index, change.error().message, to_text(*resource)));
        }
        const auto count = static_cast<std::int64_t>(changes.size());
        if (!changes.empty()) TRY(repository_.commit_prepared(caller_, std::move(changes)));
        return count;
    }

    std::vector<LineFile> line_files_;  ///< in the order in which they were read
    std::size_t files_done_ = 0;        ///< of them

    fhir::Repository& repository_;
    const ImportOptions& options_;
    const std::function<bool(const ImportProgress&)>& report_;
    fhir::Caller caller_;
    unsigned threads_ = 1;
    ImportProgress progress_;
    ImportSummary summary_;
    std::map<std::string, std::int64_t> done_lines_;
    std::ofstream rejects_;
    std::chrono::steady_clock::time_point last_told_{};
};

}  // namespace

Result<ImportSummary> import_files(fhir::Repository& repository, const ImportOptions& options,
                                   const std::function<bool(const ImportProgress&)>& report) {
    return Import(repository, options, report).run();
}

}  // namespace meridian::server
