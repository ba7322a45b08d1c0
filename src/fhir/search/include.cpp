// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/holds.hpp"
#include "fhir/search/run.hpp"

/// _include and _revinclude: https://hl7.org/fhir/R4/search.html#include
namespace meridian::fhir::search {
namespace {

using store::Name;
using store::Rid;

class Includer {
 public:
    Includer(const RunContext& context, const Query& query, const AccessFilter& access)
        : context_(context),
          query_(query),
          access_(access),
          is_limited_(!access.sees_everything()) {}

    Result<std::vector<store::Stored>> all(std::span<const store::Stored> matches,
                                           std::vector<Issue>& warnings) {
        for (const auto& match : matches) seen_.insert(match.rid);
        std::vector<store::Stored> found = TRY(round(matches, false));
        std::size_t from = 0;
        for (unsigned depth = 0;
             depth < limits::include_depth_max && from < found.size() && !is_full_; ++depth) {
            const std::size_t end = found.size();
            auto more = TRY(round(std::span(found).subspan(from), true));
            from = end;
            std::move(more.begin(), more.end(), std::back_inserter(found));
        }
        if (is_full_) {
            warnings.push_back(
                {Severity::warning, "too-costly",
                 fmt::format("more than {} resources would be included: the rest was left out",
                             limits::includes_max),
                 "_include"});
        }
        return found;
    }

 private:
    using Sources = std::vector<const store::Stored*>;
    /// What one round leads to.
    struct Fresh {
        std::vector<Rid> rids;                ///< current versions
        std::vector<store::Stored> versions;  ///< those that a reference asks for by number
    };

    /// What the includes lead to from `sources`; of those already seen nothing.
    Result<std::vector<store::Stored>> round(std::span<const store::Stored> sources,
                                             bool only_iterated) {
        std::map<Name, Sources> by_type;
        for (const auto& source : sources) by_type[source.type].push_back(&source);
        Fresh fresh;
        for (const auto& [type, of_type] : by_type) {
            std::optional<std::unordered_set<Rid>> in_full;
            for (const Include& include : query_.includes) {
                if (only_iterated && !include.iterate) continue;
                if (include.reverse) {
                    TRY(backward(include, type, of_type, fresh));
                    continue;
                }
                if (!in_full) in_full = TRY(read_in_full(type, of_type));
                TRY(forward(include, type, of_type, *in_full, fresh));
            }
        }
        if (is_limited_) return visible_of(fresh);
        std::vector<store::Stored> found;
        if (!fresh.rids.empty()) found = TRY(context_.snapshot.fetch(fresh.rids));
        std::move(fresh.versions.begin(), fresh.versions.end(), std::back_inserter(found));
        return found;
    }

    /// What the caller may see of a round. Only that counts against the bound: what is hidden must
    /// not take the place of anything.
    Result<std::vector<store::Stored>> visible_of(Fresh& fresh) {
        std::vector<store::Stored> found;
        const auto take = [&](std::vector<store::Stored> visible) {
            for (store::Stored& one : visible) {
                is_full_ = is_full_ || count_ >= limits::includes_max;
                if (is_full_) return;
                found.push_back(std::move(one));
                ++count_;
            }
        };
        const std::span<const Rid> rids(fresh.rids);
        for (std::size_t from = 0; from < rids.size() && !is_full_; from += limits::includes_max) {
            const std::size_t size = std::min(limits::includes_max, rids.size() - from);
            take(TRY(admitted(context_.snapshot,
                              TRY(context_.snapshot.fetch(rids.subspan(from, size))), access_)));
        }
        for (store::Stored& version : fresh.versions) {
            if (!is_full_ && TRY(sees_version(version))) take({std::move(version)});
        }
        // Not in the order of row ids, on which what is hidden has a say (docs/adr/0033).
        std::ranges::stable_sort(found, [&](const store::Stored& a, const store::Stored& b) {
            return std::pair(context_.parameters.type_text(a.type), std::string_view(a.id)) <
                   std::pair(context_.parameters.type_text(b.type), std::string_view(b.id));
        });
        return found;
    }

