// SPDX-License-Identifier: Apache-2.0
#include "trust/gate.hpp"

#include "trust/limits.hpp"
#include "trust/pace.hpp"

namespace meridian::trust {

namespace {

using Clock = std::chrono::steady_clock;

class OpenGate final : public Gate {
 public:
    Result<fhir::Caller> admit(const net::Request&) override {
        fhir::Caller caller;
        caller.actor = "Device/anonymous";
        return caller;
    }
    std::optional<Result<fhir::Caller>> admit_at_once(const net::Request& request) override {
        return admit(request);
    }
    Result<Subject> subject(const net::Request&) override {
        return fail(Category::forbidden, "this server does not ask who is asking");
    }
};

/// What is known of tokens that were shown lately.
class Shown {
 public:
    struct Known {
        Tokens::Token token;
        /// Of an account that sees everything: its caller does not depend on the record.
        std::optional<fhir::Caller> caller;
        Clock::time_point at;
    };
    /// Nothing when it was not shown within limits::standing_milliseconds.
    std::shared_ptr<const Known> find(std::string_view token) const {
        const std::shared_lock lock(mutex_);
        const auto found = known_.find(token);
        constexpr std::chrono::milliseconds freshness(limits::standing_milliseconds);
        if (found == known_.end() || Clock::now() - found->second->at > freshness) return nullptr;
        return found->second;
    }
    void keep(std::string_view token, std::shared_ptr<const Known> known) {
        const std::unique_lock lock(mutex_);
        if (known_.size() >= limits::tokens_remembered_max) known_.clear();
        known_.insert_or_assign(std::string(token), std::move(known));
    }

 private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<const Known>, Hash, std::equal_to<>> known_;
};

class GuardedGate final : public Gate {
 public:
    GuardedGate(const SecretKey& master, GateParts parts)
        : tokens_(master), parts_(std::move(parts)) {}

    Result<fhir::Caller> admit(const net::Request& request) override {
        auto caller = admitted(request);
        if (!caller) {
            if (parts_.refused) parts_.refused(request, caller.error());
            return caller;
        }
        take_request(*caller, request);
        return caller;
    }

    std::optional<Result<fhir::Caller>> admit_at_once(const net::Request& request) override {
        const auto token = bearer_token(request.headers.get("Authorization"));
        if (!token) return std::nullopt;
        const auto known = shown_.find(*token);
        if (!known || !known->caller || known->token.expires <= now()) return std::nullopt;
        fhir::Caller caller = *known->caller;
        take_request(caller, request);
        return caller;
    }

    Result<Subject> subject(const net::Request& request) override {
        if (const auto token = TRY(token_of(request))) return TRY(known(*token))->token.subject;
        if (auto subject = parts_.session(request)) return *std::move(subject);
        return nobody();
    }

 private:
    /// From where and by which request this time.
    static void take_request(fhir::Caller& caller, const net::Request& request) {
        caller.request_id = request.id;
        caller.address = request.peer;
    }

    static std::unexpected<Error> nobody() {
        return fail(Category::unauthenticated, "an access token is needed");
    }

    /// Nothing without an Authorization header: then a cookie may say who asks.
    static Result<std::optional<std::string_view>> token_of(const net::Request& request) {
        if (!request.headers.has("Authorization")) return std::optional<std::string_view>();
        if (const auto token = bearer_token(request.headers.get("Authorization"))) return token;
        return fail(Category::unauthenticated, "the Authorization header names no bearer token");
    }

    Result<fhir::Caller> admitted(const net::Request& request) {
        if (const auto token = TRY(token_of(request))) return by_token(*token, request);
        if (const auto subject = parts_.session(request)) {
            TRY(pace_.take(*subject));
            return parts_.caller(*subject, request);
        }
        return nobody();
    }

    /// What is known of a token, looked up anew when that was too long ago.
    Result<std::shared_ptr<const Shown::Known>> known(std::string_view token) {
        const auto shown = shown_.find(token);
        if (shown && shown->token.expires > now()) return shown;
        auto fresh = std::make_shared<Shown::Known>();
        fresh->at = Clock::now();
        fresh->token = TRY(tokens_.open(token, now()));
        TRY(parts_.stands(fresh->token));
        return std::shared_ptr<const Shown::Known>(std::move(fresh));
    }

    Result<fhir::Caller> by_token(std::string_view token, const net::Request& request) {
        const auto shown = TRY(known(token));
        if (shown->caller) return *shown->caller;
        TRY(pace_.take(shown->token.subject));
        fhir::Caller caller = TRY(parts_.caller(shown->token.subject, request));
        if (shown_.find(token)) return caller;
        auto kept = std::make_shared<Shown::Known>(*shown);
        // Of somebody who sees everything the record says nothing that could change that.
        if (caller.access->sees_everything()) kept->caller = caller;
        shown_.keep(token, std::move(kept));
        return caller;
    }

    Tokens tokens_;
    GateParts parts_;
    Pace pace_;
    Shown shown_;
};

}  // namespace

std::shared_ptr<Gate> open_gate() {
    return std::make_shared<OpenGate>();
}

std::shared_ptr<Gate> guarded_gate(const SecretKey& master, GateParts parts) {
    return std::make_shared<GuardedGate>(master, std::move(parts));
}

}  // namespace meridian::trust
