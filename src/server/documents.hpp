// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace meridian::server {

/// One of the project's Markdown documents.
struct Document {
    std::string_view name;  ///< "architecture.md"
    std::string_view text;
};

/// README and docs/ as they were when the program was built.
std::span<const Document> documents();

}  // namespace meridian::server
