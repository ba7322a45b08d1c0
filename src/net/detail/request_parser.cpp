// SPDX-License-Identifier: Apache-2.0
// Adapter: one of the files that see Beast (its parser only, not its streams).
#include "net/detail/request_parser.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>

#include "base/limits.hpp"

namespace meridian::net::detail {

namespace http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

namespace {

std::string_view view(string_view text) {
    return {text.data(), text.size()};
}

bool contains_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        std::string_view piece = list.substr(0, end);
        list.remove_prefix(std::min(end + 1, list.size()));
        while (!piece.empty() && (piece.front() == ' ' || piece.front() == '\t'))
            piece.remove_prefix(1);
        while (!piece.empty() && (piece.back() == ' ' || piece.back() == '\t'))
            piece.remove_suffix(1);
        if (boost::beast::iequals({piece.data(), piece.size()}, {word.data(), word.size()}))
            return true;
    }
    return false;
}

/// An absolute-form target is reduced to path and query (RFC 9112 §3.2.2). False for what is no
/// target of ours.
bool reduce_target(std::string& target) {
    if (target == "*" || target.starts_with('/')) return true;
    const bool is_absolute = target.starts_with("http://") || target.starts_with("https://");
    if (!is_absolute) return false;
    const std::size_t path = target.find_first_of("/?", target.find("://") + 3);
    if (path == std::string::npos) {
        target = "/";
    } else {
        target.erase(0, path);
        if (target[0] == '?') target.insert(0, 1, '/');
    }
    return true;
}

/// Writes what Beast's parser finds into a Request and stops it at our bounds.
class Parser final : public http::basic_parser<true> {
 public:
    Parser(const RequestParser::Bounds& bounds, Request& request, Refusal& refusal)
        : bounds_(bounds), request_(request), refusal_(refusal) {
        header_limit(static_cast<std::uint32_t>(bounds.header_bytes_max));
        body_limit(bounds.body_bytes_max);
        eager(false);
    }

    bool is_http_1_0() const { return version_ == 10; }
    std::size_t header_bytes() const { return header_bytes_; }

    /// What the framing headers say together, once all are there. False: refused.
    bool check_head() {
        const Headers& headers = request_.headers;
        if (version_ == 11 && host_count_ != 1)
            return refuse(400, "a request must have exactly one Host header (RFC 9112 §3.2)");
        if (headers.has("Transfer-Encoding")) {
            if (version_ == 10) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
            if (headers.joined("Transfer-Encoding").size() != 7 || !chunked()) {
                return refuse(501, "only the transfer coding \"chunked\" is supported");
            }
        }
        if (!reduce_target(request_.target))
            return refuse(400, "the request target must be a path or an http URL");
        return true;
    }

    bool refuse(int status, std::string message) {
        refusal_.status = status;
        refusal_.message = std::move(message);
        return false;
    }

 private:
    void on_request_impl(http::verb, string_view method, string_view target, int version,
                         error_code& problem) override {
        version_ = version;
        if (target.size() > bounds_.url_bytes_max) {
            refuse(414,
                   fmt::format(
                       "the URL has {} bytes (at most {}): send a long search as POST …/_search",
                       target.size(), bounds_.url_bytes_max));
            problem = http::error::header_limit;
            return;
        }
        request_.method = method_of(view(method));
        request_.method_text.assign(method.data(), method.size());
        request_.target.assign(target.data(), target.size());
        header_bytes_ = method.size() + target.size();
    }

    void on_response_impl(int, string_view, int, error_code&) override {}

    void on_field_impl(http::field field, string_view name, string_view value,
                       error_code& problem) override {
        header_bytes_ += name.size() + value.size() + 4;
        // Beast bounds only what lies in one buffer; a head that trickles in is bounded here.
        if (header_bytes_ > bounds_.header_bytes_max ||
            request_.headers.size() >= limits::http_headers_max) {
            refuse(431, fmt::format("the headers exceed {} bytes or {} fields",
                                    bounds_.header_bytes_max, limits::http_headers_max));
            problem = http::error::header_limit;
            return;
        }
        if (is_trailer_)
            return;  // counted, and dropped: nothing here merges trailers (RFC 9110 §6.5.1)
        if (field == http::field::host) ++host_count_;
        request_.headers.add(view(name), view(value));
    }

    void on_header_impl(error_code&) override { is_trailer_ = true; }

    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
        // A claimed length is only trusted so far: the memory follows the bytes.
        if (length)
            request_.body.reserve(
                static_cast<std::size_t>(std::min<std::uint64_t>(*length, 1u << 20)));
    }

    std::size_t on_body_impl(string_view body, error_code&) override {
        request_.body.append(body.data(), body.size());
        return body.size();
    }

    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}

    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
        request_.body.append(body.data(), body.size());
        return body.size();
    }

    void on_finish_impl(error_code&) override {}

    const RequestParser::Bounds& bounds_;
    Request& request_;
    Refusal& refusal_;
    std::size_t header_bytes_ = 0;
    int version_ = 11;
    unsigned host_count_ = 0;
    bool is_trailer_ = false;
};

