// SPDX-License-Identifier: Apache-2.0
// How a Transaction becomes one store commit: decide on a snapshot, write under the condition that
// the decision still holds, and decide anew when it does not.
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/patch/fhirpath_patch.hpp"
#include "fhir/patch/json_patch.hpp"
#include "fhir/references.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/holds.hpp"
#include "fhir/store_repository.hpp"
#include "fhir/validate/content.hpp"
#include "fhir/validate/validator.hpp"
#include "store/codec.hpp"

namespace meridian::fhir {

namespace {

using Kind = Operation::Kind;
using Effect = OperationResult::Effect;

bool is_patch(Kind kind) {
    return kind == Kind::patch_json || kind == Kind::patch_fhirpath;
}

std::unexpected<Error> placed(Error error, const std::string& where) {
    if (!where.empty()) error.where = error.where.empty() ? where : where + "." + error.where;
    return std::unexpected(std::move(error));
}

Interaction interaction_of(Kind kind) {
    switch (kind) {
        case Kind::create:
            return Interaction::create;
        case Kind::update:
            return Interaction::update;
        case Kind::remove:
            return Interaction::remove;
        default:
            return Interaction::patch;
    }
}

AuditRecord record_of(const Operation& operation) {
    AuditRecord record{
        .interaction = interaction_of(operation.kind), .type = operation.type, .id = operation.id};
    if (operation.condition) record.query = query_string(*operation.condition);
    return record;
}

/// What is told of a transaction that came to nothing.
AuditRecord record_of(const Transaction& transaction) {
    if (transaction.operations.size() == 1) return record_of(transaction.operations.front());
    return {.interaction = Interaction::transaction,
            .resources = static_cast<std::int64_t>(transaction.operations.size())};
}

/// Whether it is the store that failed: then nothing can be recorded either.
bool is_of_the_store(const Error& error) {
    return error.category == Category::busy || error.category == Category::unavailable ||
           error.category == Category::storage_full;
}

/// The audit's entries are this server's own (docs/adr/0027).
Result<void> refuse_audit_events(const Repository::Options& options, std::string_view type) {
    if (!options.trail || type != "AuditEvent") return {};
    return fail(Category::not_allowed,
                "AuditEvents are made by this server, of what happens in it; nobody can write, "
                "change or delete one");
}

/// After so many stale commits of one request.
constexpr unsigned commits_until_contended = 3;

/// Adds labels to meta.security.
void add_security(JsonDocument& document, Json& resource,
                  const std::vector<LabelRule::Missing>& labels) {
    if (labels.empty()) return;
    if (resource.find("meta") == nullptr) document.set(resource, "meta", document.object());
    Json& meta = *resource.find_mutable("meta");
    if (meta.find("security") == nullptr) document.set(meta, "security", document.array());
    Json& security = *meta.find_mutable("security");
    for (const LabelRule::Missing& label : labels) {
        Json coding = document.object();
        document.set(coding, "system", document.string(label.system));
        document.set(coding, "code", document.string(label.code));
        document.append(security, coding);
    }
}

/// Holds for what carries one of the labels.
store::Condition any_carried(const std::vector<LabelRule::Label>& labels) {
    store::AnyOf any;
    for (const LabelRule::Label& label : labels) any.parts.push_back(search::clone(label.carried));
    if (any.parts.empty()) return store::Nothing{};
    return store::Condition(std::move(any));
}

/// One operation on its way to a store change.
struct Step {
    Operation* operation = nullptr;
    Json resource{};  ///< what will be written; a node of `document`
    std::shared_ptr<JsonDocument> document{};
    std::string id{};
    bool writes = true;  ///< false: the condition found that nothing is to be done
    bool removes = false;
    bool fresh = false;
    std::optional<store::Version> if_version{};
    std::optional<store::Stored> existing{};  ///< matched by a conditional create
    StoreRepository::Encoded encoded{};
    std::vector<Issue> warnings{};
    bool replaces = false;  ///< for a caller with a filter: there is a version that they may change
    std::optional<store::Stored> before{};  ///< under a label rule: what is there, or was last
    struct Further {
        std::string id;
        std::optional<store::Version> if_version;
    };
    std::vector<Further> also_removed{};  ///< of a conditional delete of several
};

/// One try to carry a transaction out. A stale try is thrown away and made again on a newer
/// snapshot.
class Attempt {
 public:
    /// `is_contended`: others keep writing the same resources, so the commit is to depend on no
    /// more of them than it must.
    Attempt(StoreRepository& repository, const Caller& caller, Transaction& transaction,
            std::vector<std::string>& new_ids, bool is_contended)
        : repository_(repository),
          caller_(caller),
          transaction_(transaction),
          new_ids_(new_ids),
          parameters_(repository.parameters()),
          labels_(repository.label_rule()),
          is_contended_(is_contended),
          is_audited_(!repository.options().audit->is_quiet()) {}

