// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology_operations.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "fhir/terminology/closure.hpp"
#include "rest/arguments.hpp"

namespace meridian::rest {

namespace {

using fhir::terminology::CodeSystem;
using fhir::terminology::ConceptIndex;
using fhir::terminology::ConceptMap;
using fhir::terminology::Contained;
using fhir::terminology::Member;
using fhir::terminology::no_concept;
using fhir::terminology::SystemVersions;
using fhir::terminology::Terminology;
using fhir::terminology::ValueSet;

/// A Parameters resource on its way out.
class Out {
 public:
    Out() { list_ = document.array(); }

    JsonDocument document;

    Json part(std::string_view name, std::string_view member, Json value) {
        Json made = document.object();
        document.set(made, "name", document.string(name));
        document.set(made, member, value);
        return made;
    }
    void add(Json parameter) { document.append(list_, parameter); }
    void add(std::string_view name, std::string_view member, Json value) {
        add(part(name, member, value));
    }
    void add_text(std::string_view name, std::string_view member, std::string_view text) {
        if (!text.empty()) add(name, member, document.string(text));
    }
    void add_parts(std::string_view name, Json parts) { add(name, "part", parts); }

    Answer answer() {
        Json root = document.object();
        document.set(root, "resourceType", document.string("Parameters"));
        document.set(root, "parameter", list_);
        Answer made;
        made.json = to_text(root);
        return made;
    }

