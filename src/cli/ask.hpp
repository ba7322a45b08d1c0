// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "net/http.hpp"

namespace meridian::cli {

/// Where a record lies.
struct Place {
    std::string folder;
    std::string database;
};

/// What the owner of a data folder asks (server/control.hpp): the server that serves the folder
/// answers, or the folder itself where none does. `patience` is how long a server may take. Errors:
/// those that it answers; `unavailable` when somebody else holds the folder. Blocking: as what is
/// asked.
Result<JsonDocument> ask(const Place& place, net::Method method, const std::string& path,
                         const std::string& body = {},
                         std::chrono::seconds patience = std::chrono::seconds(30));

}  // namespace meridian::cli
