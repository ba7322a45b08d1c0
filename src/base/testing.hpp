// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace meridian::testing {

/// A new folder below the system's temporary one (or below $MERIDIAN_TEST_DIR), removed at the end.
class Folder {
 public:
    Folder() {
        const char* base = std::getenv("MERIDIAN_TEST_DIR");
        std::string name = (base != nullptr ? std::string(base)
                                            : std::filesystem::temp_directory_path().string()) +
                           "/meridian-XXXXXX";
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

}  // namespace meridian::testing
