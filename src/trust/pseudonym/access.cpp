// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/access.hpp"

#include "trust/policy/filter.hpp"
#include "trust/seal.hpp"

namespace meridian::trust::pseudonym {

namespace {

std::unexpected<Error> read_only() {
    return fail(Category::forbidden, "what a project shows can be read and searched only");
}

class MemberAccess final : public fhir::AccessFilter {
 public:
    MemberAccess(std::shared_ptr<const fhir::AccessFilter> inner, std::string project)
        : inner_(std::move(inner)), project_(std::move(project)) {}

    store::Condition visible(store::Name type) const override { return inner_->visible(type); }
    store::Condition searchable(store::Name type) const override {
        return inner_->searchable(type);
    }
    bool sees_everything() const override { return false; }
    Result<void> allow(fhir::Right right, std::string_view type) const override {
        if (right != fhir::Right::read && right != fhir::Right::search &&
            right != fhir::Right::operation)
            return read_only();
        return inner_->allow(right, type);
    }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return read_only();
    }
    store::Condition writable(store::Verb, store::Name) const override { return store::Nothing{}; }
    bool writes_everything() const override { return false; }
    Result<void> allow_parameter(std::string_view type, std::string_view code) const override {
        if (code == "_lastUpdated")
            return fail(Category::forbidden, "a project does not tell when something was written",
                        std::string(code));
        return inner_->allow_parameter(type, code);
    }
    bool masks(std::string_view) const override { return true; }
    Result<std::string> masked(std::string json) const override {
        JsonDocument document = TRY(JsonDocument::parse(json));
        if (Json* meta = document.root().find_mutable("meta"))
            document.remove(*meta, "lastUpdated");
        return to_text(document.root());
    }
    std::string key() const override {
        return fmt::format("project {}|{}", project_, inner_->key());
    }

 private:
    std::shared_ptr<const fhir::AccessFilter> inner_;
    std::string project_;
};

class ViewAudit final : public fhir::AuditSink {
 public:
    explicit ViewAudit(fhir::AuditSink& into) : into_(into) {}
    bool is_quiet() const override { return false; }
    Result<void> record(const fhir::Caller& caller,
                        std::vector<fhir::AuditRecord> records) override {
        // Pseudonyms are nobody's in the index of patients.
        for (fhir::AuditRecord& record : records) record.patients.clear();
        return into_.record(caller, std::move(records));
    }
    Result<std::vector<store::AuditEntry>> entries(const fhir::Caller&,
                                                   const fhir::AuditRecord&) override {
        return std::vector<store::AuditEntry>();
    }

 private:
    fhir::AuditSink& into_;
};

class ViewCipher final : public fhir::Cipher {
 public:
    explicit ViewCipher(const SecretKey& key) : key_(key) {}
    Result<std::string> seal(const Home&, const store::Identity& resource,
                             std::string bytes) const override {
        return trust::seal(key_, context(resource.type, resource.id), bytes);
    }
    Result<std::string> open(const store::Stored& stored) const override {
        return unseal(key_, context(stored.type, stored.id), stored.body);
    }
    bool is_plain() const override { return false; }
    bool opens_at_once(const store::Stored&) const override { return true; }

 private:
    static std::string context(store::Name type, std::string_view id) {
        return fmt::format("{}/{}", type, id);
    }
    SecretKey key_;
};

}  // namespace

Result<fhir::Caller> member_caller(fhir::Repository& view, const Project& project,
                                   std::shared_ptr<const policy::Policy> reading, Subject subject) {
    if (subject.purpose.empty()) subject.purpose = project.purpose;
    fhir::Caller caller;
    caller.actor =
        subject.person.empty() ? fmt::format("Device/{}", subject.account) : subject.person;
    caller.organisation = subject.organisation;
    caller.purpose = subject.purpose;
    auto origin = std::make_shared<fhir::Origin>();
    origin->account = subject.account;
    origin->role = name_of(subject.role);
    origin->client = subject.client;
    origin->session = subject.session;
    origin->policy_version = reading->version();
    origin->clause = fmt::format("project {}", project.id);
    caller.origin = std::move(origin);
    caller.access = std::make_shared<MemberAccess>(
        TRY(policy::make_filter(view, std::move(reading), subject, nullptr)), project.id);
    return caller;
}

std::shared_ptr<fhir::AuditSink> view_audit(fhir::AuditSink& into) {
    return std::make_shared<ViewAudit>(into);
}

std::shared_ptr<const fhir::Cipher> view_cipher(const Project& project) {
    return std::make_shared<ViewCipher>(derive_key(project.secret, "bodies"));
}

}  // namespace meridian::trust::pseudonym
