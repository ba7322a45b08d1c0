// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
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
    /// What the includes lead to from `sources`; of those already seen nothing.
    Result<std::vector<store::Stored>> round(std::span<const store::Stored> sources,
                                             bool only_iterated) {
        std::map<Name, std::vector<Rid>> by_type;
        for (const auto& source : sources) by_type[source.type].push_back(source.rid);
        std::vector<Rid> fresh;
        for (const Include& include : query_.includes) {
            if (only_iterated && !include.iterate) continue;
            for (const auto& [type, rids] : by_type) {
                if (include.reverse) {
                    TRY(backward(include, type, rids, fresh));
                } else {
                    TRY(forward(include, type, rids, fresh));
                }
            }
        }
        if (fresh.empty()) return std::vector<store::Stored>{};
        return admitted(context_.snapshot, TRY(context_.snapshot.fetch(fresh)), access_);
    }

    void add(std::span<const Rid> rids, std::vector<Rid>& fresh) {
        for (const Rid rid : rids) {
            if (count_ >= limits::includes_max) {
                is_full_ = true;
                return;
            }
            if (!seen_.insert(rid).second) continue;
            fresh.push_back(rid);
            ++count_;
        }
    }

    Result<void> forward(const Include& include, Name type, const std::vector<Rid>& rids,
                         std::vector<Rid>& fresh) {
        const std::string_view source = context_.parameters.type_text(type);
        if (include.source_type != "*" && include.source_type != source) return {};
        const Name target =
            include.target_type.empty() ? 0 : context_.parameters.type_name(include.target_type);
        Name param = 0;
        if (include.code != "*") {
            const Parameter* parameter = context_.parameters.find(source, include.code);
            if (parameter == nullptr) return {};
            param = parameter->name;
        }
        add(TRY(context_.snapshot.targets(rids, param, target)), fresh);
        return {};
    }

    Result<void> backward(const Include& include, Name type, const std::vector<Rid>& rids,
                          std::vector<Rid>& fresh) {
        if (!include.target_type.empty() &&
            context_.parameters.type_name(include.target_type) != type)
            return {};
        const std::string_view target = context_.parameters.type_text(type);
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
            }
        }
        return {};
    }

    const RunContext& context_;
    const Query& query_;
    const AccessFilter& access_;
    std::unordered_set<Rid> seen_;
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
