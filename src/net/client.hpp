// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/result.hpp"
#include "net/http.hpp"

namespace meridian::net {

struct ClientOptions {
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
    std::chrono::milliseconds total_timeout = std::chrono::seconds(30);
    std::size_t answer_bytes_max = limits::client_answer_bytes_max;  ///< of the body after decoding
    std::string user_agent = "meridian";
    std::string authorities_file{};  ///< PEM: trusted in place of the system's authorities
    std::string unix_socket{};       ///< path: every request goes there, whatever its URL's host is
};

struct ClientRequest {
    Method method = Method::get;
    std::string url;  ///< absolute, http or https
    Headers headers{};
    std::string body{};
};

struct ClientAnswer {
    int status = 0;
    Headers headers{};
    std::string body{};
};

/// A blocking HTTP client that keeps connections open between calls. Redirects are not followed (a
/// 3xx is an answer like any other), TLS certificates and host names are verified, proxies of the
/// environment are not used, only http and https are spoken. One Client is for one thread at a
/// time.
class Client {
 public:
    explicit Client(ClientOptions options = {});
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    /// Sends one request and waits for the whole answer; any status is a success here.
    /// Errors: `incorrect` for a bad URL; `too_large` when the answer exceeds answer_bytes_max;
    /// `unavailable` when there is no connection, no trust or no answer in time (the message says
    /// which). Blocking: up to total_timeout.
    Result<ClientAnswer> send(const ClientRequest& request);

    /// Takes the next piece of a streamed body; an empty piece comes about once a second while
    /// nothing else does. An error ends the transfer.
    using OnBody = std::function<Result<void>(std::string_view piece)>;
    /// Like send, for bodies of any length: a 2xx body goes to `on_body` piece by piece, so that
    /// memory does not grow with it; the body of any other answer is kept as send keeps it.
    /// Errors: those of `on_body`; as send, with `bytes_max` for the streamed body; `unavailable`
    /// when the connection ends early or nothing comes for `idle_timeout`. Blocking: as long as
    /// the body lasts, whatever total_timeout says.
    Result<ClientAnswer> stream(const ClientRequest& request, std::size_t bytes_max,
                                std::chrono::seconds idle_timeout, const OnBody& on_body);

 private:
    struct Implementation;
    struct Streaming;
    Result<ClientAnswer> perform(const ClientRequest& request, Streaming* streaming);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace meridian::net
