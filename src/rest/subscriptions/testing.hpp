// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <memory>
#include <string>

#include "base/testing.hpp"
#include "fhir/repository.hpp"
#include "store/testing.hpp"

namespace meridian::rest::subscriptions::testing {

using meridian::testing::Folder;
using meridian::testing::must;

inline std::unique_ptr<store::Store> must_open(const std::string& folder) {
    store::OpenOptions options;
    options.folder = folder;
    options.cache_bytes = 16 << 20;
    return must(store::open_for_test(options));
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
