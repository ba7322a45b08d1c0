// SPDX-License-Identifier: Apache-2.0
// For tests of this room: folders that vanish, and small resources without FHIR.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "store/codec.hpp"
#include "store/open.hpp"

namespace meridian::store {

/// A new folder below the system's temporary one (or below $MERIDIAN_TEST_DIR), removed at the end.
class TestFolder {
 public:
    TestFolder() {
        const char* base = std::getenv("MERIDIAN_TEST_DIR");
        std::string name = (base != nullptr ? std::string(base)
                                            : std::filesystem::temp_directory_path().string()) +
                           "/meridian-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~TestFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
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

inline std::unique_ptr<Store> must_open(const std::string& folder) {
    OpenOptions options;
    options.folder = folder;
    options.cache_bytes = 16 << 20;
    return must(open(options));
}

inline std::string plain_json(const std::string& type, const std::string& id,
                              const std::string& value) {
    return R"({"resourceType":")" + type + R"(","id":")" + id + R"(","meta":{},"value":")" + value +
           R"("})";
}
inline std::size_t stamp_place(const std::string& json) {
    return json.find(R"("meta":{)") + 8;
}

/// A change that writes `type/id` with one token row "value".
inline Change make_change(Store& store, const std::string& type, const std::string& id,
                          const std::string& value) {
    Change change;
    change.identity = {store.names().intern(NameKind::type, type), id};
    const std::string json = plain_json(type, id, value);
    change.body = encode(type, json, stamp_place(json));
    change.body_hash = sha256(json);
    const Name param = store.names().intern(NameKind::parameter, type + ".value");
    change.rows.tokens.push_back({param, token_value(store.names(), 0, {}, value)});
    return change;
}

inline Change make_removal(Store& store, const std::string& type, const std::string& id) {
    Change change;
    change.verb = Verb::remove;
    change.identity = {store.names().intern(NameKind::type, type), id};
    return change;
}

inline Commit make_commit(Change change) {
    Commit commit;
    commit.changes.push_back(std::move(change));
    return commit;
}

/// Resources of `type` whose token row says `value`.
inline Plan token_plan(Store& store, const std::string& type, const std::string& value,
                       std::size_t limit = 20) {
    Plan plan;
    plan.type = store.names().intern(NameKind::type, type);
    plan.where = HasToken{store.names().intern(NameKind::parameter, type + ".value"),
                          {token_value(store.names(), 0, {}, value)}};
    plan.limit = limit;
    return plan;
}

}  // namespace meridian::store
