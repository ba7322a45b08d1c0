// SPDX-License-Identifier: Apache-2.0
#include "net/http.hpp"

#include <algorithm>
#include <charconv>

#include "base/limits.hpp"

namespace meridian::net {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_without_case(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (left[i] != right[i] && lower(left[i]) != lower(right[i])) return false;
    }
    return true;
}

std::string lower_text(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower(c);
    return out;
}

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// tchar of RFC 9110 §5.6.2.
bool is_token_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

/// Takes the text up to the next `separator` outside quotes off the front of `rest`.
std::string_view next_piece(std::string_view& rest, char separator) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < rest.size(); ++end) {
        if (quoted && rest[end] == '\\') {
            ++end;
        } else if (rest[end] == '"') {
            quoted = !quoted;
        } else if (rest[end] == separator && !quoted) {
            break;
        }
    }
    const std::string_view piece = trim(rest.substr(0, std::min(end, rest.size())));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return piece;
}

std::string unquote(std::string_view text) {
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

/// A quality value between 0 and 1 (RFC 9110 §12.4.2); anything else counts as 0, the careful
/// reading.
double parse_quality(std::string_view text) {
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || !(value >= 0)) return 0;
    return std::min(value, 1.0);
}

/// 3 for "a/b;x=y", 2 for "a/b", 1 for "a/*", 0 for "*/*".
int specificity(const MediaType& range) {
    if (range.type == "*/*") return 0;
    if (range.type.ends_with("/*")) return 1;
    return range.parameters.empty() ? 2 : 3;
}

bool covers(const MediaType& range, std::string_view type) {
    if (range.type == "*/*" || range.type == type) return true;
    return range.type.ends_with("/*") &&
           type.starts_with(std::string_view(range.type).substr(0, range.type.size() - 1));
}

}  // namespace

std::string_view name_of(Method method) {
    switch (method) {
        case Method::get:
            return "GET";
        case Method::head:
            return "HEAD";
        case Method::post:
            return "POST";
        case Method::put:
            return "PUT";
        case Method::patch:
            return "PATCH";
        case Method::delete_:
            return "DELETE";
        case Method::options:
            return "OPTIONS";
        case Method::other:
            break;
    }
    return "other";
}

Method method_of(std::string_view word) {
    for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                                Method::delete_, Method::options}) {
        if (word == name_of(method)) return method;
    }
    return Method::other;
}

// --- Headers ---

Headers::Headers(std::initializer_list<Field> fields) {
    for (const Field& field : fields) add(field.name, field.value);
}

void Headers::add(std::string_view name, std::string_view value) {
    const auto append = [this](std::string_view text) {
        const std::size_t begin = text_.size();
        text_ += text;
        for (std::size_t i = begin; i < text_.size(); ++i) {
            if (text_[i] == '\r' || text_[i] == '\n' || text_[i] == '\0') text_[i] = ' ';
        }
    };
    fields_.push_back({static_cast<std::uint32_t>(text_.size()),
                       static_cast<std::uint32_t>(name.size()),
                       static_cast<std::uint32_t>(value.size())});
    append(name);
    append(value);
}

void Headers::set(std::string_view name, std::string_view value) {
    remove(name);
    add(name, value);
}

void Headers::remove(std::string_view name) {
    // The text stays in the buffer: fields are rarely removed, and the buffer goes with the
    // message.
    std::size_t kept = 0;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        if (!equal_without_case((*this)[i].name, name)) fields_[kept++] = fields_[i];
    }
    fields_.resize(kept);
}

void Headers::clear() {
    text_.clear();
    fields_.clear();
}

Headers::Field Headers::operator[](std::size_t index) const {
    const Place& place = fields_[index];
    const std::string_view text = text_;
    return {text.substr(place.name_begin, place.name_size),
            text.substr(place.name_begin + place.name_size, place.value_size)};
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        if (fields_[i].name_size != name.size()) continue;
        const Field field = (*this)[i];
        if (equal_without_case(field.name, name)) return field.value;
    }
    return std::nullopt;
}

std::string_view Headers::get(std::string_view name, std::string_view otherwise) const {
    return find(name).value_or(otherwise);
}

std::string Headers::joined(std::string_view name) const {
    std::string out;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        const Field field = (*this)[i];
        if (!equal_without_case(field.name, name)) continue;
        if (!out.empty()) out += ", ";
        out += field.value;
    }
    return out;
}

// --- Request and Response ---

std::string_view Request::peer_address() const {
    const std::string_view whole = peer;
    if (whole.starts_with('[')) return whole.substr(1, whole.find(']') - 1);
    const std::size_t colon = whole.find(':');
    const bool is_v6 = colon != whole.rfind(':');
    return is_v6 || whole.starts_with("local:") ? whole : whole.substr(0, colon);
}

