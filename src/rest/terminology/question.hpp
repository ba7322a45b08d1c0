// SPDX-License-Identifier: Apache-2.0
// What the terminology operations ask in common: which set, which system, which codes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "fhir/terminology/terminology.hpp"
#include "rest/arguments.hpp"
#include "rest/service.hpp"

namespace meridian::rest::terminology {

using fhir::terminology::CodeSystem;
using fhir::terminology::Member;
using fhir::terminology::Terminology;

/// True when the address names the resource: Type/id/$operation.
bool on_instance(const Exchange& exchange);

/// The version of the addressed resource that this caller may see. Errors: as Repository::read.
Result<JsonDocument> addressed(Service& service, const Exchange& exchange);

struct CodeAsked {
    std::string_view system, version, code, display;
};

/// The codes of the request: one of code, coding, codeableConcept. Errors: `incorrect` for none.
Result<std::vector<CodeAsked>> codes_asked(const Arguments& arguments);

/// The value set that a request means: one that stands in it or in the address, or a stored one.
struct ValueSetAsked {
    JsonDocument document{};         ///< what `resource` points into, when the address names it
    const Json* resource = nullptr;  ///< null: the one called `url`
    std::string url{};               ///< with its version, when that was given
};

/// Errors: `incorrect` when the request names none; as addressed. `operation` is for the message.
Result<std::unique_ptr<ValueSetAsked>> value_set_asked(Service& service, const Exchange& exchange,
                                                       const Arguments& arguments,
                                                       std::string_view operation);

/// The code system of the address, of the parameter codeSystem, or called `url`. Errors:
/// `incorrect` when there is none of them; as Terminology::code_system.
Result<std::shared_ptr<const CodeSystem>> system_asked(
    Service& service, const Terminology& terminology, const Exchange& exchange,
    const Arguments& arguments, std::string_view url, std::string_view version);

/// The designation in the wanted language, or the display.
std::string_view display_in(const Member& member, std::string_view language);

/// Sets a member unless the text is empty.
void set_text(JsonDocument& document, Json& object, std::string_view key, std::string_view text);

/// JSON that was kept as text, as a part of `document`.
Json parsed(JsonDocument& document, std::string_view json);

}  // namespace meridian::rest::terminology