    Result<void> decide() {
        const bool needs_snapshot =
            transaction_.resolve_conditional_references || is_limited() ||
            std::any_of(
                transaction_.operations.begin(), transaction_.operations.end(),
                [this](const Operation& operation) {
                    const bool is_told = is_audited_ && operation.kind == Kind::remove;
                    const bool is_labelled = labels_ != nullptr && operation.kind == Kind::update;
                    return is_told || is_labelled || operation.condition || operation.if_match ||
                           operation.if_none_match_any || is_patch(operation.kind);
                });
        if (needs_snapshot) {
            snapshot_ = TRY(repository_.store().snapshot());
            commit_.seen = snapshot_->position();
            commit_.codings_seen = repository_.store().names().coding_count();
            timeline_.emplace(*snapshot_);
        }
        steps_.resize(transaction_.operations.size());
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            steps_[i].operation = &transaction_.operations[i];
            TRY(settle(steps_[i], i));
        }
        TRY(refuse_overlap());
        for (Step& step : steps_) {
            if (step.writes && !step.removes) TRY(make_ready(step));
        }
        return gather();
    }

    bool writes_nothing() const { return commit_.changes.empty() && commit_.audit.empty(); }
    /// What is to be committed. The snapshot ends: the committer may have to wait for the last
    /// reader of an old log, so nobody who waits for the committer may be one.
    store::Commit take_commit() {
        timeline_.reset();
        snapshot_.reset();
        return std::move(commit_);
    }

    Result<std::vector<OperationResult>> results(const store::Receipt& receipt) {
        std::vector<OperationResult> results;
        results.reserve(steps_.size());
        std::size_t next = 0;
        for (Step& step : steps_) {
            OperationResult result;
            result.warnings = std::move(step.warnings);
            if (!step.writes) {
                TRY(describe_untouched(step, result));
            } else {
                TRY(describe_written(step, receipt, receipt.written[next], result));
                next += 1 + step.also_removed.size();
            }
            results.push_back(std::move(result));
        }
        return results;
    }

 private:
    const std::string& where(const Step& step) const { return step.operation->where; }
    /// Whether the caller may see or write less than everything.
    bool is_limited() const {
        return !caller_.access->sees_everything() || !caller_.access->writes_everything();
    }

    // --- which resource is meant, and what is to be done with it ---

    Result<void> settle(Step& step, std::size_t index) {
        Operation& operation = *step.operation;
        step.document = operation.document;
        step.resource = operation.resource;
        step.removes = operation.kind == Kind::remove;
        if (parameters_->type_name(operation.type) == 0) {
            return placed(
                {Category::not_found,
                 fmt::format("\"{}\" is no FHIR R4 resource type", operation.type.substr(0, 60)),
                 {}},
                where(step));
        }
        if (!step.removes && !is_patch(operation.kind)) {
            // Another try must not meet the edits of this one.
            if (transaction_.resolve_conditional_references || operation.condition)
                step.resource = step.document->copy(operation.resource);
            if (step.resource.string_at("resourceType") != operation.type) {
                return placed({Category::incorrect,
                               fmt::format("the resource is a {}; the address asks for a {}",
                                           step.resource.string_at("resourceType").substr(0, 60),
                                           operation.type),
                               {}},
                              where(step));
            }
        }
        Result<void> settled = operation.condition              ? settle_by_condition(step, index)
                               : operation.kind == Kind::create ? settle_create(step, index)
                                                                : settle_by_id(step);
        if (!settled) return placed(std::move(settled).error(), where(step));
        return {};
    }

    Result<void> settle_create(Step& step, std::size_t index) {
        step.id = new_id(index);
        step.fresh = true;
        return {};
    }

    /// Ids given by this server stay the same over several tries.
    std::string new_id(std::size_t index) {
        if (new_ids_[index].empty()) new_ids_[index] = new_ordered_uuid();
        return new_ids_[index];
    }

