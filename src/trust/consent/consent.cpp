// SPDX-License-Identifier: Apache-2.0
#include "trust/consent/consent.hpp"

#include <array>

#include "trust/limits.hpp"

namespace meridian::trust::consent {

namespace {

/// Parts of the tree of http://terminology.hl7.org/CodeSystem/v3-ActReason below PurposeOfUse that
/// requests are made for.
constexpr std::array<std::pair<std::string_view, std::string_view>, 24> wider_purposes{
    {{"ETREAT", "TREAT"},     {"CAREMGT", "TREAT"},     {"CLINTRL", "TREAT"},
     {"COC", "TREAT"},        {"BTG", "ETREAT"},        {"ERTREAT", "ETREAT"},
     {"POPHLTH", "TREAT"},    {"CLMATTCH", "HPAYMT"},   {"COVAUTH", "HPAYMT"},
     {"COVERAGE", "HPAYMT"},  {"ELIGDTRM", "COVERAGE"}, {"ELIGVER", "COVERAGE"},
     {"ENROLLM", "COVERAGE"}, {"CLINTRCH", "HRESCH"},   {"BIORCH", "HRESCH"},
     {"DSRCH", "HRESCH"},     {"POARCH", "HRESCH"},     {"TRANSRCH", "HRESCH"},
     {"HACCRED", "HOPERAT"},  {"HCOMPL", "HOPERAT"},    {"HQUALIMP", "HOPERAT"},
     {"HLEGAL", "HOPERAT"},   {"HSYSADMIN", "HOPERAT"}, {"FAMRQT", "PATRQT"}}};

std::vector<Code> codes_of(const Json& list) {
    std::vector<Code> codes;
    const auto add = [&](const Json& coding) {
        if (!coding.string_at("code").empty())
            codes.push_back(
                {std::string(coding.string_at("system")), std::string(coding.string_at("code"))});
    };
    for (const Json& item : list.items()) {
        add(item);                                                      // a Coding
        for (const Json& coding : item["coding"].items()) add(coding);  // a CodeableConcept
    }
    return codes;
}

bool has_code(const Json& concept_or_list, std::string_view code) {
    for (const Json& coding : concept_or_list["coding"].items()) {
        if (coding.string_at("code") == code) return true;
    }
    return false;
}

std::optional<Instant> start_of(const Json& period) {
    const auto date = parse_date(period.string_at("start"));
    return date ? std::optional(date->lower()) : std::nullopt;
}
std::optional<Instant> end_of(const Json& period) {
    const auto date = parse_date(period.string_at("end"));
    return date ? std::optional(date->upper()) : std::nullopt;
}

class Reader {
 public:
    Reader(const Question& question, Instant& changes_at)
        : question_(question), changes_at_(changes_at) {}

    /// Nothing when the provision is about somebody, some purpose or some time else.
    std::optional<Provision> provision(const Json& node, bool otherwise, unsigned depth) {
        if (!is_now(node["period"]) || !is_actor(node) || !is_purpose(node["purpose"]) ||
            !is_access(node["action"]))
            return std::nullopt;
        Provision made;
        const std::string_view type = node.string_at("type");
        made.permits = type.empty() ? otherwise : type == "permit";
        made.classes = codes_of(node["class"]);
        made.codes = codes_of(node["code"]);
        made.labels = codes_of(node["securityLabel"]);
        for (const Json& data : node["data"].items())
            made.data.emplace_back(data["reference"].string_at("reference"));
        made.data_from = start_of(node["dataPeriod"]);
        made.data_below = end_of(node["dataPeriod"]);
        if (depth >= limits::consent_provision_depth_max) {
            made.permits = false;  // deeper exceptions cannot be known: none is granted
            return made;
        }
        for (const Json& inner : node["provision"].items()) {
            // R4: "Exceptions to the base rule": without a type they say the opposite.
            if (auto exception = provision(inner, !made.permits, depth + 1))
                made.exceptions.push_back(*std::move(exception));
        }
        return made;
    }