 private:
    Json list_;
};

void set_text(JsonDocument& document, Json& object, std::string_view key, std::string_view text) {
    if (!text.empty()) document.set(object, key, document.string(text));
}

/// "zh" is served by "zh" and "zh-CN".
bool fits_language(std::string_view found, std::string_view wanted) {
    return found == wanted || (found.size() > wanted.size() && found.starts_with(wanted) &&
                               found[wanted.size()] == '-');
}

/// The designation in the wanted language, or the display.
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

Json parsed(JsonDocument& document, std::string_view json) {
    const auto inner = JsonDocument::parse(json);
    return inner ? document.copy(inner->root()) : document.null();
}

/// The version of the addressed resource that this caller may see.
Result<JsonDocument> addressed(Service& service, const Exchange& exchange) {
    const fhir::Resource resource =
        TRY(service.repository().read(exchange.caller, exchange.path[0], exchange.path[1]));
    return JsonDocument::parse(resource.json);
}

bool on_instance(const Exchange& exchange) {
    return exchange.path.size() > 2;
}

// --- ValueSet/$expand ---

Json designations_of(JsonDocument& document, const Member& member) {
    Json list = document.array();
    if (member.listed != nullptr) {
        for (const Json& item : (*member.listed)["designation"].items())
            document.append(list, document.copy(item));
    }
    if (member.codes == nullptr || member.at == no_concept) return list;
    for (const auto& item : member.codes->designations(member.at)) {
        Json made = document.object();
        set_text(document, made, "language", item.language);
        if (!item.use.empty()) document.set(made, "use", parsed(document, item.use));
        document.set(made, "value", document.string(item.value));
        document.append(list, made);
    }
    return list;
}

Json entry_of(JsonDocument& document, const Member& member, std::string_view language,
              bool with_designations) {
    Json entry = document.object();
    set_text(document, entry, "system", member.system);
    if (member.codes != nullptr && member.at != no_concept) {
        if (member.codes->is_abstract(member.at))
            document.set(entry, "abstract", document.boolean(true));
        if (member.codes->is_inactive(member.at))
            document.set(entry, "inactive", document.boolean(true));
    }
    set_text(document, entry, "version", member.version);
    document.set(entry, "code", document.string(member.code));
    set_text(document, entry, "display", display_in(member, language));
    if (with_designations) {
        if (const Json list = designations_of(document, member); list.size() > 0)
            document.set(entry, "designation", list);
    }
    return entry;
}

constexpr std::string_view expand_parameters =
    "url valueSet valueSetVersion filter offset count activeOnly displayLanguage "
    "includeDesignations includeDefinition excludeNested excludeNotForUI "
    "excludePostCoordinated system-version check-system-version force-system-version date";

struct Expansion {
    ValueSet::Filter filter;
    std::size_t offset = 0;
    std::optional<std::size_t> count;
    std::string_view language;
    bool with_designations = false;
    SystemVersions versions;
};

Result<Expansion> read_expansion(const Arguments& arguments) {
    Expansion asked;
    asked.filter.words = arguments.text("filter");
    asked.filter.active_only = TRY(arguments.boolean("activeOnly"));
    asked.filter.selectable_only = TRY(arguments.boolean("excludeNotForUI"));
    asked.offset = TRY(arguments.number("offset")).value_or(0);
    asked.count = TRY(arguments.number("count"));
    asked.language = arguments.text("displayLanguage");
    asked.with_designations = TRY(arguments.boolean("includeDesignations"));
    TRY(arguments.boolean("includeDefinition"));
    TRY(arguments.boolean("excludeNested"));  // what is answered here is never nested
    asked.versions = {arguments.texts("system-version"), arguments.texts("check-system-version"),
                      arguments.texts("force-system-version")};
    return asked;
}

void add_expansion_parameter(JsonDocument& document, Json& list, std::string_view name,
                             std::string_view member, Json value) {
    Json made = document.object();
    document.set(made, "name", document.string(name));
    document.set(made, member, value);
    document.append(list, made);
}

Json expansion_parameters(JsonDocument& document, const Arguments& arguments, const ValueSet& set) {
    Json list = document.array();
    for (const char* name : {"filter", "displayLanguage"}) {
        if (arguments.has(name))
            add_expansion_parameter(document, list, name, "valueString",
                                    document.string(arguments.text(name)));
    }
    for (const char* name : {"activeOnly", "includeDesignations"}) {
        if (arguments.has(name))
            add_expansion_parameter(document, list, name, "valueBoolean",
                                    document.boolean(arguments.text(name) == "true"));
    }
    for (const char* name : {"offset", "count"}) {
        if (arguments.has(name))
            add_expansion_parameter(
                document, list, name, "valueInteger",
                document.number(std::int64_t(std::stoll("0" + std::string(arguments.text(name))))));
    }
    for (const std::string& used : set.used_systems())
        add_expansion_parameter(document, list, "version", "valueUri", document.string(used));
    return list;
}

/// The set's own description without its definition, then the expansion.
Json expanded_head(JsonDocument& document, const Json& source, bool with_definition) {
    Json root = document.object();
    document.set(root, "resourceType", document.string("ValueSet"));
    for (const JsonMember& member : source.members()) {
        const bool leave_out = member.key == "resourceType" || member.key == "expansion" ||
                               member.key == "text" ||
                               (member.key == "compose" && !with_definition);
        if (!leave_out) document.set(root, member.key, document.copy(member.value));
    }
    if (root.find("status") == nullptr) document.set(root, "status", document.string("active"));
    return root;
}

Result<Answer> answer_expansion(const Arguments& arguments, const Expansion& asked,
                                const ValueSet& set, const Json& source) {
    const std::size_t limit = std::min(asked.count.value_or(limits::expansion_concepts_max),
                                       limits::expansion_concepts_max);
    const std::size_t total = TRY(set.count(asked.filter));
    if (!asked.count && total > asked.offset + limits::expansion_concepts_max) {
        return fail(Category::too_large,
                    fmt::format("too costly: the expansion has {} concepts, more than {}: ask for "
                                "a part with count and offset, or filter",
                                total, limits::expansion_concepts_max));
    }
    JsonDocument document;
    Json contains = document.array();
    std::size_t at = 0;
    if (limit > 0 && asked.offset < total) {
        TRY(set.each(asked.filter, [&](const Member& member) {
            if (at++ < asked.offset) return true;
            document.append(contains,
                            entry_of(document, member, asked.language, asked.with_designations));
            return contains.size() < limit;
        }));
    }
    Json root = expanded_head(document, source, TRY(arguments.boolean("includeDefinition")));
    Json expansion = document.object();
    document.set(expansion, "identifier", document.string("urn:uuid:" + new_uuid()));
    document.set(expansion, "timestamp", document.string(to_text(now())));
    document.set(expansion, "total", document.number(static_cast<std::int64_t>(total)));
    if (arguments.has("offset"))
        document.set(expansion, "offset", document.number(static_cast<std::int64_t>(asked.offset)));
    if (const Json list = expansion_parameters(document, arguments, set); list.size() > 0)
        document.set(expansion, "parameter", list);
    if (contains.size() > 0) document.set(expansion, "contains", contains);
    document.set(root, "expansion", expansion);
    Answer answer;
    answer.json = to_text(root);
    return answer;
}

Result<Answer> expand(Service& service, const Terminology& terminology, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange, "valueSet"));
    TRY(arguments.allow(expand_parameters));
    const Expansion asked = TRY(read_expansion(arguments));
    if (on_instance(exchange)) {
        const JsonDocument document = TRY(addressed(service, exchange));
        return answer_expansion(arguments, asked,
                                *TRY(terminology.compile(document.root(), asked.versions)),
                                document.root());
    }
    if (const Json* given = arguments.resource("valueSet")) {
        return answer_expansion(arguments, asked, *TRY(terminology.compile(*given, asked.versions)),
                                *given);
    }
    std::string url(arguments.text("url"));
    if (url.empty())
        return fail(Category::incorrect,
                    "say which value set to expand: url=CANONICAL, a parameter valueSet, or "
                    "ValueSet/ID/$expand",
                    "url");
    if (const std::string_view version = arguments.text("valueSetVersion"); !version.empty())
        url += fmt::format("|{}", version);
    const JsonDocument document = TRY(terminology.value_set_resource(url));
    const auto set = asked.versions.empty()
                         ? TRY(terminology.value_set(url))
                         : TRY(terminology.compile(document.root(), asked.versions));
    return answer_expansion(arguments, asked, *set, document.root());
}

