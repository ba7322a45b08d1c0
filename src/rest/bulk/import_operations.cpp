// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/import_operations.hpp"

#include "base/limits.hpp"
#include "rest/bulk/files.hpp"
#include "rest/bulk/submissions.hpp"

namespace meridian::rest {

namespace {

constexpr std::string_view definitions = "urn:meridian:fhir:OperationDefinition/";

/// What an $import asks for, whether it came as a JSON manifest or as Parameters.
struct ImportRequest {
    std::string format{}, source{}, storage = "https";
    std::vector<std::pair<std::string, std::string>> files{};  ///< type, url
    std::vector<std::string> encodings{};
};

ImportRequest read_manifest_body(const Json& root) {
    ImportRequest request;
    request.format = root.string_at("inputFormat");
    request.source = root.string_at("inputSource");
    const Json& storage = root["storageDetail"];
    request.storage = storage.string_at("type", "https");
    for (const Json& encoding : storage["contentEncoding"].items())
        request.encodings.emplace_back(encoding.text());
    for (const Json& file : root["input"].items())
        request.files.emplace_back(file.string_at("type"), file.string_at("url"));
    return request;
}

/// The value of a parameter or part, whatever its type.
std::string_view value_of(const Json& parameter) {
    for (const JsonMember& member : parameter.members()) {
        if (!member.key.starts_with("value")) continue;
        return member.value.is_object() ? member.value.string_at("code") : member.value.text();
    }
    return {};
}

std::string_view part_of(const Json& parameter, std::string_view name) {
    for (const Json& part : parameter["part"].items()) {
        if (part.string_at("name") == name) return value_of(part);
    }
    return {};
}

Result<ImportRequest> read_parameters_body(const Json& root) {
    ImportRequest request;
    for (const Json& parameter : root["parameter"].items()) {
        const std::string_view name = parameter.string_at("name");
        if (name == "inputFormat") {
            request.format = value_of(parameter);
        } else if (name == "inputSource") {
            request.source = value_of(parameter);
        } else if (name == "storageDetail") {
            if (const std::string_view type = part_of(parameter, "type"); !type.empty())
                request.storage = type;
            if (const std::string_view encoding = part_of(parameter, "contentEncoding");
                !encoding.empty())
                request.encodings.emplace_back(encoding);
        } else if (name == "input") {
            request.files.emplace_back(part_of(parameter, "type"), part_of(parameter, "url"));
        } else {
            return fail(
                Category::incorrect,
                fmt::format("$import does not know the parameter \"{}\"", name.substr(0, 40)),
                "Parameters.parameter");
        }
    }
    return request;
}

/// Checks the request; the type of a call at a type's level stands for those of the files.
Result<std::vector<ImportInput>> inputs_of(const ImportRequest& request, std::string_view level,
                                           const ImportSources& sources) {
    if (request.storage != "https" && request.storage != "http" && request.storage != "file")
        return fail(Category::incorrect,
                    fmt::format("storage of type \"{}\" is not offered: expected https or file",
                                request.storage.substr(0, 40)),
                    "storageDetail.type");
    for (const std::string& encoding : request.encodings) {
        if (encoding != "gzip")
            return fail(Category::incorrect,
                        fmt::format("contentEncoding \"{}\" is not offered: expected gzip",
                                    encoding.substr(0, 40)),
                        "storageDetail.contentEncoding");
    }
    if (request.files.empty())
        return fail(Category::incorrect, "expected at least one input with type and url", "input");
    if (request.files.size() > limits::import_inputs_max)
        return fail(Category::too_large,
                    fmt::format("an import names at most {} files", limits::import_inputs_max),
                    "input");
    std::vector<ImportInput> inputs;
    for (const auto& [type, url] : request.files) {
        const std::string where = fmt::format("input[{}]", inputs.size());
        ImportInput input;
        input.type = type.empty() ? std::string(level) : type;
        input.url = url;
        if (fhir::definitions().resource(input.type) == nullptr)
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no FHIR R4 resource type", input.type.substr(0, 60)),
                        where + ".type");
        if (!level.empty() && input.type != level)
            return fail(Category::incorrect, fmt::format("this address imports {} only", level),
                        where + ".type");
        const auto allowed = sources.check(url);
        if (!allowed)
            return fail(allowed.error().category, allowed.error().message, where + ".url");
        inputs.push_back(std::move(input));
    }
    return inputs;
}

Result<Answer> kick_off(ImportJobs& jobs, const Exchange& exchange) {
    if (exchange.method != net::Method::post)
        return not_allowed("an import is started with POST", "POST");
    if (!exchange.respond_async && !exchange.lenient)
        return fail(Category::incorrect,
                    "an import runs in the background: send the header Prefer: respond-async",
                    "Prefer");
    const auto body = TRY(parse_body(exchange));
    const ImportRequest request = body->root().string_at("resourceType") == "Parameters"
                                      ? TRY(read_parameters_body(body->root()))
                                      : read_manifest_body(body->root());
    TRY(check_ndjson(request.format, "inputFormat"));
    ImportJob job;
    job.inputs =
        TRY(inputs_of(request, exchange.path.size() == 2 ? exchange.path[0] : "", jobs.sources()));
    job.source = request.source;
    job.base_url = exchange.base_url;
    job.request_url = exchange.base_url;
    for (const std::string& segment : exchange.path) job.request_url += "/" + segment;
    job.caller = exchange.caller;
    Answer answer;
    const auto id = jobs.add(std::move(job));
    if (!id && id.error().category == Category::busy) {
        // The proposal asks for 429 where the server does not want another import now.
        answer = answer_of(id.error());
        answer.status = 429;
        answer.headers = {{"Retry-After", "60"}};
        return answer;
    }
    if (!id) return std::unexpected(id.error());
    answer.status = 202;
    answer.headers.emplace_back("Content-Location",
                                fmt::format("{}/$import-status?job={}", exchange.base_url, *id));
    answer.json = outcome_json(Severity::information, "informational",
                               "The import has started; ask the address in Content-Location.");
    return answer;
}

Json file_item(JsonDocument& document, std::string_view type, const ImportInput& input,
               std::int64_t count) {
    Json item = document.object();
    if (!type.empty()) document.set(item, "type", document.string(type));
    document.set(item, "inputUrl", document.string(input.url));
    document.set(item, "count", document.number(count));
    return item;
}

std::string manifest_json(const ImportJob& job) {
    JsonDocument document;
    Json made = document.object(), output = document.array(), error = document.array();
    for (std::size_t i = 0; i < job.inputs.size(); ++i) {
        const ImportInput& input = job.inputs[i];
        document.append(output, file_item(document, input.type, input, input.resources));
        if (input.rejected == 0 && input.failure.empty()) continue;
        Json item = file_item(document, "OperationOutcome", input,
                              input.rejected + (input.failure.empty() ? 0 : 1));
        document.set(item, "url",
                     document.string(fmt::format("{}/$import-file?job={}&file={}", job.base_url,
                                                 job.id, ImportJob::error_file(i))));
        document.append(error, item);
    }
    document.set(made, "transactionTime", document.string(to_text(*job.finished)));
    document.set(made, "request", document.string(job.request_url));
    document.set(made, "requiresAccessToken", document.boolean(job.caller.origin != nullptr));
    document.set(made, "output", output);
    document.set(made, "error", error);
    return to_text(made);
}

Result<Answer> status(ImportJobs& jobs, const Exchange& exchange) {
    const std::string* id = exchange.parameter("job");
    if (id == nullptr) return fail(Category::not_found, "there is no such import", "job");
    Answer answer;
    if (exchange.method == net::Method::delete_) {
        TRY(jobs.remove(*id));
        answer.status = 202;
        answer.json =
            outcome_json(Severity::information, "informational",
                         "The import is cancelled; what it had loaded stays in the record.");
        return answer;
    }
    const ImportJob job = TRY(jobs.find(*id));
    if (job.failure) return std::unexpected(*job.failure);
    if (!job.finished) {
        answer.status = 202;
        answer.headers.emplace_back("X-Progress", job.progress());
        answer.headers.emplace_back("Retry-After", "1");
        return answer;
    }
    answer.json = manifest_json(job);
    answer.content_type = "application/json";
    return answer;
}

Result<Answer> file(ImportJobs& jobs, const Exchange& exchange) {
    const std::string* id = exchange.parameter("job");
    const std::string* name = exchange.parameter("file");
    if (id == nullptr || name == nullptr)
        return fail(Category::not_found, "there is no such file", "file");
    return file_answer(TRY(jobs.file(*id, *name)));
}

}  // namespace