 private:
    bool is_now(const Json& period) {
        const auto start = start_of(period);
        const auto end = end_of(period);
        if (start && question_.at < *start) {
            changes_at_ = std::min(changes_at_, *start);
            return false;
        }
        if (end && question_.at >= *end) return false;
        if (end) changes_at_ = std::min(changes_at_, *end);
        return true;
    }
    bool is_actor(const Json& node) const {
        const Json& actors = node["actor"];
        if (actors.size() == 0) return true;
        return std::any_of(actors.items().begin(), actors.items().end(), [&](const Json& actor) {
            return question_.actors.contains(actor["reference"].string_at("reference"));
        });
    }
    bool is_purpose(const Json& purposes) const {
        if (purposes.size() == 0) return true;
        return std::any_of(purposes.items().begin(), purposes.items().end(),
                           [&](const Json& coding) {
                               return falls_under(question_.purpose, coding.string_at("code"));
                           });
    }
    /// R4 consent-action: collect, access, use, disclose, correct. What this server does with data
    /// is access, use and disclosure.
    static bool is_access(const Json& actions) {
        if (actions.size() == 0) return true;
        return std::any_of(actions.items().begin(), actions.items().end(), [](const Json& action) {
            return has_code(action, "access") || has_code(action, "use") ||
                   has_code(action, "disclose");
        });
    }

    const Question& question_;
    Instant& changes_at_;
};

void write_codes(const std::vector<Code>& codes, std::string& out) {
    for (const Code& code : codes)
        out += fmt::format("{}|{}|{}{},", code.system.size(), code.system, code.code.size(),
                           code.code);
    out += ';';
}

}  // namespace

bool falls_under(std::string_view purpose, std::string_view wider) {
    for (unsigned depth = 0; depth < 4; ++depth) {
        if (purpose == wider) return true;
        const auto found = std::find_if(wider_purposes.begin(), wider_purposes.end(),
                                        [&](const auto& pair) { return pair.first == purpose; });
        if (found == wider_purposes.end()) return false;
        purpose = found->second;
    }
    return false;
}

std::optional<Document> read(const Json& consent) {
    if (consent.string_at("resourceType") != "Consent" || consent.string_at("status") != "active")
        return std::nullopt;
    Document document;
    document.patient = consent["patient"].string_at("reference");
    for (const Json& coding : consent["scope"]["coding"].items()) {
        const std::string_view code = coding.string_at("code");
        if (code == "patient-privacy" || code == "research") document.scope = code;
    }
    if (document.scope.empty() || !document.patient.starts_with("Patient/")) return std::nullopt;
    // http://terminology.hl7.org/CodeSystem/v3-ActCode, _ActPolicyType: OPTIN "opt-in", OPTOUT.
    if (has_code(consent["policyRule"], "OPTIN")) document.base = true;
    if (has_code(consent["policyRule"], "OPTOUT")) document.base = false;
    if (const Json* provision = consent.find("provision")) document.json = to_text(*provision);
    return document;
}

std::vector<Provision> answer(const Document& document, const Question& question,
                              Instant& changes_at) {
    if (document.scope == "research" && !falls_under(question.purpose, "HRESCH")) return {};
    std::vector<Provision> said;
    if (document.json.empty()) {
        if (document.base) said.push_back(Provision{.permits = *document.base});
        return said;
    }
    const auto parsed = JsonDocument::parse(document.json);
    if (!parsed) return {Provision{.permits = false}};  // damaged: nothing is granted by it
    const Json& root = parsed->root();
    Reader reader(question, changes_at);
    const bool has_type = root.find("type") != nullptr || document.base.has_value();
    auto outer = reader.provision(root, document.base.value_or(false), 0);
    if (!outer) return said;
    if (has_type) {
        said.push_back(*std::move(outer));
    } else {
        // Without a rule of its own only the exceptions speak, each by its own type.
        for (const Json& inner : root["provision"].items()) {
            if (inner.find("type") == nullptr) continue;
            if (auto one = reader.provision(inner, false, 1)) said.push_back(*std::move(one));
        }
    }
    return said;
}

std::string shape_of(const std::vector<Provision>& provisions) {
    std::string shape;
    for (const Provision& one : provisions) {
        shape += one.permits ? "+(" : "-(";
        write_codes(one.classes, shape);
        write_codes(one.codes, shape);
        write_codes(one.labels, shape);
        for (const std::string& data : one.data) shape += fmt::format("{}:{},", data.size(), data);
        shape += fmt::format("{};{};", one.data_from ? one.data_from->milliseconds : -1,
                             one.data_below ? one.data_below->milliseconds : -1);
        shape += shape_of(one.exceptions) + ")";
    }
    return shape;
}

}  // namespace meridian::trust::consent