    Result<void> settle_by_id(Step& step) {
        const Operation& operation = *step.operation;
        step.id = operation.id;
        if (!is_fhir_id(step.id))
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no id: expected 1 to 64 of A-Z a-z 0-9 - .",
                                    step.id.substr(0, 64)));
        if (operation.kind == Kind::update) TRY(check_body_id(step));
        const bool must_look = operation.if_match || operation.if_none_match_any ||
                               is_patch(operation.kind) || is_limited() ||
                               (labels_ != nullptr && !step.removes);
        if (!must_look) return {};
        const auto current = TRY(repository_.find(*snapshot_, caller_, operation.type, step.id));
        TRY(settle_on_current(step, current));
        TRY(remember_before(step, current));
        return is_limited() ? settle_limited(step, current) : Result<void>();
    }

    /// For the rule of labels: what a write replaces, and of a deleted resource its last version.
    /// The commit depends on its being the newest still; in contention, on its labels
    /// (keep_labels).
    Result<void> remember_before(Step& step, const std::optional<store::Stored>& current) {
        if (labels_ == nullptr || step.removes) return {};
        const bool is_there = current && !current->deleted();
        if (!is_there) step.if_version = 0;
        if (is_there && !is_contended_) step.if_version = current->version;
        step.before = current;
        if (!current || is_there) return {};
        step.before =
            TRY(snapshot_->find_version({current->type, current->id}, current->version - 1));
        // Of an erased person there is nothing left to be kept.
        if (step.before && (step.before->deleted() || !repository_.decode(*step.before)))
            step.before.reset();
        return {};
    }

    /// What a caller with a filter does to the version that they see, if they see one.
    Result<void> settle_limited(Step& step, const std::optional<store::Stored>& current) {
        const Operation& operation = *step.operation;
        if (current && !current->deleted()) {
            TRY(check_change(operation, *current));
            step.replaces = true;
            step.if_version = current->version;
            return {};
        }
        if (step.removes) {
            step.writes = false;  // also where one lies that they cannot see
            return {};
        }
        TRY(check_own_id(operation));
        step.if_version = 0;
        return {};
    }

    /// Whether the caller may change what is there. They see it, so this may be said.
    Result<void> check_change(const Operation& operation, const store::Stored& current) {
        const auto verb =
            operation.kind == Kind::remove ? store::Verb::remove : store::Verb::update;
        if (TRY(repository_.satisfies(*snapshot_, {current.type, current.id},
                                      caller_.access->writable(verb, current.type))))
            return {};
        return fail(Category::forbidden,
                    fmt::format("you may read {}/{}, but not {} it", operation.type, current.id,
                                operation.kind == Kind::remove ? "delete" : "change"));
    }

    /// An update that creates would tell whether the id is taken: only who may read the whole type
    /// may know.
    Result<void> check_own_id(const Operation& operation) const {
        const store::Condition visible =
            caller_.access->visible(parameters_->type_name(operation.type));
        if (std::holds_alternative<store::Everything>(visible.as_variant())) return {};
        return fail(Category::not_found,
                    fmt::format("there is no such {}, and you may not choose the id of a new one: "
                                "create it with POST",
                                operation.type));
    }

    /// If-Match, If-None-Match and patches look at the current version and make it a condition of
    /// the commit.
    Result<void> settle_on_current(Step& step, const std::optional<store::Stored>& current) {
        const Operation& operation = *step.operation;
        const store::Version version = current && !current->deleted() ? current->version : 0;
        if (operation.if_match && *operation.if_match != version) {
            return fail(
                Category::precondition,
                version == 0
                    ? fmt::format("{}/{} does not exist, If-Match asks for version {}",
                                  operation.type, step.id, *operation.if_match)
                    : fmt::format(
                          "{}/{} is at version {}, not {}: read it again and repeat the change",
                          operation.type, step.id, version, *operation.if_match));
        }
        if (operation.if_none_match_any && version != 0) {
            return fail(Category::precondition,
                        fmt::format("{}/{} exists already", operation.type, step.id));
        }
        if (operation.if_match || operation.if_none_match_any) step.if_version = version;
        if (!is_patch(operation.kind)) return {};
        if (!current)
            return fail(Category::not_found,
                        fmt::format("there is no {}/{}", operation.type, step.id));
        if (version == 0)
            return fail(Category::gone, fmt::format("{}/{} was deleted", operation.type, step.id));
        step.if_version = version;
        return apply_patch(step, *current);
    }

    Result<void> check_body_id(Step& step) const {
        const std::string_view id = step.resource.string_at("id");
        if (id == step.id) return {};
        return fail(Category::incorrect,
                    id.empty() ? "the body of an update needs the id of the address"
                               : fmt::format("the body's id \"{}\" is not the id of the address",
                                             id.substr(0, 64)),
                    "id");
    }

    // --- conditional forms: FHIR R4 §3.1.0.8.1, §3.1.0.4.3, §3.1.0.7.1 ---

    Result<void> settle_by_condition(Step& step, std::size_t index) {
        Operation& operation = *step.operation;
        const bool many = operation.kind == Kind::remove &&
                          (operation.delete_many || repository_.options().conditional_delete_many);
        const auto plan = TRY(search::conditional_plan(
            *parameters_, repository_.store().names(), operation.type, *operation.condition,
            conditional_options(), many ? limits::conditional_matches_max + 1 : 2));
        auto matches = TRY(search::conditional_matches(*snapshot_, *plan));
        if (matches.size() > 1 && !many) {
            return fail(Category::precondition,
                        fmt::format("several {} resources match the condition; it must select one",
                                    operation.type));
        }
        if (matches.size() > limits::conditional_matches_max) {
            return fail(Category::precondition,
                        fmt::format("the condition selects more than {} resources: narrow it",
                                    limits::conditional_matches_max));
        }
        commit_.expectations.push_back({plan, matches});
        if (matches.empty()) return settle_unmatched(step, index);
        auto found = TRY(snapshot_->fetch(matches));
        if (found.empty()) return fail(Category::fault, "a match has no current version");
        step.id = found.front().id;
        switch (operation.kind) {
            case Kind::create:
                step.writes = false;
                step.existing = std::move(found.front());
                return {};
            case Kind::remove:
                for (std::size_t i = 1; i < found.size(); ++i) {
                    if (is_limited()) TRY(check_change(operation, found[i]));
                    step.also_removed.push_back({found[i].id, is_limited()
                                                                  ? std::optional(found[i].version)
                                                                  : std::nullopt});
                }
                [[fallthrough]];
            case Kind::update: {
                if (operation.kind == Kind::update && !step.resource.string_at("id").empty())
                    TRY(check_body_id(step));
                break;
            }
            default:
                break;
        }
        TRY(settle_on_current(step, found.front()));
        TRY(remember_before(step, found.front()));
        return is_limited() ? settle_limited(step, found.front()) : Result<void>();
    }

    search::ParseOptions conditional_options() const {
        search::ParseOptions options = repository_.parse_options(caller_, {});
        options.timeline = timeline_ ? &*timeline_ : nullptr;
        return options;
    }

    Result<void> settle_unmatched(Step& step, std::size_t index) {
        const Operation& operation = *step.operation;
        if (operation.if_match)
            return fail(Category::precondition,
                        "nothing matches the condition, If-Match asks for a version");
        if (operation.kind == Kind::remove) {
            step.writes = false;
            return {};
        }
        if (is_patch(operation.kind))
            return fail(Category::not_found,
                        fmt::format("no {} matches the condition", operation.type));
        const std::string_view id = step.resource.string_at("id");
        if (operation.kind == Kind::update && !id.empty()) {
            step.id = id;
            if (!is_fhir_id(step.id))
                return fail(Category::incorrect,
                            fmt::format("\"{}\" is no id", step.id.substr(0, 64)), "id");
            // R4 §3.1.0.4.3: no match and an id in the body is an update-as-create; a resource that
            // has the id but does not match is a conflict.
            const auto current =
                TRY(repository_.find(*snapshot_, caller_, operation.type, step.id));
            if (current && !current->deleted())
                return fail(Category::conflict,
                            fmt::format("{}/{} exists and does not match the condition",
                                        operation.type, step.id));
            if (is_limited()) TRY(check_own_id(operation));
            step.if_version = 0;
            return remember_before(step, current);
        }
        step.id = new_id(index);
        step.fresh = true;
        return {};
    }

    // --- patches ---

    Result<void> apply_patch(Step& step, const store::Stored& current) {
        const Resource before = TRY(repository_.decode(current));
        step.document = std::make_shared<JsonDocument>(TRY(JsonDocument::parse(before.json)));
        const Json& patch = step.operation->resource;
        if (step.operation->kind == Kind::patch_json) {
            TRY(patch::apply_json_patch(*step.document, patch));
        } else {
            TRY(patch::apply_fhirpath_patch(*step.document, patch));
        }
        Json& root = step.document->root();
        if (root.string_at("resourceType") != step.operation->type ||
            root.string_at("id") != step.id) {
            return fail(Category::incorrect, "a patch may not change resourceType or id");
        }
        TRY(drop_stale_narrative(step, before));
        step.resource = root;
        return {};
    }

    /// FHIR R4 §3.1.0.7: a patched resource must not keep a narrative that contradicts its data. A
    /// generated one that the patch left alone is dropped; one that a person wrote ("additional")
    /// says more than the data and stays.
    Result<void> drop_stale_narrative(Step& step, const Resource& before) {
        Json& root = step.document->root();
        const Json* text = root.find("text");
        if (text == nullptr || text->string_at("status") == "additional") return {};
        const JsonDocument old = TRY(JsonDocument::parse(before.json));
        if (equal(*text, old.root()["text"]) && !equal(root, old.root()))
            step.document->remove(root, "text");
        return {};
    }

    // --- the transaction as a whole ---

    /// FHIR R4 §3.1.0.11.2: a resource may be concerned by one operation only.
    Result<void> refuse_overlap() {
        std::unordered_set<std::string> identities;
        for (const Step& step : steps_) {
            const auto add = [&](const std::string& id) {
                return id.empty() || identities.insert(step.operation->type + "/" + id).second;
            };
            bool alone = add(step.id);
            for (const Step::Further& further : step.also_removed) alone = add(further.id) && alone;
            if (!alone)
                return placed({Category::incorrect,
                               fmt::format("{}/{} is concerned by two entries of the transaction",
                                           step.operation->type, step.id),
                               {}},
                              where(step));
            if (!step.operation->full_url.empty() && !step.removes) {
                if (!full_urls_
                         .emplace(step.operation->full_url, step.operation->type + "/" + step.id)
                         .second) {
                    return placed(
                        {Category::incorrect, "two entries have the same fullUrl", "fullUrl"},
                        where(step));
                }
            }
        }
        // An entry whose fullUrl is already its final address needs no rewriting.
        std::erase_if(full_urls_, [](const auto& pair) { return pair.first == pair.second; });
        return {};
    }

    Result<void> make_ready(Step& step) {
        rewrite_full_urls(*step.document, step.resource, full_urls_);
        if (transaction_.resolve_conditional_references &&
            has_conditional_references(step.resource)) {
            auto resolved = resolve_conditional_references(
                *step.document, step.resource,
                [&](std::string_view reference) { return resolve(reference); });
            if (!resolved) return placed(std::move(resolved).error(), where(step));
        }
        if (repository_.options().validate) TRY(validate(step));
        if (labels_ != nullptr) TRY(add_labels(step));
        if (repository_.options().inspect)
            TRY(inspect_files(step.resource, repository_.options().inspect));
        const bool creates = step.fresh || (is_limited() && !step.replaces);
        auto allowed =
            caller_.access->allow_write(creates ? store::Verb::create : store::Verb::update,
                                        step.operation->type, &step.resource);
        if (!allowed) return placed(std::move(allowed).error(), where(step));
        // The rows name the resource by its own id, whatever the client wrote there.
        if (step.resource.string_at("id") != step.id)
            step.document->set(step.resource, "id", step.document->string(step.id));
        step.encoded = TRY(
            repository_.encode(step.resource, step.operation->type, step.id, caller_.organisation));
        if (is_limited()) TRY(check_coming(step));
        auto kept = keep_labels(step);
        if (!kept) return placed(std::move(kept).error(), where(step));
        return {};
    }

    /// Whether the version that comes satisfies a condition.
    Result<bool> coming_satisfies(Step& step, const store::Condition& condition) {
        store::Change& change = step.encoded.change;
        search::Candidate candidate{change.identity, snapshot_->position() + 1,
                                    std::move(change.rows)};
        auto holds = search::holds(condition, candidate, *snapshot_);
        change.rows = std::move(candidate.rows);
        return holds;
    }

    // --- sensitivity labels (label_rule.hpp) ---

    /// The labels that the codes of a new resource ask for. One that had the code before and does
    /// not carry the label was let go by two people, or is older than the policy.
    Result<void> add_labels(Step& step) {
        auto missing = labels_->missing(step.resource);
        if (missing.empty()) return {};
        if (step.before) {
            const auto before = repository_.decode(*step.before);
            if (!before) return {};  // its person was erased
            const JsonDocument document = TRY(JsonDocument::parse(before->json));
            std::vector<LabelRule::Missing> old = labels_->missing(document.root());
            for (LabelRule::Label& label : labels_->labels(step.operation->type)) {
                if (TRY(was_so(step, std::move(label.carried))))
                    old.push_back({.name = label.name});
            }
            std::erase_if(missing, [&](const LabelRule::Missing& one) {
                return std::any_of(old.begin(), old.end(), [&](const LabelRule::Missing& other) {
                    return other.name == one.name;
                });
            });
        }
        add_security(*step.document, step.resource, missing);
        return {};
    }

    /// Refuses to lose a label that nobody else agreed to lose.
    Result<void> keep_labels(Step& step) {
        if (labels_ == nullptr || !step.before) return {};
        std::vector<LabelRule::Label> absent;
        for (LabelRule::Label& label : labels_->labels(step.operation->type)) {
            if (!TRY(coming_satisfies(step, label.carried))) absent.push_back(std::move(label));
        }
        // One question for what nearly always carries none.
        if (!TRY(was_so(step, any_carried(absent)))) {
            if (!step.if_version) expect_none(step, absent);
            return {};
        }
        step.if_version = step.before->deleted() || !step.before->current ? store::Version{0}
                                                                          : step.before->version;
        std::vector<std::string> lost;
        for (LabelRule::Label& label : absent) {
            if (TRY(was_so(step, std::move(label.carried)))) lost.push_back(std::move(label.name));
        }
        if (lost.empty()) return {};
        Consented consented =
            TRY(labels_->allow_removal(caller_, step.operation->type, step.id, lost));
        std::move(consented.rows.begin(), consented.rows.end(),
                  std::back_inserter(commit_.private_rows));
        std::move(consented.records.begin(), consented.records.end(),
                  std::back_inserter(consented_));
        return {};
    }

    /// The commit is stale when the resource has come to carry one of the labels by then.
    void expect_none(const Step& step, const std::vector<LabelRule::Label>& labels) {
        auto plan = std::make_shared<store::Plan>();
        plan->type = step.before->type;
        plan->limit = 1;
        store::AllOf both;
        both.parts.push_back(store::HasId{plan->type, {step.id}});
        both.parts.push_back(any_carried(labels));
        plan->where = std::move(both);
        commit_.expectations.push_back({std::move(plan), {}});
    }

    /// Whether what is there, or was last, satisfies a condition.
    Result<bool> was_so(const Step& step, store::Condition condition) {
        return step.before->current && !step.before->deleted()
                   ? repository_.satisfies(*snapshot_, {step.before->type, step.before->id},
                                           std::move(condition))
                   : repository_.satisfied(*snapshot_, *step.before, condition);
    }

    /// Whether the version that comes lies within what the caller may write.
    Result<void> check_coming(Step& step) {
        const auto verb = step.replaces ? store::Verb::update : store::Verb::create;
        if (TRY(coming_satisfies(
                step, caller_.access->writable(verb, step.encoded.change.identity.type))))
            return {};
        return placed({Category::forbidden,
                       fmt::format("you may not {} such a {}", step.replaces ? "make it" : "create",
                                   step.operation->type),
                       {}},
                      where(step));
    }

    Result<std::string> resolve(std::string_view reference) {
        const auto parsed = TRY(search::parse_conditional_reference(reference));
        if (!parsed) return std::string(reference);
        const auto plan =
            TRY(search::conditional_plan(*parameters_, repository_.store().names(), parsed->type,
                                         parsed->query, conditional_options()));
        auto matches = TRY(search::conditional_matches(*snapshot_, *plan));
        if (matches.size() != 1) {
            return fail(Category::precondition,
                        fmt::format("the conditional reference {} matches {}; it must select one",
                                    reference.substr(0, 80),
                                    matches.empty() ? "nothing" : "several resources"));
        }
        const auto found = TRY(snapshot_->fetch(matches));
        if (found.empty()) return fail(Category::fault, "a match has no current version");
        commit_.expectations.push_back({plan, std::move(matches)});
        return fmt::format("{}/{}", parsed->type, found.front().id);
    }

    Result<void> validate(Step& step) {
        std::vector<Issue> issues;
        validate_structure(step.resource, issues);
        if (has_errors(issues)) {
            Error error{Category::incorrect,
                        fmt::format("the {} breaks {} rule{} of FHIR R4", step.operation->type,
                                    issues.size(), issues.size() == 1 ? "" : "s"),
                        {},
                        nullptr};
            error.issues = std::make_shared<const std::vector<Issue>>(std::move(issues));
            return placed(std::move(error), where(step));
        }
        step.warnings = std::move(issues);
        return {};
    }

    Result<void> gather() {
        commit_.actor = repository_.store().names().intern(store::NameKind::actor, caller_.actor);
        for (Step& step : steps_) {
            if (!step.writes) {
                TRY(tell(step, step.id, std::nullopt));
                continue;
            }
            if (!step.removes) {
                store::Change change = std::move(step.encoded.change);
                change.verb = store::Verb::update;
                change.fresh = step.fresh;
                change.if_version = step.if_version;
                commit_.changes.push_back(std::move(change));
                TRY(tell(step, step.id, commit_.changes.size() - 1));
                continue;
            }
            auto allowed =
                caller_.access->allow_write(store::Verb::remove, step.operation->type, nullptr);
            if (!allowed) return placed(std::move(allowed).error(), where(step));
            TRY(gather_removal(step, step.id, step.if_version));
            for (const Step::Further& further : step.also_removed)
                TRY(gather_removal(step, further.id, further.if_version));
        }
        // Nothing rests on them then.
        if (commit_.changes.empty()) commit_.expectations.clear();
        return tell_consented();
    }

    /// Adds what the audit is to hear of approvals that the commit uses up.
    Result<void> tell_consented() {
        if (!is_audited_) return {};
        for (const AuditRecord& record : consented_) {
            for (store::AuditEntry& entry :
                 TRY(repository_.options().audit->entries(caller_, record)))
                commit_.audit.push_back(std::move(entry));
        }
        return {};
    }

    /// Adds the audit's entry of a step that writes the change at `index` of the commit, or none.
    Result<void> tell(const Step& step, const std::string& id, std::optional<std::size_t> index) {
        if (!is_audited_) return {};
        AuditRecord record = record_of(*step.operation);
        record.id = id;
        if (index && !step.removes) {
            for (const store::Identity& patient : commit_.changes[*index].rows.compartments)
                record.add_patient(patient.id);
        }
        if (index && step.removes) {
            const auto before =
                TRY(snapshot_->find({parameters_->type_name(step.operation->type), id}));
            // One that cannot be opened any more may still be removed; the store adds whom it
            // concerned to the index.
            if (before && !before->deleted()) {
                if (const auto removed = repository_.decode(*before))
                    record.add_patients_of(removed->type, removed->id, removed->json,
                                           repository_.base_url());
            }
        }
        for (store::AuditEntry& entry :
             TRY(repository_.options().audit->entries(caller_, record))) {
            entry.change = index;
            commit_.audit.push_back(std::move(entry));
        }
        return {};
    }

    Result<void> gather_removal(const Step& step, const std::string& id,
                                std::optional<store::Version> if_version) {
        store::Change change;
        change.verb = store::Verb::remove;
        change.identity = {parameters_->type_name(step.operation->type), id};
        change.if_version = if_version;
        commit_.changes.push_back(std::move(change));
        return tell(step, id, commit_.changes.size() - 1);
    }

    // --- what came of it ---

    Result<void> describe_untouched(Step& step, OperationResult& result) {
        result.effect = step.existing ? Effect::unchanged : Effect::nothing;
        result.resource.type = step.operation->type;
        result.resource.id = step.id;
        if (!step.existing) return {};
        result.resource = repository_.describe(*step.existing);
        if (transaction_.want_json)
            result.resource = TRY(repository_.show(caller_, *step.existing));
        return {};
    }

    Result<void> describe_written(const Step& step, const store::Receipt& receipt,
                                  const store::Written& written, OperationResult& result) const {
        Resource& resource = result.resource;
        resource.type = step.operation->type;
        resource.id = step.id;
        resource.version = written.version;
        resource.updated = receipt.at;
        resource.rid = written.rid;
        if (step.removes) {
            result.effect = written.existed ? Effect::removed : Effect::nothing;
            resource.deleted = true;
            return {};
        }
        result.effect = written.created ? Effect::created : Effect::updated;
        if (!transaction_.want_json) return {};
        store::compose(step.encoded.json, step.encoded.stamp_at, written.version, receipt.at,
                       resource.json);
        if (caller_.access->masks(resource.type))
            resource.json = TRY(caller_.access->masked(std::move(resource.json)));
        return {};
    }

    StoreRepository& repository_;
    const Caller& caller_;
    Transaction& transaction_;
    std::vector<std::string>& new_ids_;
    std::shared_ptr<const search::Parameters> parameters_;
    std::shared_ptr<const LabelRule> labels_;  ///< or null
    bool is_contended_;
    std::unique_ptr<store::Snapshot> snapshot_;
    std::optional<search::SnapshotTimeline> timeline_;
    std::vector<AuditRecord> consented_;
    bool is_audited_;
    std::vector<Step> steps_;
    FullUrls full_urls_;
    store::Commit commit_;
};

}  // namespace

