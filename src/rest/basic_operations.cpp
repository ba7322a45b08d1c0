// SPDX-License-Identifier: Apache-2.0
#include "rest/basic_operations.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "fhir/search/parameters.hpp"
#include "rest/arguments.hpp"

namespace meridian::rest {

namespace {

/// The parameter called `name` of a Parameters body, or null.
const Json* parameter_in(const Json& parameters, std::string_view name) {
    for (const Json& parameter : parameters["parameter"].items()) {
        if (parameter.string_at("name") == name) return &parameter;
    }
    return nullptr;
}

std::string meta_answer(const Json& meta) {
    return fmt::format(
        R"({{"resourceType":"Parameters","parameter":[{{"name":"return","valueMeta":{}}}]}})",
        to_text(meta));
}

/// The profiles, tags and security labels that resources which the caller may see carry. The index
/// names the distinct values; one body is read for each of them, however many resources carry it.
class MetaUnion {
 public:
    MetaUnion(fhir::Repository& repository, const fhir::Caller& caller, store::Snapshot& snapshot)
        : repository_(repository),
          caller_(caller),
          snapshot_(snapshot),
          parameters_(repository.parameters()) {}

    Result<void> add_type(std::string_view type) {
        if (!caller_.access->allow(fhir::Right::operation, type)) return {};
        for (const char* code : {"_tag", "_security"}) {
            const auto* parameter = parameters_->find(type, code);
            if (parameter == nullptr) continue;
            std::int64_t from = std::numeric_limits<std::int64_t>::min();
            while (const auto value = TRY(snapshot_.next_token(parameter->name, from))) {
                TRY(add_one(type, store::HasToken{parameter->name, {*value}}));
                if (*value == std::numeric_limits<std::int64_t>::max()) break;
                from = *value + 1;
            }
        }
        const auto* profile = parameters_->find(type, "_profile");
        std::string after;
        while (profile != nullptr) {
            const auto uri = TRY(snapshot_.next_uri(profile->name, after));
            if (!uri) break;
            TRY(add_one(type, store::HasUri{profile->name, false, *uri}));
            after = *uri;
        }
        return {};
    }

    std::string json() const {
        std::string out = "{";
        for (const auto& [member, items] : members_) {
            out += fmt::format(R"({}"{}":[)", out.size() == 1 ? "" : ",", member);
            bool is_first = true;
            for (const auto& [key, item] : items) {
                out += (is_first ? "" : ",") + item;
                is_first = false;
            }
            out += ']';
        }
        return out + '}';
    }

 private:
    /// Everything that one visible resource with that value carries.
    Result<void> add_one(std::string_view type, store::Condition condition) {
        store::Plan plan;
        plan.type = parameters_->type_name(type);
        plan.limit = 1;
        store::AllOf both;
        both.parts.push_back(std::move(condition));
        if (!caller_.access->sees_everything())
            both.parts.push_back(caller_.access->visible(plan.type));
        plan.where = std::move(both);
        const store::Matches matches = TRY(snapshot_.search(plan));
        // What only hidden resources carry must not bring the bound nearer.
        if (!matches.rids.empty() && ++looked_up_ > limits::includes_max)
            return fail(Category::too_large,
                        fmt::format("more than {} tags, labels and profiles are in use",
                                    limits::includes_max));
        for (const store::Stored& stored : TRY(snapshot_.fetch(matches.rids))) {
            const fhir::Resource resource = TRY(repository_.show(caller_, stored));
            const JsonDocument document = TRY(JsonDocument::parse(resource.json));
            for (const char* member : {"profile", "security", "tag"}) {
                for (const Json& item : document.root()["meta"][member].items())
                    members_[member].emplace(item.is_string()
                                                 ? std::string(item.text())
                                                 : fmt::format("{}|{}", item.string_at("system"),
                                                               item.string_at("code")),
                                             to_text(item));
            }
        }
        return {};
    }

