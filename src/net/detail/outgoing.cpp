// SPDX-License-Identifier: Apache-2.0
#include "net/detail/outgoing.hpp"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "base/instant.hpp"
#include "base/limits.hpp"
#include "net/detail/answer_headers.hpp"

namespace meridian::net::detail {

namespace {

constexpr std::size_t kept_bytes_max =
    64u << 10;  ///< a connection keeps no larger buffer between answers

/// The Date header's value; rendered once a second and thread.
std::string_view date_now() {
    thread_local std::time_t second = 0;
    thread_local std::string text;
    timespec time{};
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    if (time.tv_sec != second) {
        second = time.tv_sec;
        text = to_http_date(Instant{static_cast<std::int64_t>(second) * 1000});
    }
    return text;
}

/// RFC 9110 §6.4.1: these never have content, whatever the handler made.
bool has_no_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name);
    out.append(": ");
    out.append(value);
    out.append("\r\n");
}

void append_number(std::string& out, std::size_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
}

}  // namespace

void Outgoing::write_head(const Request& request, const Response& response, bool is_http_1_0,
                          bool varies, Encoding encoding, bool is_stream, std::size_t body_size) {
    head.clear();
    head.append("HTTP/1.1 ");
    append_number(head, static_cast<std::size_t>(response.status));
    head.append(" ").append(reason_phrase(response.status)).append("\r\n");
    append_field(head, "Date", date_now());
    for (std::size_t i = 0; i < response.headers.size(); ++i) {
        const Headers::Field field = response.headers[i];
        append_field(head, field.name, field.value);
    }
    if (!request.id.empty() && !response.headers.has("X-Request-Id"))
        append_field(head, "X-Request-Id", request.id);
    if (varies && response.headers.joined("Vary").find("Accept-Encoding") == std::string::npos)
        append_field(head, "Vary", "Accept-Encoding");
    append_protections(head, request, response);
    if (encoding != Encoding::identity) append_field(head, "Content-Encoding", name_of(encoding));
    if (is_stream) {
        if (is_chunked_) head.append("Transfer-Encoding: chunked\r\n");
    } else if (!has_no_body(response.status)) {
        head.append("Content-Length: ");
        append_number(head, body_size);
        head.append("\r\n");
    }
    if (!keep_alive) {
        head.append("Connection: close\r\n");
    } else if (is_http_1_0) {
        head.append("Connection: keep-alive\r\n");
    }
    head.append("\r\n");
}

void Outgoing::prepare(const Request& request, bool is_http_1_0, bool may_keep_alive,
                       Response&& response) {
    const bool is_head = request.method == Method::head;
    const bool is_stream = response.stream != nullptr && !has_no_body(response.status);
    is_chunked_ = is_stream && !is_http_1_0;
    // HTTP/1.0 knows no chunks: there the end of the connection ends the stream.
    keep_alive =
        may_keep_alive && !response.close_connection && (!is_stream || is_chunked_ || is_head);
    sent = 0;

    const bool is_worth = is_stream || response.body.size() >= limits::http_compress_bytes_min;
    const bool varies = is_worth && response.compressible &&
                        !response.headers.has("Content-Encoding") &&
                        is_compressible(response.headers.get("Content-Type"));
    Encoding encoding = Encoding::identity;
    if (varies && !is_head) {
        if (const auto accepted = request.headers.find("Accept-Encoding"))
            encoding = negotiate_encoding(*accepted);
    }
    body.clear();
    if (!is_stream && !is_head && !has_no_body(response.status)) {
        if (encoding == Encoding::identity) {
            body = std::move(response.body);
        } else {
            encode(encoding, response.body, body);
        }
    }
    write_head(request, response, is_http_1_0, varies, encoding, is_stream,
               is_head ? response.body.size() : body.size());
    if (is_stream && !is_head) {
        stream_ = std::move(response.stream);
        encoder_ = make_encoder(encoding);
    }
}

Result<void> Outgoing::pull() {
    bool may_follow = true;
    body.clear();
    do {
        chunk_.clear();
        may_follow = TRY(stream_(chunk_));
        if (encoder_) {
            encoder_->put(chunk_, !may_follow, true, body);
        } else {
            body.swap(chunk_);
        }
    } while (body.empty() && may_follow);
    sent = 0;
    head.clear();
    if (is_chunked_) {
        if (!body.empty()) {
            fmt::format_to(std::back_inserter(head), "{:x}\r\n", body.size());
            body.append("\r\n");
        }
        if (!may_follow) body.append("0\r\n\r\n");
    }
    if (!may_follow) stream_ = nullptr;
    return {};
}

void Outgoing::clear() {
    stream_ = nullptr;
    encoder_.reset();
    for (std::string* const text : {&head, &body, &chunk_}) {
        text->clear();
        if (text->capacity() > kept_bytes_max) text->shrink_to_fit();
    }
    sent = 0;
}

}  // namespace meridian::net::detail
