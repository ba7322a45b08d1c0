// SPDX-License-Identifier: Apache-2.0
#include "net/server.hpp"

#include <gtest/gtest.h>

#include "net/client.hpp"

namespace meridian::net {
namespace {

std::unique_ptr<Server> serve(Handler handler) {
    ServerOptions options;
    options.handler = std::move(handler);
    auto server = Server::start(std::move(options));
    EXPECT_TRUE(server.has_value());
    return std::move(*server);
}

TEST(Server, AnswersARequest) {
    const auto server = serve([](const Request& request) {
        return Response::text(200, "hello " + std::string(request.path()));
    });
    Client client;
    const auto answer =
        client.send({.url = fmt::format("http://127.0.0.1:{}/x?y=1", server->port())});
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "hello /x");
}

}  // namespace
}  // namespace meridian::net
