// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace meridian::fhir::testing {

struct SyntheaBundle {
    std::string name;
    std::string text;
};

/// The Synthea bundles beside the project, unpacked, at most `limit`; empty when they are not
/// there.
inline std::vector<SyntheaBundle> synthea_bundles(std::size_t limit = 1000) {
    std::vector<SyntheaBundle> bundles;
    const std::filesystem::path folder =
        std::filesystem::path(MERIDIAN_SOURCE_DIR) / "../shared/data/synthea";
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
        if (entry.path().extension() == ".gz") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        if (bundles.size() == limit) break;
        FILE* pipe = popen(("zcat '" + file.string() + "'").c_str(), "r");
        if (pipe == nullptr) continue;
        std::string text;
        char buffer[65536];
        for (std::size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
            text.append(buffer, got);
        pclose(pipe);
        if (!text.empty()) bundles.push_back({file.filename().string(), std::move(text)});
    }
    return bundles;
}

}  // namespace meridian::fhir::testing
