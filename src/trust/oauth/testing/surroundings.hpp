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
    Result<Tokens::Token> open(std::string_view token) {
        const std::lock_guard lock(mutex_);
        const auto found = tokens_.find(token);
        if (found == tokens_.end() || found->second.expires <= clock())
            return fail(Category::unauthenticated, "the token is not valid");
        return found->second;
    }
    /// A token that was not made for an app, as `meridian token` makes one.
    std::string host_token(const std::string& account, Instant expires) {
        const std::lock_guard lock(mutex_);
        std::string token = base64url_encode(random_bytes(24));
        tokens_[token] = {
            .subject = accounts_.at(account), .id = "t", .issued = clock(), .expires = expires};
        return token;
    }
    /// Everything audited so far as "what account outcome", in order.
    std::vector<std::string> audit_trail() {
        const std::lock_guard lock(mutex_);
        return trail_;
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
            tokens_[token] = {.subject = subject, .id = "t", .issued = clock(), .expires = expires};
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
        made.on_federated = [this](const net::Request&, const Federated& person) {
            const std::lock_guard lock(mutex_);
            federated.push_back(person);
            net::Response response;
            response.status = 303;
            response.headers.add("Location", person.return_to);
            return response;
        };
        made.csrf_token = [](const net::Request&) { return std::string("csrf-token"); };
        made.check_csrf = [](const net::Request& request) -> Result<void> {
            const auto form = request.form();
            for (const auto& [name, value] : form ? *form : net::Parameters())
                if (name == "csrf" && value == "csrf-token") return {};
            return fail(Category::forbidden, "not ours", "csrf");
        };
        made.audit = [this](const net::Request& request, std::string_view what,
                            const Subject* subject, bool ok) {
            const std::lock_guard lock(mutex_);
            ++audited_[{std::string(what), ok}];
            trail_.push_back(fmt::format("{} {} {} {}", what,
                                         subject == nullptr ? "-" : subject->account,
                                         request.peer.empty() ? "-" : request.peer, ok));
        };
        return made;
    }

    std::atomic<std::int64_t> ahead_seconds{0};  ///< of the real clock
    std::vector<Federated> federated{};          ///< who came back from an outside provider

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
    std::map<std::string, Tokens::Token, std::less<>> tokens_;
    std::vector<std::string> trail_;
    std::map<std::pair<std::string, bool>, int> audited_;
};

}  // namespace meridian::trust::oauth::testing
