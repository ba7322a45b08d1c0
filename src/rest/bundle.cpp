// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"
#include "base/query_string.hpp"
#include "fhir/bundle/transaction.hpp"
#include "fhir/format/subset.hpp"
#include "fhir/references.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

namespace {

void write_link(std::string_view relation, std::string_view url, std::string& out) {
    if (out.back() == '}') out += ',';
    out += fmt::format(R"({{"relation":"{}","url":)", relation);
    write_string(url, out);
    out += '}';
}

void write_links(const fhir::Page& page, std::string_view base_url, std::string& out) {
    out += R"("link":[)";
    std::string self(base_url);
    if (!page.self_path.empty()) self += "/" + page.self_path;
    if (!page.self.empty()) self += "?" + page.self;
    write_link("self", self, out);
    if (!page.previous.empty())
        write_link("previous", fmt::format("{}?_cursor={}", base_url, page.previous), out);
    if (!page.next.empty())
        write_link("next", fmt::format("{}?_cursor={}", base_url, page.next), out);
    out += ']';
}

/// Bundle.entry.request and .response of a history (FHIR R4 §3.1.0.12.1).
void write_history_parts(const fhir::Resource& resource, std::string& out) {
    const char* method = resource.deleted                       ? "DELETE"
                         : resource.verb == store::Verb::create ? "POST"
                                                                : "PUT";
    const std::string url = resource.verb == store::Verb::create
                                ? resource.type
                                : fmt::format("{}/{}", resource.type, resource.id);
    out += fmt::format(
        R"("request":{{"method":"{}","url":"{}"}},"response":{{"status":"{}","etag":"W/\"{}\"","lastModified":"{}"}})",
        method, url,
        resource.deleted                       ? "204"
        : resource.verb == store::Verb::create ? "201"
                                               : "200",
        resource.version, to_text(resource.updated));
}

const char* mode_text(fhir::Page::Entry::Mode mode) {
    switch (mode) {
        case fhir::Page::Entry::Mode::match:
            return "match";
        case fhir::Page::Entry::Mode::include:
            return "include";
        case fhir::Page::Entry::Mode::outcome:
            return "outcome";
    }
    return "match";
}

void write_entry(const fhir::Page::Entry& entry, const fhir::Page& page, std::string_view base_url,
                 std::string& out) {
    const fhir::Resource& resource = entry.resource;
    out += fmt::format(R"({{"fullUrl":"{}/{}/{}{}{}",)", base_url, resource.type, resource.id,
                       entry.fragment.empty() ? "" : "#", entry.fragment);
    if (!resource.deleted) {
        const bool is_cut = entry.mode == fhir::Page::Entry::Mode::match &&
                            (page.summary != fhir::Page::Summary::off || !page.elements.empty());
        out += R"("resource":)";
        auto cut = is_cut ? fhir::subset(resource.json, page.summary, page.elements)
                          : Result<std::string>(std::string());
        out += is_cut && cut ? *cut : resource.json;
        out += ',';
    }
    if (page.is_history) {
        write_history_parts(resource, out);
    } else {
        out += fmt::format(R"("search":{{"mode":"{}"{}}})", mode_text(entry.mode),
                           entry.score ? fmt::format(R"(,"score":{:.4f})", *entry.score) : "");
    }
    out += '}';
}

/// One entry of a batch-response or transaction-response.
void write_response(const Answer& answer, std::string& out) {
    out += '{';
    if (!answer.json.empty() && answer.status < 300)
        out += fmt::format(R"("resource":{},)", answer.json);
    out += fmt::format(R"("response":{{"status":"{} {}")", answer.status,
                       net::reason_phrase(answer.status));
    if (!answer.location.empty()) {
        out += R"(,"location":)";
        write_string(answer.location, out);
    }
    if (answer.version) out += fmt::format(R"(,"etag":"W/\"{}\"")", *answer.version);
    if (answer.last_modified)
        out += fmt::format(R"(,"lastModified":"{}")", to_text(*answer.last_modified));
    if (!answer.json.empty() && answer.status >= 300)
        out += fmt::format(R"(,"outcome":{})", answer.json);
    out += "}}";
}

Answer bundle_of(std::string_view type, const std::vector<Answer>& answers) {
    Answer bundle;
    std::string& out = bundle.json;
    out = fmt::format(R"({{"resourceType":"Bundle","id":"{}","type":"{}")", new_uuid(), type);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        out += i == 0 ? R"(,"entry":[)" : ",";
        write_response(answers[i], out);
    }
    out += answers.empty() ? "}" : "]}";
    return bundle;
}

