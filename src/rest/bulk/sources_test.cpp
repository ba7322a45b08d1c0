// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/sources.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "net/server.hpp"
#include "rest/subscriptions/testing.hpp"

namespace meridian::rest {
namespace {

using subscriptions::testing::Folder;
using subscriptions::testing::must;

Category refusal(const ImportSources& sources, std::string_view url) {
    const auto checked = sources.check(url);
    EXPECT_FALSE(checked) << url << " is allowed";
    return checked ? Category::fault : checked.error().category;
}

TEST(ImportSources, NothingIsAllowedUnlessListed) {
    const ImportSources none = must(ImportSources::make({}));
    for (const char* url : {"http://127.0.0.1:1/x", "https://example.org/x", "file:///etc/passwd"})
        EXPECT_EQ(refusal(none, url), Category::forbidden);
    const auto checked = none.check("http://127.0.0.1/x");
    EXPECT_NE(checked.error().message.find("import.sources"), std::string::npos);
    EXPECT_NE(checked.error().message.find("nothing"), std::string::npos);
}

TEST(ImportSources, APrefixEndsAtASegmentOfThatHostAndPort) {
    const ImportSources sources =
        must(ImportSources::make({"https://files.example.org/exports", "http://[::1]:81"}));
    for (const char* url :
         {"https://files.example.org/exports", "https://files.example.org/exports/a?b=c",
          "https://FILES.example.org:443/exports/a/b", "http://[::1]:81/anything"})
        EXPECT_TRUE(sources.check(url)) << url;
    for (const char* url :
         {"https://files.example.org/exports2", "https://files.example.org/",
          "http://files.example.org/exports/a", "https://files.example.org:8443/exports/a",
          "https://files.example.org.evil.org/exports/a", "http://[::1]/anything"})
        EXPECT_EQ(refusal(sources, url), Category::forbidden) << url;
    for (const char* url : {"https://files.example.org/exports/../secret",
                            "https://files.example.org/exports/%2e%2e/secret",
                            "https://files.example.org@evil.org/exports/", "ftp://x/exports", ""})
        EXPECT_FALSE(sources.check(url)) << url;
}

TEST(ImportSources, FilesLieBelowAListedFolder) {
    const Folder folder;
    const std::string base = folder.path();
    std::filesystem::create_directories(base + "/in/deep");
    std::filesystem::create_directories(base + "/in2");
    for (const char* name : {"/in/deep/a", "/in2/b", "/c"}) std::ofstream(base + name) << "x";
    std::filesystem::create_symlink(base + "/c", base + "/in/link");
    const ImportSources sources = must(ImportSources::make({"file://" + base + "/in"}));
    EXPECT_TRUE(sources.check("file://" + base + "/in/deep/a"));
    EXPECT_EQ(refusal(sources, "file://" + base + "/in2/b"), Category::forbidden);
    EXPECT_EQ(refusal(sources, "file://" + base + "/in/../c"), Category::forbidden);
    EXPECT_EQ(refusal(sources, "file://" + base + "/in/link"), Category::forbidden);
    EXPECT_EQ(refusal(sources, "file://" + base + "/none"), Category::forbidden);
    EXPECT_EQ(refusal(sources, "file://" + base + "/in/none"), Category::not_found);
    EXPECT_EQ(refusal(sources, "file://" + base + "/in/deep"), Category::not_found);
}

TEST(ImportSources, RefusesSettingsThatAreNoPrefixes) {
    for (const char* prefix : {"example.org", "ftp://example.org", "https://example.org/?a=b",
                               "file:///no/such/folder/here"}) {
        const auto made = ImportSources::make({prefix});
        ASSERT_FALSE(made) << prefix;
        EXPECT_EQ(made.error().where, "import.sources");
    }
}

/// A source that answers by path and remembers the headers of each request.
class Source {
 public:
    Source() {
        net::ServerOptions options;
        options.workers = 2;
        options.handler = [this](const net::Request& request) { return answer(request); };
        server_ = must(net::Server::start(std::move(options)));
    }
    std::string url(const char* host = "127.0.0.1") const {
        return fmt::format("http://{}:{}", host, server_->port());
    }
    std::string redirect_to{};
    std::vector<std::string> tokens() {
        const std::lock_guard lock(mutex_);
        return tokens_;
    }

