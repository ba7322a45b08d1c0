// SPDX-License-Identifier: Apache-2.0
#include "trust/oauth/detail/authorize.hpp"

#include <charconv>

#include "base/query_string.hpp"
#include "trust/limits.hpp"
#include "trust/oauth/detail/allowances.hpp"
#include "trust/oauth/detail/answer.hpp"
#include "trust/oauth/detail/authorization_request.hpp"
#include "trust/oauth/detail/grants.hpp"
#include "trust/oauth/detail/pages.hpp"
#include "trust/oauth/detail/record.hpp"
#include "trust/oauth/detail/secret.hpp"

namespace meridian::trust::oauth::detail {

namespace {

constexpr std::string_view form_space = "oauth-form";
constexpr std::string_view launch_space = "oauth-launch";

/// The context that an app was launched with.
struct Launch {
    std::string patient{};
    std::string encounter{};
    std::optional<Vault::Entry> used{};  ///< to be taken away with the code that comes of it
};

/// A request in the hands of a person.
struct Pending {
    Asked asked{};
    Subject subject{};
    Launch launch{};
    std::vector<PatientChoice> patients{};  ///< to choose from; empty when there is no choice
    bool chooses_patient = false;
};

net::Response problem(const net::Request& request, int status, Problem what) {
    return problem_page(status, what, language_of(request));
}
net::Response busy(const net::Request& request) {
    return problem(request, 503, Problem::busy);
}

/// Back to the client, always with `iss` (RFC 9207) against mixed-up servers.
net::Response back_to_client(const Context& context, const net::Request& request,
                             const Asked& asked, net::Parameters parameters) {
    if (!asked.state.empty()) parameters.emplace_back("state", asked.state);
    parameters.emplace_back("iss", context.options.issuer);
    return redirect(request, with_parameters(asked.redirect_uri, parameters));
}

net::Response deny(const Context& context, const net::Request& request, const Asked& asked,
                   const Denied& denied) {
    context.audit(request, "oauth.authorize", nullptr, false);
    net::Parameters parameters{{"error", denied.code}};
    if (!denied.description.empty())
        parameters.emplace_back("error_description", denied.description);
    return back_to_client(context, request, asked, std::move(parameters));
}

// --- 1. who is it ---

/// Signs a moment, so that coming back from sign-in shows that it came after the wish for it.
Result<std::string> moment_mark(Context& context, std::int64_t milliseconds,
                                std::string_view parameters) {
    return authenticated(TRY(context.shared_secret()),
                         fmt::format("after\n{}\n{}", milliseconds, parameters));
}

/// When this request first asked for a new sign-in; nothing when it did not yet.
Result<std::optional<Instant>> first_asked(Context& context, const net::Parameters& parameters,
                                           const Asked& asked) {
    const std::string mark = value_of(parameters, "asked_at");
    const std::size_t dot = mark.find('.');
    if (dot == std::string::npos) return std::nullopt;
    std::int64_t milliseconds = 0;
    std::from_chars(mark.data(), mark.data() + dot, milliseconds);
    const std::string expected = TRY(moment_mark(context, milliseconds, asked.parameters));
    if (!equal_secrets(std::string_view(mark).substr(dot + 1), expected)) return std::nullopt;
    return Instant{milliseconds};
}

bool must_sign_in_again(const Context& context, const Asked& asked, const Subject& subject,
                        std::optional<Instant> asked_at) {
    const Instant proven = subject.authenticated_at;
    const bool is_wanted = asked.has_prompt("login") || asked.has_prompt("select_account") ||
                           asked.max_age_seconds == 0;
    if (is_wanted) return !asked_at || proven < *asked_at;
    return asked.max_age_seconds &&
           proven.milliseconds + *asked.max_age_seconds * 1000 < context.now().milliseconds;
}

Result<net::Response> to_sign_in(Context& context, const net::Request& request, const Asked& asked,
                                 bool again) {
    const std::int64_t at = context.now().milliseconds;
    const std::string mark =
        fmt::format("{}.{}", at, TRY(moment_mark(context, at, asked.parameters)));
    net::Parameters parameters{
        {"return_to", fmt::format("/oauth/authorize?{}&asked_at={}", asked.parameters, mark)}};
    // So that the sign-in page does not send somebody back who is signed in already.
    if (again) parameters.emplace_back("again", "1");
    return redirect(request, with_parameters(context.options.sign_in_path, parameters));
}

// --- 2. for which patient ---

Result<std::expected<Launch, Denied>> find_launch(Context& context, const Asked& asked,
                                                  const Subject& subject) {
    Launch launch;
    if (!has_word(asked.scopes, "launch")) return launch;
    const std::expected<Launch, Denied> invalid =
        std::unexpected(Denied{"invalid_request", "launch is not valid"});
    if (asked.launch.empty()) return invalid;
    auto entry = TRY(context.vault.get(launch_space, hashed(asked.launch)));
    if (!entry) return invalid;
    const Record record = TRY(Record::parse(entry->value));
    const std::string account = record.string("account");
    if (record.string("client") != asked.client.id || record.instant("ends") <= context.now() ||
        (!account.empty() && account != subject.account))
        return invalid;
    launch.patient = record.string("patient");
    launch.encounter = record.string("encounter");
    entry->removed = true;
    launch.used = *std::move(entry);
    return launch;
}

/// Patient scopes mean nothing without a patient, so they ask for one as launch/patient does.
bool needs_patient(const Pending& pending) {
    return pending.launch.patient.empty() && !has_word(pending.asked.scopes, "launch") &&
           (has_word(pending.asked.scopes, "launch/patient") ||
            has_level(pending.asked.scopes, Scope::Level::patient));
}

Result<std::optional<Denied>> find_patients(const Context& context, Pending& pending,
                                            std::string_view search) {
    if (!needs_patient(pending)) return std::nullopt;
    pending.patients = TRY(context.options.patients(pending.subject, search));
    if (pending.patients.size() > limits::oauth_patients_shown_max)
        pending.patients.resize(limits::oauth_patients_shown_max);
    pending.chooses_patient = pending.patients.size() != 1 || !search.empty();
    if (pending.patients.empty() && search.empty())
        return Denied{"access_denied", "there is no patient to choose"};
    if (!pending.chooses_patient) pending.launch.patient = pending.patients.front().reference;
    return std::nullopt;
}

// --- 3. is it allowed ---

/// RFC 8252 §8.6: a public client on a loopback address or a private scheme may be any program on
/// that machine that calls itself so; it is never let through without asking.
bool is_certain(const Asked& asked) {
    return asked.client.authentication != ClientAuthentication::none ||
           asked.redirect_uri.starts_with("https:");
}

Result<bool> needs_page(Context& context, const Pending& pending) {
    if (pending.chooses_patient || pending.asked.has_prompt("consent") ||
        !is_certain(pending.asked))
        return true;
    if (pending.asked.client.first_party) return false;
    const auto allowance =
        TRY(Allowances(context).find(pending.subject.account, pending.asked.client.id));
    return !allowance || !covers(allowance->consented, pending.asked.scopes);
}

/// What was allowed before and what is allowed now.
Result<void> remember(Context& context, const Pending& pending) {
    return Allowances(context).change(
        pending.subject.account, pending.asked.client.id, [&](Allowance& allowance) {
            for (const Scope& scope : pending.asked.scopes) {
                std::erase(allowance.withheld, scope);
                if (!covers(allowance.consented, std::span(&scope, 1)) &&
                    allowance.consented.size() < limits::oauth_scopes_max)
                    allowance.consented.push_back(scope);
            }
        });
}

/// What the person took away again is not given, unless the app has them asked anew.
Result<void> leave_out_withheld(Context& context, Pending& pending) {
    if (pending.asked.has_prompt("consent")) return {};
    const auto allowance =
        TRY(Allowances(context).find(pending.subject.account, pending.asked.client.id));
    if (!allowance) return {};
    std::erase_if(pending.asked.scopes, [&](const Scope& scope) {
        return std::ranges::find(allowance->withheld, scope) != allowance->withheld.end();
    });
    return {};
}

// --- 4. the page and its answer ---

/// All that the page stands for lies in the vault under its one-time token, so that nothing of it
/// can be altered on the way (and no other page can send the form: CSRF).
Result<net::Response> show_page(Context& context, const net::Request& request,
                                const Pending& pending, std::string_view search) {
    const std::string token = new_secret();
    const Asked& asked = pending.asked;
    std::vector<std::string> patients;
    for (const PatientChoice& patient : pending.patients) patients.push_back(patient.reference);
    Record record;
    record.set("account", pending.subject.account)
        .set("session", pending.subject.session)
        .set("client", asked.client.id)
        .set("parameters", asked.parameters)
        .set("patients", patients)
        .set("ends", after(context.now(), limits::oauth_form_seconds));
    TRY(context.vault.put({{.space = std::string(form_space),
                            .key = hashed(token),
                            .value = record.text(),
                            .expires = after(context.now(), limits::oauth_form_seconds)}}));
    return consent_page(
        {asked.client, pending.subject.account, asked.scopes, pending.chooses_patient,
         pending.patients, std::string(search), token, asked.redirect_uri},
        language_of(request));
}

Result<net::Response> give_code(Context& context, const net::Request& request,
                                const Pending& pending, std::vector<Vault::Entry> with) {
    CodeOffer offer;
    offer.grant.subject = pending.subject;
    offer.grant.subject.patient = pending.launch.patient;
    offer.grant.subject.encounter = pending.launch.encounter;
    offer.grant.client = pending.asked.client.id;
    offer.grant.scopes = pending.asked.scopes;
    // Nobody chooses a visit on a page: it comes with a launch from our own pages, or not at all.
    if (pending.launch.encounter.empty())
        std::erase_if(offer.grant.scopes,
                      [](const Scope& scope) { return scope.word == "launch/encounter"; });
    offer.grant.nonce = pending.asked.nonce;
    offer.grant.browser_session = pending.subject.session;
    offer.redirect_uri = pending.asked.redirect_uri;
    offer.challenge = pending.asked.challenge;
    if (pending.launch.used) with.push_back(*pending.launch.used);
    if (pending.asked.pushed) with.push_back(*pending.asked.pushed);
    const auto code = TRY(Grants(context, &request).offer(offer, std::move(with)));
    if (!code) return problem(request, 400, Problem::form_is_over);
    context.audit(request, "oauth.authorize", &pending.subject, true);
    return back_to_client(context, request, pending.asked, {{"code", *code}});
}

/// What of the request the person's role can use.
void keep_usable(const Context& context, Pending& pending) {
    if (context.options.usable)
        pending.asked.scopes = narrow(context.options.usable(pending.subject, pending.asked.scopes),
                                      pending.asked.scopes);
}

/// Step 2 and what is known without asking. A Denied goes back to the client.
Result<std::optional<Denied>> prepare(Context& context, Pending& pending, std::string_view search) {
    keep_usable(context, pending);
    TRY(leave_out_withheld(context, pending));
    if (pending.asked.scopes.empty()) return Denied{"invalid_scope", ""};
    auto launch = TRY(find_launch(context, pending.asked, pending.subject));
    if (!launch) return std::move(launch).error();
    pending.launch = *std::move(launch);
    return find_patients(context, pending, search);
}

Result<net::Response> ask_person(Context& context, const net::Request& request,
                                 const net::Parameters& parameters, Asked asked) {
    const bool is_silent = asked.has_prompt("none");
    auto subject = context.options.signed_in(request);
    if (!subject) {
        if (is_silent) return deny(context, request, asked, {"login_required", ""});
        return to_sign_in(context, request, asked, false);
    }
    const auto asked_at = TRY(first_asked(context, parameters, asked));
    if (must_sign_in_again(context, asked, *subject, asked_at)) {
        if (is_silent) return deny(context, request, asked, {"login_required", ""});
        return to_sign_in(context, request, asked, true);
    }
    Pending pending;
    pending.asked = std::move(asked);
    pending.subject = *std::move(subject);
    if (const auto denied = TRY(prepare(context, pending, "")))
        return deny(context, request, pending.asked, *denied);
    if (!TRY(needs_page(context, pending))) return give_code(context, request, pending, {});
    if (is_silent)
        return deny(context, request, pending.asked,
                    {pending.chooses_patient ? "interaction_required" : "consent_required", ""});
    return show_page(context, request, pending, "");
}

Result<net::Response> take_request(Context& context, const net::Request& request,
                                   const net::Parameters& parameters) {
    if (!are_sound(parameters)) {
        context.audit(request, "oauth.authorize", nullptr, false);
        return problem(request, 400, Problem::unknown_app);
    }
    auto asked = TRY(find_request(context, parameters));
    if (!asked) {
        context.audit(request, "oauth.authorize", nullptr, false);
        return problem(request, 400, Problem::unknown_app);
    }
    if (asked->denied) return deny(context, request, *asked, *asked->denied);
    return ask_person(context, request, parameters, *std::move(asked));
}

/// The form's entry, when it is of this session and in time.
Result<std::optional<Vault::Entry>> find_form(Context& context, const Subject& subject,
                                              std::string_view token) {
    auto entry = TRY(context.vault.get(form_space, hashed(token)));
    if (!entry) return std::nullopt;
    const Record record = TRY(Record::parse(entry->value));
    if (record.string("account") != subject.account ||
        record.string("session") != subject.session || record.instant("ends") <= context.now())
        return std::nullopt;
    return entry;
}

Result<net::Response> decide(Context& context, const net::Request& request, Pending pending,
                             const net::Parameters& form, Vault::Entry entry) {
    const std::string decision = value_of(form, "decision");
    const std::vector<std::string> shown = TRY(Record::parse(entry.value)).strings("patients");
    entry.removed = true;  // the form is good once
    if (decision == "search") {
        if (!TRY(context.vault.put({std::move(entry)})))
            return problem(request, 400, Problem::form_is_over);
        const std::string search = value_of(form, "search");
        if (const auto denied = TRY(prepare(context, pending, search)))
            return deny(context, request, pending.asked, *denied);
        return show_page(context, request, pending, search);
    }
    if (decision != "allow") {
        if (!TRY(context.vault.put({std::move(entry)})))
            return problem(request, 400, Problem::form_is_over);
        context.audit(request, "oauth.consent", &pending.subject, false);
        return deny(context, request, pending.asked, {"access_denied", ""});
    }
    keep_usable(context, pending);
    TRY(leave_out_withheld(context, pending));
    auto launch = TRY(find_launch(context, pending.asked, pending.subject));
    if (!launch) return deny(context, request, pending.asked, launch.error());
    pending.launch = *std::move(launch);
    if (needs_patient(pending)) {
        // Only one of those that the page has shown.
        std::string patient = value_of(form, "patient");
        if (patient.empty() && shown.size() == 1) patient = shown.front();
        if (std::ranges::find(shown, patient) == shown.end())
            return problem(request, 400, Problem::form_is_over);
        pending.launch.patient = std::move(patient);
    }
    context.audit(request, "oauth.consent", &pending.subject, true);
    TRY(remember(context, pending));
    return give_code(context, request, pending, {std::move(entry)});
}

Result<net::Response> take_form(Context& context, const net::Request& request,
                                const net::Parameters& form) {
    const auto subject = context.options.signed_in(request);
    if (!subject) return problem(request, 400, Problem::form_is_over);
    auto entry = TRY(find_form(context, *subject, value_of(form, "form")));
    if (!entry) {
        context.audit(request, "oauth.consent", &*subject, false);
        return problem(request, 400, Problem::form_is_over);
    }
    const Record record = TRY(Record::parse(entry->value));
    const net::Parameters parameters = TRY(parse_query_string(record.string("parameters")));
    // Read again from the start: the client may have been changed or disabled meanwhile.
    auto asked = TRY(find_request(context, parameters));
    if (!asked) return problem(request, 400, Problem::unknown_app);
    if (asked->denied) return deny(context, request, *asked, *asked->denied);
    Pending pending;
    pending.asked = *std::move(asked);
    pending.subject = *subject;
    return decide(context, request, std::move(pending), form, *std::move(entry));
}

}  // namespace

net::Response authorization_endpoint(Context& context, const net::Request& request) {
    const bool is_post = request.method == net::Method::post;
    if (!is_post && request.method != net::Method::get) return not_allowed("GET, POST");
    const auto parameters = is_post ? request.form() : request.parameters();
    if (!parameters) return problem(request, 400, Problem::unknown_app);
    auto answer = is_post && has(*parameters, "form") ? take_form(context, request, *parameters)
                                                      : take_request(context, request, *parameters);
    return answer ? *std::move(answer) : busy(request);
}

Result<std::string> make_launch(Context& context, std::string_view patient,
                                std::string_view encounter, std::string_view client,
                                std::string_view account) {
    const auto known = TRY(context.clients.find(client));
    if (!known || known->disabled) return fail(Category::not_found, "there is no such app");
    std::string token = new_secret();
    const Instant ends = after(context.now(), limits::oauth_launch_seconds);
    TRY(context.vault.put({{.space = std::string(launch_space),
                            .key = hashed(token),
                            .value = Record()
                                         .set("patient", patient)
                                         .set("encounter", encounter)
                                         .set("client", client)
                                         .set("account", account)
                                         .set("ends", ends)
                                         .text(),
                            .expires = ends}}));
    return token;
}

}  // namespace meridian::trust::oauth::detail
