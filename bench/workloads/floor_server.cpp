// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "base/ids.hpp"
#include "bench/workloads/bench.hpp"
#include "net/server.hpp"
#include "server/application.hpp"
#include "store/open.hpp"

namespace meridian::bench {

namespace {

/// Paths and bodies, one pair of lines each.
std::unordered_map<std::string, std::string> read_pairs(const std::string& path) {
    std::unordered_map<std::string, std::string> bodies;
    std::ifstream file(path);
    for (std::string target, body; std::getline(file, target) && std::getline(file, body);)
        bodies.emplace(target, body);
    return bodies;
}

net::Handler static_handler(const std::string& argument) {
    auto bodies =
        std::make_shared<const std::unordered_map<std::string, std::string>>(read_pairs(argument));
    return [bodies](const net::Request& request) {
        const auto found = bodies->find(std::string(request.path()));
        if (found == bodies->end()) return net::Response::text(404, "no such path\n");
        return net::Response::text(200, found->second, "application/fhir+json; charset=utf-8");
    };
}

/// Floor B: the same HTTP stack and committer, one bare row per request, no FHIR.
net::Handler row_handler(store::Store& store) {
    const store::Name type = store.names().intern(store::NameKind::type, "Row");
    return [&store, type](const net::Request& request) {
        std::string id(request.path().substr(1));
        if (request.method == net::Method::get) {
            auto snapshot = store.snapshot();
            if (!snapshot) return net::Response::text(503, snapshot.error().message);
            const auto found = (*snapshot)->find({type, id});
            if (!found || !*found) return net::Response::text(404, "no such row\n");
            return net::Response::text(200, (*found)->body, "application/json");
        }
        store::Commit commit;
        store::Change change;
        const bool is_new = request.method == net::Method::post;
        if (is_new) id = new_ordered_uuid();
        change.identity = {type, id};
        change.fresh = is_new;
        change.verb =
            request.method == net::Method::delete_ ? store::Verb::remove : store::Verb::update;
        if (change.verb != store::Verb::remove) change.body = request.body;
        commit.changes.push_back(std::move(change));
        const auto receipt = store.commit(std::move(commit));
        if (!receipt) return net::Response::text(503, receipt.error().message);
        net::Response response = net::Response::text(is_new                               ? 201
                                                     : change.verb == store::Verb::remove ? 204
                                                                                          : 200,
                                                     request.body, "application/json");
        if (is_new) response.headers.add("Location", "/" + id);
        return response;
    };
}

}  // namespace

int run_floor_server(const std::string& kind, const std::string& argument) {
    std::unique_ptr<store::Store> store;
    net::ServerOptions options;
    options.workers = server::default_workers;  // as the server that is measured
    if (kind == "static") {
        options.handler = static_handler(argument);
        options.at_once = options.handler;  // as a read by id is answered
    } else {
        store::OpenOptions open;
        open.folder = argument;
        auto opened = store::open(open);
        if (!opened) return 1;
        store = *std::move(opened);
        options.handler = row_handler(*store);
    }
    auto server = net::Server::start(std::move(options));
    if (!server) return 1;
    std::printf("%u\n", (*server)->port());
    std::fflush(stdout);
    while (true) pause();
}

}  // namespace meridian::bench
