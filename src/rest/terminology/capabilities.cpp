// SPDX-License-Identifier: Apache-2.0
// /metadata?mode=terminology (https://hl7.org/fhir/R4/terminologycapabilities.html).
#include <set>

#include "base/instant.hpp"
#include "base/limits.hpp"
#include "fhir/search/parameters.hpp"
#include "rest/terminology/operations.hpp"

namespace meridian::rest::terminology {

namespace {

/// Parameters of $expand that change what it answers.
constexpr std::string_view expansion_parameters[] = {"activeOnly",
                                                     "check-system-version",
                                                     "count",
                                                     "displayLanguage",
                                                     "excludeNotForUI",
                                                     "filter",
                                                     "force-system-version",
                                                     "includeDefinition",
                                                     "includeDesignations",
                                                     "offset",
                                                     "system-version"};

/// The code systems of the specification and those stored here, by URL. The index names them, so
/// that no body is read.
Result<std::set<std::string>> system_urls(Service& service, const Exchange& exchange) {
    std::set<std::string> urls;
    for (const std::string_view url : fhir::definitions().conformance_urls("CodeSystem"))
        urls.emplace(url);
    const auto* url = service.repository().parameters()->find("CodeSystem", "url");
    if (url == nullptr || !exchange.caller.access->sees_everything()) return urls;
    const auto snapshot = TRY(service.repository().store().snapshot());
    std::string after;
    for (std::size_t i = 0; i < limits::terminology_entries_max; ++i) {
        const auto next = TRY(snapshot->next_uri(url->name, after));
        if (!next) break;
        urls.insert(*next);
        after = *next;
    }
    return urls;
}

}  // namespace

Result<Answer> terminology_capabilities(Service& service, const Exchange& exchange) {
    JsonDocument document;
    Json made = document.object(), systems = document.array(), parameters = document.array();
    const auto set = [&](Json& object, std::string_view key, std::string_view text) {
        document.set(object, key, document.string(text));
    };
    set(made, "resourceType", "TerminologyCapabilities");
    set(made, "status", "active");
    set(made, "date", "2026-11-22");
    set(made, "publisher", "Meridian");
    set(made, "kind", "instance");
    Json software = document.object(), implementation = document.object();
    set(software, "name", "Meridian");
    set(software, "version", service.options().software_version);
    document.set(made, "software", software);
    set(implementation, "description", "Meridian FHIR R4 server");
    set(implementation, "url", exchange.base_url);
    document.set(made, "implementation", implementation);
    for (const std::string& url : TRY(system_urls(service, exchange))) {
        Json system = document.object();
        set(system, "uri", url);
        document.append(systems, system);
    }
    document.set(made, "codeSystem", systems);
    Json expansion = document.object();
    document.set(expansion, "hierarchical", document.boolean(false));
    document.set(expansion, "paging", document.boolean(true));
    document.set(expansion, "incomplete", document.boolean(false));
    for (const std::string_view name : expansion_parameters) {
        Json parameter = document.object();
        set(parameter, "name", name);
        document.append(parameters, parameter);
    }
    document.set(expansion, "parameter", parameters);
    set(expansion, "textFilter", "words of the display and of the code");
    document.set(made, "expansion", expansion);
    set(made, "codeSearch", "all");
    for (const auto& [member, what] : {std::pair{"validateCode", "translations"},
                                       {"translation", "needsMap"},
                                       {"closure", "translation"}}) {
        Json part = document.object();
        document.set(part, what, document.boolean(false));
        document.set(made, member, part);
    }
    Answer answer;
    answer.json = to_text(made);
    return answer;
}

}  // namespace meridian::rest::terminology
