// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/filter.hpp"

#include "fhir/definitions/definitions.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/run.hpp"
#include "trust/policy/labels.hpp"
#include "trust/policy/mask.hpp"
#include "trust/policy/relations.hpp"

namespace meridian::trust::policy {

namespace {

using fhir::Right;
using store::Condition;
using store::Conditions;

bool fits_purpose(const Rule& rule, std::string_view purpose) {
    return std::any_of(rule.purposes.begin(), rule.purposes.end(), [&](const std::string& allowed) {
        return allowed == "*" || allowed == purpose;
    });
}

Right right_of(store::Verb verb) {
    switch (verb) {
        case store::Verb::create:
            return Right::create;
        case store::Verb::remove:
            return Right::remove;
        default:
            return Right::update;
    }
}

/// What the consents of the record say to one caller: patients with equal answers together.
struct ConsentGroup {
    std::vector<consent::Provision> said;
    std::vector<std::string> patients;
};
using ConsentGroups = std::map<std::string, ConsentGroup>;

/// Where provisions permit or deny, as a condition on resources of one type.
class ConsentTerms {
 public:
    ConsentTerms(const Parameters& parameters, const store::Names& names, std::string_view type)
        : parameters_(parameters), names_(names), type_(type) {}

    Condition permitted(const std::vector<consent::Provision>& said) const {
        Conditions any;
        for (const auto& one : said) any.push_back(said_by(one, true));
        return any_of(std::move(any));
    }
    Condition denied(const std::vector<consent::Provision>& said) const {
        Conditions any;
        for (const auto& one : said) any.push_back(said_by(one, false));
        return any_of(std::move(any));
    }

 private:
    /// Where a provision with its exceptions permits (or denies).
    Condition said_by(const consent::Provision& provision, bool permit) const {
        Conditions all;
        all.push_back(bounds(provision));
        Conditions exceptions;
        for (const auto& inner : provision.exceptions)
            exceptions.push_back(said_by(inner, !provision.permits));
        all.push_back(provision.permits == permit ? none_of(std::move(exceptions))
                                                  : any_of(std::move(exceptions)));
        return all_of(std::move(all));
    }

    /// What a bound means that resources of this type cannot be tested for: a permission does not
    /// reach so far, a denial does.
    static Condition unknown(const consent::Provision& provision) {
        if (provision.permits) return store::Nothing{};
        return store::Everything{};
    }

    Condition bounds(const consent::Provision& provision) const {
        Conditions all;
        if (!provision.classes.empty()) all.push_back(in_class(provision));
        if (!provision.labels.empty()) {
            all.push_back(coded(provision, "_security", provision.labels));
        }
        if (!provision.codes.empty()) {
            const auto* code = parameters_.main_code(type_);
            all.push_back(code == nullptr ? Condition(store::Nothing{})
                                          : coded(provision, code->code, provision.codes));
        }
        if (!provision.data.empty()) all.push_back(among(provision.data));
        if (provision.data_from || provision.data_below) {
            const auto* date = parameters_.main_date(type_);
            if (date == nullptr) {
                all.push_back(unknown(provision));
            } else {
                store::DateBox box;
                if (provision.data_from) box.hi_above = provision.data_from->milliseconds;
                if (provision.data_below) box.lo_below = provision.data_below->milliseconds;
                all.push_back(store::HasDate{date->name, box});
            }
        }
        return all_of(std::move(all));
    }

    Condition in_class(const consent::Provision& provision) const {
        bool is_other = false;
        for (const consent::Code& code : provision.classes) {
            if (code.system.ends_with("/resource-types")) {
                if (code.code == type_) return store::Everything{};
            } else {
                is_other = true;  // a document type or profile: no index tells it
            }
        }
        return is_other ? unknown(provision) : Condition(store::Nothing{});
    }

    Condition coded(const consent::Provision& provision, std::string_view parameter,
                    const std::vector<consent::Code>& codes) const {
        std::vector<Coded> wanted;
        for (const consent::Code& code : codes) wanted.push_back({code.system, code.code});
        auto condition = with_code(parameters_, names_, type_, parameter, wanted);
        return condition ? *std::move(condition) : unknown(provision);
    }

