// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/policy.hpp"

#include <filesystem>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/toml.hpp"
#include "fhir/definitions/definitions.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::policy {

namespace {

template <class T>
struct Word {
    std::string_view name;
    T value;
};
constexpr Word<Relation> relations[] = {
    {"region", Relation::region},         {"organisation", Relation::organisation},
    {"insurer", Relation::insurer},       {"care-team", Relation::care_team},
    {"assignment", Relation::assignment}, {"compartment", Relation::compartment},
    {"guardian", Relation::guardian},     {"own", Relation::own},
};
constexpr Word<ConsentRule> consent_rules[] = {
    {"not-asked", ConsentRule::not_asked},
    {"opt-out", ConsentRule::opt_out},
    {"opt-in", ConsentRule::opt_in},
};
constexpr Word<fhir::Right> interaction_words[] = {
    {"read", fhir::Right::read},
    {"search", fhir::Right::search},
    {"history", fhir::Right::history},
    {"create", fhir::Right::create},
    {"update", fhir::Right::update},
    {"delete", fhir::Right::remove},
    {"operations", fhir::Right::operation},
    {"export", fhir::Right::bulk_export},
};
static_assert(std::size(interaction_words) == interactions);

template <class T, std::size_t N>
std::string_view text_of(const Word<T> (&words)[N], T value) {
    for (const auto& word : words) {
        if (word.value == value) return word.name;
    }
    return {};
}

template <class T, std::size_t N>
std::string list_of(const Word<T> (&words)[N]) {
    std::string all;
    for (const auto& word : words) {
        if (!all.empty()) all += ", ";
        all += word.name;
    }
    return all;
}

/// Reads one file into the policy.
class Reader {
 public:
    Reader(Policy& policy, const File& file) : policy_(policy), file_(file) {}

    Result<void> read() {
        const Toml root = TRY(parse_toml(file_.text, file_.name));
        TRY(known(root,
                  "policy version settings fresh_proof groups labels label_codes approvals roles"));
        const Toml& name = *TRY(needed(root, "policy", Toml::Kind::text));
        const Toml& version = *TRY(needed(root, "version", Toml::Kind::integer));
        if (!policy_.name.empty()) policy_.name += " + ";
        policy_.name += fmt::format("{} {}", name.text, version.integer);
        if (const Toml* settings = TRY(optional(root, "settings", Toml::Kind::table)))
            TRY(read_settings(*settings));
        if (const Toml* proof = TRY(optional(root, "fresh_proof", Toml::Kind::table)))
            TRY(read_fresh_proof(*proof));
        if (const Toml* groups = TRY(optional(root, "groups", Toml::Kind::table)))
            TRY(read_groups(*groups));
        if (const Toml* labels = TRY(optional(root, "labels", Toml::Kind::table)))
            TRY(read_labels(*labels));
        if (const Toml* codes = TRY(optional(root, "label_codes", Toml::Kind::table)))
            TRY(read_label_codes(*codes));
        if (const Toml* approvals = TRY(optional(root, "approvals", Toml::Kind::table)))
            TRY(read_approvals(*approvals));
        if (const Toml* roles = TRY(optional(root, "roles", Toml::Kind::table))) {
            for (const auto& [role, table] : roles->members) TRY(read_role(role, table));
        }
        return {};
    }

 private:
    std::unexpected<Error> wrong(const Toml& at, std::string message) const {
        return fail(Category::incorrect, fmt::format("{}:{}: {}", file_.name, at.line, message));
    }

