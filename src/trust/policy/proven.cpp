// SPDX-License-Identifier: Apache-2.0
#include "trust/policy/proven.hpp"

#include "trust/sessions/fresh_proof.hpp"

namespace meridian::trust::policy {

namespace {

using fhir::AccessFilter;
using fhir::Right;
using store::Condition;

/// Every member of AccessFilter is passed on: what the base class would answer instead is less than
/// what was decided.
class Proven final : public AccessFilter {
 public:
    Proven(std::shared_ptr<const AccessFilter> decided, const Subject& subject,
           const FreshProof& wanted)
        : decided_(std::move(decided)), wanted_(wanted) {
        proof_.authenticated_at = subject.authenticated_at;
        proof_.methods = subject.methods;
    }

    Result<void> allow(Right right, std::string_view type) const override {
        TRY(decided_->allow(right, type));
        // After the right itself: who may not export at all is not sent to prove anything.
        if (right == Right::bulk_export) TRY(require_recent(proof_, wanted_.bulk_export, now()));
        return {};
    }
    Result<void> allow_write(store::Verb verb, std::string_view type,
                             const Json* resource) const override {
        TRY(decided_->allow_write(verb, type, resource));
        if (type == "MedicationRequest" && verb != store::Verb::remove)
            TRY(require_recent(proof_, wanted_.prescription, now()));
        return {};
    }

    Condition visible(store::Name type) const override { return decided_->visible(type); }
    Condition searchable(store::Name type) const override { return decided_->searchable(type); }
    bool sees_everything() const override { return decided_->sees_everything(); }
    Condition writable(store::Verb verb, store::Name type) const override {
        return decided_->writable(verb, type);
    }
    bool writes_everything() const override { return decided_->writes_everything(); }
    Result<void> allow_parameter(std::string_view type, std::string_view code) const override {
        return decided_->allow_parameter(type, code);
    }
    bool masks(std::string_view type) const override { return decided_->masks(type); }
    Result<std::string> masked(std::string json) const override {
        return decided_->masked(std::move(json));
    }
    std::string key() const override { return decided_->key(); }

 private:
    std::shared_ptr<const AccessFilter> decided_;
    FreshProof wanted_;
    Subject proof_{};  ///< when and how, and nothing else
};

}  // namespace

std::shared_ptr<const fhir::AccessFilter> with_fresh_proof(
    std::shared_ptr<const fhir::AccessFilter> decided, const Subject& subject,
    const FreshProof& wanted) {
    if (subject.role == Role::system_client) return decided;
    return std::make_shared<const Proven>(std::move(decided), subject, wanted);
}

}  // namespace meridian::trust::policy
