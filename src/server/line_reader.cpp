// SPDX-License-Identifier: Apache-2.0
#include "server/line_reader.hpp"

#include <zlib.h>

#include <cerrno>

#include "base/limits.hpp"

namespace meridian::server {

struct TextFile::Source {
    gzFile file = nullptr;  // zlib reads plain files as well
    std::string path;
    std::string buffer = std::string(1u << 18, '\0');
    std::size_t begin = 0, end = 0;

    ~Source() {
        if (file != nullptr) gzclose(file);
    }

    /// Refills the empty buffer. False at the end.
    Result<bool> fill() {
        const int got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()));
        if (got < 0) {
            int code = 0;
            return fail(Category::incorrect,
                        fmt::format("cannot be read: {}", gzerror(file, &code)), path);
        }
        begin = 0;
        end = static_cast<std::size_t>(got);
        return got > 0;
    }
};

TextFile::TextFile(std::unique_ptr<Source> source) : source_(std::move(source)) {}
TextFile::TextFile(TextFile&&) noexcept = default;
TextFile& TextFile::operator=(TextFile&&) noexcept = default;
TextFile::~TextFile() = default;

Result<TextFile> TextFile::open(const std::string& path) {
    auto source = std::make_unique<Source>();
    source->path = path;
    errno = 0;
    source->file = gzopen(path.c_str(), "rb");
    if (source->file == nullptr)
        return fail(Category::not_found,
                    fmt::format("cannot be opened: {}", std::strerror(errno == 0 ? ENOMEM : errno)),
                    path);
    gzbuffer(source->file, 1u << 18);
    return TextFile(std::move(source));
}

Result<bool> TextFile::line(std::string& out) {
    out.clear();
    Source& source = *source_;
    bool is_too_long = false;
    const auto ended = [&]() -> Result<bool> {
        if (is_too_long)
            return fail(Category::too_large,
                        fmt::format("the line is longer than {} bytes", limits::resource_bytes_max),
                        source.path);
        if (out.ends_with('\r')) out.pop_back();
        return true;
    };
    while (true) {
        if (source.begin == source.end && !TRY(source.fill()))
            return out.empty() ? Result<bool>(false) : ended();
        const char* from = source.buffer.data() + source.begin;
        const auto* newline =
            static_cast<const char*>(std::memchr(from, '\n', source.end - source.begin));
        const std::size_t length = newline != nullptr ? static_cast<std::size_t>(newline - from)
                                                      : source.end - source.begin;
        if (!is_too_long && out.size() + length > limits::resource_bytes_max) {
            is_too_long = true;
            out = out.substr(0, limits::rejected_text_bytes_max);  // gives the memory back
        }
        if (!is_too_long) out.append(from, length);
        source.begin += length + (newline != nullptr ? 1 : 0);
        if (newline != nullptr) return ended();
    }
}

Result<std::string> TextFile::rest() {
    std::string out;
    Source& source = *source_;
    do {
        out.append(source.buffer.data() + source.begin, source.end - source.begin);
        source.begin = source.end;
        if (out.size() > limits::json_bytes_max)
            return fail(Category::too_large,
                        fmt::format("the file is longer than {} bytes", limits::json_bytes_max),
                        source.path);
    } while (TRY(source.fill()));
    return out;
}

std::int64_t TextFile::position() const {
    return gzoffset(source_->file);
}

}  // namespace meridian::server