    /// An older version must satisfy the filter itself, and so must the newest.
    Result<bool> sees_version(const store::Stored& version) {
        const auto newest = TRY(context_.snapshot.find({version.type, version.id}));
        if (!newest || newest->deleted() ||
            TRY(admitted(context_.snapshot, {*newest}, access_)).empty())
            return false;
        const JsonDocument document = TRY(JsonDocument::parse(TRY(context_.read(version))));
        Candidate candidate{{version.type, version.id}, version.position, {}};
        candidate.rows = extract(context_.parameters, context_.parameters.type_text(version.type),
                                 document.root(), *context_.names, {.base_url = context_.base_url});
        return holds(access_.visible(version.type), candidate, context_.snapshot);
    }

    /// Whether a wildcard may follow this parameter; one that is named was checked when it was
    /// read.
    bool may_follow(const Parameter& parameter) const {
        return !is_limited_ || access_.allow_parameter(parameter.type, parameter.code).has_value();
    }

    bool has_room() {
        if (is_limited_) return true;
        is_full_ = is_full_ || count_ >= limits::includes_max;
        return !is_full_;
    }
    void add(std::span<const Rid> rids, Fresh& fresh) {
        for (const Rid rid : rids) {
            if (!has_room()) return;
            if (!seen_.insert(rid).second) continue;
            fresh.rids.push_back(rid);
            if (!is_limited_) ++count_;
        }
    }
    void add_version(store::Stored version, Fresh& fresh) {
        if (!has_room() || !seen_versions_.emplace(version.rid, version.version).second) return;
        fresh.versions.push_back(std::move(version));
        if (!is_limited_) ++count_;
    }

    /// The sources whose rows do not tell all: those with a reference to a certain version, and
    /// those that are an older version themselves.
    Result<std::unordered_set<Rid>> read_in_full(Name type, const Sources& sources) {
        std::unordered_set<Rid> rids;
        if (!context_.read || context_.names == nullptr) return rids;
        store::HasId ids{type, {}};
        for (const store::Stored* source : sources) {
            ids.ids.push_back(source->id);
            if (!source->current) rids.insert(source->rid);
        }
        const Name marker = context_.names->find(
            store::NameKind::parameter, versioned_marker(context_.parameters.type_text(type)));
        if (marker == 0) return rids;
        store::Plan plan;
        plan.type = type;
        plan.limit = sources.size();
        store::Conditions both;
        both.push_back(std::move(ids));
        both.push_back(store::HasToken{marker, {1}});
        plan.where = store::AllOf{std::move(both)};
        for (const Rid rid : TRY(context_.snapshot.search(plan)).rids) rids.insert(rid);
        return rids;
    }

    Result<void> forward(const Include& include, Name type, const Sources& sources,
                         const std::unordered_set<Rid>& in_full, Fresh& fresh) {
        const std::string_view source_type = context_.parameters.type_text(type);
        if (include.source_type != "*" && include.source_type != source_type) return {};
        const Name target =
            include.target_type.empty() ? 0 : context_.parameters.type_name(include.target_type);
        Name param = 0;
        bool is_canonical = false;
        if (include.code != "*") {
            const Parameter* parameter = context_.parameters.find(source_type, include.code);
            if (parameter == nullptr) return {};
            param = parameter->name;
            is_canonical = parameter->may_be_canonical() && context_.read != nullptr;
        }
        std::vector<Rid> by_rows;
        for (const store::Stored* source : sources) {
            if (is_canonical || in_full.contains(source->rid)) {
                TRY(forward_in_full(include, *source, target, fresh));
            } else {
                by_rows.push_back(source->rid);
            }
        }
        if (by_rows.empty()) return {};
        if (include.code != "*" || !is_limited_) {
            add(TRY(context_.snapshot.targets(by_rows, param, target)), fresh);
            return {};
        }
        for (const Parameter* parameter : context_.parameters.list(source_type)) {
            if (parameter->kind == SearchType::reference && may_follow(*parameter))
                add(TRY(context_.snapshot.targets(by_rows, parameter->name, target)), fresh);
        }
        return {};
    }

