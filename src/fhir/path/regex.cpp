// SPDX-License-Identifier: Apache-2.0
#include "fhir/path/regex.hpp"

#include <re2/re2.h>

#include "base/limits.hpp"

namespace meridian::fhir::path {
namespace {

/// RE2 writes a named group (?P<name>…); FHIRPath's examples write (?<name>…).
std::string with_named_groups(std::string_view pattern) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            out += pattern[i];
            out += pattern[++i];
            continue;
        }
        out += pattern[i];
        std::string_view rest = pattern.substr(i);
        if (rest.starts_with("(?<") && rest.size() > 3 && rest[3] != '=' && rest[3] != '!') {
            out += "?P";
            ++i;
        }
    }
    return out;
}

}  // namespace

Regex::Regex(std::unique_ptr<re2::RE2> program) : program_(std::move(program)) {}
Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern,
                                                    std::string_view flags) {
    if (pattern.size() > limits::regex_bytes_max) {
        return fail(
            Category::too_large,
            fmt::format("a regular expression may have at most {} bytes", limits::regex_bytes_max));
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(true);  // FHIRPath N1 §matches: "single line" mode
    std::string text = with_named_groups(pattern);
    for (char flag : flags) {
        if (flag == 'i') {
            options.set_case_sensitive(false);
        } else if (flag == 'm') {
            text = "(?m)" + text;
        } else {
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" is no flag of a regular expression (expected i or m)", flag));
        }
    }
    auto program = std::make_unique<re2::RE2>(text, options);
    if (!program->ok()) {
        auto category = program->error_code() == re2::RE2::ErrorPatternTooLarge
                            ? Category::too_large
                            : Category::incorrect;
        return fail(category, fmt::format("bad regular expression: {}", program->error()));
    }
    return std::make_shared<const Regex>(std::move(program));
}

bool Regex::matches(std::string_view text) const {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *program_);
}

bool Regex::matches_full(std::string_view text) const {
    return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *program_);
}

/// From "$1-${name}" to RE2's "\1-\2".
std::string Regex::rewrite_of(std::string_view substitution) const {
    std::string out;
    auto append_group = [&](std::string_view name, std::string_view as_written) {
        int number = -1;
        if (!name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos &&
            name.size() == 1) {
            number = name[0] - '0';
        } else if (auto it = program_->NamedCapturingGroups().find(std::string(name));
                   it != program_->NamedCapturingGroups().end()) {
            number = it->second;
        }
        if (number >= 0 && number <= 9 && number <= program_->NumberOfCapturingGroups()) {
            out += '\\';
            out += static_cast<char>('0' + number);
        } else {
            out += as_written;
        }
    };
    for (std::size_t i = 0; i < substitution.size(); ++i) {
        char c = substitution[i];
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '$' && i + 1 < substitution.size() && substitution[i + 1] >= '0' &&
                   substitution[i + 1] <= '9') {
            append_group(substitution.substr(i + 1, 1), substitution.substr(i, 2));
            ++i;
        } else if (auto end = substitution.find('}', i); c == '$' &&
                                                         substitution.substr(i).starts_with("${") &&
                                                         end != std::string_view::npos) {
            append_group(substitution.substr(i + 2, end - i - 2),
                         substitution.substr(i, end - i + 1));
            i = end;
        } else {
            out += c;
        }
    }
    return out;
}

std::string Regex::replace(std::string_view text, std::string_view substitution) const {
    std::string out(text);
    re2::RE2::GlobalReplace(&out, *program_, rewrite_of(substitution));
    return out;
}

}  // namespace meridian::fhir::path
