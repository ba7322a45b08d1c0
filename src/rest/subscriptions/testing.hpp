// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "fhir/repository.hpp"
#include "store/open.hpp"

namespace meridian::rest::subscriptions::testing {

/// A new folder that is removed at the end.
class Folder {
 public:
    Folder() {
        std::string name =
            std::filesystem::temp_directory_path().string() + "/meridian-subscriptions-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const std::string& path() const { return path_; }

 private:
    std::string path_;
};

/// The value of a Result, or a failed test and a crash: what follows could not run.
template <class T>
T must(Result<T> result) {
    if (!result) {
        ADD_FAILURE() << result.error().message << " [" << result.error().where << "]";
        std::abort();
    }
    if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline std::unique_ptr<store::Store> must_open(const std::string& folder) {
    store::OpenOptions options;
    options.folder = folder;
    options.cache_bytes = 16 << 20;
    return must(store::open(options));
}

/// Writes a resource under its own id.
inline void write(fhir::Repository& repository, std::string_view json) {
    auto document = std::make_shared<JsonDocument>(must(JsonDocument::parse(json)));
    fhir::Transaction transaction;
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::update;
    operation.type = document->root().string_at("resourceType");
    operation.id = document->root().string_at("id");
    operation.document = document;
    operation.resource = document->root();
    transaction.operations.push_back(std::move(operation));
    must(repository.commit(fhir::Caller::system("test"), std::move(transaction)));
}

}  // namespace meridian::rest::subscriptions::testing
