// SPDX-License-Identifier: Apache-2.0
#include "fhir/caller.hpp"

namespace meridian::fhir {

namespace {

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
    Result<void> allow_write(store::Verb, std::string_view, const Json*) const override {
        return fail(Category::forbidden, "nobody may write without signing in");
    }
    Result<void> allow_parameter(std::string_view, std::string_view) const override { return {}; }
};

class PlainCipher final : public Cipher {
 public:
    Result<std::string> seal(std::string_view, std::string bytes) const override { return bytes; }
    Result<std::string> open(std::string bytes) const override { return bytes; }
    bool is_plain() const override { return true; }
};

class QuietAudit final : public AuditSink {
 public:
    void record(const Caller&, const AuditRecord&) override {}
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

Caller Caller::system(std::string_view part) {
    Caller caller;
    caller.actor = fmt::format("Device/{}", part);
    caller.purpose = "HSYSADMIN";
    return caller;
}

Caller Caller::nobody() {
    Caller caller;
    caller.actor = "Device/anonymous";
    caller.access = permit_nothing();
    return caller;
}

}  // namespace meridian::fhir