// --- $validate-code ---

struct CodeAsked {
    std::string_view system, version, code, display;
};

/// The codes of the request: one of code, coding, codeableConcept.
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

Result<Answer> validate_in_value_set(Service& service, const Terminology& terminology,
                                     const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(
        arguments.allow("url valueSet valueSetVersion code system systemVersion display coding "
                        "codeableConcept date abstract displayLanguage"));
    const auto asked = TRY(codes_asked(arguments));
    std::shared_ptr<const ValueSet> set;
    if (on_instance(exchange)) {
        set = TRY(terminology.compile(TRY(addressed(service, exchange)).root()));
    } else if (const Json* given = arguments.resource("valueSet")) {
        set = TRY(terminology.compile(*given));
    } else {
        std::string url(arguments.text("url"));
        if (url.empty())
            return fail(Category::incorrect,
                        "say which value set is meant: url=CANONICAL, a parameter valueSet, or "
                        "ValueSet/ID/$validate-code",
                        "url");
        if (const std::string_view version = arguments.text("valueSetVersion"); !version.empty())
            url += fmt::format("|{}", version);
        set = TRY(terminology.value_set(url));
    }
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

// --- CodeSystem/$lookup and $subsumes ---

void add_property(Out& out, std::string_view code, std::string_view member, Json value,
                  std::string_view description = {}) {
    Json parts = out.document.array();
    out.document.append(parts, out.part("code", "valueCode", out.document.string(code)));
    out.document.append(parts, out.part("value", member, value));
    if (!description.empty())
        out.document.append(
            parts, out.part("description", "valueString", out.document.string(description)));
    out.add_parts("property", parts);
}

void add_designation(Out& out, const CodeSystem::Designation& designation) {
    Json parts = out.document.array();
    if (!designation.language.empty())
        out.document.append(
            parts, out.part("language", "valueCode", out.document.string(designation.language)));
    if (!designation.use.empty())
        out.document.append(parts,
                            out.part("use", "valueCoding", parsed(out.document, designation.use)));
    out.document.append(parts,
                        out.part("value", "valueString", out.document.string(designation.value)));
    out.add_parts("designation", parts);
}

/// value[x] of a stored property.
Json property_value(JsonDocument& document, const CodeSystem::Property& property) {
    if (property.kind == "Boolean") return document.boolean(property.value == "true");
    if (property.kind == "Integer" || property.kind == "Decimal")
        return document.number(property.value);
    if (property.kind == "Coding") return parsed(document, property.value);
    return document.string(property.value);
}

void add_properties(Out& out, const CodeSystem& codes, ConceptIndex at,
                    const std::vector<std::string>& wanted) {
    const auto is_wanted = [&](std::string_view name, bool by_default) {
        return wanted.empty() ? by_default
                              : std::find(wanted.begin(), wanted.end(), name) != wanted.end() ||
                                    std::find(wanted.begin(), wanted.end(), "*") != wanted.end();
    };
    if (is_wanted("definition", true) && !codes.definition(at).empty())
        add_property(out, "definition", "valueString", out.document.string(codes.definition(at)));
    if (is_wanted("inactive", true))
        add_property(out, "inactive", "valueBoolean", out.document.boolean(codes.is_inactive(at)));
    if (is_wanted("parent", true)) {
        for (const ConceptIndex parent : codes.parents(at))
            add_property(out, "parent", "valueCode", out.document.string(codes.code(parent)),
                         codes.display(parent));
    }
    if (is_wanted("child", true)) {
        for (const ConceptIndex child : codes.children(at))
            add_property(out, "child", "valueCode", out.document.string(codes.code(child)),
                         codes.display(child));
    }
    for (const auto& property : codes.properties(at)) {
        if (property.code == "parent" || property.code == "child" || property.code == "inactive" ||
            !is_wanted(property.code, true))
            continue;
        add_property(out, property.code, fmt::format("value{}", property.kind),
                     property_value(out.document, property));
    }
}

Result<Answer> lookup(Service& service, const Terminology& terminology, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("code system version coding date displayLanguage property"));
    const auto asked = TRY(codes_asked(arguments));
    const CodeAsked& code = asked.front();
    const auto codes =
        TRY(system_asked(service, terminology, exchange, arguments, code.system, code.version));
    const ConceptIndex at = codes->find(code.code);
    if (at == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\"", codes->url(), code.code.substr(0, 80)),
                    "code");
    const auto wanted = arguments.texts("property");
    Out out;
    out.add_text("name", "valueString", codes->name().empty() ? codes->url() : codes->name());
    out.add_text("version", "valueString", codes->version());
    const Member member{codes.get(),        at,     codes->url(), codes->version(), codes->code(at),
                        codes->display(at), nullptr};
    const std::string_view display = display_in(member, arguments.text("displayLanguage"));
    out.add_text("display", "valueString", display.empty() ? codes->code(at) : display);
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), "designation") != wanted.end()) {
        for (const auto& designation : codes->designations(at)) add_designation(out, designation);
    }
    add_properties(out, *codes, at, wanted);
    return out.answer();
}

