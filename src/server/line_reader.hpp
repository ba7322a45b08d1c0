// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace meridian::server {

/// Reads a text file, gzip-compressed or plain, as a whole or line by line with bounded memory.
class TextFile {
 public:
    /// Errors: `not_found`, `unavailable`.
    static Result<TextFile> open(const std::string& path);
    TextFile(TextFile&&) noexcept;
    TextFile& operator=(TextFile&&) noexcept;
    ~TextFile();

    /// The next line without its end; false at the end of the file. Errors: `too_large` for a line
    /// above limits::resource_bytes_max: `out` holds its start, limits::rejected_text_bytes_max of
    /// it, and the next call gives the line behind it; `incorrect` for damaged gzip data.
    Result<bool> line(std::string& out);
    /// All that is left. Errors: as line, with limits::json_bytes_max.
    Result<std::string> rest();
    /// Bytes of the file (compressed, if it is) that were read so far.
    std::int64_t position() const;

 private:
    struct Source;
    explicit TextFile(std::unique_ptr<Source> source);
    std::unique_ptr<Source> source_;
};

}  // namespace meridian::server
