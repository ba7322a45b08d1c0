// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/run.hpp"

/// _include and _revinclude: https://hl7.org/fhir/R4/search.html#include
namespace meridian::fhir::search {
namespace {

using store::Name;
using store::Rid;

class Includer {
 public:
    Includer(const RunContext& context, const Query& query, const AccessFilter& access)
        : context_(context), query_(query), access_(access) {}

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
        std::vector<store::Stored> found;
        if (!fresh.rids.empty()) found = TRY(context_.snapshot.fetch(fresh.rids));
        std::move(fresh.versions.begin(), fresh.versions.end(), std::back_inserter(found));
        return admitted(context_.snapshot, std::move(found), access_);
    }

    bool has_room() {
        is_full_ = is_full_ || count_ >= limits::includes_max;
        return !is_full_;
    }
    void add(std::span<const Rid> rids, Fresh& fresh) {
        for (const Rid rid : rids) {
            if (!has_room()) return;
            if (!seen_.insert(rid).second) continue;
            fresh.rids.push_back(rid);
            ++count_;
        }
    }
    void add_version(store::Stored version, Fresh& fresh) {
        if (!has_room() || !seen_versions_.emplace(version.rid, version.version).second) return;
        fresh.versions.push_back(std::move(version));
        ++count_;
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
        if (!by_rows.empty()) add(TRY(context_.snapshot.targets(by_rows, param, target)), fresh);
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
            if (parameter.type != type || (include.code != "*" && include.code != parameter.code))
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
            for (const Parameter* parameter : context_.parameters.list(source)) {
                if (parameter->kind != SearchType::reference || !parameter->can_lead_to(target))
                    continue;
                if (include.code != "*" && include.code != parameter->code) continue;
                if (is_full_) return {};
                add(TRY(context_.snapshot.sources(rids, parameter->name,
                                                  limits::includes_max - count_ + 1)),
                    fresh);
                if (include.code != "*" && parameter->may_be_canonical() && context_.read)
                    TRY(backward_by_canonical(*parameter, matches, fresh));
            }
        }
        return {};
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
        add(TRY(context_.snapshot.search(plan)).rids, fresh);
        return {};
    }

    const RunContext& context_;
    const Query& query_;
    const AccessFilter& access_;
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
        store::Conditions both;
        both.push_back(std::move(ids));
        both.push_back(access.visible(type));
        plan.where = store::AllOf{std::move(both)};
        const store::Matches matches = TRY(snapshot.search(plan));
        visible.insert(matches.rids.begin(), matches.rids.end());
    }
    std::erase_if(stored, [&](const store::Stored& one) { return !visible.contains(one.rid); });
    return stored;
}

}  // namespace meridian::fhir::search