    /// Refuses members of a table that `words` does not name.
    Result<void> known(const Toml& table, std::string_view words) const {
        for (const auto& [key, value] : table.members) {
            if (fmt::format(" {} ", words).find(fmt::format(" {} ", key)) == std::string::npos)
                return wrong(value, fmt::format("\"{}\" is not known here: expected one of {}",
                                                key.substr(0, 60), words));
        }
        return {};
    }
    Result<const Toml*> optional(const Toml& table, std::string_view key, Toml::Kind kind) const {
        const Toml* value = table.find(key);
        if (value != nullptr && value->kind != kind)
            return wrong(*value, fmt::format("{} is {}: expected {}", key, word_for(value->kind),
                                             word_for(kind)));
        return value;
    }
    Result<const Toml*> needed(const Toml& table, std::string_view key, Toml::Kind kind) const {
        const Toml* value = TRY(optional(table, key, kind));
        if (value == nullptr) return wrong(table, fmt::format("\"{}\" is missing here", key));
        return value;
    }
    Result<std::vector<std::string>> texts(const Toml& list) const {
        std::vector<std::string> all;
        for (const Toml& item : list.items) {
            if (item.kind != Toml::Kind::text)
                return wrong(item,
                             fmt::format("{} stands in a list of texts", word_for(item.kind)));
            all.push_back(item.text);
        }
        return all;
    }
    Result<std::int64_t> number(const Toml& table, std::string_view key, std::int64_t fallback,
                                std::int64_t least, std::int64_t most) const {
        const Toml* value = TRY(optional(table, key, Toml::Kind::integer));
        if (value == nullptr) return fallback;
        if (value->integer < least || value->integer > most)
            return wrong(*value, fmt::format("{} is {}: expected {} to {}", key, value->integer,
                                             least, most));
        return value->integer;
    }
    template <class T, std::size_t N>
    Result<T> word(const Toml& at, const std::string& text, const Word<T> (&words)[N],
                   std::string_view what) const {
        for (const auto& each : words) {
            if (each.name == text) return each.value;
        }
        return wrong(at, fmt::format("\"{}\" is no {}: expected one of {}", text.substr(0, 60),
                                     what, list_of(words)));
    }

    Result<void> read_settings(const Toml& table) {
        TRY(known(table, "assignment_days_after minor_below_years legal_guardians"));
        policy_.assignment_days_after = static_cast<int>(
            TRY(number(table, "assignment_days_after", policy_.assignment_days_after, 0, 3660)));
        policy_.minor_below_years = static_cast<int>(
            TRY(number(table, "minor_below_years", policy_.minor_below_years, 0, 30)));
        if (const Toml* codes = TRY(optional(table, "legal_guardians", Toml::Kind::list)))
            policy_.legal_guardians = TRY(texts(*codes));
        return {};
    }

    Result<void> read_fresh_proof(const Toml& table) {
        TRY(known(table, "export_minutes break_glass_minutes prescription_minutes"));
        const auto read_one = [&](std::string_view key,
                                  std::chrono::minutes& minutes) -> Result<void> {
            // A session ends after twelve hours in any case.
            minutes = std::chrono::minutes(TRY(number(table, key, minutes.count(), 1, 720)));
            return {};
        };
        TRY(read_one("export_minutes", policy_.fresh_proof.bulk_export));
        TRY(read_one("break_glass_minutes", policy_.fresh_proof.break_glass));
        return read_one("prescription_minutes", policy_.fresh_proof.prescription);
    }

    Result<void> read_groups(const Toml& table) {
        for (const auto& [name, list] : table.members) {
            if (list.kind != Toml::Kind::list)
                return wrong(list, fmt::format("the group {} is {}: expected a list of types", name,
                                               word_for(list.kind)));
            std::vector<std::string> types = TRY(texts(list));
            for (const std::string& type : types) TRY(check_type(list, type));
            policy_.groups[name] = std::move(types);
        }
        return {};
    }