    Condition among(const std::vector<std::string>& references) const {
        store::HasId ids{parameters_.type_name(type_), {}};
        for (const std::string& reference : references) {
            const store::Identity identity = identity_of(parameters_, reference);
            if (identity.type == ids.type) ids.ids.push_back(identity.id);
        }
        if (ids.ids.empty()) return store::Nothing{};
        return ids;
    }

    const Parameters& parameters_;
    const store::Names& names_;
    std::string_view type_;
};

class PolicyFilter final : public fhir::AccessFilter {
 public:
    PolicyFilter(fhir::Repository& repository, std::shared_ptr<const Policy> policy,
                 Subject subject, std::shared_ptr<const Context> context, std::vector<Scope> scopes)
        : repository_(repository),
          policy_(std::move(policy)),
          role_(policy_->of(subject.role)),
          subject_(std::move(subject)),
          context_(std::move(context)),
          scopes_(std::move(scopes)),
          is_scoped_(!subject_.scopes.empty()),
          mask_(role_.masked, role_.masks_free_text) {
        for (const Rule& rule : role_.rules) {
            if (fits_purpose(rule, subject_.purpose)) rules_.push_back(&rule);
        }
        if (context_ != nullptr) group_consents();
        is_unlimited_ = !is_scoped_ && mask_.is_empty() && has_whole_rule();
        key_ = fmt::format("{}|{}|{}|{}|{}|{}", subject_.account, trust::name_of(subject_.role),
                           subject_.organisation, subject_.client, subject_.patient,
                           fmt::join(subject_.scopes, " "));
    }

    Condition visible(store::Name type) const override { return allowed(Right::read, type); }

    Condition searchable(store::Name type) const override {
        if (is_unlimited_) return store::Everything{};
        const auto parameters = repository_.parameters();
        if (!allow(Right::search, parameters->type_text(type))) return store::Nothing{};
        if (!is_scoped_) return visible(type);
        Conditions both;
        both.push_back(visible(type));
        both.push_back(in_scopes(Right::search, *parameters, parameters->type_text(type)));
        return all_of(std::move(both));
    }

    bool sees_everything() const override { return is_unlimited_; }
    bool writes_everything() const override { return is_unlimited_; }

    Result<void> allow(Right right, std::string_view type) const override {
        if (is_unlimited_) return {};
        const bool by_rule = std::any_of(rules_.begin(), rules_.end(),
                                         [&](const Rule* rule) {
                                             return rule->covers(type) && rule->allows(right);
                                         }) ||
                             (type == "Binary" && !contexts_of_binaries(right).empty()) ||
                             (has_emergency() && role_.break_glass->rule.covers(type) &&
                              role_.break_glass->rule.allows(right));
        if (by_rule && scope_allows(right, type)) return {};
        return fail(Category::forbidden,
                    fmt::format("your role may not do this with {}: {}", type, name_of(right)));
    }

    Result<void> allow_write(store::Verb verb, std::string_view type, const Json*) const override {
        return allow(right_of(verb), type);
    }

    Condition writable(store::Verb verb, store::Name type) const override {
        if (is_unlimited_) return store::Everything{};
        Conditions all;
        all.push_back(allowed(right_of(verb), type));
        all.push_back(not_reserved(type));
        return all_of(std::move(all));
    }

    Result<void> allow_parameter(std::string_view type, std::string_view code) const override {
        if (mask_.is_empty() || !mask_.covers(*repository_.parameters(), type, code)) return {};
        return fail(Category::forbidden,
                    fmt::format("\"{}\" of {} would tell of elements that are withheld from you",
                                code.substr(0, 60), type),
                    std::string(code.substr(0, 60)));
    }

    bool masks(std::string_view type) const override { return mask_.concerns(type); }
    Result<std::string> masked(std::string json) const override {
        return mask_.apply(std::move(json));
    }
    std::string key() const override { return key_; }

 private:
    bool has_emergency() const {
        return context_ != nullptr && !context_->emergency.empty() && role_.break_glass;
    }