Result<Answer> subsumes(Service& service, const Terminology& terminology,
                        const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("codeA codeB system version codingA codingB"));
    std::string_view left = arguments.text("codeA"), right = arguments.text("codeB"),
                     system = arguments.text("system");
    if (const Json *a = arguments.value("codingA"), *b = arguments.value("codingB");
        a != nullptr && b != nullptr) {
        left = a->string_at("code");
        right = b->string_at("code");
        system = a->string_at("system");
        if (system != b->string_at("system"))
            return fail(Category::incorrect,
                        "codingA and codingB are of different systems: nothing is said about "
                        "subsumption across systems",
                        "codingB");
    }
    if (left.empty() || right.empty())
        return fail(Category::incorrect,
                    "expected codeA and codeB (with system), or codingA and codingB");
    const auto codes = TRY(
        system_asked(service, terminology, exchange, arguments, system, arguments.text("version")));
    const ConceptIndex a = codes->find(left), b = codes->find(right);
    if (a == no_concept || b == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\"", codes->url(),
                                (a == no_concept ? left : right).substr(0, 80)));
    Out out;
    out.add_text("outcome", "valueCode",
                 a == b                  ? "equivalent"
                 : codes->subsumes(a, b) ? "subsumes"
                 : codes->subsumes(b, a) ? "subsumed-by"
                                         : "not-subsumed");
    return out.answer();
}

