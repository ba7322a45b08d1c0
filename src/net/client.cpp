// SPDX-License-Identifier: Apache-2.0
// Adapter: the only file that sees libcurl.
#include "net/client.hpp"

#include <curl/curl.h>

#include <mutex>
#include <optional>

namespace meridian::net {

namespace {

void initialise_once() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' '))
        text.remove_suffix(1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    return text;
}

/// What the callbacks of one call fill.
struct Reception {
    ClientAnswer answer{};
    std::size_t bytes_max = 0;
    std::size_t header_bytes = 0;
    bool is_too_large = false;
    // of a streamed body
    CURL* handle = nullptr;
    const Client::OnBody* on_body = nullptr;
    std::size_t streamed_bytes_max = 0;
    std::size_t streamed_bytes = 0;
    std::optional<Error> refusal{};

    bool is_streamed() const {
        long status = 0;
        if (on_body != nullptr) curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        return status >= 200 && status < 300;
    }
    /// False ends the transfer.
    bool take(std::string_view piece) {
        streamed_bytes += piece.size();
        is_too_large = streamed_bytes > streamed_bytes_max;
        if (is_too_large) return false;
        auto taken = (*on_body)(piece);
        if (!taken) refusal = std::move(taken).error();
        return !refusal;
    }
};

int on_progress(void* target, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Reception*>(target)->take({}) ? 0 : 1;  // 1 makes curl end the transfer
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* target) {
    Reception& reception = *static_cast<Reception*>(target);
    const std::size_t bytes = size * count;
    if (reception.is_streamed()) return reception.take({data, bytes}) ? bytes : 0;
    if (bytes > reception.bytes_max - reception.answer.body.size()) {
        reception.is_too_large = true;
        return 0;  // makes curl end the transfer
    }
    reception.answer.body.append(data, bytes);
    return bytes;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* target) {
    Reception& reception = *static_cast<Reception*>(target);
    const std::size_t bytes = size * count;
    const std::string_view line(data, bytes);
    reception.header_bytes += bytes;
    if (reception.header_bytes > limits::http_header_bytes_max) {
        reception.is_too_large = true;
        return 0;
    }
    if (line.starts_with("HTTP/")) {
        reception.answer.headers.clear();  // an interim answer (1xx) came before
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
        reception.answer.headers.add(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    }
    return bytes;
}

std::string reason_of(CURLcode code, const char* detail) {
    if (code == CURLE_OPERATION_TIMEDOUT) return "no answer in time";
    return detail[0] != '\0' ? detail : curl_easy_strerror(code);
}

}  // namespace

struct Client::Implementation {
    explicit Implementation(ClientOptions its_options) : options(std::move(its_options)) {}
    ~Implementation() {
        if (handle != nullptr) curl_easy_cleanup(handle);
    }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    void set_options(const ClientRequest& request, const std::string& url, Reception& reception);
    void set_streaming(const Streaming& streaming, Reception& reception);

    ClientOptions options;
    CURL* handle = nullptr;
    char detail[CURL_ERROR_SIZE] = {};
};

Client::Client(ClientOptions options)
    : implementation_(std::make_unique<Implementation>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

void Client::Implementation::set_options(const ClientRequest& request, const std::string& url,
                                         Reception& reception) {
    curl_easy_reset(handle);  // keeps the open connections
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // signals and threads do not mix
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options.connect_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_USERAGENT, options.user_agent.c_str());
    curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");  // all that curl can decode
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reception);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &reception);
    if (!options.authorities_file.empty())
        curl_easy_setopt(handle, CURLOPT_CAINFO, options.authorities_file.c_str());
    if (!options.unix_socket.empty())
        curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
    if (request.method == Method::head) {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
        return;
    }
    if (!request.body.empty() || request.method == Method::post || request.method == Method::put ||
        request.method == Method::patch) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, name_of(request.method).data());
}

/// How a body is streamed.
struct Client::Streaming {
    std::size_t bytes_max;
    std::chrono::seconds idle_timeout;
    const OnBody& on_body;
};

Result<ClientAnswer> Client::send(const ClientRequest& request) {
    return perform(request, nullptr);
}

Result<ClientAnswer> Client::stream(const ClientRequest& request, std::size_t bytes_max,
                                    std::chrono::seconds idle_timeout, const OnBody& on_body) {
    Streaming streaming{bytes_max, idle_timeout, on_body};
    return perform(request, &streaming);
}

void Client::Implementation::set_streaming(const Streaming& streaming, Reception& reception) {
    reception.handle = handle;
    reception.on_body = &streaming.on_body;
    reception.streamed_bytes_max = streaming.bytes_max;
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 0L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);  // bytes a second
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(streaming.idle_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &reception);
}

Result<ClientAnswer> Client::perform(const ClientRequest& request, Streaming* streaming) {
    const Url url = TRY(Url::parse(request.url));
    if (request.method == Method::other)
        return fail(Category::incorrect, "the request has no method");
    Implementation& self = *implementation_;
    initialise_once();
    if (self.handle == nullptr) self.handle = curl_easy_init();
    if (self.handle == nullptr)
        return fail(Category::unavailable, "the HTTP client could not be set up: no memory");

    Reception reception;
    reception.bytes_max = self.options.answer_bytes_max;
    const std::string text = url.to_text();
    self.set_options(request, text, reception);
    if (streaming != nullptr) self.set_streaming(*streaming, reception);
    curl_slist* list = nullptr;
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
        const Headers::Field field = request.headers[i];
        list = curl_slist_append(list, fmt::format("{}: {}", field.name, field.value).c_str());
    }
    // Without this curl waits a second for 100 Continue before larger bodies.
    if (!request.headers.has("Expect")) list = curl_slist_append(list, "Expect:");
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owner(list, curl_slist_free_all);
    curl_easy_setopt(self.handle, CURLOPT_HTTPHEADER, list);
    self.detail[0] = '\0';
    const CURLcode code = curl_easy_perform(self.handle);
    if (reception.refusal) return std::unexpected(*std::move(reception.refusal));
    if (reception.is_too_large) {
        return fail(Category::too_large,
                    fmt::format("the answer of {} exceeds {} bytes", url.host,
                                reception.streamed_bytes > 0 ? reception.streamed_bytes_max
                                                             : self.options.answer_bytes_max));
    }
    if (code != CURLE_OK) {
        return fail(Category::unavailable, fmt::format("{}:{} could not be reached: {}", url.host,
                                                       url.port, reason_of(code, self.detail)));
    }
    long status = 0;
    curl_easy_getinfo(self.handle, CURLINFO_RESPONSE_CODE, &status);
    reception.answer.status = static_cast<int>(status);
    return std::move(reception.answer);
}

}  // namespace meridian::net
