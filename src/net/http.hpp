// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "net/url.hpp"

namespace meridian::net {

enum class Method : unsigned char { get, head, post, put, patch, delete_, options, other };

/// "GET" …; empty for `other` (the word itself is Request::method_text).
std::string_view name_of(Method method);
/// `other` for a word that is none of ours; methods are case-sensitive (RFC 9110 §9.1).
Method method_of(std::string_view word);

/// Header fields in written order; names compare without case. One growing buffer holds all text,
/// so a reused object allocates nothing. Views into it end with the next change.
class Headers {
 public:
    struct Field {
        std::string_view name;
        std::string_view value;
    };

    Headers() = default;
    Headers(std::initializer_list<Field> fields);

    /// Appends a field. Line breaks and NUL in `name` or `value` become spaces, so that no value
    /// can forge a header.
    void add(std::string_view name, std::string_view value);
    /// Replaces every field of that name by one.
    void set(std::string_view name, std::string_view value);
    void remove(std::string_view name);
    void clear();

    /// The first value, or nullopt.
    std::optional<std::string_view> find(std::string_view name) const;
    /// The first value, or `otherwise`.
    std::string_view get(std::string_view name, std::string_view otherwise = {}) const;
    bool has(std::string_view name) const { return find(name).has_value(); }
    /// All values of a list header joined by ", " (RFC 9110 §5.3).
    std::string joined(std::string_view name) const;

    std::size_t size() const { return fields_.size(); }
    bool empty() const { return fields_.empty(); }
    Field operator[](std::size_t index) const;
    /// Bytes of text held, for limits.
    std::size_t byte_count() const { return text_.size(); }

 private:
    struct Place {
        std::uint32_t name_begin;
        std::uint32_t name_size;
        std::uint32_t value_size;  ///< the value follows its name
    };
    std::string text_;
    std::vector<Place> fields_;
};

/// A complete request as a handler sees it. The body is already decoded (chunked, gzip, zstd).
struct Request {
    Method method = Method::get;
    std::string method_text;  ///< as written
    std::string target;       ///< raw, as written: "/fhir/Patient?name=a%20b"; an absolute form is
                              ///< reduced to path and query
    Headers headers;
    std::string body;
    std::string peer;  ///< address of the client, "127.0.0.1:52814"; without a port when a proxy in
                       ///< front knows none; "local:uid=1000" for a process at the local socket
    bool is_secure = false;  ///< the client's own connection is TLS, here or at the proxy in front
    std::string id;  ///< for logs and X-Request-Id: the client's own when it is a plain token of ≤
                     ///< 64 characters, else ours

    /// The client's address alone: `peer` without port and brackets.
    std::string_view peer_address() const;
    /// The raw path: the target up to '?'.
    std::string_view path() const;
    /// The raw query: what follows '?'; empty when there is none.
    std::string_view query() const;
    /// Decoded path segments. Errors: as parse_path.
    Result<std::vector<std::string>> segments() const { return parse_path(path()); }
    /// Decoded query parameters in order. Errors: as parse_query_string.
    Result<Parameters> parameters() const { return parse_query_string(query()); }
    /// Decoded form body. Errors: as parse_query_string; `unsupported_media` when the body is not
    /// application/x-www-form-urlencoded.
    Result<Parameters> form() const;
    /// Content-Type without parameters, in lower case; empty when there is none.
    std::string content_type() const;
};

/// Pulls the next piece of a large answer into `chunk` (empty on entry; about
/// limits::http_chunk_bytes is a good size). True: more may follow. False: this was the last piece
/// (which may be empty). An Error ends the connection without the final chunk, so that the client
/// knows that the answer is cut. Runs on a worker, never on two at once; destroyed when the answer
/// ends or the client goes away.
using BodyStream = std::function<Result<bool>(std::string& chunk)>;

/// What a handler answers.
struct Response {
    int status = 200;
    Headers headers;  ///< without Content-Length, Transfer-Encoding, Connection, Date, Vary:
                      ///< Accept-Encoding (the server adds those)
    std::string body;
    BodyStream stream{};       ///< when set, `body` is ignored and the answer is sent chunked
    bool compressible = true;  ///< false: never gzip or zstd (already compressed bytes)
    bool close_connection = false;

