// SPDX-License-Identifier: Apache-2.0
// Bundles as a client posts them, through the whole service and a record of its own: entries taken
// apart, references rewritten, written and read. Whatever comes in is answered; never by a fault.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/log.hpp"
#include "rest/basic_operations.hpp"
#include "rest/service.hpp"
#include "rest/terminology_operations.hpp"
#include "rest/validate_operation.hpp"
#include "store/open.hpp"

namespace {

using namespace meridian;

/// A property that must hold whatever came in; says what was answered when it does not.
void require(bool holds, std::string_view what) {
    if (holds) return;
    std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

/// A record in memory where the system has a file system for that.
class World {
 public:
    World() {
        namespace fs = std::filesystem;
        const fs::path memory = "/dev/shm";
        const fs::path root = fs::is_directory(memory) ? memory : fs::temp_directory_path();
        // A fuzzer ends without destructors: what earlier ones left goes now.
        const std::string name = "meridian-fuzz-";
        for (const auto& entry : fs::directory_iterator(root)) {
            const std::string found = entry.path().filename().string();
            std::error_code ignored;
            if (found.starts_with(name) && !fs::exists("/proc/" + found.substr(name.size())))
                fs::remove_all(entry.path(), ignored);
        }
        folder_ = (root / (name + std::to_string(getpid()))).string();
        fs::create_directory(folder_);
        store::OpenOptions options;
        options.folder = folder_;
        options.cache_bytes = 8 << 20;
        auto opened = store::open(options);
        require(opened.has_value(), "the store cannot be opened");
        store_ = *std::move(opened);
        auto repository = fhir::Repository::open(*store_, {});
        require(repository.has_value(), "the record cannot be opened");
        repository_ = *std::move(repository);
        service_ = std::make_unique<rest::Service>(*repository_, rest::ServiceOptions{});
        rest::add_basic_operations(*service_);
        const auto terminology =
            std::make_shared<const fhir::terminology::Terminology>(repository_.get());
        repository_->set_concepts(terminology);
        rest::add_terminology_operations(*service_, terminology);
        rest::add_validate_operation(*service_, terminology);
    }
    ~World() {
        service_.reset();
        repository_.reset();
        store_.reset();
        std::filesystem::remove_all(folder_);
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    net::Response post(std::string body) {
        net::Request request;
        request.method = net::Method::post;
        request.method_text = "POST";
        request.target = "/fhir";
        request.headers.add("Host", "record.test");
        request.body = std::move(body);
        return service_->handle(request);
    }

 private:
    std::string folder_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::unique_ptr<rest::Service> service_;
};

/// One record for many bundles: later ones meet what earlier ones wrote. A new one now and then
/// keeps it small.
World& world() {
    static std::unique_ptr<World> current;
    static int used = 0;
    if (!current || ++used % 3000 == 0) {
        current.reset();
        current = std::make_unique<World>();
    }
    return *current;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 16'384) return 0;
    log::set_level(log::Level::error);
    const std::string body(reinterpret_cast<const char*>(data), size);
    const net::Response answer = world().post(body);
    // 501 and 503 (a parameter that is still being indexed) are answers; 500 is a defect of ours.
    require(answer.status != 500, answer.body);
    const auto document = JsonDocument::parse(answer.body);
    require(document.has_value(), answer.body);
    if (answer.status != 200) return 0;
    for (const Json& entry : document->root()["entry"].items()) {
        const std::string_view status = entry["response"].string_at("status");
        require(status.size() > 4 && !status.starts_with("500"), answer.body);
    }
    // One answer for each entry, in their order.
    if (const auto sent = JsonDocument::parse(body)) {
        require(document->root()["entry"].size() == sent->root()["entry"].size(), answer.body);
    }
    return 0;
}