    Result<void> check_type(const Toml& at, std::string_view type) const {
        if (fhir::definitions().resource(type) != nullptr) return {};
        return wrong(at, fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 60)));
    }

    Result<void> read_labels(const Toml& table) {
        for (const auto& [name, list] : table.members)
            policy_.labels[name] = TRY(codes_of(name, list));
        return {};
    }

    Result<void> read_label_codes(const Toml& table) {
        for (const auto& [name, list] : table.members) {
            if (!policy_.labels.contains(name))
                return wrong(list, fmt::format("there is no label \"{}\": [labels] has to name it",
                                               name.substr(0, 60)));
            if (list.kind == Toml::Kind::list && list.items.empty()) {
                policy_.label_codes.erase(name);  // a house may do without
            } else {
                policy_.label_codes[name] = TRY(codes_of(name, list));
            }
        }
        return {};
    }

    Result<std::vector<std::string>> codes_of(std::string_view name, const Toml& list) const {
        if (list.kind != Toml::Kind::list)
            return wrong(list, fmt::format("the label {} is {}: expected a list of "
                                           "\"system|code\"",
                                           name, word_for(list.kind)));
        std::vector<std::string> codes = TRY(texts(list));
        if (codes.empty())
            return wrong(list, fmt::format("the label {} has no code", name.substr(0, 60)));
        for (const std::string& code : codes) {
            const std::size_t bar = code.find('|');
            if (bar == std::string::npos || bar == 0 || bar + 1 == code.size())
                return wrong(list, fmt::format("\"{}\" is no label: expected \"system|code\"",
                                               code.substr(0, 100)));
        }
        return codes;
    }

    Result<void> read_approvals(const Toml& table) {
        for (const auto& [name, terms] : table.members) {
            if (name != "lower-label")
                return wrong(terms, fmt::format("nothing called \"{}\" takes two people: expected "
                                                "lower-label",
                                                name.substr(0, 60)));
            if (terms.kind != Toml::Kind::table)
                return wrong(terms, fmt::format("approvals.{} is {}: expected a table", name,
                                                word_for(terms.kind)));
            policy_.two_people[name] = TRY(read_approval(name, terms));
        }
        return {};
    }

    Result<approvals::Kind> read_approval(const std::string& name, const Toml& table) {
        TRY(known(table,
                  "ask decide decide_within_hours use_within_minutes reason_characters_min used_by "
                  "organisation"));
        approvals::Kind kind;
        kind.name = name;
        kind.ask = TRY(roles_at(table, "ask"));
        kind.decide = TRY(roles_at(table, "decide"));
        kind.decide_within =
            std::chrono::hours(TRY(number(table, "decide_within_hours", 72, 1, 720)));
        kind.use_within =
            std::chrono::minutes(TRY(number(table, "use_within_minutes", 60, 1, 10'080)));
        kind.reason_characters_min =
            static_cast<std::size_t>(TRY(number(table, "reason_characters_min", 10, 1, 200)));
        kind.only_asker = TRY(choice(table, "used_by", "asker", "anyone"));
        kind.within_organisation = TRY(choice(table, "organisation", "own", "any"));
        return kind;
    }

    Result<std::vector<Role>> roles_at(const Toml& table, std::string_view key) const {
        const Toml& list = *TRY(needed(table, key, Toml::Kind::list));
        std::vector<Role> roles;
        for (const std::string& text : TRY(texts(list))) {
            const auto role = role_named(text);
            if (!role) return wrong(list, fmt::format("\"{}\" is no role", text.substr(0, 60)));
            roles.push_back(*role);
        }
        return roles;
    }

    /// True for the first of two words, which is also meant when none is written.
    Result<bool> choice(const Toml& table, std::string_view key, std::string_view first,
                        std::string_view second) const {
        const Toml* value = TRY(optional(table, key, Toml::Kind::text));
        if (value == nullptr || value->text == first) return true;
        if (value->text == second) return false;
        return wrong(*value, fmt::format("{} is \"{}\": expected {} or {}", key,
                                         value->text.substr(0, 60), first, second));
    }

    Result<void> read_role(const std::string& name, const Toml& table) {
        const auto role = role_named(name);
        if (!role) {
            std::string all;
            for (const Role each : all_roles())
                all += fmt::format("{}{}", all.empty() ? "" : ", ", trust::name_of(each));
            return wrong(table, fmt::format("\"{}\" is no role: expected one of {}",
                                            name.substr(0, 60), all));
        }
        if (table.kind != Toml::Kind::table)
            return wrong(
                table, fmt::format("roles.{} is {}: expected a table", name, word_for(table.kind)));
        TRY(known(
            table,
            "summary default_purpose masked free_text allow break_glass reviews_break_glass"));
        RolePolicy made;
        made.summary = TRY(needed(table, "summary", Toml::Kind::text))->text;
        if (const Toml* purpose = TRY(optional(table, "default_purpose", Toml::Kind::text)))
            made.default_purpose = purpose->text;
        if (const Toml* rules = TRY(optional(table, "allow", Toml::Kind::list))) {
            for (const Toml& rule : rules->items) {
                made.rules.push_back(TRY(read_rule(rule)));
                for (std::size_t i = 0; i + 1 < made.rules.size(); ++i) {
                    if (made.rules[i].clause == made.rules.back().clause)
                        return wrong(rule, fmt::format("two clauses of this role are called \"{}\"",
                                                       made.rules[i].clause));
                }
            }
        }
        if (const Toml* masked = TRY(optional(table, "masked", Toml::Kind::list)))
            TRY(read_masks(*masked, made));
        made.masks_free_text = !TRY(choice(table, "free_text", "shown", "masked"));
        if (made.masks_free_text) TRY(check_free_text(table, made));
        if (const Toml* glass = TRY(optional(table, "break_glass", Toml::Kind::table)))
            made.break_glass = TRY(read_break_glass(*glass));
        if (const Toml* reviews = TRY(optional(table, "reviews_break_glass", Toml::Kind::boolean)))
            made.reviews_break_glass = reviews->boolean;
        policy_.roles[*role] = std::move(made);
        return {};
    }

    Result<void> read_types(const Toml& table, Rule& rule) {
        const Toml& list = *TRY(needed(table, "types", Toml::Kind::list));
        rule.written_types = TRY(texts(list));
        for (const std::string& type : rule.written_types) {
            if (type == "*") {
                rule.all_types = true;
            } else if (type.starts_with('@')) {
                const auto group = policy_.groups.find(std::string_view(type).substr(1));
                if (group == policy_.groups.end())
                    return wrong(list, fmt::format("there is no group \"{}\": [groups] has to name "
                                                   "it before the roles",
                                                   type.substr(0, 60)));
                rule.types.insert(group->second.begin(), group->second.end());
            } else {
                TRY(check_type(list, type));
                rule.types.insert(type);
            }
        }
        if (rule.written_types.empty()) return wrong(list, "no type is named");
        return {};
    }

    Result<void> read_interactions(const Toml& table, Rule& rule) {
        const Toml& list = *TRY(needed(table, "may", Toml::Kind::list));
        for (const std::string& text : TRY(texts(list))) {
            const auto interaction = TRY(word(list, text, interaction_words, "interaction"));
            rule.may[static_cast<std::size_t>(interaction)] = true;
        }
        for (const auto needs_read :
             {fhir::Right::search, fhir::Right::history, fhir::Right::operation,
              fhir::Right::bulk_export, fhir::Right::update, fhir::Right::remove}) {
            if (rule.allows(needs_read) && !rule.allows(fhir::Right::read))
                return wrong(list,
                             fmt::format("\"{}\" needs \"read\" beside it", name_of(needs_read)));
        }
        return {};
    }

    Result<Rule> read_rule(const Toml& table) {
        if (table.kind != Toml::Kind::table)
            return wrong(table, fmt::format("{} stands in the list of clauses: expected a table "
                                            "[[roles.NAME.allow]]",
                                            word_for(table.kind)));
        TRY(known(table, "clause types may relations organisation purposes consent withheld"));
        Rule rule;
        rule.clause = TRY(needed(table, "clause", Toml::Kind::text))->text;
        TRY(read_types(table, rule));
        TRY(read_interactions(table, rule));
        const Toml& written = *TRY(needed(table, "relations", Toml::Kind::list));
        for (const std::string& text : TRY(texts(written)))
            rule.relations.push_back(TRY(word(written, text, relations, "relation")));
        if (rule.relations.empty()) return wrong(written, "no relation is named");
        if (const Toml* own = TRY(optional(table, "organisation", Toml::Kind::text))) {
            if (own->text != "own" && own->text != "any")
                return wrong(*own, fmt::format("organisation is \"{}\": expected own or any",
                                               own->text.substr(0, 60)));
            rule.only_own_organisation = own->text == "own";
        }
        const Toml& purposes = *TRY(needed(table, "purposes", Toml::Kind::list));
        rule.purposes = TRY(texts(purposes));
        if (rule.purposes.empty()) return wrong(purposes, "no purpose is named");
        const Toml& consent = *TRY(needed(table, "consent", Toml::Kind::text));
        rule.consent = TRY(word(consent, consent.text, consent_rules, "consent rule"));
        if (const Toml* withheld = TRY(optional(table, "withheld", Toml::Kind::list))) {
            rule.withheld = TRY(texts(*withheld));
            for (const std::string& label : rule.withheld) {
                if (!policy_.labels.contains(label))
                    return wrong(*withheld,
                                 fmt::format("there is no label \"{}\": [labels] has to name it",
                                             label.substr(0, 60)));
            }
        }
        return rule;
    }

    Result<void> read_masks(const Toml& list, RolePolicy& role) {
        role.masked = TRY(texts(list));
        for (const std::string& path : role.masked) {
            const std::string_view type = std::string_view(path).substr(0, path.find('.'));
            TRY(check_type(list, type));
            TRY(check_path(list, path));
            for (const Rule& rule : role.rules) {
                if (rule.covers(type) && rule.allows(fhir::Right::update))
                    return wrong(list, fmt::format("{} is masked, and the clause \"{}\" allows "
                                                   "updates of {}: they would erase what is masked",
                                                   path, rule.clause, type));
            }
        }
        return {};
    }

    Result<void> check_free_text(const Toml& table, const RolePolicy& role) const {
        for (const Rule& rule : role.rules) {
            const bool reaches_patients =
                rule.all_types ||
                std::any_of(rule.types.begin(), rule.types.end(), is_about_patients);
            if (reaches_patients && rule.allows(fhir::Right::update))
                return wrong(table, fmt::format("free text is masked, and the clause \"{}\" allows "
                                                "updates: they would erase it",
                                                rule.clause));
        }
        return {};
    }

    /// A misspelt element would mask nothing.
    Result<void> check_path(const Toml& list, std::string_view path) const {
        const std::size_t first = path.find('.');
        const fhir::Type* type = fhir::definitions().resource(path.substr(0, first));
        std::string_view rest =
            first == std::string_view::npos ? std::string_view() : path.substr(first + 1);
        if (rest.empty())
            return wrong(list, fmt::format("\"{}\" names no element: expected Type.element", path));
        while (!rest.empty()) {
            const std::size_t dot = rest.find('.');
            const fhir::Element* element =
                type == nullptr ? nullptr : type->element(rest.substr(0, dot));
            if (element == nullptr)
                return wrong(list, fmt::format("\"{}\" is no path of R4: there is no \"{}\"", path,
                                               rest.substr(0, dot)));
            if (element->min > 0 && dot == std::string_view::npos)
                return wrong(list,
                             fmt::format("\"{}\" is mandatory in R4 and cannot be masked", path));
            type = element->is_choice || element->types.empty() ? nullptr
                                                                : element->types.front().type;
            rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
        }
        return {};
    }

    Result<BreakGlass> read_break_glass(const Toml& table) {
        TRY(known(table, "minutes review_hours reason_characters_min types may"));
        BreakGlass glass;
        glass.lasts = std::chrono::minutes(TRY(number(table, "minutes", 60, 1, 1440)));
        glass.review_within = std::chrono::hours(TRY(number(table, "review_hours", 72, 1, 2160)));
        glass.reason_characters_min =
            static_cast<std::size_t>(TRY(number(table, "reason_characters_min", 10, 1, 200)));
        glass.rule.clause = "break-glass";
        TRY(read_types(table, glass.rule));
        TRY(read_interactions(table, glass.rule));
        glass.rule.purposes = {"*"};
        glass.rule.consent = ConsentRule::not_asked;
        return glass;
    }

    Policy& policy_;
    const File& file_;
};

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

void document_rule(const Rule& rule, std::string& out) {
    std::string may;
    for (const auto& word : interaction_words) {
        if (rule.allows(word.value)) may += fmt::format("{}{}", may.empty() ? "" : ", ", word.name);
    }
    std::string through;
    for (const Relation relation : rule.relations)
        through += fmt::format("{}{}", through.empty() ? "" : " or ", name_of(relation));
    if (rule.only_own_organisation) through += ", own organisation only";
    out += fmt::format("|{}|{}|{}|{}|{}|{}|{}|\n", rule.clause, joined(rule.written_types), may,
                       through, joined(rule.purposes), name_of(rule.consent),
                       rule.withheld.empty() ? "–" : joined(rule.withheld));
}

std::string names_of(const std::vector<Role>& roles) {
    std::string all;
    for (const Role role : roles)
        all += fmt::format("{}{}", all.empty() ? "" : ", ", trust::name_of(role));
    return all;
}

void document_approval(const approvals::Kind& kind, std::string& out) {
    out += fmt::format(
        "- **{}**: asked by {}; decided by another person, {}, {}within {} hours; used within {} "
        "minutes by {}. The reason has at least {} characters.\n",
        kind.name, names_of(kind.ask), names_of(kind.decide),
        kind.within_organisation ? "of the same organisation, " : "",
        std::chrono::duration_cast<std::chrono::hours>(kind.decide_within).count(),
        kind.use_within.count(), kind.only_asker ? "who asked" : "whoever may write",
        kind.reason_characters_min);
}

}  // namespace

bool is_about_patients(std::string_view type) {
    if (type == "Patient") return true;
    const fhir::Compartment* compartment = fhir::definitions().compartment("Patient");
    const fhir::CompartmentMember* member =
        compartment == nullptr ? nullptr : compartment->find(type);
    return member != nullptr && !member->params.empty();
}

std::string_view name_of(Relation relation) {
    return text_of(relations, relation);
}
std::string_view name_of(ConsentRule rule) {
    return text_of(consent_rules, rule);
}
std::string_view name_of(fhir::Right interaction) {
    return text_of(interaction_words, interaction);
}

const RolePolicy& Policy::of(Role role) const {
    static const RolePolicy nothing;
    const auto found = roles.find(role);
    return found == roles.end() ? nothing : found->second;
}

std::string Policy::version() const {
    return fmt::format("{} #{}", name, hash.substr(0, 12));
}

Result<std::shared_ptr<const Policy>> parse(const std::vector<File>& files) {
    auto policy = std::make_shared<Policy>();
    std::string texts;
    for (const File& file : files) {
        TRY(Reader(*policy, file).read());
        texts += fmt::format("{}:", file.text.size()) + file.text;
    }
    policy->hash = to_hex(sha256(texts));
    return std::shared_ptr<const Policy>(std::move(policy));
}

Result<std::vector<File>> files_of(File shipped, const std::string& data_folder) {
    namespace fs = std::filesystem;
    std::vector<std::string> paths;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::path(data_folder) / "policy", error)) {
        if (entry.path().extension() == ".toml") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    if (paths.size() > limits::policy_files_max)
        return fail(Category::too_large, fmt::format("{}/policy holds more than {} policy files",
                                                     data_folder, limits::policy_files_max));
    std::vector<File> files{std::move(shipped)};
    for (const std::string& path : paths)
        files.push_back(
            {fs::path(path).filename().string(), TRY(read_file(path, limits::policy_bytes_max))});
    return files;
}

