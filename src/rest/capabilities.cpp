// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <mutex>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/markup.hpp"
#include "fhir/definitions/definitions.hpp"
#include "fhir/search/parameters.hpp"
#include "rest/service.hpp"

namespace meridian::rest {

namespace {

const char* text_of(fhir::SearchType type) {
    switch (type) {
        case fhir::SearchType::number:
            return "number";
        case fhir::SearchType::date:
            return "date";
        case fhir::SearchType::string:
            return "string";
        case fhir::SearchType::token:
            return "token";
        case fhir::SearchType::reference:
            return "reference";
        case fhir::SearchType::composite:
            return "composite";
        case fhir::SearchType::quantity:
            return "quantity";
        case fhir::SearchType::uri:
            return "uri";
        case fhir::SearchType::special:
            return "special";
    }
    return "special";
}

/// Writes `items` as a JSON array of objects or values made by `write_one`.
template <class Range, class Write>
void write_list(std::string_view name, const Range& items, std::string& out, Write write_one) {
    bool first = true;
    for (const auto& item : items) {
        const std::size_t before = out.size();
        out += first ? fmt::format(R"(,"{}":[)", name) : std::string(",");
        const std::size_t begun = out.size();
        write_one(item);
        if (out.size() == begun) {
            out.resize(before);
        } else {
            first = false;
        }
    }
    if (!first) out += ']';
}

void write_operation(const Operation& operation, std::string& out) {
    out += fmt::format(
        R"({{"name":"{}","definition":"{}"}})", operation.name,
        operation.definition.empty()
            ? fmt::format("http://hl7.org/fhir/OperationDefinition/Resource-{}", operation.name)
            : operation.definition);
}

void write_search_parameter(const fhir::search::Parameter& parameter, std::string& out) {
    if (!parameter.ready) return;
    out += fmt::format(R"({{"name":"{}","type":"{}")", parameter.code, text_of(parameter.kind));
    if (!parameter.url.empty()) {
        out += R"(,"definition":)";
        write_string(parameter.url, out);
    }
    out += '}';
}

/// What a search for each type can bring back by _revinclude: the parameters that lead to it.
/// Those that lead to most types are left out, Provenance's apart: named for each of them, they
/// would be most of the statement.
using BackReferences = std::map<std::string, std::vector<std::string>, std::less<>>;

BackReferences back_references_of(const fhir::search::Parameters& parameters) {
    BackReferences all;
    const auto types = fhir::definitions().resources();
    for (const fhir::Type* source : types) {
        for (const fhir::search::Parameter* parameter : parameters.list(source->name)) {
            if (parameter->kind != fhir::SearchType::reference) continue;
            const std::string name = fmt::format("{}:{}", source->name, parameter->code);
            if (!parameter->targets.empty() && parameter->targets.size() < types.size() / 2) {
                for (const std::string& target : parameter->targets) all[target].push_back(name);
            } else if (source->name == "Provenance") {
                for (const fhir::Type* target : types)
                    all[std::string(target->name)].push_back(name);
            }
        }
    }
    return all;
}

void write_resource(Service& service, const fhir::search::Parameters& parameters,
                    const BackReferences& back_references, std::string_view type,
                    std::string& out) {
    static constexpr std::string_view interactions[] = {
        "read",         "vread",  "update",     "patch", "delete", "history-instance",
        "history-type", "create", "search-type"};
    out += fmt::format(R"({{"type":"{0}","profile":"http://hl7.org/fhir/StructureDefinition/{0}")",
                       type);
    write_list("interaction", interactions, out,
               [&](std::string_view code) { out += fmt::format(R"({{"code":"{}"}})", code); });
    out +=
        R"(,"versioning":"versioned-update","readHistory":true,"updateCreate":true,"conditionalCreate":true,"conditionalRead":"full-support",)"
        R"("conditionalUpdate":true,"referencePolicy":["literal","logical","local"])";
    out += fmt::format(R"(,"conditionalDelete":"{}")",
                       service.options().conditional_delete_many ? "multiple" : "single");
    const auto list = parameters.list(type);
    write_list("searchInclude", list, out, [&](const fhir::search::Parameter* parameter) {
        if (parameter->kind == fhir::SearchType::reference)
            out += fmt::format(R"("{}:{}")", type, parameter->code);
    });
    if (const auto found = back_references.find(type); found != back_references.end())
        write_list("searchRevInclude", found->second, out,
                   [&](const std::string& name) { out += fmt::format(R"("{}")", name); });
    write_list("searchParam", list, out, [&](const fhir::search::Parameter* parameter) {
        write_search_parameter(*parameter, out);
    });
    write_list("operation", service.operations(), out, [&](const Operation& operation) {
        const bool fits = operation.types.empty() ||
                          std::find(operation.types.begin(), operation.types.end(), type) !=
                              operation.types.end();
        if (fits && operation.is_offered && (operation.on_type || operation.on_instance))
            write_operation(operation, out);
    });
    if (const auto added = service.capabilities().find(fmt::format("resource.{}", type));
        added != service.capabilities().end())
        out += "," + added->second;
    out += '}';
}

/// Stands for the base URL, which each client has its own of, until an answer is made.
constexpr std::string_view base_url_place = "urn:meridian:the-base-url-of-this-answer";

std::string statement_of(Service& service, const fhir::search::Parameters& parameters) {
    std::string out =
        R"({"resourceType":"CapabilityStatement","status":"active","date":"2026-11-22","publisher":"Meridian","kind":"instance",)"
        R"("fhirVersion":"4.0.1","format":["application/fhir+json","application/fhir+xml","json","xml"],)"
        R"("patchFormat":["application/json-patch+json","application/fhir+json","application/fhir+xml"],)";
    out += fmt::format(
        R"("software":{{"name":"Meridian","version":"{}"}},"implementation":{{"description":"Meridian FHIR R4 server","url":)",
        service.options().software_version);
    write_string(base_url_place, out);
    out += R"(},"rest":[{"mode":"server")";
    const BackReferences back_references = back_references_of(parameters);
    write_list("resource", fhir::definitions().resources(), out, [&](const fhir::Type* type) {
        write_resource(service, parameters, back_references, type->name, out);
    });
    static constexpr std::string_view system[] = {"transaction", "batch", "history-system",
                                                  "search-system"};
    write_list("interaction", system, out,
               [&](std::string_view code) { out += fmt::format(R"({{"code":"{}"}})", code); });
    write_list("operation", service.operations(), out, [&](const Operation& operation) {
        if (operation.on_system && operation.is_offered) write_operation(operation, out);
    });
    static constexpr std::string_view compartments[] = {"Patient", "Encounter", "Practitioner",
                                                        "RelatedPerson", "Device"};
    write_list("compartment", compartments, out, [&](std::string_view name) {
        out += fmt::format(R"("http://hl7.org/fhir/CompartmentDefinition/{}")",
                           static_cast<char>(std::tolower(name[0])) + std::string(name.substr(1)));
    });
    for (const auto& [member, json] : service.capabilities()) {
        if (!member.starts_with("resource.")) out += fmt::format(R"(,"{}":{})", member, json);
    }
    out += "}]}";
    return out;
}

/// The tag changes exactly when the content does. `make` makes the content unless the client has
/// it.
template <class Make>
Result<Answer> tagged(std::string_view content_hash, const Exchange& exchange, Make make) {
    const std::string tag = fmt::format("W/\"{}\"", content_hash.substr(0, 16));
    Answer answer;
    if (exchange.if_none_match == tag) {
        answer.status = 304;
    } else {
        answer = TRY(make());
    }
    answer.headers.emplace_back("ETag", tag);
    return answer;
}

}  // namespace

/// The capability statement of one set of search parameters, written once in each form that is
/// asked for. What differs between two answers is put in when they are made. Thread-safe.
class Statement {
 public:
    Statement(std::shared_ptr<const fhir::search::Parameters> parameters, std::string json)
        : parameters_(std::move(parameters)), json_(std::move(json)), hash_(sha256(json_)) {}