Refusal refusal_for(const error_code& problem, bool in_head, bool in_request_line,
                    const RequestParser::Bounds& bounds) {
    if (problem == http::error::body_limit) {
        return {413, fmt::format("the body exceeds {} bytes", bounds.body_bytes_max)};
    }
    if (problem == http::error::header_limit) {
        if (in_request_line)
            return {414, fmt::format("the request line exceeds {} bytes", bounds.header_bytes_max)};
        return {431, fmt::format("the headers exceed {} bytes", bounds.header_bytes_max)};
    }
    if (problem == http::error::bad_version)
        return {400, "the request line is no \"METHOD target HTTP/1.1\""};
    return {400, fmt::format("the {} cannot be read: {}",
                             in_head ? "head of the request" : "body of the request",
                             problem.message())};
}

}  // namespace

struct RequestParser::Implementation {
    Bounds bounds;
    Refusal refusal{};
    Request* request = nullptr;
    std::optional<Parser> parser{};
    bool is_head_reported = false;
};

RequestParser::RequestParser(Bounds bounds)
    : implementation_(std::make_unique<Implementation>(Implementation{.bounds = bounds})) {}
RequestParser::~RequestParser() = default;

void RequestParser::start(Request& request) {
    request.method = Method::other;
    request.method_text.clear();
    request.target.clear();
    request.headers.clear();
    request.body.clear();
    request.id.clear();
    implementation_->refusal.message.clear();
    implementation_->request = &request;
    implementation_->is_head_reported = false;
    implementation_->parser.emplace(implementation_->bounds, request, implementation_->refusal);
}

std::size_t RequestParser::put(std::string_view data, Event& event) {
    Implementation& self = *implementation_;
    Parser& parser = *self.parser;
    std::size_t taken = 0;
    event = Event::need_more;
    // Servers should skip an empty line before the request line (RFC 9112 §2.2); one is enough.
    if (!parser.got_some() && data.starts_with("\r\n")) taken = 2;
    while (true) {
        if (parser.is_done()) {
            event = Event::complete;
            return taken;
        }
        if (taken == data.size()) return taken;
        // At least "0\r\n\r\n" must still come for a chunked body, and Beast asserts five bytes
        // once it has seen the last chunk's size: less is not shown to it.
        constexpr std::size_t last_chunk_bytes = 5;
        if (parser.is_header_done() && parser.chunked() && data.size() - taken < last_chunk_bytes)
            return taken;
        error_code problem;
        const std::size_t count = parser.put(
            boost::asio::const_buffer(data.data() + taken, data.size() - taken), problem);
        taken += count;
        if (problem == http::error::need_more) {
            // Chunk headers and trailers have no bound in Beast: what it leaves unread must stay
            // small.
            if (data.size() - taken <= self.bounds.header_bytes_max) return taken;
            problem = http::error::header_limit;
        }
        if (problem) {
            if (self.refusal.message.empty()) {
                // Beast reports the request line only with the whole head: whether it is the line
                // that is too long shows here.
                const bool in_request_line =
                    self.request->method_text.empty() &&
                    data.substr(taken).find("\r\n") > self.bounds.url_bytes_max;
                self.refusal =
                    refusal_for(problem, !parser.is_header_done(), in_request_line, self.bounds);
            }
            event = Event::refused;
            return taken;
        }
        if (parser.is_header_done() && !self.is_head_reported) {
            self.is_head_reported = true;
            event = parser.check_head() ? Event::head : Event::refused;
            return taken;
        }
    }
}

bool RequestParser::has_started() const {
    return implementation_->parser && implementation_->parser->got_some();
}
bool RequestParser::is_head_complete() const {
    return implementation_->is_head_reported;
}
bool RequestParser::keep_alive() const {
    return implementation_->parser->keep_alive();
}
bool RequestParser::is_http_1_0() const {
    return implementation_->parser->is_http_1_0();
}

bool RequestParser::expects_continue() const {
    const auto expect = implementation_->request->headers.find("Expect");
    return expect && !is_http_1_0() &&
           boost::beast::iequals({expect->data(), expect->size()}, "100-continue");
}

bool RequestParser::is_websocket_upgrade() const {
    const Request& request = *implementation_->request;
    return request.method == Method::get && implementation_->parser->upgrade() && !is_http_1_0() &&
           contains_word(request.headers.get("Upgrade"), "websocket");
}

std::uint64_t RequestParser::body_bytes_left() const {
    return implementation_->parser->content_length_remaining().value_or(0);
}

const Refusal& RequestParser::refusal() const {
    return implementation_->refusal;
}

}  // namespace meridian::net::detail