    /// Follows the references as the body holds them.
    Result<void> forward_in_full(const Include& include, const store::Stored& source, Name target,
                                 Fresh& fresh) {
        const std::string_view type = context_.parameters.type_text(source.type);
        const JsonDocument document = TRY(JsonDocument::parse(TRY(context_.read(source))));
        std::vector<FoundReference> references;
        extract(context_.parameters, type, document.root(), *context_.names,
                {.base_url = context_.base_url, .references = &references});
        for (const FoundReference& found : references) {
            const Parameter& parameter = *found.parameter;
            if (parameter.type != type ||
                (include.code == "*" ? !may_follow(parameter) : include.code != parameter.code))
                continue;
            const auto identity =
                reference_identity(context_.parameters, found.text, context_.base_url);
            if (!identity) continue;
            if (identity->type == 0) {
                // A wildcard follows what its rows tell, and canonicals are no such rows.
                if (include.code != "*" && parameter.may_be_canonical())
                    TRY(add_canonical(parameter, found.text, include.target_type, fresh));
                continue;
            }
            if (target != 0 && identity->type != target) continue;
            const store::Version version = reference_version(found.text);
            if (version == 0) {
                const Rid rid = TRY(context_.snapshot.rid_of(*identity));
                if (rid != 0) add({{rid}}, fresh);
                continue;
            }
            auto stored = TRY(context_.snapshot.find_version(*identity, version));
            if (!stored || stored->deleted()) continue;
            if (stored->current) {
                add({{stored->rid}}, fresh);
            } else {
                add_version(*std::move(stored), fresh);
            }
        }
        return {};
    }

    /// The resources that a canonical "url" or "url|version" names.
    Result<void> add_canonical(const Parameter& parameter, std::string_view text,
                               std::string_view target_type, Fresh& fresh) {
        text = text.substr(0, text.find('#'));
        const std::size_t bar = text.find('|');
        for (const auto& target : canonical_targets(parameter)) {
            if (!target_type.empty() && target != target_type) continue;
            store::Plan plan;
            plan.type = context_.parameters.type_name(target);
            plan.limit = limits::includes_max - count_ + 1;
            store::Conditions both;
            both.push_back(store::HasUri{context_.parameters.find(target, "url")->name, false,
                                         std::string(text.substr(0, bar))});
            if (bar != std::string_view::npos)
                both.push_back(TRY(version_is(target, text.substr(bar + 1))));
            plan.where = store::AllOf{std::move(both)};
            if (is_limited_)
                plan.where = admitted_by(access_.visible(plan.type), std::move(plan.where));
            add(TRY(context_.snapshot.search(plan)).rids, fresh);
        }
        return {};
    }

    Result<store::Condition> version_is(std::string_view target, std::string_view version) {
        std::string escaped;
        for (const char c : version) {
            if (c == ',' || c == '\\' || c == '|' || c == '$') escaped += '\\';
            escaped += c;
        }
        Query asked = TRY(parse(context_.parameters, *context_.names, target,
                                {{"version", escaped}}, ParseOptions{}));
        return std::move(asked.types.front().where);
    }

    /// The types that a canonical of this parameter can name.
    std::vector<std::string> canonical_targets(const Parameter& parameter) const {
        std::vector<std::string> targets;
        for (const Type* known : definitions().resources()) {
            const std::string type(known->name);
            if (parameter.can_lead_to(type) && context_.parameters.find(type, "url") != nullptr &&
                context_.parameters.find(type, "version") != nullptr)
                targets.push_back(type);
        }
        return targets;
    }

    Result<void> backward(const Include& include, Name type, const Sources& matches, Fresh& fresh) {
        if (!include.target_type.empty() &&
            context_.parameters.type_name(include.target_type) != type)
            return {};
        const std::string_view target = context_.parameters.type_text(type);
        std::vector<Rid> rids;
        for (const store::Stored* match : matches) rids.push_back(match->rid);
        std::vector<std::string_view> sources;
        if (include.source_type != "*") {
            sources.push_back(include.source_type);
        } else {
            for (const Type* known : definitions().resources()) sources.push_back(known->name);
        }
        for (const auto source : sources) {
            std::vector<const Parameter*> followed;
            for (const Parameter* parameter : context_.parameters.list(source)) {
                if (parameter->kind != SearchType::reference || !parameter->can_lead_to(target))
                    continue;
                if (include.code == "*" ? !may_follow(*parameter) : include.code != parameter->code)
                    continue;
                followed.push_back(parameter);
            }
            if (is_limited_ && !followed.empty() && !is_full_)
                add(TRY(visible_sources(followed, matches)), fresh);
            for (const Parameter* parameter : followed) {
                if (is_full_) return {};
                if (!is_limited_)
                    add(TRY(context_.snapshot.sources(rids, parameter->name,
                                                      limits::includes_max - count_ + 1)),
                        fresh);
                if (include.code != "*" && parameter->may_be_canonical() && context_.read)
                    TRY(backward_by_canonical(*parameter, matches, fresh));
            }
        }
        return {};
    }