    fhir::Repository& repository_;
    const fhir::Caller& caller_;
    store::Snapshot& snapshot_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    std::size_t looked_up_ = 0;
    std::map<std::string, std::map<std::string, std::string>> members_;
};

/// $meta on a type or the whole system.
Result<Answer> meta_in_use(Service& service, const Exchange& exchange) {
    fhir::Repository& repository = service.repository();
    const auto snapshot = TRY(repository.store().snapshot());
    MetaUnion all(repository, exchange.caller, *snapshot);
    if (exchange.path.size() == 2) {
        TRY(all.add_type(exchange.path[0]));
    } else {
        for (const store::TypeCount& count : TRY(snapshot->counts()))
            TRY(all.add_type(repository.parameters()->type_text(count.type)));
    }
    const JsonDocument document = TRY(JsonDocument::parse(all.json()));
    Answer answer;
    answer.json = meta_answer(document.root());
    return answer;
}

/// $meta (https://hl7.org/fhir/R4/resource-operation-meta.html).
Result<Answer> meta(Service& service, const Exchange& exchange) {
    if (exchange.path.size() < 3) return meta_in_use(service, exchange);
    const fhir::Resource resource =
        TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    const JsonDocument document = TRY(JsonDocument::parse(resource.json));
    Answer answer;
    answer.json = meta_answer(document.root()["meta"]);
    return answer;
}

/// Profiles are the same by their text, codings by system and code.
bool same_meta_item(const Json& left, const Json& right) {
    if (left.is_string()) return left.text() == right.text();
    return left.string_at("system") == right.string_at("system") &&
           left.string_at("code") == right.string_at("code");
}

bool holds(const Json& list, const Json& item) {
    return std::any_of(list.items().begin(), list.items().end(),
                       [&](const Json& other) { return same_meta_item(item, other); });
}

/// Adds or removes profiles, tags and labels, and writes the resource as an update that expects the
/// version it read.
Result<Answer> change_meta(Service& service, const Exchange& exchange, bool add) {
    const auto body = exchange.has_resource ? exchange.document : TRY(parse_body(exchange));
    const Json& parameters = exchange.has_resource ? exchange.resource : body->root();
    const Json* asked = parameter_in(parameters, "meta");
    if (asked == nullptr || !(*asked)["valueMeta"].is_object())
        return fail(Category::incorrect, "expected a parameter \"meta\" with a valueMeta",
                    "Parameters.parameter");
    const fhir::Resource resource =
        TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    auto document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(resource.json)));
    Json& root = document->root();
    for (const std::string_view member : {"profile", "security", "tag"}) {
        Json& kept_meta = root.find("meta") != nullptr
                              ? *root.find_mutable("meta")
                              : document->set(root, "meta", document->object());
        Json merged = document->array();
        const Json& old = kept_meta[member];
        const Json& named = (*asked)["valueMeta"][member];
        if (!named.is_array() && !named.is_null())
            return fail(Category::incorrect, fmt::format("meta.{} is a list", member),
                        fmt::format("valueMeta.{}", member));
        for (const Json& item : old.items()) {
            if (add || !holds(named, item)) document->append(merged, item);
        }
        for (const Json& item : named.items()) {
            if (add && !holds(old, item)) document->append(merged, document->copy(item));
        }
        if (merged.size() > 0) {
            document->set(kept_meta, member, merged);
        } else {
            document->remove(kept_meta, member);
        }
    }
    fhir::Transaction transaction;
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::update;
    operation.type = exchange.path[0];
    operation.id = exchange.path[1];
    operation.document = document;
    operation.resource = document->root();
    operation.if_match = resource.version;
    transaction.operations.push_back(std::move(operation));
    const auto results = TRY(service.repository().commit(exchange.caller, std::move(transaction)));
    const JsonDocument written = TRY(JsonDocument::parse(results.front().resource.json));
    Answer answer;
    answer.json = meta_answer(written.root()["meta"]);
    return answer;
}

/// Patient, Encounter and Group $everything.
Result<Answer> everything(Service& service, const Exchange& exchange) {
    const fhir::QueryParameters parameters = TRY(query_parameters_of(exchange));
    fhir::SearchOptions options;
    options.base_url = exchange.base_url;
    options.lenient = exchange.lenient;
    const std::string_view id =
        exchange.path.size() > 2 ? std::string_view(exchange.path[1]) : std::string_view();
    const fhir::Page page = TRY(service.repository().everything(exchange.caller, exchange.path[0],
                                                                id, parameters, options));
    return answer_of_page(page, exchange);
}

Result<Answer> not_here_yet(Service&, const Exchange&) {
    return fail(Category::unsupported,
                "this operation is known but not offered by this version of the server; "
                "docs/conformance.md lists what is");
}

}  // namespace

void add_basic_operations(Service& service) {
    const std::string base = "http://hl7.org/fhir/OperationDefinition/";
    service.add_operation({.name = "meta",
                           .on_system = true,
                           .on_type = true,
                           .on_instance = true,
                           .definition = base + "Resource-meta",
                           .run = meta});
    service.add_operation(
        {.name = "meta-add",
         .on_instance = true,
         .definition = base + "Resource-meta-add",
         .changes_state = true,
         .run = [](Service& s, const Exchange& e) { return change_meta(s, e, true); }});
    service.add_operation(
        {.name = "meta-delete",
         .on_instance = true,
         .definition = base + "Resource-meta-delete",
         .changes_state = true,
         .run = [](Service& s, const Exchange& e) { return change_meta(s, e, false); }});
    service.add_operation({.name = "everything",
                           .on_type = true,
                           .on_instance = true,
                           .types = {"Patient"},
                           .definition = base + "Patient-everything",
                           .run = everything});
    service.add_operation({.name = "everything",
                           .on_instance = true,
                           .types = {"Encounter"},
                           .definition = base + "Encounter-everything",
                           .run = everything});
    service.add_operation({.name = "everything",
                           .on_instance = true,
                           .types = {"Group"},
                           .definition = base + "Group-everything",
                           .run = everything});
    service.add_operation({.name = "lastn",
                           .on_type = true,
                           .types = {"Observation"},
                           .definition = base + "Observation-lastn",
                           .run = last_n});
    service.add_operation({.name = "graphql",
                           .on_system = true,
                           .on_instance = true,
                           .definition = base + "Resource-graphql",
                           .is_offered = false,
                           .run = not_here_yet});
    service.add_operation({.name = "match",
                           .on_type = true,
                           .types = {"Patient"},
                           .definition = base + "Patient-match",
                           .is_offered = false,
                           .run = not_here_yet});
    // The names moved from draft to draft; a ViewDefinition's own are the service's to refuse.
    for (const char* name : {"viewdefinition-run", "viewdefinition-export", "sqlquery-run",
                             "sqlquery-export", "sql-run", "sql-export"}) {
        service.add_operation(
            {.name = name,
             .on_system = true,
             .on_type = true,
             .on_instance = true,
             .types = {"Library"},
             .definition =
                 fmt::format("http://hl7.org/fhir/uv/sql-on-fhir/OperationDefinition/{}", name),
             .is_offered = false,
             .run = not_here_yet});
    }
}

}  // namespace meridian::rest
