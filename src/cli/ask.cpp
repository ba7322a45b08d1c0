// SPDX-License-Identifier: Apache-2.0
#include "cli/ask.hpp"

#include <filesystem>

#include "net/client.hpp"
#include "server/application.hpp"
#include "server/control.hpp"

namespace meridian::cli {

namespace {

/// What the server of this folder answers; nothing when none runs.
Result<std::optional<net::ClientAnswer>> ask_server(const Place& place, net::Method method,
                                                    const std::string& path,
                                                    const std::string& body,
                                                    std::chrono::seconds patience) {
    const std::string socket = server::control_socket_path(place.folder);
    std::error_code ignored;
    if (!std::filesystem::exists(socket, ignored)) return std::optional<net::ClientAnswer>();
    net::ClientOptions options;
    options.unix_socket = socket;
    options.total_timeout = patience;
    net::Client client(options);
    net::ClientRequest request{.method = method, .url = "http://localhost" + path, .body = body};
    request.headers.add("Content-Type", "application/json");
    auto answer = client.send(request);
    // The socket of a server that was killed stays behind: nobody answers there.
    if (!answer) return std::optional<net::ClientAnswer>();
    return std::optional(*std::move(answer));
}

Result<net::ClientAnswer> ask_folder(const Place& place, net::Method method,
                                     const std::string& path, const std::string& body) {
    // A record is begun with its first account; a question to a mistyped folder makes none.
    const bool begins = method == net::Method::post && path == "/accounts";
    auto record = TRY(server::open_record(
        {.data_folder = place.folder, .database = place.database, .create = begins}));
    net::Request request;
    request.method = method;
    request.target = path;
    request.body = body;
    const auto response = server::Control(*record.guard, *record.repository).handle(request);
    return net::ClientAnswer{.status = response.status, .body = response.body};
}

}  // namespace

Result<JsonDocument> ask(const Place& place, net::Method method, const std::string& path,
                         const std::string& body, std::chrono::seconds patience) {
    auto answered = TRY(ask_server(place, method, path, body, patience));
    const net::ClientAnswer answer =
        answered ? *std::move(answered) : TRY(ask_folder(place, method, path, body));
    JsonDocument document = TRY(JsonDocument::parse(answer.body));
    if (answer.status < 300) return document;
    const Json& root = document.root();
    return fail(category_named(root.string_at("category")), std::string(root.string_at("error")),
                std::string(root.string_at("where")));
}

}  // namespace meridian::cli
