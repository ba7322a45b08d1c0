// SPDX-License-Identifier: Apache-2.0
// The HTTP front without sockets: bytes through the request parser in pieces, then everything a
// handler would ask of the request, and the decoding of its body. The first byte says how the rest
// is cut.
#include <cstdlib>

#include "net/detail/encoding.hpp"
#include "net/detail/outgoing.hpp"
#include "net/detail/request_parser.hpp"

using namespace meridian::net;
using detail::RequestParser;

namespace {

constexpr RequestParser::Bounds bounds{
    .header_bytes_max = 2000, .url_bytes_max = 1000, .body_bytes_max = 4000};

/// A property that must hold whatever came in.
void require(bool holds) {
    if (!holds) std::abort();
}

void ask_everything(const Request& request) {
    (void)request.segments();
    (void)request.form();
    if (const auto parameters = request.parameters()) {
        // What was decoded can be written and read again.
        const auto again = meridian::parse_query_string(meridian::query_string(*parameters));
        require(again && *again == *parameters);
    }
    const std::string_view offered[] = {"application/fhir+json", "application/fhir+xml"};
    (void)negotiate(request.headers.joined("Accept"), offered);
    (void)parse_media_type(request.headers.get("Content-Type"));
    (void)preference(request, "return");
    (void)is_not_modified(request, "1", meridian::Instant{0});
    (void)parse_tag_list(request.headers.joined("If-Match"));
    if (const auto url = Url::parse(request.headers.get("Referer"))) {
        const auto again = Url::parse(url->to_text());
        require(again && again->to_text() == url->to_text());
    }
    if (const auto coding = request.headers.find("Content-Encoding")) {
        const auto decoded = detail::decode(*coding, request.body, bounds.body_bytes_max);
        require(!decoded || decoded->size() <= bounds.body_bytes_max);
    }
}

/// No header of an answer may break out of its line.
void answer(const Request& request) {
    detail::Outgoing outgoing;
    Response response = Response::text(200, request.body, request.headers.get("Content-Type"));
    response.headers.add("Location", request.target);
    const std::size_t fields = response.headers.size();
    outgoing.prepare(request, false, true, std::move(response));
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = outgoing.head.find('\n', at)) != std::string::npos; ++at)
        ++lines;
    // The status line, Date, the empty line, and at most: X-Request-Id, Vary, Content-Encoding,
    // Content-Length.
    require(lines >= fields + 3 && lines <= fields + 7);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = data[0] == 0 ? size : data[0];
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    RequestParser parser(bounds);
    Request request;
    parser.start(request);
    std::string unread;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        unread += bytes.substr(at, piece);
        while (true) {
            auto event = RequestParser::Event::need_more;
            unread.erase(0, parser.put(unread, event));
            if (event == RequestParser::Event::refused) {
                require(parser.refusal().status >= 400 && !parser.refusal().message.empty());
                return 0;
            }
            if (event == RequestParser::Event::need_more) break;
            require(request.body.size() <= bounds.body_bytes_max &&
                    request.target.size() <= bounds.url_bytes_max);
            if (event == RequestParser::Event::complete) {
                ask_everything(request);
                answer(request);
                parser.start(request);
            }
        }
        require(unread.size() <= bounds.header_bytes_max + piece);
    }
    return 0;
}
