// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "trust/gate.hpp"

namespace meridian::server {

/// The start page and its few neighbours, as plain HTML in Chinese and English: what the server
/// holds, search, one record, docs. Who has not signed in is sent there, but for the documents.
class Pages {
 public:
    Pages(fhir::Repository& repository, std::shared_ptr<trust::Gate> gate)
        : repository_(repository), gate_(std::move(gate)) {}
    /// Answers any path outside the FHIR base; 404 page for unknown ones.
    net::Response handle(const net::Request& request);

 private:
    fhir::Repository& repository_;
    std::shared_ptr<trust::Gate> gate_;
};

}  // namespace meridian::server