    bool is_of(const fhir::search::Parameters& parameters) const {
        return parameters_.get() == &parameters;
    }
    /// Of the content with this base URL in its place.
    std::string hash(std::string_view base_url) const {
        std::string whole(reinterpret_cast<const char*>(hash_.data()), hash_.size());
        return to_hex(sha256(whole.append(base_url)));
    }
    Result<std::string> text(Format format, bool pretty, std::string_view base_url) const {
        Form& form = forms_[(format == Format::xml ? 2U : 0U) + (pretty ? 1U : 0U)];
        std::call_once(form.once, [&] { write(form, format, pretty); });
        if (!form.written) return std::unexpected(form.written.error());
        std::string url;
        if (format == Format::xml) {
            url = escaped_markup(base_url);
        } else {
            write_string(base_url, url);
            url = url.substr(1, url.size() - 2);  // its quotes stand there
        }
        std::string out;
        out.reserve(form.before.size() + url.size() + form.after.size());
        return out.append(form.before).append(url).append(form.after);
    }

 private:
    struct Form {
        std::once_flag once;
        Result<void> written;
        std::string before, after;  ///< what stands before and behind the base URL
    };
    void write(Form& made, Format format, bool pretty) const {
        const auto text = formatted(json_, format, pretty);
        if (!text) {
            made.written = std::unexpected(text.error());
            return;
        }
        const std::size_t place = text->find(base_url_place);
        made.before = text->substr(0, place);
        made.after = text->substr(place + base_url_place.size());
    }
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    std::string json_;
    Sha256 hash_;
    mutable std::array<Form, 4> forms_;
};

std::shared_ptr<const Statement> Service::statement() {
    auto parameters = repository_.parameters();
    const std::lock_guard lock(statement_mutex_);
    if (!statement_ || !statement_->is_of(*parameters)) {
        std::string json = statement_of(*this, *parameters);
        statement_ = std::make_shared<const Statement>(std::move(parameters), std::move(json));
    }
    return statement_;
}

Result<Answer> capabilities(Service& service, const Exchange& exchange) {
    if (exchange.method != net::Method::get && exchange.method != net::Method::head &&
        exchange.method != net::Method::options) {
        return not_allowed("the capability statement is read with GET", "GET, HEAD, OPTIONS");
    }
    std::string mode = "full";
    for (const auto& [name, value] : exchange.parameters) {
        if (name == "mode") mode = value;
    }
    if (mode == "terminology") {
        for (const Operation& operation : service.operations()) {
            if (operation.name != "terminology-capabilities") continue;
            std::string json = std::move(TRY(operation.run(service, exchange)).json);
            return tagged(to_hex(sha256(json)), exchange,
                          [&]() -> Result<Answer> { return Answer{.json = std::move(json)}; });
        }
    }
    if (mode != "full" && mode != "normative" && mode != "terminology") {
        return fail(Category::incorrect,
                    fmt::format("mode={} is not known: expected full, normative or terminology",
                                mode.substr(0, 40)),
                    "mode");
    }
    const auto statement = service.statement();
    return tagged(statement->hash(exchange.base_url), exchange, [&]() -> Result<Answer> {
        Answer answer;
        answer.json = TRY(statement->text(exchange.format, exchange.pretty, exchange.base_url));
        // Of the other forms the text is ready made; nothing shall rearrange it once more.
        if (exchange.format != Format::json || exchange.pretty)
            answer.content_type = media_type_of(exchange.format);
        return answer;
    });
}

}  // namespace meridian::rest
