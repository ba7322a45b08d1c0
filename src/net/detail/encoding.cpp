// SPDX-License-Identifier: Apache-2.0
// Adapter: the only file that sees zlib and zstd.
#include "net/detail/encoding.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <new>

namespace meridian::net::detail {

namespace {

constexpr int gzip_level = 1;
constexpr int zstd_level = 1;
constexpr int gzip_window = 15 + 16;  // +16 asks zlib for the gzip format
constexpr std::size_t output_step_bytes = 64u << 10;

class GzipEncoder final : public Encoder {
 public:
    GzipEncoder() {
        if (deflateInit2(&stream_, gzip_level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK)
            throw std::bad_alloc();
    }
    ~GzipEncoder() override { deflateEnd(&stream_); }

    void put(std::string_view input, bool is_last, bool flush, std::string& out) override {
        // zlib counts input in 32 bits.
        constexpr std::size_t piece_bytes_max = 1u << 30;
        while (input.size() > piece_bytes_max) {
            run(input.substr(0, piece_bytes_max), Z_NO_FLUSH, out);
            input.remove_prefix(piece_bytes_max);
        }
        run(input, is_last ? Z_FINISH : flush ? Z_SYNC_FLUSH : Z_NO_FLUSH, out);
        if (is_last) deflateReset(&stream_);
    }

 private:
    void run(std::string_view input, int mode, std::string& out) {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
        stream_.avail_in = static_cast<uInt>(input.size());
        do {
            const std::size_t before = out.size();
            const std::size_t step =
                std::min(output_step_bytes, deflateBound(&stream_, stream_.avail_in) + 64);
            out.resize(before + step);
            stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
            stream_.avail_out = static_cast<uInt>(step);
            deflate(&stream_, mode);
            out.resize(before + step - stream_.avail_out);
        } while (stream_.avail_out == 0);
    }

    z_stream stream_{};
};

class ZstdEncoder final : public Encoder {
 public:
    ZstdEncoder() : context_(ZSTD_createCCtx()) {
        if (context_ == nullptr) throw std::bad_alloc();
        ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, zstd_level);
    }
    ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }

    void put(std::string_view input, bool is_last, bool flush, std::string& out) override {
        ZSTD_inBuffer in{input.data(), input.size(), 0};
        const ZSTD_EndDirective mode = is_last ? ZSTD_e_end
                                       : flush ? ZSTD_e_flush
                                               : ZSTD_e_continue;
        std::size_t left = 0;
        do {
            const std::size_t before = out.size();
            out.resize(before +
                       std::min(output_step_bytes, ZSTD_compressBound(in.size - in.pos) + 64));
            ZSTD_outBuffer output{out.data() + before, out.size() - before, 0};
            left = ZSTD_compressStream2(context_, &output, &in, mode);
            out.resize(before + output.pos);
            if (ZSTD_isError(left))
                throw std::bad_alloc();  // with valid parameters only memory can fail
        } while (mode == ZSTD_e_continue ? in.pos < in.size : left != 0);
    }

 private:
    ZSTD_CCtx* context_;
};

std::unexpected<Error> bomb(std::size_t bytes_max) {
    return fail(Category::too_large, fmt::format("the decoded body exceeds {} bytes", bytes_max));
}

/// Makes room behind `out` that grows with what came so far; false when the bound is passed.
bool grow(std::string& out, std::size_t used, std::size_t bytes_max) {
    if (used > bytes_max) return false;
    out.resize(std::min(std::max(used * 2, output_step_bytes), bytes_max + 1));
    return true;
}

Result<std::string> gunzip(std::string_view body, std::size_t bytes_max) {
    z_stream stream{};
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw std::bad_alloc();
    const std::unique_ptr<z_stream, int (*)(z_streamp)> end(&stream, inflateEnd);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    std::size_t input_left = body.size();
    std::string out;
    std::size_t used = 0;
    while (true) {
        if (used == out.size() && !grow(out, used, bytes_max)) return bomb(bytes_max);
        const auto input_now = static_cast<uInt>(std::min<std::size_t>(input_left, 1u << 30));
        const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - used, 1u << 30));
        stream.avail_in = input_now;
        stream.avail_out = room;
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
        const int status = inflate(&stream, Z_NO_FLUSH);
        input_left -= input_now - stream.avail_in;
        used += room - stream.avail_out;
        if (used > bytes_max) return bomb(bytes_max);
        if (status == Z_STREAM_END) {
            if (input_left == 0) break;
            // A gzip file may hold several members (RFC 1952 §2.2).
            if (inflateReset(&stream) != Z_OK)
                return fail(Category::incorrect, "the gzip body cannot be read");
            continue;
        }
        if (status != Z_OK && status != Z_BUF_ERROR)
            return fail(Category::incorrect, "the body is no valid gzip data");
        if (stream.avail_out != 0 && input_left == 0)
            return fail(Category::incorrect, "the gzip body is cut short");
    }
    out.resize(used);
    return out;
}

