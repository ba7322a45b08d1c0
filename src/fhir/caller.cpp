// SPDX-License-Identifier: Apache-2.0
#include "fhir/caller.hpp"

#include "base/ids.hpp"

namespace meridian::fhir {

namespace {

constexpr std::size_t fhir_id_bytes_max = 64;  // FHIR R4 §2.24.0.1, id
/// More than a sink keeps of one answer (trust::audit), so that it sees that there were more.
constexpr std::size_t audited_patients_max = 2'000;

class PermitAll final : public AccessFilter {
 public:
    store::Condition visible(store::Name) const override { return store::Everything{}; }
    bool sees_everything() const override { return true; }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return {};
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }
};

class PermitNothing final : public AccessFilter {
 public:
    store::Condition visible(store::Name) const override { return store::Nothing{}; }
    bool sees_everything() const override { return false; }
    Result<void> allow(Right, std::string_view) const override {
        return fail(Category::forbidden, "nobody may do this without signing in");
    }
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return fail(Category::forbidden, "nobody may write without signing in");
    }
    store::Condition writable(store::Verb, store::Name) const override { return store::Nothing{}; }
    bool writes_everything() const override { return false; }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }
};

class PlainCipher final : public Cipher {
 public:
    Result<std::string> seal(const Home&, const store::Identity&,
                             std::string bytes) const override {
        return bytes;
    }
    Result<std::string> open(const store::Stored& stored) const override { return stored.body; }
    bool is_plain() const override { return true; }
};

class QuietAudit final : public AuditSink {
 public:
    bool is_quiet() const override { return true; }
    Result<void> record(const Caller&, std::vector<AuditRecord>) override { return {}; }
    Result<std::vector<store::AuditEntry>> entries(const Caller&, const AuditRecord&) override {
        return std::vector<store::AuditEntry>();
    }
};

}  // namespace

std::shared_ptr<const AccessFilter> permit_all() {
    static const auto filter = std::make_shared<const PermitAll>();
    return filter;
}

std::shared_ptr<const AccessFilter> permit_nothing() {
    static const auto filter = std::make_shared<const PermitNothing>();
    return filter;
}

std::shared_ptr<const Cipher> plain_cipher() {
    static const auto cipher = std::make_shared<const PlainCipher>();
    return cipher;
}

std::shared_ptr<AuditSink> quiet_audit() {
    static const auto sink = std::make_shared<QuietAudit>();
    return sink;
}

Result<void> Caller::renew() {
    if (renewal) access = TRY(renewal->access());
    return {};
}

std::string Caller::cursor_key() const {
    return fmt::format("{}\n{}\n{}\n{}", actor, on_behalf_of, purpose, access->key());
}

Caller Caller::system(std::string_view part) {
    Caller caller;
    caller.actor = fmt::format("Device/{}", part);
    caller.purpose = "HSYSADMIN";
    caller.is_background = true;
    return caller;
}

void AuditRecord::add_patient(std::string_view patient_id) {
    if (patients.size() >= audited_patients_max) return;
    if (std::find(patients.begin(), patients.end(), patient_id) == patients.end())
        patients.emplace_back(patient_id);
}

void AuditRecord::add_patients_of(std::string_view resource_type, std::string_view resource_id,
                                  std::string_view json, std::string_view base_url) {
    if (resource_type == "Patient") add_patient(resource_id);
    // Every reference to a patient ends a string that begins with the type, or with this server's
    // base: looking for those is a fraction of what extracting the compartments takes.
    constexpr std::string_view reference = "Patient/";
    for (std::size_t at = json.find(reference); at != std::string_view::npos;
         at = json.find(reference, at + 1)) {
        std::string_view before = json.substr(0, at);
        if (!base_url.empty() && before.ends_with('/') &&
            before.substr(0, before.size() - 1).ends_with(base_url))
            before.remove_suffix(base_url.size() + 1);
        if (!before.ends_with('"')) continue;
        const std::string_view rest = json.substr(at + reference.size(), fhir_id_bytes_max + 1);
        const std::size_t end = rest.find_first_of("\"/");
        if (end == std::string_view::npos || !is_fhir_id(rest.substr(0, end))) continue;
        add_patient(rest.substr(0, end));
    }
}

Caller Caller::nobody() {
    Caller caller;
    caller.actor = "Device/anonymous";
    caller.access = permit_nothing();
    return caller;
}

}  // namespace meridian::fhir
