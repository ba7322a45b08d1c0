// SPDX-License-Identifier: Apache-2.0
// For tests only: a record with the shipped policy, its audit, and what two people do together,
// asked by whoever the test says.
#pragma once

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/query_string.hpp"
#include "rest/approvals.hpp"
#include "rest/basic_operations.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/testing.hpp"
#include "trust/audit/log_audit.hpp"
#include "trust/audit/trail.hpp"
#include "trust/master_key.hpp"
#include "trust/policy/decisions.hpp"
#include "trust/policy/labels.hpp"
#include "trust/store_vault.hpp"

namespace meridian::rest::testing {

using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;

class Policed : public ::testing::Test {
 protected:
    explicit Policed(std::string_view more = {}) {
        std::vector<trust::policy::File> files{
            {"default.toml",
             must(read_file(MERIDIAN_SOURCE_DIR "/data/policy/default.toml", 1 << 20))}};
        if (!more.empty()) files.push_back({"more.toml", std::string(more)});
        decisions_ = std::make_unique<trust::policy::Decisions>(*repository_,
                                                                must(trust::policy::parse(files)));
        const auto policy = [this] { return decisions_->policy(); };
        approvals_ = std::make_unique<trust::approvals::Approvals>(
            *vault_,
            trust::approvals::Approvals::Options{
                .kind =
                    [policy](std::string_view name) {
                        return trust::policy::approval_kind(*policy(), name);
                    },
                .audit =
                    [this](const fhir::Caller& caller, std::vector<fhir::AuditRecord> records) {
                        return repository_->note(caller, std::move(records));
                    }});
        repository_->set_label_rule(trust::policy::label_rule(*repository_, policy, *approvals_));
        add_basic_operations(service_);
        add_approvals(service_, *approvals_, policy,
                      [this](const Exchange&) -> Result<trust::Subject> { return asking_; });
    }

    static trust::Subject subject(trust::Role role, std::string account) {
        trust::Subject subject;
        subject.role = role;
        subject.person = fmt::format(
            "{}/{}", role == trust::Role::system_client ? "Device" : "Practitioner", account);
        subject.account = std::move(account);
        subject.organisation = "Organization/o";
        subject.authenticated_at = now();
        return subject;
    }
    /// As the server itself: no policy, no label rule.
    void put(std::string_view json) { subscriptions::testing::write(*repository_, json); }

    Answer send(const trust::Subject& who, net::Method method, const std::string& target,
                const std::string& body = {},
                const std::string& content_type = "application/fhir+json") {
        asking_ = who;
        Exchange made;
        made.method = method;
        made.base_url = "http://record.test/fhir";
        made.caller = must(decisions_->caller(who));
        made.content_type = content_type;
        made.body = body;
        const std::size_t question = target.find('?');
        const std::string path = target.substr(0, question);
        for (std::size_t from = 0; from < path.size();) {
            const std::size_t slash = std::min(path.find('/', from), path.size());
            made.path.push_back(path.substr(from, slash - from));
            from = slash + 1;
        }
        if (question != std::string::npos)
            made.parameters = must(parse_query_string(target.substr(question + 1)));
        const auto answer = service_.dispatch(made);
        return answer ? *answer : answer_of(answer.error());
    }
    Answer get(const trust::Subject& who, const std::string& target) {
        return send(who, net::Method::get, target);
    }
    Answer post(const trust::Subject& who, const std::string& target, const std::string& body) {
        return send(who, net::Method::post, target, body);
    }
    /// Ids of the entries, in order; "404" and the like for an error.
    std::string ids(const trust::Subject& who, const std::string& target) {
        const Answer answer = get(who, target);
        if (answer.status != 200) return std::to_string(answer.status);
        const JsonDocument bundle = must(JsonDocument::parse(answer.json));
        std::string all;
        for (const Json& entry : bundle.root()["entry"].items())
            all += fmt::format("{}{}", all.empty() ? "" : " ", entry["resource"].string_at("id"));
        return all;
    }

    Folder folder_;
    std::unique_ptr<store::Store> store_ = must_open(folder_.path() + "/data");
    std::unique_ptr<trust::Vault> vault_ =
        trust::store_vault(*store_, must(trust::open_master_key(*store_, folder_.path())));
    std::unique_ptr<fhir::Repository> repository_ = must(fhir::Repository::open(
        *store_, {.audit = std::make_shared<trust::audit::LogAudit>(*store_)}));
    std::unique_ptr<trust::policy::Decisions> decisions_;
    std::unique_ptr<trust::approvals::Approvals> approvals_;
    Service service_{*repository_, {}};
    trust::Subject asking_;
};

}  // namespace meridian::rest::testing
