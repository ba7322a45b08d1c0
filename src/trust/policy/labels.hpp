// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "fhir/label_rule.hpp"
#include "fhir/repository.hpp"
#include "trust/approvals/approvals.hpp"
#include "trust/policy/policy.hpp"
#include "trust/policy/relations.hpp"

namespace meridian::trust::policy {

/// The approval that lets a label go: asked for Type/ID, its detail the labels' names.
inline constexpr std::string_view lower_label = "lower-label";

/// Resources of a type that carry a label of the policy, with or without its codes' system: a label
/// that was written without it is meant all the same. Errors: as with_code; `not_found` for a label
/// that the policy does not have.
Result<store::Condition> carrying(const Policy& policy, std::string_view label,
                                  const Parameters& parameters, const store::Names& names,
                                  std::string_view type);

/// The policy's labels as the Repository keeps them: new resources about patients get those of
/// their codes ([label_codes]), and one is taken away only where an approval (lower_label) of
/// another person stands, which the change uses up. What the server writes itself, without an
/// account, is not asked. `policy` is asked anew each time; everything must outlive the result.
std::shared_ptr<const fhir::LabelRule> label_rule(
    fhir::Repository& repository, std::function<std::shared_ptr<const Policy>()> policy,
    approvals::Approvals& approvals);

/// The names as an approval's detail holds them, in one order.
std::string label_list(std::vector<std::string> names);

/// The part of a policy that approvals are made by; nothing for a kind that it does not have.
std::optional<approvals::Kind> approval_kind(const Policy& policy, std::string_view name);

}  // namespace meridian::trust::policy
