// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/context.hpp"

#include "trust/limits.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

Result<std::string> Context::shared_secret() {
    const std::lock_guard lock(mutex_);
    if (!shared_secret_.empty()) return shared_secret_;
    // Two servers may begin at once: the second one finds what the first one wrote.
    for (int attempt = 0; attempt < limits::oauth_vault_attempts_max; ++attempt) {
        if (const auto entry = TRY(vault.get("oauth-secret", "shared"))) {
            shared_secret_ = entry->value;
            return shared_secret_;
        }
        TRY(vault.put({{.space = "oauth-secret", .key = "shared", .value = new_secret()}}));
    }
    return fail(Category::unavailable, "the vault does not keep what is written");
}

Result<std::string> Context::public_name(std::string_view account) {
    return authenticated(TRY(shared_secret()), fmt::format("subject\n{}", account));
}

std::string subject_to_text(const Subject& subject) {
    Record record;
    record.set("account", subject.account)
        .set("role", name_of(subject.role))
        .set("person", subject.person)
        .set("organisation", subject.organisation)
        .set("on_behalf_of", subject.on_behalf_of)
        .set("purpose", subject.purpose)
        .set("scopes", subject.scopes)
        .set("patient", subject.patient)
        .set("encounter", subject.encounter)
        .set("client", subject.client)
        .set("session", subject.session)
        .set("authenticated_at", subject.authenticated_at)
        .set("methods", subject.methods);
    return record.text();
}

Result<Subject> subject_from_text(std::string_view text) {
    const Record record = TRY(Record::parse(text));
    const auto role = role_named(record.string("role"));
    if (!role) return fail(Category::fault, "an entry of the vault cannot be read");
    Subject subject;
    subject.account = record.string("account");
    subject.role = *role;
    subject.person = record.string("person");
    subject.organisation = record.string("organisation");
    subject.on_behalf_of = record.string("on_behalf_of");
    subject.purpose = record.string("purpose");
    subject.scopes = record.strings("scopes");
    subject.patient = record.string("patient");
    subject.encounter = record.string("encounter");
    subject.client = record.string("client");
    subject.session = record.string("session");
    subject.authenticated_at = record.instant("authenticated_at");
    subject.methods = record.strings("methods");
    return subject;
}

}  // namespace meridian::trust::oauth::detail