std::string_view Request::path() const {
    return std::string_view(target).substr(0, target.find('?'));
}

std::string_view Request::query() const {
    const std::size_t question = target.find('?');
    return question == std::string::npos ? std::string_view()
                                         : std::string_view(target).substr(question + 1);
}

std::string Request::content_type() const {
    std::string_view header = headers.get("Content-Type");
    return lower_text(trim(header.substr(0, header.find(';'))));
}

Result<Parameters> Request::form() const {
    if (const std::string type = content_type(); type != "application/x-www-form-urlencoded") {
        return fail(
            Category::unsupported_media,
            fmt::format("the body is \"{}\" (expected application/x-www-form-urlencoded)", type));
    }
    return parse_query_string(body);
}

Response Response::text(int status, std::string body, std::string_view content_type) {
    Response response;
    response.status = status;
    response.headers.add("Content-Type", content_type);
    response.body = std::move(body);
    return response;
}

namespace {
struct Phrase {
    int status;
    std::string_view text;
};
/// RFC 9110 §15, RFC 6585, RFC 4918 §11.5; in order of the status.
constexpr Phrase phrases[] = {{100, "Continue"},
                              {101, "Switching Protocols"},
                              {200, "OK"},
                              {201, "Created"},
                              {202, "Accepted"},
                              {204, "No Content"},
                              {206, "Partial Content"},
                              {301, "Moved Permanently"},
                              {302, "Found"},
                              {303, "See Other"},
                              {304, "Not Modified"},
                              {307, "Temporary Redirect"},
                              {308, "Permanent Redirect"},
                              {400, "Bad Request"},
                              {401, "Unauthorized"},
                              {403, "Forbidden"},
                              {404, "Not Found"},
                              {405, "Method Not Allowed"},
                              {406, "Not Acceptable"},
                              {408, "Request Timeout"},
                              {409, "Conflict"},
                              {410, "Gone"},
                              {411, "Length Required"},
                              {412, "Precondition Failed"},
                              {413, "Content Too Large"},
                              {414, "URI Too Long"},
                              {415, "Unsupported Media Type"},
                              {417, "Expectation Failed"},
                              {422, "Unprocessable Content"},
                              {426, "Upgrade Required"},
                              {428, "Precondition Required"},
                              {429, "Too Many Requests"},
                              {431, "Request Header Fields Too Large"},
                              {500, "Internal Server Error"},
                              {501, "Not Implemented"},
                              {502, "Bad Gateway"},
                              {503, "Service Unavailable"},
                              {504, "Gateway Timeout"},
                              {505, "HTTP Version Not Supported"},
                              {507, "Insufficient Storage"}};
}  // namespace

std::string_view reason_phrase(int status) {
    const auto* const found =
        std::lower_bound(std::begin(phrases), std::end(phrases), status,
                         [](const Phrase& phrase, int wanted) { return phrase.status < wanted; });
    return found != std::end(phrases) && found->status == status ? found->text : "Unknown";
}

// --- media types ---

std::string_view MediaType::parameter(std::string_view name) const {
    for (const auto& [key, value] : parameters) {
        if (key == name) return value;
    }
    return {};
}

Result<MediaType> parse_media_type(std::string_view text) {
    std::string_view rest = text;
    MediaType media;
    media.type = lower_text(next_piece(rest, ';'));
    const std::size_t slash = media.type.find('/');
    if (slash == std::string::npos || !is_token(std::string_view(media.type).substr(0, slash)) ||
        !is_token(std::string_view(media.type).substr(slash + 1))) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no media type (expected type/subtype)", text));
    }
    while (!rest.empty()) {
        const std::string_view piece = next_piece(rest, ';');
        if (piece.empty()) continue;
        const std::size_t equals = piece.find('=');
        if (equals == std::string_view::npos || !is_token(trim(piece.substr(0, equals)))) {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" is no parameter of a media type (expected name=value)", piece));
        }
        const std::string name = lower_text(trim(piece.substr(0, equals)));
        const std::string value = unquote(trim(piece.substr(equals + 1)));
        if (name == "q") {
            media.quality = parse_quality(value);
        } else {
            media.parameters.emplace_back(name, value);
        }
    }
    return media;
}

std::vector<MediaType> parse_accept(std::string_view header) {
    const auto is_better = [](const MediaType& left, const MediaType& right) {
        if (left.quality != right.quality) return left.quality > right.quality;
        return specificity(left) > specificity(right);
    };
    std::vector<MediaType> ranges;
    while (!header.empty() && ranges.size() < limits::http_accept_ranges_max) {
        const std::string_view piece = next_piece(header, ',');
        auto range = parse_media_type(piece == "*" ? "*/*" : piece);
        if (!range) continue;
        const auto place = std::upper_bound(ranges.begin(), ranges.end(), *range, is_better);
        ranges.insert(place, std::move(*range));
    }
    return ranges;
}

