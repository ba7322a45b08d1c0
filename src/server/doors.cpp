// SPDX-License-Identifier: Apache-2.0
#include "server/doors.hpp"

#include <filesystem>

#include "base/file.hpp"
#include "base/log.hpp"
#include "net/origin.hpp"
#include "rest/service.hpp"
#include "server/control.hpp"
#include "server/persons.hpp"
#include "server/policy_file.hpp"

namespace meridian::server {

namespace {

using trust::Subject;

bool changes_something(net::Method method) {
    return method != net::Method::get && method != net::Method::head &&
           method != net::Method::options;
}

/// What an audit entry says of something that happened at the doors.
fhir::AuditRecord record_of(std::string_view what, bool is_success) {
    fhir::AuditRecord record;
    record.interaction =
        what.find("token") != std::string_view::npos      ? fhir::Interaction::token
        : what.find("sign-out") != std::string_view::npos ? fhir::Interaction::sign_out
        : what.find("sign-in") != std::string_view::npos  ? fhir::Interaction::sign_in
                                                          : fhir::Interaction::security;
    record.query = what;
    record.outcome = is_success ? fhir::AuditOutcome::success : fhir::AuditOutcome::refused;
    return record;
}

fhir::Caller nameless(std::string_view account, std::string_view address) {
    fhir::Caller caller = fhir::Caller::nobody();
    caller.address = address;
    auto origin = std::make_shared<fhir::Origin>();
    origin->account = account;
    caller.origin = std::move(origin);
    return caller;
}

Result<std::shared_ptr<const trust::policy::Policy>> read_policy(const std::string& folder) {
    return trust::policy::parse(
        TRY(trust::policy::files_of({"default.toml", std::string(shipped_policy())}, folder)));
}

/// The patients that somebody may choose from for an app, by the search that they may make anyway.
Result<std::vector<trust::oauth::PatientChoice>> choices(fhir::Repository& repository,
                                                         const fhir::Caller& caller,
                                                         std::string_view search) {
    fhir::QueryParameters query{{"_count", std::to_string(limits::oauth_patients_shown_max)}};
    if (!search.empty()) query.emplace_back("name", search);
    const fhir::Page page = TRY(repository.search(caller, "Patient", query, {}));
    std::vector<trust::oauth::PatientChoice> found;
    for (const auto& entry : page.entries) {
        const JsonDocument patient = TRY(JsonDocument::parse(entry.resource.json));
        const auto names = patient.root()["name"].items();
        std::string label;
        if (!names.empty()) {
            label = names[0].string_at("text");
            if (label.empty()) {
                label = names[0].string_at("family");
                for (const Json& given : names[0]["given"].items())
                    label.append(" ").append(given.text());
            }
        }
        label.append(" ").append(patient.root().string_at("birthDate"));
        found.push_back({"Patient/" + entry.resource.id, std::move(label)});
    }
    return found;
}

}  // namespace

Result<std::unique_ptr<Doors>> Doors::open(Guard& guard, fhir::Repository& repository,
                                           Options options) {
    std::unique_ptr<Doors> doors(new Doors(guard, repository, std::move(options)));
    doors->decisions_ = std::make_unique<trust::policy::Decisions>(
        repository, TRY(read_policy(doors->options_.folder)));
    TRY(doors->open_sign_in());
    doors->open_administration();
    TRY(doors->open_oauth());
    TRY(doors->open_gate());
    doors->keeper_ = TRY(
        trust::merkle::Keeper::open(repository.store(), {.data_folder = doors->options_.folder}));
    doors->keeper_->start();
    doors->tree_ = std::make_unique<trust::merkle::Pages>(*doors->keeper_);
    return doors;
}

Result<void> Doors::open_sign_in() {
    trust::Sessions::Options sessions;
    if (options_.is_public) sessions.origins = {std::string(net::origin_of(options_.fhir_base))};
    sessions_ = std::make_unique<trust::Sessions>(guard_.vault(), guard_.accounts(), sessions);
    trust::SignIn::Options pages;
    if (options_.second_factor_for_all)
        pages.second_factor_required = [](trust::Role) { return true; };
    pages.make_person = [this](const trust::NewAccount& account) {
        return person_for(repository_, fhir::Caller::system("accounts"),
                          {.role = account.role,
                           .account = account.name,
                           .display = account.display_name,
                           .organisation = account.organisation});
    };
    pages.audit = [this](std::string_view what, std::string_view account, bool ok,
                         const net::Request& request) {
        const auto noted = repository_.note(nameless(account, request.peer), {record_of(what, ok)});
        if (!noted) log::error("a sign-in was not audited", {{"reason", noted.error().message}});
    };
    pages.providers = [this]() -> Result<std::vector<trust::OutsideProvider>> {
        std::vector<trust::OutsideProvider> shown;
        for (const auto& provider : TRY(trust::oauth::Providers(guard_.vault()).list()))
            shown.push_back(provider.shown());
        return shown;
    };
    sign_in_ = std::make_unique<trust::SignIn>(guard_.vault(), guard_.accounts(), *sessions_,
                                               std::move(pages));
    return {};
}

void Doors::open_administration() {
    administration_ = std::make_unique<trust::Administration>(
        guard_.vault(), guard_.accounts(), *sessions_, repository_, *decisions_,
        trust::Administration::Options{.add_account =
                                           [this](const trust::WantedAccount& wanted) {
                                               return make_account(guard_, repository_, wanted);
                                           },
                                       .status = [this] { return status(); }});
    record_access_ = std::make_unique<trust::RecordAccess>(*sessions_, repository_, *decisions_);
}

Result<std::vector<trust::StatusLine>> Doors::status() const {
    std::vector<trust::StatusLine> lines;
    const store::Position position = TRY(repository_.store().snapshot())->position();
    lines.push_back({"版本", "Version", rest::ServiceOptions().software_version});
    lines.push_back({"运行起始", "Running since", to_text(started_)});
    lines.push_back({"对外地址", "Public address", options_.fhir_base});
    lines.push_back({"日志条目", "Log entries", std::to_string(position + 1)});
    std::error_code error;
    const auto space = std::filesystem::space(options_.folder, error);
    constexpr std::uintmax_t gibibyte = std::uintmax_t{1} << 30;
    constexpr std::uintmax_t little = 5;  // GiB
    if (!error)
        lines.push_back(
            {"磁盘剩余空间", "Free disk space",
             fmt::format("{} GiB / {} GiB", space.available / gibibyte, space.capacity / gibibyte),
             space.available / gibibyte >= little});
    lines.push_back({"访问策略", "Policy", decisions_->policy()->version()});
    return lines;
}

Result<void> Doors::open_oauth() {
    trust::oauth::Options oauth;
    oauth.issuer = net::origin_of(options_.fhir_base);
    oauth.fhir_base = options_.fhir_base;
    oauth.issue = [this](const Subject& subject, Instant expires) {
        return guard_.tokens().issue(subject, expires);
    };
    oauth.open = [this](std::string_view token) -> Result<trust::Tokens::Token> {
        auto opened = TRY(guard_.tokens().open(token, now()));
        TRY(guard_.check_standing(opened));
        return opened;
    };
    oauth.signed_in = [this](const net::Request& request) { return sessions_->find(request); };
    oauth.account = [this](std::string_view name) -> Result<Subject> {
        const auto account = TRY(guard_.accounts().find(name));
        if (!account || account->disabled)
            return fail(Category::forbidden, "the account is not there, or disabled");
        return server::subject_of(*account);
    };
    oauth.patients = [this](const Subject& subject, std::string_view search) {
        return choices_for(subject, search);
    };
    oauth.on_federated = [this](const net::Request& request, const trust::Federated& federated) {
        return sign_in_->take_federated(request, federated);
    };
    oauth.csrf_token = trust::Sessions::csrf_token;
    oauth.check_csrf = [this](const net::Request& request) {
        return sessions_->check_csrf(request);
    };
    oauth.audit = [this](const net::Request& request, std::string_view what, const Subject* subject,
                         bool ok) {
        const auto noted = repository_.note(
            nameless(subject == nullptr ? std::string_view() : subject->account, request.peer),
            {record_of(what, ok)});
        if (!noted) log::error("a grant was not audited", {{"reason", noted.error().message}});
    };
    oauth_ = TRY(trust::oauth::Server::make(guard_.vault(), std::move(oauth)));
    return {};
}

Result<std::vector<trust::oauth::PatientChoice>> Doors::choices_for(const Subject& subject,
                                                                    std::string_view search) {
    return choices(repository_, TRY(decisions_->caller(subject)), search);
}

Result<void> Doors::open_gate() {
    trust::GateParts parts;
    parts.session = [this](const net::Request& request) { return session_of(request); };
    parts.stands = [this](const trust::Tokens::Token& token) {
        return guard_.check_standing(token);
    };
    parts.caller = [this](const Subject& subject, const net::Request&) {
        return decisions_->caller(subject);
    };
    parts.refused = [this](const net::Request& request, const Error& error) {
        guard_.audit().note_refused(request, error);
    };
    gate_ = trust::guarded_gate(guard_.master(), std::move(parts));
    return {};
}

std::optional<Subject> Doors::session_of(const net::Request& request) {
    auto subject = sessions_->find(request);
    // A page of another site can make a browser send its cookie along, but not our token.
    if (subject && changes_something(request.method) && !sessions_->check_csrf(request))
        return std::nullopt;
    return subject;
}

Result<fhir::Caller> Doors::caller_of(std::string_view person) {
    std::optional<trust::Account> owner;
    for (std::string after;;) {
        const auto part = TRY(guard_.accounts().list(after));
        if (part.empty()) break;
        for (const trust::Account& account : part) {
            if (account.person != person || account.disabled) continue;
            // Which of their tasks it was meant for is not known.
            if (owner) return fail(Category::forbidden, "its owner has several accounts");
            owner = account;
        }
        after = part.back().name;
    }
    if (!owner) return fail(Category::forbidden, "its owner has no account");
    return decisions_->caller(server::subject_of(*owner));
}

Result<Subject> Doors::subject_of(const net::Request& request) {
    return gate_->subject(request);
}

std::string Doors::capability() const {
    // SMART App Launch 2.2 §"Conformance": the extension stays for clients of version 1.
    const std::string_view origin = net::origin_of(options_.fhir_base);
    std::string uris;
    for (const auto& [name, path] :
         {std::pair("authorize", "/oauth/authorize"), std::pair("token", "/oauth/token"),
          std::pair("introspect", "/oauth/introspect"), std::pair("revoke", "/oauth/revoke")})
        uris += fmt::format(R"({}{{"url":"{}","valueUri":"{}{}"}})", uris.empty() ? "" : ",", name,
                            origin, path);
    return fmt::format(
        R"({{"extension":[{{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{}]}}],)"
        R"("cors":true,"service":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}}]}}]}})",
        uris);
}

std::optional<net::Response> Doors::handle(const net::Request& request) {
    if (auto response = sign_in_->handle(request)) return response;
    if (auto response = administration_->handle(request)) return response;
    if (auto response = record_access_->handle(request)) return response;
    if (auto response = oauth_->handle(request)) return response;
    return tree_->handle(request);
}

}  // namespace meridian::server