BulkImport::BulkImport() = default;
BulkImport::~BulkImport() = default;

Result<std::unique_ptr<BulkImport>> BulkImport::make(fhir::Repository& repository,
                                                     const std::string& data_folder,
                                                     const std::vector<std::string>& sources) {
    auto made = std::unique_ptr<BulkImport>(new BulkImport());
    ImportJobs::Options options;
    options.folder = data_folder + "/imports";
    options.sources = std::make_shared<const ImportSources>(TRY(ImportSources::make(sources)));
    made->jobs_ = std::make_shared<ImportJobs>(repository, std::move(options));
    made->submissions_ = TRY(Submissions::open(made->jobs_, data_folder + "/submissions"));
    return made;
}

void BulkImport::add_operations(Service& service) {
    const auto add = [&](const char* name, bool on_type, bool changes_state, auto run) {
        service.add_operation({.name = name,
                               .on_system = true,
                               .on_type = on_type,
                               .definition = fmt::format("{}{}", definitions, name),
                               .changes_state = changes_state,
                               .run = [jobs = jobs_, run](Service&, const Exchange& exchange) {
                                   return run(*jobs, exchange);
                               }});
    };
    add("import", true, true, kick_off);
    add("import-status", false, false, status);
    add("import-file", false, false, file);
    submissions_->add_operations(service);
}

}  // namespace meridian::rest