 private:
    net::Response answer(const net::Request& request) {
        {
            const std::lock_guard lock(mutex_);
            tokens_.emplace_back(request.headers.get("Authorization"));
        }
        if (request.path() == "/redirect" || request.path() == "/loop") {
            net::Response response = net::Response::text(302, "");
            response.headers.add("Location", request.path() == "/loop" ? "/loop" : redirect_to);
            return response;
        }
        if (request.path() == "/slow") std::this_thread::sleep_for(std::chrono::seconds(3));
        if (request.path() == "/none") return net::Response::text(404, "nothing");
        return net::Response::text(200, std::string(3'000'000, 'x'));
    }
    std::mutex mutex_;
    std::vector<std::string> tokens_;
    std::unique_ptr<net::Server> server_;
};

struct Fetched {
    std::size_t bytes = 0;
    std::size_t largest_piece = 0;
    Result<void> result;
};

Fetched fetch(const ImportSources& sources, const std::string& url,
              std::size_t bytes_max = 10'000'000) {
    Fetched fetched;
    fetched.result = sources.fetch(
        url, {{"Authorization", "Bearer secret"}}, bytes_max, [&](std::string_view piece) {
            fetched.bytes += piece.size();
            fetched.largest_piece = std::max(fetched.largest_piece, piece.size());
            return Result<void>();
        });
    return fetched;
}

TEST(ImportSources, StreamsInPieces) {
    Source source;
    const ImportSources sources = must(ImportSources::make({source.url()}));
    const Fetched fetched = fetch(sources, source.url() + "/file");
    ASSERT_TRUE(fetched.result) << fetched.result.error().message;
    EXPECT_EQ(fetched.bytes, 3'000'000u);
    EXPECT_LT(fetched.largest_piece, 1'000'000u);
    EXPECT_EQ(fetch(sources, source.url() + "/none").result.error().category, Category::not_found);
    EXPECT_EQ(fetch(sources, source.url() + "/file", 1'000'000).result.error().category,
              Category::too_large);
    EXPECT_NE(fetch(sources, source.url() + "/loop").result.error().message.find("more than 5"),
              std::string::npos);
}

TEST(ImportSources, AWaitCanBeEnded) {
    Source source;
    const ImportSources sources = must(ImportSources::make({source.url()}));
    std::size_t bytes = 0;
    const auto result = sources.fetch(
        source.url() + "/slow", {}, 10'000'000, [&](std::string_view piece) -> Result<void> {
            bytes += piece.size();
            return piece.empty() ? fail(Category::unavailable, "no more of it") : Result<void>();
        });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "no more of it");
    EXPECT_EQ(bytes, 0u);
}

TEST(ImportSources, RedirectsLeadOnlyWhereItIsAllowedAndCarryNoSecrets) {
    Source source, other;
    const ImportSources both = must(ImportSources::make({source.url(), other.url()}));
    source.redirect_to = "/file";
    EXPECT_EQ(fetch(both, source.url() + "/redirect").bytes, 3'000'000u);
    source.redirect_to = other.url() + "/file";
    EXPECT_EQ(fetch(both, source.url() + "/redirect").bytes, 3'000'000u);
    EXPECT_EQ(other.tokens(), std::vector<std::string>{""});
    EXPECT_EQ(source.tokens().back(), "Bearer secret");
    const ImportSources one = must(ImportSources::make({source.url()}));
    const Fetched refused = fetch(one, source.url() + "/redirect");
    ASSERT_FALSE(refused.result);
    EXPECT_EQ(refused.result.error().category, Category::forbidden);
    EXPECT_EQ(other.tokens().size(), 1u);
}

}  // namespace
}  // namespace meridian::rest