Result<std::string> unzstd(std::string_view body, std::size_t bytes_max) {
    const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                          ZSTD_freeDCtx);
    if (!context) throw std::bad_alloc();
    // RFC 9659: a decoder of the content coding need not accept windows above 8 MB.
    ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 23);
    ZSTD_inBuffer input{body.data(), body.size(), 0};
    std::string out;
    std::size_t used = 0;
    std::size_t left = 1;
    while (true) {
        if (used == out.size() && !grow(out, used, bytes_max)) return bomb(bytes_max);
        ZSTD_outBuffer output{out.data(), out.size(), used};
        left = ZSTD_decompressStream(context.get(), &output, &input);
        if (ZSTD_isError(left)) return fail(Category::incorrect, "the body is no valid zstd data");
        used = output.pos;
        if (used > bytes_max) return bomb(bytes_max);
        if (input.pos == input.size && used < out.size()) break;
    }
    if (left != 0) return fail(Category::incorrect, "the zstd body is cut short");
    out.resize(used);
    return out;
}

bool equals_lower(std::string_view text, std::string_view lower) {
    return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                      [](char left, char right) {
                          return (left >= 'A' && left <= 'Z' ? left - 'A' + 'a' : left) == right;
                      });
}

}  // namespace

std::unique_ptr<Encoder> make_encoder(Encoding encoding) {
    switch (encoding) {
        case Encoding::gzip:
            return std::make_unique<GzipEncoder>();
        case Encoding::zstd:
            return std::make_unique<ZstdEncoder>();
        case Encoding::identity:
            break;
    }
    return nullptr;
}

void encode(Encoding encoding, std::string_view body, std::string& out) {
    thread_local std::unique_ptr<Encoder> encoders[2];
    std::unique_ptr<Encoder>& encoder = encoders[encoding == Encoding::zstd ? 1 : 0];
    if (!encoder) encoder = make_encoder(encoding);
    encoder->put(body, true, false, out);
}

std::string_view name_of(Encoding encoding) {
    switch (encoding) {
        case Encoding::gzip:
            return "gzip";
        case Encoding::zstd:
            return "zstd";
        case Encoding::identity:
            break;
    }
    return "identity";
}

Result<std::string> decode(std::string_view coding, std::string_view body, std::size_t bytes_max) {
    if (equals_lower(coding, "gzip") || equals_lower(coding, "x-gzip"))
        return gunzip(body, bytes_max);
    if (equals_lower(coding, "zstd")) return unzstd(body, bytes_max);
    if (equals_lower(coding, "identity")) return std::string(body);
    return fail(
        Category::unsupported_media,
        fmt::format("the content coding \"{}\" is not supported (expected gzip, zstd or identity)",
                    coding));
}

bool is_compressible(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    if (type.starts_with("text/") || type.ends_with("+json") || type.ends_with("+xml")) return true;
    for (const std::string_view known :
         {"application/json", "application/xml", "application/javascript", "application/ndjson",
          "application/fhir+ndjson", "application/x-ndjson", "application/wasm"}) {
        if (type == known) return true;
    }
    return false;
}

}  // namespace meridian::net::detail
