// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology/operations.hpp"
#include "rest/terminology/parameters_out.hpp"

namespace meridian::rest::terminology {

namespace {

using fhir::terminology::ConceptIndex;
using fhir::terminology::Contained;
using fhir::terminology::no_concept;

Answer code_answer(bool result, std::string_view message, std::string_view display,
                   const Member* member) {
    Out out;
    out.add("result", "valueBoolean", out.document.boolean(result));
    out.add_text("message", "valueString", message);
    out.add_text("display", "valueString", display);
    if (member != nullptr) {
        out.add_text("system", "valueUri", member->system);
        out.add_text("code", "valueCode", member->code);
    }
    return out.answer();
}

/// Judges what was found for one of the codes asked about; `where` names the set or system for
/// messages.
Answer judge(const std::vector<CodeAsked>& asked, const Arguments& arguments,
             std::string_view where,
             const std::function<Contained(const CodeAsked&, Member&)>& look) {
    std::string message;
    for (const CodeAsked& code : asked) {
        Member member;
        const Contained contained = look(code, member);
        const std::string name = code.system.empty() ? fmt::format("\"{}\"", code.code)
                                                     : fmt::format("{}|{}", code.system, code.code);
        if (contained == Contained::yes) {
            if (fhir::terminology::is_display(member, code.display))
                return code_answer(true, {}, display_in(member, arguments.text("displayLanguage")),
                                   &member);
            message = fmt::format("\"{}\" is no display of {}: expected \"{}\"", code.display, name,
                                  member.display);
            return code_answer(false, message, member.display, &member);
        }
        if (!message.empty()) message += "; ";
        message += contained == Contained::no ? fmt::format("{} is not in {}", name, where)
                                              : fmt::format(
                                                    "it cannot be said whether {} is in {}: a code "
                                                    "system that is needed is not loaded here",
                                                    name, where);
    }
    return code_answer(false, message, {}, nullptr);
}

}  // namespace

Result<Answer> validate_in_value_set(Service& service, const Terminology& terminology,
                                     const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(
        arguments.allow("url valueSet valueSetVersion code system systemVersion display coding "
                        "codeableConcept date abstract displayLanguage"));
    const auto asked = TRY(codes_asked(arguments));
    const auto meant = TRY(value_set_asked(service, exchange, arguments, "$validate-code"));
    const auto set = meant->resource != nullptr ? TRY(terminology.compile(*meant->resource))
                                                : TRY(terminology.value_set(meant->url));
    const bool abstract_allowed = TRY(arguments.boolean("abstract", true));
    return judge(asked, arguments, set->url().empty() ? "the value set" : set->url(),
                 [&](const CodeAsked& code, Member& member) {
                     const Contained found =
                         set->contains(code.system, code.version, code.code, &member);
                     const bool is_abstract = found == Contained::yes && member.codes != nullptr &&
                                              member.at != no_concept &&
                                              member.codes->is_abstract(member.at);
                     return is_abstract && !abstract_allowed ? Contained::no : found;
                 });
}

Result<Answer> validate_in_system(Service& service, const Terminology& terminology,
                                  const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(
        arguments.allow("url system codeSystem code version display coding codeableConcept date "
                        "abstract displayLanguage"));
    const auto asked = TRY(codes_asked(arguments));
    std::string_view url = arguments.text("url");
    if (url.empty()) url = asked.front().system;
    const auto grammar = fhir::terminology::open_system(url);
    auto codes =
        system_asked(service, terminology, exchange, arguments, url, arguments.text("version"));
    if (!codes && (grammar == fhir::terminology::OpenSystem::none ||
                   codes.error().category != Category::not_found))
        return std::unexpected(std::move(codes).error());
    const std::string where = codes ? (*codes)->url() : std::string(url);
    return judge(asked, arguments, where, [&](const CodeAsked& code, Member& member) {
        if (!code.system.empty() && code.system != where) return Contained::no;
        if (!codes) {
            member = {nullptr, no_concept, where, {}, code.code, {}, nullptr};
            return fhir::terminology::follows_grammar(grammar, code.code) ? Contained::yes
                                                                          : Contained::no;
        }
        const ConceptIndex at = (*codes)->find(code.code);
        if (at == no_concept) return Contained::no;
        member = {codes->get(),          at,     where, (*codes)->version(), (*codes)->code(at),
                  (*codes)->display(at), nullptr};
        return Contained::yes;
    });
}

}  // namespace meridian::rest::terminology