// --- ConceptMap/$translate ---

Result<std::vector<std::shared_ptr<const ConceptMap>>> maps_asked(Service& service,
                                                                  const Terminology& terminology,
                                                                  const Exchange& exchange,
                                                                  const Arguments& arguments) {
    std::vector<std::shared_ptr<const ConceptMap>> maps;
    if (on_instance(exchange)) {
        maps.push_back(TRY(ConceptMap::load(TRY(addressed(service, exchange)).root())));
    } else if (const Json* given = arguments.resource("conceptMap")) {
        maps.push_back(TRY(ConceptMap::load(*given)));
    } else if (arguments.has("url")) {
        std::string url(arguments.text("url"));
        if (const std::string_view version = arguments.text("conceptMapVersion"); !version.empty())
            url += fmt::format("|{}", version);
        maps.push_back(TRY(terminology.concept_map(url)));
    } else {
        maps = TRY(terminology.concept_maps());
    }
    // Without a map the scopes choose: of two value sets, or all maps that know the systems.
    const std::string_view source = arguments.text("source"), target = arguments.text("target");
    if (maps.size() > 1) {
        std::erase_if(maps, [&](const auto& map) {
            return (!source.empty() && map->source() != source) ||
                   (!target.empty() && map->target() != target);
        });
    }
    return maps;
}

Json match_parts(Out& out, const ConceptMap& map, const ConceptMap::Match& match) {
    JsonDocument& document = out.document;
    Json parts = document.array();
    document.append(parts,
                    out.part("equivalence", "valueCode", document.string(match.equivalence)));
    Json coding = document.object();
    set_text(document, coding, "system", match.system);
    set_text(document, coding, "version", match.version);
    set_text(document, coding, "code", match.code);
    set_text(document, coding, "display", match.display);
    document.append(parts, out.part("concept", "valueCoding", coding));
    if (match.target != nullptr) {
        for (const Json& product : (*match.target)["product"].items()) {
            Json inner = document.array(), value = document.object();
            document.append(inner, out.part("element", "valueUri",
                                            document.string(product.string_at("property"))));
            set_text(document, value, "system", product.string_at("system"));
            set_text(document, value, "code", product.string_at("value"));
            set_text(document, value, "display", product.string_at("display"));
            document.append(inner, out.part("concept", "valueCoding", value));
            document.append(parts, out.part("product", "part", inner));
        }
    }
    if (!map.url().empty())
        document.append(parts, out.part("source", "valueUri", document.string(map.url())));
    return parts;
}

Result<Answer> translate(Service& service, const Terminology& terminology,
                         const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(
        arguments.allow("url conceptMap conceptMapVersion code system version source coding "
                        "codeableConcept target targetsystem targetSystem reverse"));
    const auto asked = TRY(codes_asked(arguments));
    const bool reverse = TRY(arguments.boolean("reverse"));
    std::string_view target_system = arguments.text("targetsystem");
    if (target_system.empty()) target_system = arguments.text("targetSystem");
    const auto maps = TRY(maps_asked(service, terminology, exchange, arguments));
    Out out;
    bool is_mapped = false;
    std::vector<Json> matches;
    for (const auto& map : maps) {
        for (const CodeAsked& code : asked) {
            for (const auto& match :
                 map->translate(code.system, code.code, target_system, reverse)) {
                is_mapped = is_mapped || match.is_mapped();
                if (matches.size() < limits::translations_max)
                    matches.push_back(match_parts(out, *map, match));
            }
        }
    }
    out.add("result", "valueBoolean", out.document.boolean(is_mapped));
    if (!is_mapped)
        out.add_text("message", "valueString",
                     maps.empty()
                         ? "no concept map here fits the question"
                         : fmt::format("no translation of \"{}\" was found", asked.front().code));
    for (const Json& match : matches) out.add_parts("match", match);
    return out.answer();
}

// --- ConceptMap/$closure ---

using fhir::terminology::ClosureAnswer;
using fhir::terminology::Closures;

