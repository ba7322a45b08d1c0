// SPDX-License-Identifier: Apache-2.0
#include "generate/write.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/limits.hpp"

namespace meridian::generate {
namespace {

struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

/// One NDJSON file with its own buffer.
class LineFile {
 public:
    static Result<LineFile> create(const std::filesystem::path& path) {
        LineFile made;
        made.path_ = path;
        made.file_.reset(std::fopen(path.c_str(), "wb"));
        if (!made.file_)
            return fail(Category::unavailable,
                        fmt::format("cannot create the file: {}", std::strerror(errno)),
                        path.string());
        made.buffer_ = std::make_unique<char[]>(limits::region_file_buffer_bytes);
        std::setvbuf(made.file_.get(), made.buffer_.get(), _IOFBF,
                     limits::region_file_buffer_bytes);
        return made;
    }
    Result<void> line(std::string_view text) {
        if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() ||
            std::fputc('\n', file_.get()) == EOF)
            return failed();
        return {};
    }
    Result<void> finish() {
        // fclose writes the rest of the buffer, which has to outlive it.
        if (std::fflush(file_.get()) != 0) return failed();
        return {};
    }

 private:
    std::unexpected<Error> failed() const {
        return fail(errno == ENOSPC ? Category::storage_full : Category::unavailable,
                    fmt::format("cannot write the region: {}", std::strerror(errno)),
                    path_.string());
    }

    std::filesystem::path path_;
    std::unique_ptr<char[]> buffer_;
    std::unique_ptr<std::FILE, Close> file_;
};

class FolderSink : public Sink {
 public:
    explicit FolderSink(std::filesystem::path folder) : folder_(std::move(folder)) {}

    Result<void> resource(const Item& item) override {
        auto found = files_.find(item.type);
        if (found == files_.end()) {
            auto file = TRY(LineFile::create(folder_ / (std::string(item.type) + ".ndjson")));
            found = files_.emplace(std::string(item.type), Counted{std::move(file), 0}).first;
        }
        ++found->second.count;
        summary_.bytes += item.json.size() + 1;
        return found->second.file.line(item.json);
    }
    Result<void> truth(std::string_view, std::string_view json) override {
        if (!truth_) truth_.emplace(TRY(LineFile::create(folder_ / "truth.ndjson")));
        ++summary_.documents;
        summary_.bytes += json.size() + 1;
        return truth_->line(json);
    }
    Result<RegionSummary> finish() {
        for (auto& [type, counted] : files_) {
            TRY(counted.file.finish());
            summary_.resources[type] = counted.count;
            summary_.total += counted.count;
        }
        if (truth_) TRY(truth_->finish());
        return summary_;
    }

 private:
    struct Counted {
        LineFile file;
        std::uint64_t count;
    };
    std::filesystem::path folder_;
    std::map<std::string, Counted, std::less<>> files_;
    std::optional<LineFile> truth_;
    RegionSummary summary_;
};

}  // namespace

Result<RegionSummary> write_folder(const RegionOptions& options,
                                   const std::filesystem::path& folder,
                                   const std::function<void(std::uint64_t)>& progress) {
    const Region region = TRY(Region::create(options));
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed)
        return fail(Category::unavailable,
                    fmt::format("cannot make the folder: {}", failed.message()), folder.string());
    FolderSink sink(folder);
    TRY(region.city(sink));
    for (std::uint64_t number = 1; number <= options.patients; ++number) {
        TRY(region.patient(number, sink));
        if (progress) progress(number);
    }
    return sink.finish();
}

}  // namespace meridian::generate