std::string document_of(const Policy& policy) {
    std::string out;
    out += "### Groups of types\n\n";
    for (const auto& [name, types] : policy.groups)
        out += fmt::format("- **@{}**: {}\n", name, joined(types));
    out += "\n### Sensitivity labels\n\n";
    for (const auto& [name, codes] : policy.labels) {
        std::vector<std::string> shown;
        for (const std::string& code : codes)
            shown.push_back(fmt::format("`{}`", code.substr(code.rfind('/') + 1)));
        out += fmt::format("- **{}**: {}\n", name, joined(shown));
        const auto by_code = policy.label_codes.find(name);
        if (by_code == policy.label_codes.end()) continue;
        shown.clear();
        for (const std::string& code : by_code->second)
            shown.push_back(fmt::format("`{}`", code.substr(code.rfind('/') + 1)));
        out += fmt::format("  - given to what has a code of {}\n", joined(shown));
    }
    if (!policy.two_people.empty()) out += "\n### What takes two people\n\n";
    for (const auto& [name, kind] : policy.two_people) document_approval(kind, out);
    out += fmt::format(
        "\n### Fresh proof\n\nA person must have proved who they are within the last {} minutes to "
        "export, {} minutes to open a record in an emergency, {} minutes to prescribe.\n",
        policy.fresh_proof.bulk_export.count(), policy.fresh_proof.break_glass.count(),
        policy.fresh_proof.prescription.count());
    for (const Role role : all_roles()) {
        const RolePolicy& made = policy.of(role);
        out += fmt::format("\n### {}\n\n{}\n", trust::name_of(role),
                           made.summary.empty() ? "Nothing." : made.summary);
        if (!made.rules.empty()) {
            out += fmt::format("\nPurpose when none is stated: {}.\n", made.default_purpose);
            out +=
                "\n|Clause|Types|May|Through|Purposes|Consent|Withheld labels|\n"
                "|---|---|---|---|---|---|---|\n";
            for (const Rule& rule : made.rules) document_rule(rule, out);
        }
        if (!made.masked.empty()) out += fmt::format("\nMasked: {}.\n", joined(made.masked));
        if (made.masks_free_text) out += "\nFree text is masked.\n";
        if (made.break_glass)
            out += fmt::format(
                "\nBreak-glass: {} for {} minutes, with a reason of at least {} "
                "characters, reviewed within {} hours.\n",
                joined(made.break_glass->rule.written_types), made.break_glass->lasts.count(),
                made.break_glass->reason_characters_min, made.break_glass->review_within.count());
        if (made.reviews_break_glass) out += "\nReviews break-glass accesses.\n";
    }
    return out;
}

}  // namespace meridian::trust::policy
