// SPDX-License-Identifier: Apache-2.0
#include "trust/gate.hpp"

#include "trust/limits.hpp"

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
        caller->request_id = request.id;
        return caller;
    }

    std::optional<Result<fhir::Caller>> admit_at_once(const net::Request& request) override {
        const auto token = bearer_token(request.headers.get("Authorization"));
        if (!token) return std::nullopt;
        const auto known = shown_.find(*token);
        if (!known || !known->caller || known->token.expires <= now()) return std::nullopt;
        fhir::Caller caller = *known->caller;
        caller.request_id = request.id;
        return caller;
    }

 private:
    Result<fhir::Caller> admitted(const net::Request& request) {
        if (request.headers.has("Authorization")) {
            const auto token = bearer_token(request.headers.get("Authorization"));
            if (!token)
                return fail(Category::unauthenticated,
                            "the Authorization header names no bearer token");
            return by_token(*token, request);
        }
        if (const auto subject = parts_.session(request)) return parts_.caller(*subject, request);
        return fail(Category::unauthenticated, "an access token is needed");
    }

    Result<fhir::Caller> by_token(std::string_view token, const net::Request& request) {
        auto known = shown_.find(token);
        if (known && known->token.expires <= now()) known = nullptr;
        if (known && known->caller) return *known->caller;
        if (!known) {
            auto fresh = std::make_shared<Shown::Known>();
            fresh->at = Clock::now();
            fresh->token = TRY(tokens_.open(token, now()));
            TRY(parts_.stands(fresh->token));
            fhir::Caller caller = TRY(parts_.caller(fresh->token.subject, request));
            if (caller.access->sees_everything()) fresh->caller = caller;
            shown_.keep(token, std::move(fresh));
            return caller;
        }
        return parts_.caller(known->token.subject, request);
    }

    Tokens tokens_;
    GateParts parts_;
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
