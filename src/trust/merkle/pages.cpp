// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/pages.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <map>

#include "base/json.hpp"
#include "base/log.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::merkle {

namespace {

constexpr std::string_view root_path = "/log";
constexpr std::string_view for_ever = "public, max-age=31536000, immutable";
constexpr std::string_view for_seconds = "public, max-age=5";

std::string base64_of(const Hash& hash) {
    return base64_encode({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

int status_of(Category category) {
    switch (category) {
        case Category::incorrect:
            return 400;
        case Category::not_found:
            return 404;
        case Category::not_allowed:
            return 405;
        default:
            return 503;
    }
}

net::Response refused(const Error& error) {
    const int status = status_of(error.category);
    // What a disk or a path says is for the log of the server, not for the public.
    if (status == 503)
        log::error("the audit tree cannot be read",
                   {{"error", error.message}, {"where", error.where}});
    net::Response response = net::Response::text(
        status, status == 503 ? "the tree cannot be read now\n" : error.message + "\n");
    response.headers.add("Cache-Control", "no-store");
    if (status == 405) response.headers.add("Allow", "GET, HEAD");
    return response;
}

/// What a checkpoint names must be there: a tile that is missing is a fault of ours.
template <class T>
Result<T> there(Result<T> read) {
    if (!read && read.error().category == Category::not_found)
        return fail(Category::unavailable, read.error().message, read.error().where);
    return read;
}

net::Response found(std::string body, std::string_view type, std::string_view caching) {
    net::Response response = net::Response::text(200, std::move(body), type);
    response.headers.add("Cache-Control", caching);
    // Monitors run in other people's pages too; there is nothing here that a sign-in opens.
    response.headers.add("Access-Control-Allow-Origin", "*");
    return response;
}

net::Response found_json(const Json& value, std::string_view caching) {
    return found(to_text(value) + "\n", "application/json", caching);
}

using Numbers = std::map<std::string, std::uint64_t>;

/// The parameters of a request, all of which are numbers of `known` names, each at most once.
Result<Numbers> numbers_of(const net::Request& request,
                           std::initializer_list<std::string_view> known) {
    Numbers numbers;
    for (const auto& [name, value] : TRY(request.parameters())) {
        if (std::find(known.begin(), known.end(), name) == known.end())
            return fail(Category::incorrect,
                        fmt::format("there is no such parameter here; there are: {}",
                                    fmt::join(known, ", ")));
        std::uint64_t number = 0;
        const char* const end = value.data() + value.size();
        const auto [stop, error] = std::from_chars(value.data(), end, number);
        const bool has_zeros = value.size() > 1 && value.front() == '0';
        if (value.empty() || error != std::errc() || stop != end || has_zeros)
            return fail(Category::incorrect, fmt::format("{} must be a number", name));
        if (!numbers.emplace(name, number).second)
            return fail(Category::incorrect, fmt::format("{} stands twice", name));
    }
    return numbers;
}

Result<std::uint64_t> required(const Numbers& numbers, const std::string& name) {
    const auto place = numbers.find(name);
    if (place == numbers.end()) return fail(Category::incorrect, fmt::format("{} is needed", name));
    return place->second;
}

std::uint64_t number_or(const Numbers& numbers, const std::string& name, std::uint64_t otherwise) {
    const auto place = numbers.find(name);
    return place == numbers.end() ? otherwise : place->second;
}

Json hashes_in(JsonDocument& document, std::span<const Hash> hashes) {
    Json list = document.array();
    for (const Hash& hash : hashes) document.append(list, document.string(base64_of(hash)));
    return list;
}

Json number_in(JsonDocument& document, std::uint64_t number) {
    return document.number(static_cast<std::int64_t>(number));
}

}  // namespace

std::optional<net::Response> Pages::handle(const net::Request& request) const {
    const std::string_view path = request.path();
    if (path != root_path && !path.starts_with("/log/")) return std::nullopt;
    auto response = answer(request);
    if (!response) return refused(response.error());
    return std::move(*response);
}

Result<net::Response> Pages::answer(const net::Request& request) const {
    if (request.method != net::Method::get && request.method != net::Method::head)
        return fail(Category::not_allowed, "the log is only read here");
    std::string_view path = request.path();
    path.remove_prefix(std::min(path.size(), root_path.size() + 1));
    if (path == "entries") return entries(request);
    if (path == "proof/inclusion") return inclusion(request);
    if (path == "proof/consistency") return consistency(request);
    if (!request.query().empty()) return fail(Category::incorrect, "there are no parameters here");
    if (path == "checkpoint") return checkpoint();
    if (path == "keys") return keys();
    if (path.starts_with("tile/")) return tile(path);
    return fail(Category::not_found, "there is no such page of the log");
}

Result<std::uint64_t> Pages::newest_size() const {
    const auto newest = keeper_.newest();
    if (!newest) return fail(Category::not_found, "no checkpoint has been signed yet");
    return newest->checkpoint.size;
}

Result<net::Response> Pages::checkpoint() const {
    const auto newest = keeper_.newest();
    if (!newest) return fail(Category::not_found, "no checkpoint has been signed yet");
    return found(newest->note.to_text(), "text/plain; charset=utf-8", for_seconds);
}

Result<net::Response> Pages::keys() const {
    std::string list;
    for (const VerifierKey& key : keeper_.keys()) list += key.to_text() + "\n";
    return found(std::move(list), "text/plain; charset=utf-8", for_seconds);
}

Result<net::Response> Pages::tile(std::string_view path) const {
    const auto place = parse_tile_path(path);
    // A path that names no tile is a page that is not there.
    if (!place) return fail(Category::not_found, "there is no such tile");
    // Only what a checkpoint names: tiles in work may still change.
    const std::uint64_t size = TRY(newest_size());
    const std::uint64_t hashes =
        place->level < 64 / tile_height ? size >> (tile_height * place->level) : 0;
    const bool is_there =
        hashes / tile_width > place->index ||
        (hashes / tile_width == place->index && place->width <= hashes % tile_width);
    if (!is_there) return fail(Category::not_found, "there is no such tile");
    // The tile of a size between two checkpoints is the beginning of the one on the disk.
    TilePlace kept = *place;
    if (kept.width != tile_width) kept = tile_of(kept.level, kept.index * tile_width, size);
    auto read = TRY(there(keeper_.tiles().read(kept)));
    read.resize(place->width);
    std::string body(reinterpret_cast<const char*>(read.data()), read.size() * sizeof(Hash));
    auto response = found(std::move(body), "application/octet-stream", for_ever);
    response.compressible = false;
    return response;
}

Result<net::Response> Pages::entries(const net::Request& request) const {
    const auto numbers = TRY(numbers_of(request, {"from", "limit"}));
    const std::uint64_t size = TRY(newest_size());
    const std::uint64_t from = TRY(required(numbers, "from"));
    const std::uint64_t limit = number_or(numbers, "limit", tile_width);
    if (from >= size)
        return fail(Category::incorrect,
                    fmt::format("from must be below {}, the size of the tree", size));
    if (limit == 0 || limit > limits::tree_leaves_per_answer_max)
        return fail(Category::incorrect,
                    fmt::format("limit must be 1 to {}", limits::tree_leaves_per_answer_max));
    const std::uint64_t end = from + std::min(limit, size - from);
    std::vector<Hash> leaves;
    for (std::uint64_t next = from; next < end;) {
        const TilePlace place = tile_of(0, next, size);
        const auto hashes = TRY(there(keeper_.tiles().read(place)));
        const std::uint64_t first = place.index * tile_width;
        const std::uint64_t stop = std::min<std::uint64_t>(end, first + hashes.size());
        leaves.insert(leaves.end(), hashes.begin() + static_cast<std::ptrdiff_t>(next - first),
                      hashes.begin() + static_cast<std::ptrdiff_t>(stop - first));
        next = stop;
    }
    JsonDocument document;
    Json object = document.object();
    document.set(object, "from", number_in(document, from));
    document.set(object, "size", number_in(document, size));
    document.set(object, "leaves", hashes_in(document, leaves));
    return found_json(object, for_seconds);
}

Result<net::Response> Pages::inclusion(const net::Request& request) const {
    const auto numbers = TRY(numbers_of(request, {"position", "size"}));
    const std::uint64_t newest = TRY(newest_size());
    const std::uint64_t position = TRY(required(numbers, "position"));
    const std::uint64_t size = number_or(numbers, "size", newest);
    if (size > newest || position >= size)
        return fail(Category::incorrect,
                    fmt::format("position must be below size, and size at most {}", newest));
    const auto nodes = keeper_.tiles().nodes(newest);
    const Hash leaf = TRY(there(nodes(0, position)));
    const Proof proof = TRY(there(prove_inclusion(nodes, position, size)));
    JsonDocument document;
    Json object = document.object();
    document.set(object, "position", number_in(document, position));
    document.set(object, "size", number_in(document, size));
    document.set(object, "root", document.string(base64_of(TRY(there(hash_of(nodes, 0, size))))));
    document.set(object, "leaf", document.string(base64_of(leaf)));
    document.set(object, "proof", hashes_in(document, proof));
    return found_json(object, numbers.contains("size") ? for_ever : for_seconds);
}

Result<net::Response> Pages::consistency(const net::Request& request) const {
    const auto numbers = TRY(numbers_of(request, {"first", "second"}));
    const std::uint64_t newest = TRY(newest_size());
    const std::uint64_t first = TRY(required(numbers, "first"));
    const std::uint64_t second = number_or(numbers, "second", newest);
    if (first == 0 || first > second || second > newest)
        return fail(Category::incorrect,
                    fmt::format("first must be 1 to second, and second at most {}", newest));
    const auto nodes = keeper_.tiles().nodes(newest);
    const Proof proof = TRY(there(prove_consistency(nodes, first, second)));
    JsonDocument document;
    Json object = document.object();
    document.set(object, "first", number_in(document, first));
    document.set(object, "second", number_in(document, second));
    document.set(object, "first_root",
                 document.string(base64_of(TRY(there(hash_of(nodes, 0, first))))));
    document.set(object, "second_root",
                 document.string(base64_of(TRY(there(hash_of(nodes, 0, second))))));
    document.set(object, "proof", hashes_in(document, proof));
    return found_json(object, numbers.contains("second") ? for_ever : for_seconds);
}

}  // namespace meridian::trust::merkle
