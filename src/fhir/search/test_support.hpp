// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/search/parameters.hpp"
#include "store/names.hpp"

/// For tests of search: dictionaries in memory, the registry, and the Synthea bundles.
namespace meridian::fhir::search::testing {

class MemoryNames : public store::Names {
 public:
    store::Name intern(store::NameKind kind, std::string_view text) override {
        const std::scoped_lock lock(mutex_);
        auto& texts = texts_[kind];
        auto& ids = ids_[kind];
        if (const auto found = ids.find(text); found != ids.end()) return found->second;
        texts.emplace_back(text);
        return ids.emplace(std::string(text), static_cast<store::Name>(texts.size())).first->second;
    }
    store::Name find(store::NameKind kind, std::string_view text) const override {
        const std::scoped_lock lock(mutex_);
        const auto ids = ids_.find(kind);
        if (ids == ids_.end()) return 0;
        const auto found = ids->second.find(text);
        return found == ids->second.end() ? 0 : found->second;
    }
    std::string text(store::NameKind kind, store::Name name) const override {
        const std::scoped_lock lock(mutex_);
        const auto texts = texts_.find(kind);
        if (texts == texts_.end() || name < 1 ||
            static_cast<std::size_t>(name) > texts->second.size())
            return {};
        return texts->second[static_cast<std::size_t>(name) - 1];
    }
    std::vector<store::Name> all(store::NameKind kind) const override {
        const std::scoped_lock lock(mutex_);
        std::vector<store::Name> names;
        if (const auto texts = texts_.find(kind); texts != texts_.end()) {
            for (std::size_t i = 1; i <= texts->second.size(); ++i)
                names.push_back(static_cast<store::Name>(i));
        }
        return names;
    }
    std::size_t coding_count() const override { return 0; }
    const SipKey& token_key() const override { return key_; }

 private:
    mutable std::mutex mutex_;
    std::map<store::NameKind, std::vector<std::string>> texts_;
    std::map<store::NameKind, std::map<std::string, store::Name, std::less<>>> ids_;
    SipKey key_{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
};

/// One registry for all tests of the process.
struct World {
    MemoryNames names;
    std::shared_ptr<const Parameters> parameters = Parameters::make(definitions(), names);
    static World& get() {
        static World world;
        return world;
    }
    store::Name param(std::string_view text) const {
        return names.find(store::NameKind::parameter, text);
    }
    std::int64_t token(std::string_view system, std::string_view code) const {
        return store::token_value(names, names.find(store::NameKind::system, system), system, code);
    }
};

/// The unpacked Synthea bundles; empty when they are not on this machine.
inline std::vector<std::string> synthea_bundles(std::size_t count) {
    std::vector<std::string> texts;
    const std::filesystem::path folder =
        std::string(MERIDIAN_SOURCE_DIR) + "/../shared/data/synthea";
    if (!std::filesystem::exists(folder)) return texts;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".gz") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        if (texts.size() == count) break;
        FILE* pipe = popen(("gzip -dc '" + file.string() + "'").c_str(), "r");
        if (pipe == nullptr) break;
        std::string text;
        char buffer[65536];
        for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
            text.append(buffer, n);
        pclose(pipe);
        texts.push_back(std::move(text));
    }
    return texts;
}

}  // namespace meridian::fhir::search::testing