    bool has_whole_rule() const {
        return std::any_of(rules_.begin(), rules_.end(), [](const Rule* rule) {
            return rule->all_types && rule->consent == ConsentRule::not_asked &&
                   rule->withheld.empty() && !rule->only_own_organisation &&
                   std::find(rule->relations.begin(), rule->relations.end(), Relation::region) !=
                       rule->relations.end() &&
                   std::all_of(rule->may.begin(), rule->may.end(), [](bool may) { return may; });
        });
    }

    void group_consents() {
        consent::Question question;
        question.actors = context_->selves;
        question.actors.insert(context_->teams.begin(), context_->teams.end());
        if (!subject_.organisation.empty()) question.actors.insert(subject_.organisation);
        question.purpose = subject_.purpose;
        question.at = context_->read_at;
        Instant unused{std::numeric_limits<std::int64_t>::max()};
        std::map<std::string, std::vector<consent::Provision>> by_patient;
        for (const auto& [id, document] : *context_->consents) {
            auto said = consent::answer(*document, question, unused);
            if (said.empty()) continue;
            auto& all = by_patient[document->patient.substr(8)];
            std::move(said.begin(), said.end(), std::back_inserter(all));
        }
        for (auto& [patient, said] : by_patient) {
            ConsentGroup& group = consents_[consent::shape_of(said)];
            group.patients.push_back(patient);
            group.said = std::move(said);
        }
    }

    /// Resources of `type` for which some rule allows the right, and the scopes do.
    Condition allowed(Right right, store::Name type_name) const {
        if (is_unlimited_) return store::Everything{};
        const auto parameters = repository_.parameters();
        const std::string_view type = parameters->type_text(type_name);
        Conditions any;
        for (const Rule* rule : rules_) {
            if (rule->covers(type) && rule->allows(right))
                any.push_back(by_rule(*rule, *parameters, type));
        }
        if (has_emergency() && role_.break_glass->rule.covers(type) &&
            role_.break_glass->rule.allows(right))
            any.push_back(of_patients(*parameters, type, context_->emergency));
        Conditions both;
        both.push_back(type == "Binary"
                           ? allowed_binaries(right, *parameters, any_of(std::move(any)))
                           : any_of(std::move(any)));
        if (is_scoped_) both.push_back(in_scopes(right, *parameters, type));
        return all_of(std::move(both));
    }

    // --- Binary: FHIR R4 §2.42.4, securityContext stands for it when access is decided ---

    /// Whoever may change the context may give it content.
    static Right right_to_context(Right right) {
        return right == Right::create ? Right::update : right;
    }

    /// The types of contexts through which the caller might do this with a Binary.
    std::set<std::string_view> contexts_of_binaries(Right right) const {
        std::set<std::string_view> types;
        // Nothing can be masked in bytes.
        if (mask_.hides_content()) return types;
        right = right_to_context(right);
        const auto add = [&](const Rule& rule) {
            if (!rule.allows(right)) return;
            if (rule.all_types) {
                for (const fhir::Type* type : fhir::definitions().resources())
                    types.insert(type->name);
            }
            types.insert(rule.types.begin(), rule.types.end());
        };
        for (const Rule* rule : rules_) add(*rule);
        if (has_emergency()) add(role_.break_glass->rule);
        types.erase("Binary");
        return types;
    }

    /// With a context a Binary is what that is to the caller; without one, what the policy says of
    /// the type.
    Condition allowed_binaries(Right right, const Parameters& parameters, Condition own) const {
        const auto* context = parameters.find("Binary", "security-context");
        if (context == nullptr) return store::Nothing{};
        Conditions has_context;
        for (const store::Name name : context->names()) has_context.push_back(store::HasAny{name});
        Conditions without;
        without.push_back(none_of(std::move(has_context)));
        without.push_back(std::move(own));
        Conditions any;
        any.push_back(all_of(std::move(without)));
        for (const std::string_view type : contexts_of_binaries(right)) {
            const store::Name target = parameters.type_name(type);
            Condition reached = allowed(right_to_context(right), target);
            if (is_nothing(reached)) continue;
            any.push_back(store::RefersTo{context->name, target,
                                          std::make_unique<Condition>(std::move(reached))});
        }
        return any_of(std::move(any));
    }