Result<std::vector<OperationResult>> StoreRepository::commit(const Caller& caller,
                                                             Transaction transaction) {
    if (options_.audit->is_quiet()) return try_commit(caller, transaction);
    AuditRecord failed = record_of(transaction);
    auto results = try_commit(caller, transaction);
    if (results || is_of_the_store(results.error())) return results;
    failed.outcome = outcome_of(results.error());
    std::vector<AuditRecord> records;
    records.push_back(std::move(failed));
    TRY(note(caller, std::move(records)));
    return results;
}

Result<std::vector<OperationResult>> StoreRepository::try_commit(const Caller& caller,
                                                                 Transaction& transaction) {
    for (const Operation& operation : transaction.operations)
        TRY(refuse_audit_events(options_, operation.type));
    std::vector<std::string> new_ids(transaction.operations.size());
    for (unsigned attempt_number = 0; attempt_number < limits::commit_retries_max;
         ++attempt_number) {
        Attempt attempt(*this, caller, transaction, new_ids,
                        attempt_number >= commits_until_contended);
        TRY(store::with_names([&] { return attempt.decide(); }));
        store::Receipt receipt;
        if (!attempt.writes_nothing()) {
            store::Commit commit = attempt.take_commit();
            if (!TRY(options_.cipher->add_keys(commit))) continue;
            std::vector<store::PrivateRow> keys = commit.private_rows;
            std::erase_if(keys, [](const auto& row) { return row.space != store::space_of_keys; });
            receipt = TRY(store_.commit(std::move(commit)));
            options_.cipher->settle(keys, !receipt.stale);
            if (receipt.stale) continue;
        }
        return attempt.results(receipt);
    }
    return fail(Category::busy,
                "others kept changing the resources that this request depends on; try again");
}