    /// The resources of one type that refer to one of `matches` by one of the parameters and that
    /// the caller may see; so many that the bound is met by them alone. One search for all
    /// parameters: it goes through what the caller may see.
    Result<std::vector<Rid>> visible_sources(std::span<const Parameter* const> parameters,
                                             const Sources& matches) {
        store::Plan plan;
        plan.type = context_.parameters.type_name(parameters.front()->type);
        plan.limit = limits::includes_max - count_ + 1;
        store::AnyOf any;
        for (const Parameter* parameter : parameters) {
            store::HasReference refers{parameter->name, {}};
            for (const store::Stored* match : matches)
                refers.targets.push_back({match->type, match->id});
            any.parts.push_back(std::move(refers));
        }
        plan.where =
            any.parts.size() == 1 ? std::move(any.parts.front()) : store::Condition(std::move(any));
        plan.where = admitted_by(access_.visible(plan.type), std::move(plan.where));
        std::vector<Rid> found;
        // What was met before is found again, and is none of those that are still wanted.
        while (true) {
            const store::Matches some = TRY(context_.snapshot.search(plan));
            for (const Rid rid : some.rids) {
                if (!seen_.contains(rid)) found.push_back(rid);
            }
            if (!some.more || found.size() >= plan.limit) return found;
            plan.after = some.rids.back();
        }
    }

    /// The resources that name one of `matches` by its canonical URL.
    Result<void> backward_by_canonical(const Parameter& parameter, const Sources& matches,
                                       Fresh& fresh) {
        std::vector<Canonical> canonicals;
        for (const store::Stored* match : matches) {
            const JsonDocument document = TRY(JsonDocument::parse(TRY(context_.read(*match))));
            const std::string_view url = document.root().string_at("url");
            if (!url.empty())
                canonicals.push_back(
                    {std::string(url), std::string(document.root().string_at("version"))});
        }
        if (canonicals.empty()) return {};
        store::Plan plan;
        plan.type = context_.parameters.type_name(parameter.type);
        plan.limit = limits::includes_max - count_ + 1;
        plan.where = names_canonical(parameter, canonicals);
        if (is_limited_)
            plan.where = admitted_by(access_.visible(plan.type), std::move(plan.where));
        add(TRY(context_.snapshot.search(plan)).rids, fresh);
        return {};
    }

    const RunContext& context_;
    const Query& query_;
    const AccessFilter& access_;
    const bool is_limited_;
    std::unordered_set<Rid> seen_;
    std::set<std::pair<Rid, store::Version>> seen_versions_;
    std::size_t count_ = 0;
    bool is_full_ = false;
};

}  // namespace

Result<std::vector<store::Stored>> included(const RunContext& context, const Query& query,
                                            std::span<const store::Stored> matches,
                                            const AccessFilter& access,
                                            std::vector<Issue>& warnings) {
    if (query.includes.empty() || matches.empty()) return std::vector<store::Stored>{};
    return Includer(context, query, access).all(matches, warnings);
}

Result<std::vector<store::Stored>> admitted(store::Snapshot& snapshot,
                                            std::vector<store::Stored> stored,
                                            const AccessFilter& access) {
    if (access.sees_everything() || stored.empty()) return stored;
    std::map<Name, store::HasId> by_type;
    for (const auto& one : stored) {
        store::HasId& ids = by_type.try_emplace(one.type, store::HasId{one.type, {}}).first->second;
        ids.ids.push_back(one.id);
    }
    std::unordered_set<Rid> visible;
    for (auto& [type, ids] : by_type) {
        store::Plan plan;
        plan.type = type;
        plan.limit = ids.ids.size();
        plan.where = admitted_by(access.visible(type), std::move(ids));
        const store::Matches matches = TRY(snapshot.search(plan));
        visible.insert(matches.rids.begin(), matches.rids.end());
    }
    std::erase_if(stored, [&](const store::Stored& one) { return !visible.contains(one.rid); });
    return stored;
}

}  // namespace meridian::fhir::search
