// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology/question.hpp"

#include <algorithm>

namespace meridian::rest::terminology {

using fhir::terminology::no_concept;

bool on_instance(const Exchange& exchange) {
    return exchange.path.size() > 2;
}

Result<JsonDocument> addressed(Service& service, const Exchange& exchange) {
    const fhir::Resource resource =
        TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    return JsonDocument::parse(resource.json);
}

Result<std::vector<CodeAsked>> codes_asked(const Arguments& arguments) {
    std::vector<CodeAsked> codes;
    const auto add = [&](const Json& coding) {
        codes.push_back({coding.string_at("system"), coding.string_at("version"),
                         coding.string_at("code"), coding.string_at("display")});
    };
    if (const Json* coding = arguments.value("coding")) {
        add(*coding);
    } else if (const Json* concept_asked = arguments.value("codeableConcept")) {
        for (const Json& one : (*concept_asked)["coding"].items()) add(one);
    } else if (arguments.has("code")) {
        std::string_view version = arguments.text("systemVersion");
        if (version.empty()) version = arguments.text("version");
        codes.push_back(
            {arguments.text("system"), version, arguments.text("code"), arguments.text("display")});
    } else if (const std::string_view text = arguments.text("coding");
               text.find('|') != std::string_view::npos) {
        codes.push_back({text.substr(0, text.find('|')),
                         {},
                         text.substr(text.find('|') + 1),
                         arguments.text("display")});
    }
    if (codes.empty() || std::any_of(codes.begin(), codes.end(),
                                     [](const CodeAsked& asked) { return asked.code.empty(); })) {
        return fail(Category::incorrect,
                    "say which code to check: code (with system), coding or codeableConcept");
    }
    return codes;
}

Result<std::unique_ptr<ValueSetAsked>> value_set_asked(Service& service, const Exchange& exchange,
                                                       const Arguments& arguments,
                                                       std::string_view operation) {
    auto asked = std::make_unique<ValueSetAsked>();
    if (on_instance(exchange)) {
        asked->document = TRY(addressed(service, exchange));
        asked->resource = &asked->document.root();
        return asked;
    }
    asked->resource = arguments.resource("valueSet");
    if (asked->resource != nullptr) return asked;
    asked->url = arguments.text("url");
    if (asked->url.empty())
        return fail(Category::incorrect,
                    fmt::format("say which value set is meant: url=CANONICAL, a parameter "
                                "valueSet, or ValueSet/ID/{}",
                                operation),
                    "url");
    if (const std::string_view version = arguments.text("valueSetVersion"); !version.empty())
        asked->url += fmt::format("|{}", version);
    return asked;
}

Result<std::shared_ptr<const CodeSystem>> system_asked(
    Service& service, const Terminology& terminology, const Exchange& exchange,
    const Arguments& arguments, std::string_view url, std::string_view version) {
    if (on_instance(exchange)) {
        const JsonDocument document = TRY(addressed(service, exchange));
        return CodeSystem::load(document.root());
    }
    if (const Json* given = arguments.resource("codeSystem")) return CodeSystem::load(*given);
    if (url.empty())
        return fail(Category::incorrect,
                    "say which code system is meant: its url, or CodeSystem/ID in the address",
                    "system");
    return terminology.code_system(url, version);
}

namespace {

/// "zh" is served by "zh" and "zh-CN".
bool fits_language(std::string_view found, std::string_view wanted) {
    return found == wanted || (found.size() > wanted.size() && found.starts_with(wanted) &&
                               found[wanted.size()] == '-');
}

}  // namespace

std::string_view display_in(const Member& member, std::string_view language) {
    if (language.empty()) return member.display;
    if (member.listed != nullptr) {
        for (const Json& item : (*member.listed)["designation"].items()) {
            if (fits_language(item.string_at("language"), language)) return item.string_at("value");
        }
    }
    if (member.codes != nullptr && member.at != no_concept) {
        for (const auto& item : member.codes->designations(member.at)) {
            if (fits_language(item.language, language)) return item.value;
        }
    }
    return member.display;
}

void set_text(JsonDocument& document, Json& object, std::string_view key, std::string_view text) {
    if (!text.empty()) document.set(object, key, document.string(text));
}

Json parsed(JsonDocument& document, std::string_view json) {
    const auto inner = JsonDocument::parse(json);
    return inner ? document.copy(inner->root()) : document.null();
}

}  // namespace meridian::rest::terminology