Result<store::Change> StoreRepository::prepare(const Caller& caller, std::string_view type,
                                               std::string_view id, const Json& resource) {
    TRY(refuse_audit_events(options_, type));
    // A bulk load looks at nothing that is there, so there is nothing to be kept from.
    if (!caller.access->sees_everything() || !caller.access->writes_everything())
        return fail(Category::forbidden,
                    "a bulk load is for those who may read and write everything");
    if (!is_fhir_id(id))
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no id: expected 1 to 64 of A-Z a-z 0-9 - .", id.substr(0, 64)),
            "id");
    if (options_.validate) {
        std::vector<Issue> issues;
        validate_structure(resource, issues);
        if (has_errors(issues)) {
            Error error{Category::incorrect,
                        fmt::format("{}: {}", issues.front().path, issues.front().message),
                        {},
                        nullptr};
            error.issues = std::make_shared<const std::vector<Issue>>(std::move(issues));
            return std::unexpected(std::move(error));
        }
    }
    if (options_.inspect) TRY(inspect_files(resource, options_.inspect));
    TRY(caller.access->allow_write(store::Verb::update, type, &resource));
    JsonDocument own;
    Json named = resource;
    const auto labels = label_rule();
    const auto missing = labels ? labels->missing(resource) : std::vector<LabelRule::Missing>();
    if (resource.string_at("id") != id || !missing.empty()) {
        named = own.copy(resource);
        own.set(named, "id", own.string(id));
        add_security(own, named, missing);
    }
    Encoded encoded =
        TRY(store::with_names([&] { return encode(named, type, id, caller.organisation); }));
    encoded.change.verb = store::Verb::update;
    return std::move(encoded.change);
}