/// The request of one entry as an exchange of its own, with the outer one's caller and preferences.
Result<Exchange> entry_exchange(const Exchange& outer,
                                const std::shared_ptr<JsonDocument>& document, const Json& entry,
                                const fhir::EntryRequest& request) {
    Exchange exchange;
    exchange.is_batch_entry = true;
    exchange.caller = outer.caller;
    exchange.base_url = outer.base_url;
    exchange.lenient = outer.lenient;
    exchange.prefer_return = outer.prefer_return;
    exchange.peer = outer.peer;
    exchange.method = net::method_of(request.method);
    const std::string_view url = request.url;
    for (std::size_t begin = 0, end = url.find('?'); begin < std::min(end, url.size());) {
        const std::size_t slash = std::min({url.find('/', begin), end, url.size()});
        exchange.path.push_back(TRY(percent_decode(url.substr(begin, slash - begin))));
        begin = slash + 1;
    }
    if (!exchange.path.empty() && exchange.path.back().empty()) exchange.path.pop_back();
    exchange.parameters = TRY(parse_query_string(request.query));
    std::erase_if(exchange.parameters, [](const auto& parameter) {
        return parameter.first == "_format" || parameter.first == "_pretty";
    });
    const Json& asked = entry["request"];
    exchange.if_match = asked.string_at("ifMatch");
    exchange.if_none_match = asked.string_at("ifNoneMatch");
    exchange.if_none_exist = asked.string_at("ifNoneExist");
    exchange.if_modified_since = asked.string_at("ifModifiedSince");
    if (const Json* resource = entry.find("resource")) {
        exchange.document = document;
        exchange.resource = *resource;
        exchange.has_resource = true;
        exchange.content_type = "application/fhir+json";
    }
    return exchange;
}

/// The fullUrls of what a batch creates: no other entry may refer to them, because nothing says
/// that it exists when that one is processed (FHIR R4 §3.1.0.11.1).
fhir::FullUrls created_in(std::span<const Json> entries) {
    fhir::FullUrls created;
    for (const Json& entry : entries) {
        const std::string_view full_url = entry.string_at("fullUrl");
        if (entry["request"].string_at("method") == "POST" || full_url.starts_with("urn:"))
            created.emplace(full_url, full_url);
    }
    created.erase("");
    return created;
}

/// Errors: `incorrect` when the entry's resource refers to another entry of the batch.
Result<void> check_independent(const Json& entry, const fhir::FullUrls& created,
                               const std::string& where) {
    const Json* resource = entry.find("resource");
    if (resource == nullptr || created.empty()) return {};
    const std::string_view found =
        fhir::first_reference_to(*resource, [&](std::string_view reference) {
            return reference != entry.string_at("fullUrl") &&
                   created.contains(std::string(reference.substr(0, reference.find('#'))));
        });
    if (found.empty()) return {};
    return fail(Category::incorrect,
                fmt::format("\"{}\" is another entry of this batch, whose entries are independent: "
                            "send a transaction",
                            found.substr(0, 200)),
                where);
}

/// FHIR R4 §3.1.0.11.1: entries of a batch are independent; each has its own status.
Result<Answer> process_batch(Service& service, const Exchange& exchange,
                             const std::shared_ptr<JsonDocument>& document) {
    std::vector<Answer> answers;
    const auto entries = TRY(fhir::bundle_entries(document->root()));
    const fhir::FullUrls created = created_in(entries);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string where = fmt::format("Bundle.entry[{}]", i);
        auto answer = [&]() -> Result<Answer> {
            const fhir::EntryRequest request =
                TRY(fhir::parse_entry_request(entries[i], exchange.base_url, where));
            const Exchange inner = TRY(entry_exchange(exchange, document, entries[i], request));
            TRY(check_independent(entries[i], created, where));
            // PATCH with a JSON Patch comes as a Binary; the bundle room knows how to take it out.
            if (inner.method == net::Method::patch) {
                fhir::Transaction transaction;
                transaction.operations.push_back(
                    TRY(fhir::parse_entry_operation(document, entries[i], request, where)));
                const auto results =
                    TRY(service.repository().commit(exchange.caller, std::move(transaction)));
                return answer_of(results.front(), inner);
            }
            if (inner.path.empty() && inner.method == net::Method::post)
                return fail(Category::incorrect,
                            "a batch may not contain another bundle to process", where);
            return service.dispatch(inner);
        }();
        answers.push_back(answer ? *std::move(answer) : answer_of(answer.error()));
    }
    return bundle_of("batch-response", answers);
}

