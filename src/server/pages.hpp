// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fhir/repository.hpp"
#include "net/http.hpp"

namespace meridian::server {

/// The start page and its few neighbours, as plain HTML in Chinese and English: what the server
/// holds, search, one record, docs.
class Pages {
 public:
    explicit Pages(fhir::Repository& repository) : repository_(repository) {}
    /// Answers any path outside the FHIR base; 404 page for unknown ones.
    net::Response handle(const net::Request& request);

 private:
    fhir::Repository& repository_;
};

}  // namespace meridian::server