/// The rows as a ConceptMap: the target subsumes the source.
Answer closure_map(std::string_view name, const ClosureAnswer& rows) {
    JsonDocument document;
    Json map = document.object(), groups = document.array();
    document.set(map, "resourceType", document.string("ConceptMap"));
    document.set(map, "id", document.string(new_uuid()));
    document.set(map, "version", document.string(std::to_string(rows.version)));
    document.set(map, "title", document.string(name));
    document.set(map, "status", document.string("active"));
    document.set(map, "experimental", document.boolean(true));
    document.set(map, "date", document.string(to_text(now())));
    // The rows are sorted: by system, then code.
    for (auto row = rows.entries.begin(); row != rows.entries.end();) {
        const std::string& system = row->system;
        Json elements = document.array();
        while (row != rows.entries.end() && row->system == system) {
            const std::string& code = row->code;
            Json element = document.object(), targets = document.array();
            for (; row != rows.entries.end() && row->system == system && row->code == code; ++row) {
                Json target = document.object();
                document.set(target, "code", document.string(row->ancestor));
                document.set(target, "equivalence", document.string("subsumes"));
                document.append(targets, target);
            }
            document.set(element, "code", document.string(code));
            document.set(element, "target", targets);
            document.append(elements, element);
        }
        Json group = document.object();
        document.set(group, "source", document.string(system));
        document.set(group, "target", document.string(system));
        document.set(group, "element", elements);
        document.append(groups, group);
    }
    if (groups.size() > 0) document.set(map, "group", groups);
    Answer answer;
    answer.json = to_text(map);
    return answer;
}

/// https://hl7.org/fhir/R4/conceptmap-operation-closure.html: a name alone starts (or empties) the
/// table, concepts add to it, a version asks for what came since.
Result<Answer> closure(Closures& closures, const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("name concept version"));
    const std::string_view name = arguments.text("name");
    if (name.empty()) return fail(Category::incorrect, "expected the name of a closure", "name");
    const auto concepts = arguments.values("concept");
    if (arguments.has("version") && arguments.has("concept"))
        return fail(Category::incorrect,
                    "give concepts to add, or a version to go on from, not both", "version");
    if (arguments.has("version"))
        return closure_map(name, TRY(closures.since(name, arguments.text("version"))));
    if (!arguments.has("concept")) return closure_map(name, TRY(closures.start(name)));
    std::vector<fhir::terminology::ClosureConcept> asked;
    for (const Json* coding : concepts)
        asked.push_back({std::string(coding->string_at("system")),
                         std::string(coding->string_at("version")),
                         std::string(coding->string_at("code"))});
    return closure_map(name, TRY(closures.add(name, asked)));
}

}  // namespace

void add_terminology_operations(Service& service, std::shared_ptr<const Terminology> terminology) {
    using Run = Result<Answer> (*)(Service&, const Terminology&, const Exchange&);
    const auto add = [&](const char* name, const char* type, const char* definition, Run run) {
        service.add_operation(
            {.name = name,
             .on_type = true,
             .on_instance = true,
             .types = {type},
             .definition = fmt::format("http://hl7.org/fhir/OperationDefinition/{}", definition),
             .run = [terminology, run](Service& s, const Exchange& e) {
                 return run(s, *terminology, e);
             }});
    };
    add("expand", "ValueSet", "ValueSet-expand", expand);
    add("validate-code", "ValueSet", "ValueSet-validate-code", validate_in_value_set);
    add("validate-code", "CodeSystem", "CodeSystem-validate-code", validate_in_system);
    add("lookup", "CodeSystem", "CodeSystem-lookup", lookup);
    add("subsumes", "CodeSystem", "CodeSystem-subsumes", subsumes);
    add("translate", "ConceptMap", "ConceptMap-translate", translate);
    const auto closures = std::make_shared<Closures>(service.repository().store(), terminology);
    service.add_operation(
        {.name = "closure",
         .on_system = true,
         .definition = "http://hl7.org/fhir/OperationDefinition/ConceptMap-closure",
         .changes_state = true,
         .run = [closures](Service&, const Exchange& e) { return closure(*closures, e); }});
}

}  // namespace meridian::rest