/// FHIR R4 §3.1.0.11.2: all or nothing; reads see what the writes left.
Result<Answer> process_transaction(Service& service, const Exchange& exchange,
                                   const std::shared_ptr<JsonDocument>& document) {
    fhir::ParsedTransaction parsed = TRY(fhir::parse_transaction(document, exchange.base_url));
    parsed.transaction.want_json = exchange.prefer_return == Return::representation;
    std::vector<Answer> answers(parsed.entry_count);
    Exchange written = exchange;
    if (written.prefer_return == Return::unset) written.prefer_return = Return::minimal;
    if (!parsed.transaction.operations.empty()) {
        const auto results =
            TRY(service.repository().commit(exchange.caller, std::move(parsed.transaction)));
        for (std::size_t i = 0; i < results.size(); ++i)
            answers[parsed.entry_of_operation[i]] = answer_of(results[i], written);
    }
    for (const auto& read : parsed.reads) {
        const Json& entry = document->root()["entry"].items()[read.entry];
        const Exchange inner = TRY(entry_exchange(exchange, document, entry, read.request));
        auto answer = service.dispatch(inner);
        if (!answer) {
            Error error = std::move(answer).error();
            error.where = fmt::format("Bundle.entry[{}]{}{}", read.entry,
                                      error.where.empty() ? "" : ".", error.where);
            return std::unexpected(std::move(error));
        }
        answers[read.entry] = *std::move(answer);
    }
    return bundle_of("transaction-response", answers);
}

}  // namespace

std::string bundle_json(const fhir::Page& page, std::string_view base_url) {
    std::string out;
    out.reserve(2048 * (page.entries.size() + 1));
    out += fmt::format(
        R"({{"resourceType":"Bundle","id":"{}","meta":{{"lastUpdated":"{}"}},"type":"{}",)",
        new_uuid(), to_text(now()), page.is_history ? "history" : "searchset");
    if (page.total) out += fmt::format(R"("total":{},)", *page.total);
    write_links(page, base_url, out);
    bool first = true;
    const auto separate = [&] {
        out += first ? R"(,"entry":[)" : ",";
        first = false;
    };
    for (const fhir::Page::Entry& entry : page.entries) {
        separate();
        write_entry(entry, page, base_url, out);
    }
    if (!page.warnings.empty() && !page.is_history) {
        separate();
        out += fmt::format(
            R"({{"fullUrl":"urn:uuid:{}","resource":{},"search":{{"mode":"outcome"}}}})",
            new_uuid(), outcome_json(page.warnings));
    }
    out += first ? "}" : "]}";
    return out;
}

namespace {

/// What the entries read is audited together, in one commit before the bundle is answered.
template <class Process>
Result<Answer> process_gathered(Service& service, const Exchange& exchange,
                                const std::shared_ptr<JsonDocument>& document, Process process) {
    Exchange gathering = exchange;
    gathering.caller.gathering = std::make_shared<fhir::AuditGathering>();
    auto answer = process(service, gathering, document);
    auto records = gathering.caller.gathering->take();
    if (!records.empty()) TRY(service.repository().note(gathering.caller, std::move(records)));
    return answer;
}

}  // namespace

Result<Answer> process_bundle(Service& service, const Exchange& exchange) {
    const auto document = exchange.has_resource ? exchange.document : TRY(parse_body(exchange));
    const Json& bundle = document->root();
    if (bundle.string_at("resourceType") != "Bundle") {
        return fail(
            Category::incorrect,
            fmt::format(
                "the base takes a Bundle of type batch or transaction, not a {}",
                bundle.string_at("resourceType", "body without resourceType").substr(0, 60)),
            "resourceType");
    }
    const std::string_view type = bundle.string_at("type");
    if (type == "batch") return process_gathered(service, exchange, document, process_batch);
    if (type == "transaction")
        return process_gathered(service, exchange, document, process_transaction);
    return fail(
        Category::incorrect,
        fmt::format("a Bundle of type \"{}\" cannot be processed: expected batch or transaction",
                    type.substr(0, 40)),
        "Bundle.type");
}

}  // namespace meridian::rest