Result<void> StoreRepository::keep_labels(const std::vector<store::Change>& changes) {
    const auto rule = label_rule();
    if (!rule) return {};
    std::map<store::Name, std::vector<const store::Change*>> by_type;
    for (const store::Change& change : changes) {
        if (change.verb != store::Verb::remove) by_type[change.identity.type].push_back(&change);
    }
    const auto registry = parameters();
    const auto snapshot = TRY(store_.snapshot());
    for (const auto& [type, all] : by_type) TRY(keep_labels(*rule, *snapshot, type, all));
    return {};
}

Result<void> StoreRepository::keep_labels(const LabelRule& rule, store::Snapshot& snapshot,
                                          store::Name type,
                                          const std::vector<const store::Change*>& changes) {
    const std::string_view type_text = parameters()->type_text(type);
    const std::vector<LabelRule::Label> labels = rule.labels(type_text);
    store::Plan plan;
    plan.type = type;
    plan.limit = 1;
    plan.where = any_carried(labels);
    // Most types carry none at all.
    if (TRY(snapshot.search(plan)).rids.empty()) return {};
    store::HasId ids{type, {}};
    for (const store::Change* change : changes) ids.ids.push_back(change->identity.id);
    plan.limit = changes.size();
    store::AllOf both;
    both.parts.push_back(std::move(ids));
    both.parts.push_back(any_carried(labels));
    plan.where = std::move(both);
    const store::Matches labelled = TRY(snapshot.search(plan));
    if (labelled.rids.empty()) return {};
    for (const store::Stored& stored : TRY(snapshot.fetch(labelled.rids))) {
        const auto coming = std::find_if(
            changes.begin(), changes.end(),
            [&](const store::Change* change) { return change->identity.id == stored.id; });
        if (coming == changes.end()) continue;
        const search::Candidate candidate{(*coming)->identity, snapshot.position() + 1,
                                          (*coming)->rows};
        for (const LabelRule::Label& label : labels) {
            if (TRY(search::holds(label.carried, candidate, snapshot)) ||
                !TRY(satisfies(snapshot, {stored.type, stored.id}, search::clone(label.carried))))
                continue;
            return fail(Category::forbidden,
                        fmt::format("the load would take the label {} away from {}/{}, which needs "
                                    "two people ($lower-label): take it out, or label it",
                                    label.name, type_text, stored.id));
        }
    }
    return {};
}

Result<store::Receipt> StoreRepository::commit_prepared(const Caller& caller,
                                                        std::vector<store::Change> changes) {
    TRY(store::with_names([&] { return keep_labels(changes); }));
    store::Commit commit;
    commit.changes = std::move(changes);
    TRY(options_.cipher->keep_keys(commit.changes));
    commit.actor = TRY(store::with_names([&]() -> Result<store::Name> {
        return store_.names().intern(store::NameKind::actor, caller.actor);
    }));
    if (!options_.audit->is_quiet()) {
        // One for the batch: what it wrote stands right before it in the log.
        AuditRecord record{.interaction = Interaction::bulk_import,
                           .resources = static_cast<std::int64_t>(commit.changes.size())};
        std::unordered_set<std::string_view> patients;
        for (const store::Change& change : commit.changes) {
            for (const store::Identity& patient : change.rows.compartments) {
                if (patients.insert(patient.id).second) record.patients.push_back(patient.id);
            }
        }
        commit.audit =
            TRY(store::with_names([&] { return options_.audit->entries(caller, record); }));
    }
    return store_.commit(std::move(commit));
}

}  // namespace meridian::fhir