    Condition by_rule(const Rule& rule, const Parameters& parameters, std::string_view type) const {
        Conditions related;
        for (const Relation relation : rule.relations)
            related.push_back(by_relation(rule, relation, parameters, type));
        Conditions all;
        all.push_back(any_of(std::move(related)));
        if (is_nothing(all.back())) return store::Nothing{};
        for (const std::string& label : rule.withheld)
            all.push_back(without_label(label, parameters, type));
        if (rule.consent != ConsentRule::not_asked)
            all.push_back(with_consent(rule.consent, parameters, type));
        return all_of(std::move(all));
    }

    Condition by_relation(const Rule& rule, Relation relation, const Parameters& parameters,
                          std::string_view type) const {
        const bool only_own = rule.only_own_organisation;
        const auto in_organisation = [&](Condition where) {
            if (!only_own) return where;
            Conditions both;
            both.push_back(of_organisation(parameters, type, subject_.organisation));
            both.push_back(std::move(where));
            return all_of(std::move(both));
        };
        const auto patients = [&](const std::vector<std::string>& list) {
            if (!only_own) return of_patients(parameters, type, list);
            std::vector<std::string> own;
            std::copy_if(
                list.begin(), list.end(), std::back_inserter(own),
                [&](const std::string& id) { return context_->of_organisation.contains(id); });
            return of_patients(parameters, type, own);
        };
        switch (relation) {
            case Relation::region:
                return in_organisation(store::Everything{});
            case Relation::organisation:
                return of_organisation(parameters, type, subject_.organisation);
            case Relation::insurer:
                return of_insurer(parameters, type, subject_.organisation);
            case Relation::care_team:
                return patients(context_->care_team);
            case Relation::assignment:
                return patients(context_->assigned);
            case Relation::compartment:
                return in_organisation(of_patients(parameters, type, context_->own));
            case Relation::guardian:
                return in_organisation(of_patients(parameters, type, context_->guarded));
            case Relation::own:
                return in_organisation(of_author(parameters, type, context_->selves));
        }
        return store::Nothing{};
    }

    Condition without_label(const std::string& label, const Parameters& parameters,
                            std::string_view type) const {
        auto labelled = carrying(*policy_, label, parameters, repository_.store().names(), type);
        if (!labelled) return store::Nothing{};
        Conditions parts;
        parts.push_back(*std::move(labelled));
        return none_of(std::move(parts));
    }

    /// A resource that concerns several patients needs all of them not to deny.
    Condition with_consent(ConsentRule rule, const Parameters& parameters,
                           std::string_view type) const {
        if (type != "Patient" && patient_paths(parameters, type).empty())
            return store::Everything{};
        const ConsentTerms terms(parameters, repository_.store().names(), type);
        Conditions permitted;
        Conditions denied;
        for (const auto& [shape, group] : consents_) {
            Conditions denies;
            denies.push_back(terms.denied(group.said));
            if (!is_nothing(denies.front())) {
                denies.push_back(of_patients(parameters, type, group.patients));
                denied.push_back(all_of(std::move(denies)));
            }
            if (rule != ConsentRule::opt_in) continue;
            Conditions permits;
            permits.push_back(terms.permitted(group.said));
            if (is_nothing(permits.front())) continue;
            permits.push_back(of_patients(parameters, type, group.patients));
            permitted.push_back(all_of(std::move(permits)));
        }
        Conditions all;
        all.push_back(none_of(std::move(denied)));
        if (rule == ConsentRule::opt_in) all.push_back(any_of(std::move(permitted)));
        return all_of(std::move(all));
    }

    /// Only the server itself writes what gives emergency access, and the notice of it.
    Condition not_reserved(store::Name type_name) const {
        const auto parameters = repository_.parameters();
        const std::string_view type = parameters->type_text(type_name);
        if (type != "Task" && type != "Communication") return store::Everything{};
        auto reserved = with_code(
            *parameters, repository_.store().names(), type, type == "Task" ? "code" : "category",
            {{std::string(break_glass_system), std::string(break_glass_code)}});
        if (!reserved) return store::Nothing{};
        Conditions parts;
        parts.push_back(*std::move(reserved));
        return none_of(std::move(parts));
    }

    // --- SMART scopes ---

