// SPDX-License-Identifier: Apache-2.0
// Commands that look at single files: fhirpath and validate.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "fhir/format/xml.hpp"
#include "fhir/path/expression.hpp"
#include "fhir/terminology/terminology.hpp"
#include "fhir/validate/profile.hpp"
#include "fhir/validate/validator.hpp"
#include "rest/answer.hpp"
#include "server/line_reader.hpp"

namespace meridian::cli {

namespace {

/// A resource file, JSON or XML by its first character; "-" is standard input.
Result<JsonDocument> read_resource(const std::string& path) {
    server::TextFile file = TRY(server::TextFile::open(path == "-" ? "/dev/stdin" : path));
    const std::string text = TRY(file.rest());
    const std::size_t first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    auto document = first != std::string::npos && text[first] == '<' ? fhir::from_xml(text)
                                                                     : JsonDocument::parse(text);
    if (!document)
        return fail(document.error().category,
                    document.error().where.empty()
                        ? document.error().message
                        : document.error().where + ": " + document.error().message,
                    path);
    return document;
}

/// Messages of the FHIRPath engine name line and column themselves.
template <class T>
Result<T> without_place(Result<T> result) {
    if (!result) result.error().where = "expression";
    return result;
}

/// Judges resources and tells each finding in a line of its own.
class Judge {
 public:
    Judge() : validator_(std::make_shared<const fhir::terminology::Terminology>(nullptr)) {}

    /// `place` is the file, with the line where the file has several resources.
    void take(const std::string& place, const Result<JsonDocument>& document) {
        std::vector<Issue> issues;
        if (document) {
            validator_.validate(document->root(), {}, issues);
        } else {
            const Error& error = document.error();
            issues.push_back({Severity::fatal, "structure", error.message,
                              error.where == place ? std::string() : error.where});
        }
        for (const Issue& issue : issues) {
            std::printf("%s: %s: %s%s%s\n", place.c_str(), rest::text_of(issue.severity),
                        issue.path.c_str(), issue.path.empty() ? "" : ": ", issue.message.c_str());
        }
        if (fhir::has_errors(issues)) code_ = failed;
        if (issues.empty()) std::printf("%s: valid\n", place.c_str());
    }

    /// A resource a line.
    void take_lines(const std::string& path) {
        auto file = server::TextFile::open(path);
        if (!file) return take(path, std::unexpected(file.error()));
        std::string line;
        for (std::int64_t number = 1;; ++number) {
            const auto read = file->line(line);
            if (read && !*read) return;
            const std::string place = fmt::format("{}:{}", path, number);
            if (!read) {
                take(place, std::unexpected(read.error()));
                if (read.error().category != Category::too_large) return;
            } else if (!line.empty()) {
                take(place, JsonDocument::parse(line));
            }
        }
    }

    int code() const { return code_; }

 private:
    fhir::ProfileValidator validator_;
    int code_ = done;
};

bool holds_lines(std::string_view path) {
    if (path.ends_with(".gz")) path.remove_suffix(3);
    return path.ends_with(".ndjson") || path.ends_with(".jsonl");
}

}  // namespace

void add_fhirpath(CLI::App& app, Action& action) {
    struct Arguments {
        std::string expression;
        std::string file;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "fhirpath", "evaluate a FHIRPath expression on a resource and print a JSON array");
    command->add_option("-e,--expression", arguments->expression, "the expression")->required();
    command->add_option("FILE", arguments->file, "resource as JSON or XML; - for standard input")
        ->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            const JsonDocument document = TRY(read_resource(arguments->file));
            // A known type makes paths that cannot exist an error.
            const std::string_view type = document.root().string_at("resourceType");
            const auto expression = TRY(without_place(fhir::path::Expression::compile(
                arguments->expression,
                fhir::definitions().resource(type) != nullptr ? type : std::string_view())));
            fhir::path::Evaluation evaluation;
            evaluation.resource = &document.root();
            evaluation.as_filters = false;
            const auto items = TRY(without_place(expression.evaluate(evaluation)));
            JsonDocument out;
            Json array = out.array();
            for (const auto& item : items) out.append(array, item.to_json(out));
            std::printf("%s\n", to_text(array).c_str());
            return done;
        };
    });
}

void add_validate(CLI::App& app, Action& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand(
        "validate", "check resources against FHIR R4; exit code 1 when one is invalid");
    command
        ->add_option("FILE", *files,
                     "resources as JSON, XML or (.ndjson) one a line; - for standard input")
        ->required();
    command->callback([files, &action] {
        action = [files]() -> Result<int> {
            Judge judge;
            for (const std::string& path : *files) {
                if (holds_lines(path)) {
                    judge.take_lines(path);
                } else {
                    judge.take(path, read_resource(path));
                }
            }
            return judge.code();
        };
    });
}

}  // namespace meridian::cli
