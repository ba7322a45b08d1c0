// SPDX-License-Identifier: Apache-2.0
#include "fhir/bundle/transaction.hpp"

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"

namespace meridian::fhir {

namespace {

bool is_write(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

/// "Patient/7?x=y" → type, id, query.
Result<void> take_url_apart(EntryRequest& request, std::string_view where) {
    std::string_view url = request.url;
    if (const std::size_t question = url.find('?'); question != std::string_view::npos) {
        request.query = url.substr(question + 1);
        url = url.substr(0, question);
    }
    const std::size_t slash = url.find('/');
    request.type = url.substr(0, slash);
    if (slash == std::string_view::npos) return {};
    std::string_view rest = url.substr(slash + 1);
    request.id = rest.substr(0, rest.find('/'));
    if (is_write(request.method) && request.method != "POST" &&
        rest.find('/') != std::string_view::npos) {
        return fail(
            Category::incorrect,
            fmt::format(
                "{} {} is no request that a bundle entry can make: expected Type/id or Type?search",
                request.method, request.url),
            fmt::format("{}.request.url", where));
    }
    return {};
}

/// The patch document of a PATCH entry: Parameters as they are, or the JSON Patch inside a Binary.
Result<void> take_patch(Operation& operation) {
    const std::string_view type = operation.resource.string_at("resourceType");
    if (type == "Parameters") {
        operation.kind = Operation::Kind::patch_fhirpath;
        return {};
    }
    if (type != "Binary") {
        return fail(
            Category::incorrect,
            "a PATCH entry carries Parameters (FHIRPath Patch) or a Binary with a JSON Patch",
            operation.where + ".resource");
    }
    std::string patch;
    if (!base64_decode(operation.resource.string_at("data"), patch)) {
        return fail(Category::incorrect, "Binary.data is not base64",
                    operation.where + ".resource.data");
    }
    operation.document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(patch)));
    operation.resource = operation.document->root();
    operation.kind = Operation::Kind::patch_json;
    return {};
}

}  // namespace

Result<store::Version> parse_version_tag(std::string_view tag) {
    std::string_view text = tag;
    if (text.starts_with("W/")) text.remove_prefix(2);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
        text = text.substr(1, text.size() - 2);
    store::Version version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (error != std::errc() || end != text.data() + text.size() || version < 1) {
        return fail(Category::incorrect,
                    fmt::format("\"{}\" is no version tag of this server: expected W/\"1\"",
                                tag.substr(0, 40)));
    }
    return version;
}

Result<std::span<const Json>> bundle_entries(const Json& bundle) {
    const Json& entries = bundle["entry"];
    if (!entries.is_array() && !entries.is_null())
        return fail(Category::incorrect, "the entries of a bundle are a list", "Bundle.entry");
    if (entries.size() > limits::bundle_entries_max) {
        return fail(Category::too_large,
                    fmt::format("a bundle may have at most {} entries; this one has {}",
                                limits::bundle_entries_max, entries.size()),
                    "Bundle.entry");
    }
    return entries.items();
}

Result<EntryRequest> parse_entry_request(const Json& entry, std::string_view base_url,
                                         std::string_view where) {
    const Json& asked = entry["request"];
    if (!asked.is_object())
        return fail(Category::incorrect, "the entry has no request",
                    fmt::format("{}.request", where));
    EntryRequest request;
    request.method = asked.string_at("method");
    if (request.method != "GET" && request.method != "HEAD" && !is_write(request.method)) {
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no method: expected GET, HEAD, POST, PUT, PATCH or DELETE",
                        request.method.substr(0, 20)),
            fmt::format("{}.request.method", where));
    }
    std::string_view url = asked.string_at("url");
    if (!base_url.empty() && url.starts_with(base_url)) url.remove_prefix(base_url.size());
    while (url.starts_with('/')) url.remove_prefix(1);
    if (url.find("://") < url.find('?')) {
        return fail(Category::incorrect, "the URL is not below this server's base",
                    fmt::format("{}.request.url", where));
    }
    request.url = url;
    TRY(take_url_apart(request, where));
    return request;
}

Result<Operation> parse_entry_operation(std::shared_ptr<JsonDocument> document, const Json& entry,
                                        const EntryRequest& request, std::string where) {
    const Json& asked = entry["request"];
    Operation operation;
    operation.where = std::move(where);
    operation.type = request.type;
    operation.id = request.id;
    operation.document = std::move(document);
    operation.resource = entry["resource"];
    operation.full_url = entry.string_at("fullUrl");
    if (!request.query.empty()) operation.condition = TRY(parse_query_string(request.query));
    if (const std::string_view tag = asked.string_at("ifMatch"); !tag.empty())
        operation.if_match = TRY(parse_version_tag(tag));
    if (request.method != "DELETE" && !operation.resource.is_object()) {
        return fail(Category::incorrect, fmt::format("a {} entry needs a resource", request.method),
                    operation.where + ".resource");
    }

    if (request.method == "POST") {
        operation.kind = Operation::Kind::create;
        if (operation.type.empty()) operation.type = operation.resource.string_at("resourceType");
        if (!operation.id.empty()) {
            return fail(Category::incorrect,
                        "a POST entry names a type only; use PUT to give the id",
                        operation.where + ".request.url");
        }
        operation.condition.reset();
        if (std::string_view query = asked.string_at("ifNoneExist"); !query.empty()) {
            if (const std::size_t question = query.find('?'); question != std::string_view::npos)
                query = query.substr(question + 1);
            operation.condition = TRY(parse_query_string(query));
        }
        return operation;
    }
    if (operation.id.empty() && !operation.condition) {
        return fail(Category::incorrect,
                    fmt::format("{} needs Type/id or Type?search", request.method),
                    operation.where + ".request.url");
    }
    if (request.method == "PUT") {
        operation.kind = Operation::Kind::update;
        operation.if_none_match_any = asked.string_at("ifNoneMatch") == "*";
    } else if (request.method == "PATCH") {
        TRY(take_patch(operation));
    } else {
        operation.kind = Operation::Kind::remove;
    }
    return operation;
}

Result<ParsedTransaction> parse_transaction(std::shared_ptr<JsonDocument> bundle,
                                            std::string_view base_url) {
    const auto entries = TRY(bundle_entries(bundle->root()));
    ParsedTransaction parsed;
    parsed.entry_count = entries.size();
    parsed.transaction.resolve_conditional_references = true;
    parsed.transaction.operations.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Json& entry = entries[i];
        std::string where = fmt::format("Bundle.entry[{}]", i);
        EntryRequest request = TRY(parse_entry_request(entry, base_url, where));
        // POST Type/_search and POST …/$operation read; everything else with POST creates.
        const bool is_reading_post =
            request.method == "POST" && (request.url.find("_search") != std::string::npos ||
                                         request.url.find('$') != std::string::npos);
        if (!is_write(request.method) || is_reading_post) {
            const Json& asked = entry["request"];
            parsed.reads.push_back({i, std::move(request),
                                    std::string(asked.string_at("ifNoneMatch")),
                                    std::string(asked.string_at("ifModifiedSince"))});
            continue;
        }
        parsed.transaction.operations.push_back(
            TRY(parse_entry_operation(bundle, entry, request, std::move(where))));
        parsed.entry_of_operation.push_back(i);
    }
    return parsed;
}

}  // namespace meridian::fhir
