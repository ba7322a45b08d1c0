// SPDX-License-Identifier: Apache-2.0
// For tests only: what an oauth::Server asks of the rest of the house, in memory.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "trust/oauth/options.hpp"

namespace meridian::trust::oauth::testing {

/// Accounts, sessions, tokens and the audit. A browser is signed in by the cookie "session=ID".
class Surroundings {
 public:
    Surroundings() {
        add("doctor", Role::doctor, "Practitioner/d1");
        add("patient", Role::patient, "Patient/p1");
        add("guardian", Role::guardian, "RelatedPerson/g1");
        add("loader", Role::system_client, "Device/loader");
    }

    void add(const std::string& account, Role role, const std::string& person) {
        const std::lock_guard lock(mutex_);
        accounts_[account] = {
            .account = account, .role = role, .person = person, .organisation = "Organization/h1"};
    }
    void disable(const std::string& account) {
        const std::lock_guard lock(mutex_);
        accounts_.erase(account);
    }
    /// The id of a new session.
    std::string sign_in(const std::string& account, std::vector<std::string> methods = {"pwd"}) {
        const std::lock_guard lock(mutex_);
        Subject subject = accounts_.at(account);
        subject.session = base64url_encode(random_bytes(12));
        subject.authenticated_at = clock();
        subject.methods = std::move(methods);
        sessions_[subject.session] = subject;
        return subject.session;
    }
    Instant clock() const { return {now().milliseconds + ahead_seconds * 1000}; }
    /// How many times `what` was audited with that outcome.
    int audited(const std::string& what, bool ok) {
        const std::lock_guard lock(mutex_);
        return audited_[{what, ok}];
    }
    Result<Subject> open(std::string_view token) {
        const std::lock_guard lock(mutex_);
        const auto found = tokens_.find(token);
        if (found == tokens_.end() || found->second.second <= clock())
            return fail(Category::unauthenticated, "the token is not valid");
        return found->second.first;
    }

    Options options(const std::string& issuer) {
        Options made;
        made.issuer = issuer;
        made.fhir_base = issuer + "/fhir";
        made.id_token_algorithm = jose::Algorithm::es256;  // RSA keys take long to make
        made.clock = [this] { return clock(); };
        made.issue = [this](const Subject& subject, Instant expires) {
            const std::lock_guard lock(mutex_);
            std::string token = base64url_encode(random_bytes(24));
            tokens_[token] = {subject, expires};
            return token;
        };
        made.open = [this](std::string_view token) { return open(token); };
        made.signed_in = [this](const net::Request& request) { return session_of(request); };
        made.account = [this](std::string_view account) -> Result<Subject> {
            const std::lock_guard lock(mutex_);
            const auto found = accounts_.find(account);
            if (found == accounts_.end()) return fail(Category::not_found, "no such account");
            return found->second;
        };
        made.patients = [](const Subject& subject, std::string_view search) {
            return patients_of(subject, search);
        };
        made.audit = [this](std::string_view what, const Subject*, bool ok) {
            const std::lock_guard lock(mutex_);
            ++audited_[{std::string(what), ok}];
        };
        return made;
    }

    std::atomic<std::int64_t> ahead_seconds{0};  ///< of the real clock

 private:
    std::optional<Subject> session_of(const net::Request& request) {
        const std::lock_guard lock(mutex_);
        const std::string_view cookie = request.headers.get("Cookie");
        const std::size_t at = cookie.find("session=");
        if (at == std::string_view::npos) return std::nullopt;
        const auto found = sessions_.find(cookie.substr(at + 8, 16));
        if (found == sessions_.end()) return std::nullopt;
        return found->second;
    }
    static Result<std::vector<PatientChoice>> patients_of(const Subject& subject,
                                                          std::string_view search) {
        if (subject.role == Role::patient) return std::vector<PatientChoice>{{"Patient/p1", "Me"}};
        std::vector<PatientChoice> all{{"Patient/p1", "Chen Xiulan"}, {"Patient/p2", "Li <Wei>"}};
        std::erase_if(all, [&](const PatientChoice& choice) {
            return choice.label.find(search) == std::string::npos;
        });
        return all;
    }

    std::mutex mutex_;
    std::map<std::string, Subject, std::less<>> accounts_;
    std::map<std::string, Subject, std::less<>> sessions_;
    std::map<std::string, std::pair<Subject, Instant>, std::less<>> tokens_;
    std::map<std::pair<std::string, bool>, int> audited_;
};

}  // namespace meridian::trust::oauth::testing
