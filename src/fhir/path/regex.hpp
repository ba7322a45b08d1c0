// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace re2 {
class RE2;
}

/// Regular expressions of matches(), matchesFull() and replaceMatches(): RE2, so time is linear
/// whatever the pattern. Private.
namespace meridian::fhir::path {

class Regex {
 public:
    /// `flags`: "i" ignores case, "m" lets ^ and $ match at lines. Errors: `incorrect` for a bad
    /// pattern or flag; `too_large` beyond limits::regex_bytes_max or when the program needs too
    /// much memory.
    static Result<std::shared_ptr<const Regex>> compile(std::string_view pattern,
                                                        std::string_view flags);

    bool matches(std::string_view text) const;       ///< anywhere
    bool matches_full(std::string_view text) const;  ///< from start to end
    /// Every match replaced by `substitution`, in which $1, ${1} and ${name} stand for groups.
    std::string replace(std::string_view text, std::string_view substitution) const;

    explicit Regex(std::unique_ptr<re2::RE2> program);
    ~Regex();

 private:
    std::string rewrite_of(std::string_view substitution) const;
    std::unique_ptr<re2::RE2> program_;
};

}  // namespace meridian::fhir::path