    static bool permits(const Scope& scope, Right right) {
        switch (right) {
            case Right::read:
            case Right::history:
            case Right::operation:
                return scope.allows(Scope::read);
            case Right::search:
                return scope.allows(Scope::search);
            case Right::create:
                return scope.allows(Scope::create);
            case Right::update:
                return scope.allows(Scope::update);
            case Right::remove:
                return scope.allows(Scope::remove);
            case Right::bulk_export:
                return scope.allows(Scope::read) && scope.allows(Scope::search);
        }
        return false;
    }

    bool scope_allows(Right right, std::string_view type) const {
        return !is_scoped_ || std::any_of(scopes_.begin(), scopes_.end(), [&](const Scope& scope) {
            return scope.covers(type) && permits(scope, right);
        });
    }

    Condition in_scopes(Right right, const Parameters& parameters, std::string_view type) const {
        Conditions any;
        for (const Scope& scope : scopes_) {
            if (!scope.covers(type) || !permits(scope, right)) continue;
            Conditions all;
            if (scope.level == Scope::Level::patient) all.push_back(in_launch(parameters, type));
            all.push_back(matching(scope, parameters, type));
            any.push_back(all_of(std::move(all)));
        }
        return any_of(std::move(any));
    }

    /// SMART: patient/… scopes reach the record of the patient in context, and what is about nobody
    /// as far as the role does.
    Condition in_launch(const Parameters& parameters, std::string_view type) const {
        if (type != "Patient" && patient_paths(parameters, type).empty())
            return store::Everything{};
        if (!subject_.patient.starts_with("Patient/")) return store::Nothing{};
        return of_patients(parameters, type, {subject_.patient.substr(8)});
    }

    Condition matching(const Scope& scope, const Parameters& parameters,
                       std::string_view type) const {
        if (scope.query.empty()) return store::Everything{};
        fhir::search::ParseOptions options;
        options.base_url = repository_.base_url();
        options.now = now();
        const auto plan = fhir::search::conditional_plan(parameters, repository_.store().names(),
                                                         type, scope.query, options, 1);
        // What is not understood gives nothing.
        if (!plan) return store::Nothing{};
        return fhir::search::clone((*plan)->where);
    }

    fhir::Repository& repository_;
    std::shared_ptr<const Policy> policy_;
    const RolePolicy& role_;
    Subject subject_;
    std::shared_ptr<const Context> context_;
    std::vector<Scope> scopes_;
    bool is_scoped_ = false;
    Mask mask_;
    std::vector<const Rule*> rules_;
    ConsentGroups consents_;
    bool is_unlimited_ = false;
    std::string key_;
};

}  // namespace

bool needs_context(const Policy& policy, const Subject& subject) {
    const RolePolicy& role = policy.of(subject.role);
    return role.break_glass ||
           std::any_of(role.rules.begin(), role.rules.end(), [&](const Rule& r) {
               return fits_purpose(r, subject.purpose) &&
                      (r.consent != ConsentRule::not_asked ||
                       std::any_of(r.relations.begin(), r.relations.end(), [](Relation relation) {
                           return relation != Relation::region &&
                                  relation != Relation::organisation &&
                                  relation != Relation::insurer;
                       }));
           });
}

Result<std::shared_ptr<const fhir::AccessFilter>> make_filter(
    fhir::Repository& repository, std::shared_ptr<const Policy> policy, const Subject& subject,
    std::shared_ptr<const Context> context) {
    auto scopes = TRY(resource_scopes(subject.scopes));
    return std::shared_ptr<const fhir::AccessFilter>(std::make_shared<PolicyFilter>(
        repository, std::move(policy), subject, std::move(context), std::move(scopes)));
}

std::string clauses_of(const Policy& policy, const Subject& subject, const Context* context) {
    const RolePolicy& role = policy.of(subject.role);
    std::vector<std::string> clauses;
    for (const Rule& rule : role.rules) {
        if (fits_purpose(rule, subject.purpose)) clauses.push_back(rule.clause);
    }
    if (context != nullptr && !context->emergency.empty()) clauses.emplace_back("break-glass");
    return fmt::format("{}: {}", trust::name_of(subject.role),
                       clauses.empty() ? "nothing" : fmt::format("{}", fmt::join(clauses, ", ")));
}

}  // namespace meridian::trust::policy
