// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/caller.hpp"
#include "store/plan.hpp"
#include "store/store.hpp"

namespace meridian::fhir {

/// What goes into the commit of a change that somebody had to agree to: written with it or not at
/// all.
struct Consented {
    std::vector<store::PrivateRow> rows{};
    std::vector<AuditRecord> records{};
};

/// Sensitivity labels (meta.security): which there are, which ones a resource gets by its codes,
/// and that none is lost by the word of one person. trust/ makes it of the policy. Thread-safe.
class LabelRule {
 public:
    struct Label {
        std::string name{};          ///< e.g. "psychiatry"
        store::Condition carried{};  ///< holds for the resources that carry it
    };
    virtual ~LabelRule() = default;
    /// The labels as conditions on resources of a type. Errors: none; a label that cannot be
    /// carried is left out. Blocking: never.
    virtual std::vector<Label> labels(std::string_view type) const = 0;
    /// The labels that a resource has to carry by its codes and does not, as codings to be added to
    /// its meta.security. Blocking: never.
    struct Missing {
        std::string name{}, system{}, code{};
    };
    virtual std::vector<Missing> missing(const Json& resource) const = 0;
    /// Whether the caller may take these labels away from a resource. Errors: `forbidden` with what
    /// has to be done first; `unavailable`. Blocking: look-ups.
    virtual Result<Consented> allow_removal(const Caller& caller, std::string_view type,
                                            std::string_view id,
                                            const std::vector<std::string>& names) const = 0;
};

}  // namespace meridian::fhir
