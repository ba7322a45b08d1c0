// SPDX-License-Identifier: Apache-2.0
#include "bench/load/reply.hpp"

#include <charconv>

namespace meridian::load {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_without_case(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

void Call::clear() {
    method = "GET";
    target = "/";
    headers.clear();
    body.clear();
    kind = 0;
    expected_status = 0;
    tag = 0;
}

std::string_view Reply::header(std::string_view name) const {
    std::string_view rest = head.substr(std::min(head.find('\n'), head.size() - 1) + 1);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find("\r\n"), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 2, rest.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !equal_without_case(line.substr(0, colon), name))
            continue;
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        return value;
    }
    return {};
}

void ReplyReader::start(bool is_head_request) {
    begin_ = position_;
    if (begin_ == end_) begin_ = position_ = end_ = 0;
    chunks_.clear();
    is_head_request_ = is_head_request;
    has_head_ = is_chunked_ = must_close_ = false;
    body_left_ = 0;
}

void ReplyReader::reset() {
    begin_ = position_ = end_ = 0;
    start(false);
}

char* ReplyReader::room(std::size_t bytes) {
    if (begin_ > 0 && bytes_.size() - end_ < bytes) {
        bytes_.erase(0, begin_);
        position_ -= begin_;
        end_ -= begin_;
        head_end_ -= std::min(head_end_, begin_);
        begin_ = 0;
    }
    if (bytes_.size() - end_ < bytes) bytes_.resize(std::max(bytes_.size() * 2, end_ + bytes));
    return bytes_.data() + end_;
}

ReplyReader::Status ReplyReader::read_head() {
    while (true) {
        const std::string_view text = std::string_view(bytes_).substr(begin_, end_ - begin_);
        const std::size_t end = text.find("\r\n\r\n");
        if (end == std::string_view::npos) return Status::need_more;
        if (!text.starts_with("HTTP/1.1 ")) return Status::broken;
        const auto [stop, problem] = std::from_chars(text.data() + 9, text.data() + 12, status_);
        if (problem != std::errc() || stop != text.data() + 12) return Status::broken;
        head_end_ = begin_ + end + 4;
        position_ = head_end_;
        if (status_ >= 200) break;
        begin_ = head_end_;  // an interim answer
    }
    has_head_ = true;
    const Reply head = reply();
    must_close_ = equal_without_case(head.header("Connection"), "close");
    if (is_head_request_ || status_ == 204 || status_ == 304) return Status::complete;
    is_chunked_ = equal_without_case(head.header("Transfer-Encoding"), "chunked");
    if (is_chunked_) return Status::need_more;
    const std::string_view length = head.header("Content-Length");
    const auto parsed = std::from_chars(length.data(), length.data() + length.size(), body_left_);
    return parsed.ec == std::errc() ? Status::need_more : Status::broken;
}

ReplyReader::Status ReplyReader::read_chunks() {
    while (true) {
        if (body_left_ > 0) {
            // The line break behind a chunk counts as part of it.
            const std::size_t count = std::min(body_left_, end_ - position_);
            const std::size_t data = std::min(count, body_left_ > 2 ? body_left_ - 2 : 0);
            chunks_.append(bytes_, position_, data);
            position_ += count;
            body_left_ -= count;
            if (body_left_ > 0) return Status::need_more;
        }
        const std::string_view text = unread();
        const std::size_t line_end = text.find("\r\n");
        if (line_end == std::string_view::npos) return Status::need_more;
        std::size_t size = 0;
        const auto [stop, problem] = std::from_chars(text.data(), text.data() + line_end, size, 16);
        if (problem != std::errc()) return Status::broken;
        if (size == 0) {
            if (text.size() < line_end + 4) return Status::need_more;
            if (text.substr(line_end + 2, 2) != "\r\n")
                return Status::broken;  // trailers are not expected
            position_ += line_end + 4;
            return Status::complete;
        }
        position_ += line_end + 2;
        body_left_ = size + 2;
    }
}

ReplyReader::Status ReplyReader::advance() {
    if (!has_head_) {
        const Status status = read_head();
        if (status != Status::need_more || !has_head_) return status;
    }
    if (is_chunked_) return read_chunks();
    if (end_ - head_end_ < body_left_) return Status::need_more;
    position_ = head_end_ + body_left_;
    return Status::complete;
}

Reply ReplyReader::reply() const {
    const std::string_view text = bytes_;
    Reply reply;
    reply.status = status_;
    reply.head = text.substr(begin_, head_end_ - begin_);
    reply.body =
        is_chunked_ ? std::string_view(chunks_) : text.substr(head_end_, position_ - head_end_);
    return reply;
}

}  // namespace meridian::load
