// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/lines.hpp"

#include <zlib.h>

#include "base/limits.hpp"

namespace meridian::rest {

namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b";

}  // namespace

struct Lines::Unpacker {
    z_stream stream{};
    bool is_set_up = false;
    bool is_inside = true;  ///< of a member: input that ends here is cut
    std::string out = std::string(limits::http_chunk_bytes, '\0');

    Unpacker() {
        is_set_up = inflateInit2(&stream, 15 + 16) == Z_OK;  // 16: gzip, nothing else
    }
    ~Unpacker() {
        if (is_set_up) inflateEnd(&stream);
    }
    Unpacker(const Unpacker&) = delete;
    Unpacker& operator=(const Unpacker&) = delete;
};

Lines::Lines(OnLine on_line, OnTooLong on_too_long)
    : on_line_(std::move(on_line)), on_too_long_(std::move(on_too_long)) {}
Lines::~Lines() = default;

Result<void> Lines::put(std::string_view piece) {
    if (has_begun_) return unpacker_ ? unpack(piece) : take(piece);
    head_ += piece;
    if (head_.size() < gzip_magic.size()) return {};
    has_begun_ = true;
    if (head_.starts_with(gzip_magic)) unpacker_ = std::make_unique<Unpacker>();
    const std::string first = std::exchange(head_, {});
    return put(first);
}

Result<void> Lines::finish() {
    if (!has_begun_ && !head_.empty()) {
        has_begun_ = true;
        TRY(take(std::exchange(head_, {})));
    }
    if (unpacker_ && unpacker_->is_inside)
        return fail(Category::incorrect, "the gzip data ends early");
    return line_.empty() ? Result<void>() : end_line();
}

Result<void> Lines::take(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view part = text.substr(0, end);
        if (!is_too_long_ && line_.size() + part.size() > limits::resource_bytes_max) {
            is_too_long_ = true;
            line_ = line_.substr(0, limits::rejected_text_bytes_max);  // gives the memory back
        }
        if (!is_too_long_) line_ += part;
        if (end == std::string_view::npos) return {};
        TRY(end_line());
        text.remove_prefix(end + 1);
    }
    return {};
}

Result<void> Lines::end_line() {
    ++number_;
    if (std::exchange(is_too_long_, false)) {
        const Error reason{
            Category::too_large,
            fmt::format("the line is longer than {} bytes", limits::resource_bytes_max),
            {},
            nullptr};
        return on_too_long_(std::exchange(line_, {}), number_, reason);
    }
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.find_first_not_of(" \t") == std::string::npos) {
        line_.clear();
        return {};
    }
    return on_line_(std::exchange(line_, {}), number_);
}

Result<void> Lines::unpack(std::string_view piece) {
    Unpacker& unpacker = *unpacker_;
    z_stream& stream = unpacker.stream;
    if (!unpacker.is_set_up) return fail(Category::unavailable, "no memory to unpack gzip data");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream.avail_in = static_cast<uInt>(piece.size());
    bool is_full = false;
    while (stream.avail_in > 0 || is_full) {
        if (!unpacker.is_inside) {
            inflateReset(&stream);
            unpacker.is_inside = true;
        }
        stream.next_out = reinterpret_cast<Bytef*>(unpacker.out.data());
        stream.avail_out = static_cast<uInt>(unpacker.out.size());
        const int code = inflate(&stream, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return fail(Category::incorrect, "the gzip data is damaged");
        const std::size_t made = unpacker.out.size() - stream.avail_out;
        is_full = stream.avail_out == 0 && code != Z_STREAM_END;
        if (code == Z_STREAM_END) unpacker.is_inside = false;
        TRY(take(std::string_view(unpacker.out).substr(0, made)));
        if (code == Z_BUF_ERROR) break;  // wants more input
    }
    return {};
}

}  // namespace meridian::rest