    /// A complete answer in one line.
    static Response text(int status, std::string body,
                         std::string_view content_type = "text/plain; charset=utf-8");
};

/// Lets an answer that was held leave, or another in its place. From any thread, once.
using Release = std::function<void(std::optional<Response> instead)>;

/// What the I/O thread answers itself, and what must be over before that leaves.
struct PromptAnswer {
    PromptAnswer(Response its_response)
        : response(std::move(its_response)) {}  // NOLINT(*explicit*)

    Response response;
    /// Called once, on the I/O thread, with what ends the waiting; the connection waits meanwhile,
    /// no thread does, and the request stays as it is. Null: the answer leaves at once.
    std::function<void(Release)> hold{};
};

/// Serves a complete request on a worker; may block. Anything thrown becomes 500 with a log line.
using Handler = std::function<Response(const Request&)>;

/// "Not Found" for 404; "Unknown" for a status without a registered phrase.
std::string_view reason_phrase(int status);

// --- media types and negotiation (RFC 9110 §8.3, §12) ---

/// "application/fhir+json; charset=utf-8; fhirVersion=4.0".
struct MediaType {
    std::string
        type;  ///< "application/fhir+json" in lower case; ranges keep their stars ("*/*", "text/*")
    Parameters parameters{};  ///< names in lower case, values unquoted; without q
    double quality = 1.0;     ///< q of an Accept entry, 0 … 1
    std::string_view parameter(std::string_view name) const;  ///< empty when there is none
};
/// Errors: `incorrect` for text that is no media type.
Result<MediaType> parse_media_type(std::string_view text);
/// The entries of an Accept header, best first (by q, then specificity, then written order);
/// entries that cannot be read are skipped, and
/// so are those beyond limits::http_accept_ranges_max.
std::vector<MediaType> parse_accept(std::string_view header);
/// The index of the offered type ("application/fhir+json") that the client likes best; the first
/// offered one for an empty header. nullopt: none is acceptable (406).
std::optional<std::size_t> negotiate(std::string_view accept,
                                     std::span<const std::string_view> offered);

enum class Encoding : unsigned char { identity, gzip, zstd };
/// The content coding to answer with: the highest q among zstd, gzip and identity; zstd before gzip
/// when equal. `identity` also when the client forbids everything, since that answer is still the
/// most useful one.
Encoding negotiate_encoding(std::string_view accept_encoding);

// --- preferences and conditions ---

/// The value of one preference of Prefer headers: preference(request, "return") → "minimal"; "" for
/// one without a value. Source: RFC 7240.
std::optional<std::string> preference(const Request& request, std::string_view name);

/// An entity tag: W/"3" is {"3", weak}.
struct EntityTag {
    std::string value;
    bool weak = false;
};
/// Errors: `incorrect` for text that is no entity tag. Unquoted text is refused: clients that send
/// it mean something else.
Result<EntityTag> parse_entity_tag(std::string_view text);
std::string weak_tag(std::string_view value);  ///< W/"value"
/// An If-Match or If-None-Match header. Errors: `incorrect`.
struct TagList {
    bool any = false;  ///< the header is "*"
    std::vector<EntityTag> tags{};
    /// Weak comparison (RFC 9110 §8.8.3.2): values are compared, weakness is not. `*` contains
    /// every tag.
    bool contains(std::string_view value) const;
};
Result<TagList> parse_tag_list(std::string_view header);

/// Whether a GET or HEAD should be answered 304: If-None-Match contains `tag_value`; only without
/// If-None-Match, not modified after If-Modified-Since (whole seconds; an unreadable date is
/// ignored). Source: RFC 9110 §13.2.2.
bool is_not_modified(const Request& request, std::string_view tag_value,
                     std::optional<Instant> last_modified);

}  // namespace meridian::net
