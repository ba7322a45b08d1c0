// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/labels.hpp"

namespace meridian::trust::policy {

namespace {

constexpr std::string_view list_separator = ", ";

/// Visits each Coding of a node but those of `meta`. Depth is bounded by the parser.
void each_coding(const Json& node,
                 const std::function<void(std::string_view, std::string_view)>& visit) {
    for (const Json& item : node.items()) each_coding(item, visit);
    if (!node.is_object()) return;
    const std::string_view system = node.string_at("system");
    const std::string_view code = node.string_at("code");
    if (!system.empty() && !code.empty()) visit(system, code);
    for (const JsonMember& member : node.members()) {
        if (member.key != "meta") each_coding(member.value, visit);
    }
}

/// Whether "system|code" is the coding, or "system|co*" the beginning of it.
bool covers(std::string_view pattern, std::string_view system, std::string_view code) {
    if (!pattern.starts_with(system) || pattern.size() <= system.size() ||
        pattern[system.size()] != '|')
        return false;
    pattern.remove_prefix(system.size() + 1);
    if (!pattern.ends_with('*')) return pattern == code;
    pattern.remove_suffix(1);
    return code.starts_with(pattern);
}

std::pair<std::string_view, std::string_view> coded(std::string_view text) {
    const std::size_t bar = text.find('|');
    return {text.substr(0, bar), text.substr(bar + 1)};
}

class PolicyLabels final : public fhir::LabelRule {
 public:
    PolicyLabels(fhir::Repository& repository,
                 std::function<std::shared_ptr<const Policy>()> policy,
                 approvals::Approvals& approvals)
        : repository_(repository), policy_(std::move(policy)), approvals_(approvals) {}

    std::vector<Label> labels(std::string_view type) const override {
        const auto policy = policy_();
        const auto parameters = repository_.parameters();
        std::vector<Label> all;
        for (const auto& [name, codes] : policy->labels) {
            auto carried = carrying(*policy, name, *parameters, repository_.store().names(), type);
            if (carried) all.push_back({name, *std::move(carried)});
        }
        return all;
    }

    std::vector<Missing> missing(const Json& resource) const override {
        std::vector<Missing> all;
        const auto policy = policy_();
        if (policy->label_codes.empty() || !is_about_patients(resource.string_at("resourceType")))
            return all;
        std::set<std::string_view> asked;
        each_coding(resource, [&](std::string_view system, std::string_view code) {
            for (const auto& [label, patterns] : policy->label_codes) {
                if (asked.contains(label)) continue;
                if (std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
                        return covers(pattern, system, code);
                    }))
                    asked.insert(label);
            }
        });
        for (const std::string_view label : asked) {
            const auto& codes = policy->labels.find(label)->second;
            if (carries(resource, codes)) continue;
            const auto [system, code] = coded(codes.front());
            all.push_back({std::string(label), std::string(system), std::string(code)});
        }
        return all;
    }

    Result<fhir::Consented> allow_removal(const fhir::Caller& caller, std::string_view type,
                                          std::string_view id,
                                          const std::vector<std::string>& names) const override {
        fhir::Consented consented;
        if (!caller.origin) return consented;
        const std::string target = fmt::format("{}/{}", type, id);
        const auto stand = TRY(approvals_.standing(lower_label, target, caller.origin->account));
        std::set<std::string_view> used;
        for (const std::string& name : names) {
            const auto found =
                std::find_if(stand.begin(), stand.end(), [&](const approvals::Approval& one) {
                    return names_in(one.detail).contains(name);
                });
            if (found == stand.end())
                return fail(Category::forbidden,
                            fmt::format("{0} carries the sensitivity label {1}, which nobody takes "
                                        "away alone: ask with POST {0}/$lower-label (label, "
                                        "reason), have another person approve, and repeat this",
                                        target, name),
                            "meta.security");
            if (!used.insert(found->id).second) continue;
            auto use = TRY(approvals_.use_within_commit(caller, *found));
            consented.rows.push_back(std::move(use.row));
            consented.records.push_back(std::move(use.record));
        }
        return consented;
    }

 private:
    static bool carries(const Json& resource, const std::vector<std::string>& codes) {
        for (const Json& label : resource["meta"]["security"].items()) {
            for (const std::string& text : codes) {
                const auto [system, code] = coded(text);
                const std::string_view given = label.string_at("system");
                if (label.string_at("code") == code && (given.empty() || given == system))
                    return true;
            }
        }
        return false;
    }

    static std::set<std::string, std::less<>> names_in(std::string_view detail) {
        std::set<std::string, std::less<>> names;
        while (!detail.empty()) {
            const std::size_t end = std::min(detail.find(list_separator), detail.size());
            names.emplace(detail.substr(0, end));
            detail.remove_prefix(std::min(end + list_separator.size(), detail.size()));
        }
        return names;
    }

    fhir::Repository& repository_;
    std::function<std::shared_ptr<const Policy>()> policy_;
    approvals::Approvals& approvals_;
};

}  // namespace

Result<store::Condition> carrying(const Policy& policy, std::string_view label,
                                  const Parameters& parameters, const store::Names& names,
                                  std::string_view type) {
    const auto found = policy.labels.find(label);
    if (found == policy.labels.end())
        return fail(Category::not_found,
                    fmt::format("the policy has no label \"{}\"", label.substr(0, 60)));
    std::vector<Coded> codes;
    for (const std::string& text : found->second) {
        const auto [system, code] = coded(text);
        codes.push_back({std::string(system), std::string(code)});
        codes.push_back({"", std::string(code)});
    }
    return with_code(parameters, names, type, "_security", codes);
}

std::shared_ptr<const fhir::LabelRule> label_rule(
    fhir::Repository& repository, std::function<std::shared_ptr<const Policy>()> policy,
    approvals::Approvals& approvals) {
    return std::make_shared<PolicyLabels>(repository, std::move(policy), approvals);
}

std::string label_list(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return fmt::format("{}", fmt::join(names, list_separator));
}

std::optional<approvals::Kind> approval_kind(const Policy& policy, std::string_view name) {
    const auto found = policy.two_people.find(name);
    return found == policy.two_people.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace meridian::trust::policy
