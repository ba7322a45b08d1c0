// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/sources.hpp"

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "net/client.hpp"

namespace meridian::rest {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view file_scheme = "file://";

std::string shown(std::string_view url) {
    return std::string(url.substr(0, 200));
}

/// The path of "file:///folder/name". Errors: `incorrect` for another host or a relative path.
Result<std::string> file_path(std::string_view url) {
    const std::string path = TRY(percent_decode(url.substr(file_scheme.size())));
    if (!path.starts_with('/') || path.find('\0') != std::string::npos)
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no file URL: expected file:///folder/name", shown(url)));
    return path;
}

/// True when `path` is `folder` or lies below it; both are free of links and dots.
bool lies_below(const std::string& path, const std::string& folder) {
    return path == folder || folder == "/" ||
           (path.starts_with(folder) && path[folder.size()] == '/');
}

std::unexpected<Error> not_listed(std::string_view url, bool is_empty) {
    return fail(Category::forbidden,
                fmt::format("\"{}\" may not be fetched: the server's configuration lists what may "
                            "under import.sources, {}",
                            shown(url),
                            is_empty ? "and it lists nothing" : "and this is not below any of it"));
}

/// The address that a redirect leads to. Errors: `unavailable`.
Result<std::string> redirected(const std::string& url, std::string_view location) {
    if (location.find("://") != std::string_view::npos) return std::string(location);
    if (!location.starts_with('/') || location.starts_with("//"))
        return fail(Category::unavailable,
                    fmt::format("{} redirects to \"{}\", which is not followed", shown(url),
                                shown(location)));
    const std::size_t host = url.find("://") + 3;
    return url.substr(0, std::min(url.find_first_of("/?", host), url.size())) +
           std::string(location);
}

}  // namespace

Result<ImportSources> ImportSources::make(const std::vector<std::string>& prefixes) {
    ImportSources made;
    for (const std::string& prefix : prefixes) {
        if (prefix.starts_with(file_scheme)) {
            std::error_code error;
            const fs::path folder = fs::canonical(TRY(file_path(prefix)), error);
            if (error)
                return fail(Category::incorrect,
                            fmt::format("\"{}\" is not there: {}", prefix, error.message()),
                            "import.sources");
            made.folders_.push_back(folder.string());
            continue;
        }
        if (const auto added = made.web_.add(prefix); !added)
            return fail(Category::incorrect, added.error().message + ", or file:///folder",
                        "import.sources");
    }
    return made;
}

Result<void> ImportSources::check_web(std::string_view url) const {
    if (TRY(web_.contain(url))) return {};
    return not_listed(url, web_.empty() && folders_.empty());
}

Result<std::string> ImportSources::allowed_file(std::string_view url) const {
    const std::string path = TRY(file_path(url));
    std::error_code error;
    // Links and dots are resolved first. What is not there is told apart only inside of what is
    // listed, so that nobody can feel their way through the machine's folders.
    const std::string real = fs::weakly_canonical(path, error).string();
    const bool is_listed =
        !error && std::any_of(folders_.begin(), folders_.end(),
                              [&](const std::string& folder) { return lies_below(real, folder); });
    if (!is_listed) return not_listed(url, web_.empty() && folders_.empty());
    if (!fs::is_regular_file(real, error))
        return fail(Category::not_found, fmt::format("there is no file \"{}\"", shown(url)));
    return real;
}

Result<void> ImportSources::check(std::string_view url) const {
    if (!url.starts_with(file_scheme)) return check_web(url);
    TRY(allowed_file(url));
    return {};
}

namespace {

Result<void> read_file_pieces(const std::string& path, std::size_t bytes_max,
                              const std::function<Result<void>(std::string_view)>& on_bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                               std::fclose);
    if (!file) return fail(Category::unavailable, "the file cannot be opened");
    std::string piece;
    std::size_t total = 0;
    do {
        piece.resize(limits::http_chunk_bytes);
        piece.resize(std::fread(piece.data(), 1, piece.size(), file.get()));
        total += piece.size();
        if (total > bytes_max)
            return fail(Category::too_large,
                        fmt::format("the file is longer than {} bytes", bytes_max));
        if (!piece.empty()) TRY(on_bytes(piece));
    } while (!piece.empty());
    if (std::ferror(file.get()) != 0) return fail(Category::unavailable, "the file cannot be read");
    return {};
}

}  // namespace

Result<void> ImportSources::fetch(
    const std::string& url, const FetchHeaders& headers, std::size_t bytes_max,
    const std::function<Result<void>(std::string_view)>& on_bytes) const {
    if (url.starts_with(file_scheme))
        return read_file_pieces(TRY(allowed_file(url)), bytes_max, on_bytes);
    net::Client client;
    std::string address = url;
    for (unsigned hop = 0; hop <= limits::import_fetch_redirects_max; ++hop) {
        TRY(check_web(address));
        net::ClientRequest request;
        request.url = address;
        request.headers.add("Accept", "application/fhir+ndjson, application/json, */*;q=0.1");
        // Secrets of the first host are none of another's.
        const auto first = TRY(net::Url::parse(url)), now = TRY(net::Url::parse(address));
        if (first.scheme == now.scheme && first.host == now.host && first.port == now.port) {
            for (const auto& [name, value] : headers) request.headers.set(name, value);
        }
        const net::ClientAnswer answer = TRY(client.stream(
            request, bytes_max, std::chrono::seconds(limits::import_fetch_idle_seconds), on_bytes));
        if (answer.status >= 200 && answer.status < 300) return {};
        const auto location = answer.headers.find("Location");
        if (answer.status < 300 || answer.status >= 400 || !location) {
            return fail(answer.status == 404 || answer.status == 410  ? Category::not_found
                        : answer.status < 500 && answer.status != 429 ? Category::forbidden
                                                                      : Category::unavailable,
                        fmt::format("the source answered {} {}", answer.status,
                                    net::reason_phrase(answer.status)));
        }
        address = TRY(redirected(address, *location));
    }
    return fail(Category::unavailable, fmt::format("the source redirects more than {} times",
                                                   limits::import_fetch_redirects_max));
}

}  // namespace meridian::rest
