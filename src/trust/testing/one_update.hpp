// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <memory>
#include <string_view>

#include "base/testing.hpp"
#include "fhir/repository.hpp"

namespace meridian::trust::testing {

/// A transaction that writes one resource under the id that its JSON has.
inline fhir::Transaction one_update(std::string_view json) {
    const auto document =
        std::make_shared<JsonDocument>(meridian::testing::must(JsonDocument::parse(json)));
    fhir::Transaction transaction;
    fhir::Operation& operation = transaction.operations.emplace_back();
    operation.kind = fhir::Operation::Kind::update;
    operation.type = document->root().string_at("resourceType");
    operation.id = document->root().string_at("id");
    operation.resource = document->root();
    operation.document = document;
    return transaction;
}

}  // namespace meridian::trust::testing