std::optional<std::size_t> negotiate(std::string_view accept,
                                     std::span<const std::string_view> offered) {
    if (trim(accept).empty()) return offered.empty() ? std::nullopt : std::optional<std::size_t>(0);
    const std::vector<MediaType> ranges = parse_accept(accept);
    std::optional<std::size_t> best;
    double best_quality = 0;
    std::size_t best_rank = 0;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        // RFC 9110 §12.5.1: the most specific range that covers a type gives its quality.
        const MediaType* match = nullptr;
        for (const MediaType& range : ranges) {
            if (covers(range, offered[i]) &&
                (match == nullptr || specificity(range) > specificity(*match)))
                match = &range;
        }
        if (match == nullptr || match->quality <= 0) continue;
        const auto rank = static_cast<std::size_t>(match - ranges.data());
        if (!best || match->quality > best_quality ||
            (match->quality == best_quality && rank < best_rank)) {
            best = i;
            best_quality = match->quality;
            best_rank = rank;
        }
    }
    return best;
}

Encoding negotiate_encoding(std::string_view accept_encoding) {
    double zstd = -1, gzip = -1, identity = -1, any = -1;
    while (!accept_encoding.empty()) {
        std::string_view piece = next_piece(accept_encoding, ',');
        const std::string coding = lower_text(next_piece(piece, ';'));
        double quality = 1;
        while (!piece.empty()) {
            const std::string_view parameter = next_piece(piece, ';');
            if (parameter.starts_with("q=") || parameter.starts_with("Q="))
                quality = parse_quality(parameter.substr(2));
        }
        if (coding == "zstd") zstd = quality;
        if (coding == "gzip" || coding == "x-gzip") gzip = quality;
        if (coding == "identity") identity = quality;
        if (coding == "*") any = quality;
    }
    if (zstd < 0) zstd = any;
    if (gzip < 0) gzip = any;
    if (zstd > 0 && zstd >= gzip && zstd >= identity) return Encoding::zstd;
    if (gzip > 0 && gzip >= identity) return Encoding::gzip;
    return Encoding::identity;
}

// --- preferences and conditions ---

std::optional<std::string> preference(const Request& request, std::string_view name) {
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
        const Headers::Field field = request.headers[i];
        if (!equal_without_case(field.name, "Prefer")) continue;
        std::string_view rest = field.value;
        while (!rest.empty()) {
            std::string_view entry = next_piece(rest, ',');
            const std::string_view first =
                next_piece(entry, ';');  // what follows ';' are parameters, of no use here
            const std::size_t equals = first.find('=');
            if (!equal_without_case(trim(first.substr(0, equals)), name)) continue;
            return equals == std::string_view::npos ? std::string()
                                                    : unquote(trim(first.substr(equals + 1)));
        }
    }
    return std::nullopt;
}

Result<EntityTag> parse_entity_tag(std::string_view text) {
    const std::string_view whole = text = trim(text);
    EntityTag tag;
    if (text.starts_with("W/")) {
        tag.weak = true;
        text.remove_prefix(2);
    }
    if (text.size() < 2 || text.front() != '"' || text.back() != '"' ||
        text.substr(1, text.size() - 2).find('"') != std::string_view::npos) {
        return fail(Category::incorrect,
                    fmt::format("{} is no entity tag (expected W/\"3\")", whole));
    }
    tag.value = text.substr(1, text.size() - 2);
    return tag;
}

std::string weak_tag(std::string_view value) {
    return fmt::format("W/\"{}\"", value);
}

bool TagList::contains(std::string_view value) const {
    return any || std::any_of(tags.begin(), tags.end(),
                              [&](const EntityTag& tag) { return tag.value == value; });
}

Result<TagList> parse_tag_list(std::string_view header) {
    TagList list;
    if (trim(header) == "*") {
        list.any = true;
        return list;
    }
    while (!header.empty()) {
        const std::string_view piece = next_piece(header, ',');
        if (!piece.empty()) list.tags.push_back(TRY(parse_entity_tag(piece)));
    }
    if (list.tags.empty())
        return fail(Category::incorrect,
                    "the list of entity tags is empty (expected W/\"3\" or *)");
    return list;
}

bool is_not_modified(const Request& request, std::string_view tag_value,
                     std::optional<Instant> last_modified) {
    if (request.method != Method::get && request.method != Method::head) return false;
    if (request.headers.has("If-None-Match")) {
        const auto list = parse_tag_list(request.headers.joined("If-None-Match"));
        return list && list->contains(tag_value);
    }
    const auto since_header = request.headers.find("If-Modified-Since");
    if (!since_header || !last_modified) return false;
    const auto since = parse_http_date(*since_header);
    return since && last_modified->milliseconds / 1000 <= since->milliseconds / 1000;
}

}  // namespace meridian::net
