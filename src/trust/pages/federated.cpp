// SPDX-License-Identifier: Apache-2.0
// Outside OpenID providers on the pages of sign-in: whoever was proved there enters here, confirms
// a step, or is linked with an account. The protocol itself is in oauth/.
#include "base/hash.hpp"
#include "text/utf8.hpp"
#include "trust/pages/visit.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;

constexpr std::string_view link_space = "account-link";
constexpr std::size_t token_bytes = 32;
constexpr std::size_t created_name_digits = 16;

std::string_view label_of(const Visit& visit, const OutsideProvider& provider) {
    const bool is_chinese = visit.language == Language::chinese && !provider.label_zh.empty();
    return is_chinese ? std::string_view(provider.label_zh) : std::string_view(provider.label);
}

std::string_view purpose_text(Federated::Purpose purpose) {
    switch (purpose) {
        case Federated::Purpose::sign_in:
            return "sign-in";
        case Federated::Purpose::step_up:
            return "step-up";
        case Federated::Purpose::link:
            return "link";
    }
    return "";
}

/// The name of an account that is made by itself: the same for the same person at the provider,
/// and nobody else's.
NewAccount created_account(const Federated& federated) {
    const std::string digits =
        to_hex(sha256(federated.identity.issuer + '\0' + federated.identity.subject));
    NewAccount made;
    made.name =
        fmt::format("{}-{}", federated.provider.name, digits.substr(0, created_name_digits));
    made.role = *federated.creates;
    made.display_name = text::cut(federated.shown, limits::account_text_bytes_max);
    return made;
}

/// Whether the account could still sign in without that identity.
bool has_another_way(const Account& account) {
    return !account.password.empty() || !account.passkeys.empty() || account.identities.size() > 1;
}

Vault::Entry wish_to_link(const std::string& token, const Account& account,
                          std::string_view session, const FederatedIdentity& identity,
                          Instant until) {
    JsonDocument document;
    Json root = document.object();
    document.set(root, "account", document.string(account.name));
    document.set(root, "session", document.string(session));
    document.set(root, "issuer", document.string(identity.issuer));
    document.set(root, "subject", document.string(identity.subject));
    return {.space = std::string(link_space),
            .key = to_hex(sha256(token)),
            .value = to_text(root),
            .expires = until};
}

}  // namespace

std::vector<OutsideProvider> SignIn::outside_providers() const {
    auto providers = options_.providers();
    return providers ? *std::move(providers) : std::vector<OutsideProvider>();
}

/// A link for each provider; for `linked`, for those only that the account is known to.
std::string SignIn::provider_links(const Visit& visit, Federated::Purpose purpose,
                                   std::string_view return_to, const Account* linked) const {
    std::string links;
    for (const OutsideProvider& provider : outside_providers()) {
        const bool is_known =
            linked == nullptr ||
            std::ranges::any_of(linked->identities, [&](const FederatedIdentity& identity) {
                return identity.issuer == provider.issuer;
            });
        if (!is_known) continue;
        links += fmt::format(
            R"(<li><a href="/oauth/federated/{}/start?purpose={}&amp;return_to={}">{}</a></li>)",
            provider.name, purpose_text(purpose), escaped_markup(percent_encode(return_to)),
            escaped_markup(
                fmt::format(fmt::runtime(purpose == Federated::Purpose::step_up
                                             ? visit.say("通过{}确认", "Confirm with {}")
                                         : purpose == Federated::Purpose::link
                                             ? visit.say("关联{}的身份", "Link an identity of {}")
                                             : visit.say("通过{}登录", "Sign in with {}")),
                            label_of(visit, provider))));
    }
    if (links.empty()) return "";
    return fmt::format(R"(<section class="outside"><ul class="rows">{}</ul></section>)", links);
}

net::Response SignIn::take_federated(const net::Request& request, const Federated& federated) {
    Visit visit(request);
    auto found = sessions_.look_up(request);
    if (!found) return failure(visit, found.error());
    visit.session = *std::move(found);
    if (federated.purpose == Federated::Purpose::sign_in) return enter_federated(visit, federated);
    if (!visit.session) return redirect("/sign-in");
    return federated.purpose == Federated::Purpose::step_up ? step_up_federated(visit, federated)
                                                            : ask_to_link(visit, federated);
}

/// Who is linked with the identity and may sign in; made when nobody is and the provider's people
/// get accounts by themselves.
Result<std::optional<Account>> SignIn::account_of(const Federated& federated) {
    auto account = TRY(accounts_.find_by_identity(federated.identity));
    if (account && account->disabled) return std::nullopt;
    if (account || !federated.creates) return account;
    NewAccount wanted = created_account(federated);
    // An account of that name, without the identity, was unlinked: it is not linked again.
    if (TRY(accounts_.find(wanted.name))) return std::nullopt;
    wanted.person = TRY(options_.make_person(wanted));
    TRY(accounts_.add(wanted));
    TRY(accounts_.link(wanted.name, federated.identity));
    return accounts_.find_by_identity(federated.identity);
}

net::Response SignIn::enter_federated(Visit& visit, const Federated& federated) {
    const auto account = account_of(federated);
    if (!account) return failure(visit, account.error());
    report(visit, "sign-in.federated", *account ? std::string_view((*account)->name) : "",
           account->has_value());
    if (!*account) return not_linked(visit, federated);
    const std::string return_to = own_path(federated.return_to);
    // The provider stands for the password, never for the second factor that the person set up.
    if ((*account)->has_second_factor()) {
        const auto cookie_header = keep_pending(**account, return_to, "fed");
        if (!cookie_header) return failure(visit, cookie_header.error());
        net::Response response = redirect("/sign-in/second");
        response.headers.add("Set-Cookie", *cookie_header);
        return response;
    }
    // A proof of unknown age is none for what asks for a fresh one.
    return enter(visit, **account, {"fed"}, return_to, false, federated.proved.value_or(Instant{}));
}

net::Response SignIn::not_linked(Visit& visit, const Federated& federated) {
    const std::string body = fmt::format(
        R"(<h1>{}</h1><p role="alert" id="problem">{}</p><p class="soft">{} <code>{}</code></p><p><a href="/sign-in">{}</a></p>)",
        visit.say("尚未关联账户", "No account is linked"),
        visit.say("此身份没有关联到这里的账户。请用其他方式登录后，在“我的账户”中关联，或联系安全管"
                  "理员。",
                  "Nobody here is linked with that identity. Sign in another way and link it under "
                  "“My account”, or ask the security administrator."),
        visit.say("您在该机构的标识：", "Your identifier there:"),
        escaped_markup(federated.identity.subject), visit.say("返回登录", "Back to sign-in"));
    return visit.page(403, visit.say("尚未关联账户", "No account is linked"), true, body);
}

net::Response SignIn::step_up_federated(Visit& visit, const Federated& federated) {
    const Account& account = visit.session->account;
    const bool is_same =
        std::ranges::find(account.identities, federated.identity) != account.identities.end();
    const bool is_enough = is_same && !account.has_second_factor();
    report(visit, "step-up", account.name, is_enough);
    if (!is_enough)
        return redirect("/step-up?return_to=" + percent_encode(own_path(federated.return_to)));
    return renewed(visit, {"fed"}, own_path(federated.return_to), false);
}

/// The person sees whom they link before it is done; only this page's form can do it.
net::Response SignIn::ask_to_link(Visit& visit, const Federated& federated) {
    const Account& account = visit.session->account;
    const std::string token = base64url_encode(random_bytes(token_bytes));
    const Instant until{options_.clock().milliseconds +
                        std::int64_t{limits::sign_in_minutes} * 60'000};
    const auto kept = vault_.put(
        {wish_to_link(token, account, visit.session->subject.session, federated.identity, until)});
    if (!kept) return failure(visit, kept.error());
    const std::string body = fmt::format(
        R"(<h1>{}</h1><p>{}</p><dl class="facts"><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl><form method="post" action="/account/identities">{}<input type="hidden" name="token" value="{}"><button>{}</button></form><p><a href="/account/identities">{}</a></p>)",
        visit.say("关联此身份？", "Link this identity?"),
        visit.say("以后可以用它登录您的账户。", "From then on it signs in to your account."),
        visit.say("机构", "From"), escaped_markup(label_of(visit, federated.provider)),
        visit.say("身份", "Identity"), escaped_markup(federated.shown),
        visit.say("账户名", "Account"), escaped_markup(account.name), visit.hidden_csrf(), token,
        visit.say("关联", "Link"), visit.say("取消", "Cancel"));
    return visit.page(200, visit.say("关联身份", "Link an identity"), true, body);
}

net::Response SignIn::identities_page(Visit& visit, int status, std::string_view problem) {
    const Account& account = visit.session->account;
    const auto providers = outside_providers();
    std::string rows;
    for (const FederatedIdentity& identity : account.identities) {
        const auto provider =
            std::ranges::find(providers, identity.issuer, &OutsideProvider::issuer);
        const std::string_view label = provider == providers.end()
                                           ? std::string_view(identity.issuer)
                                           : label_of(visit, *provider);
        rows += fmt::format(
            R"(<li><div><strong>{}</strong><br><span class="soft">{}</span></div><form method="post" action="/account/identities/remove">{}<input type="hidden" name="issuer" value="{}"><input type="hidden" name="subject" value="{}"><button class="second small">{}</button></form></li>)",
            escaped_markup(label), escaped_markup(identity.subject), visit.hidden_csrf(),
            escaped_markup(identity.issuer), escaped_markup(identity.subject),
            visit.say("取消关联", "Unlink"));
    }
    std::string body =
        fmt::format("<h1>{}</h1>{}", visit.say("通过其他机构登录", "Signing in through others"),
                    problem.empty() ? "" : alert("problem", problem));
    body += rows.empty() ? fmt::format("<section><p>{}</p></section>",
                                       visit.say("没有关联的身份。", "No identity is linked."))
                         : fmt::format(R"(<section><ul class="rows">{}</ul></section>)", rows);
    body += provider_links(visit, Federated::Purpose::link, "/account/identities");
    body += fmt::format(R"(<p><a href="/account">{}</a></p>)",
                        visit.say("返回我的账户", "Back to my account"));
    return visit.page(status, visit.say("通过其他机构登录", "Signing in through others"), false,
                      body);
}

net::Response SignIn::show_identities(Visit& visit) {
    return identities_page(visit, 200, "");
}

net::Response SignIn::add_identity(Visit& visit) {
    const Account& account = visit.session->account;
    const auto linked = [&]() -> Result<void> {
        auto entry = TRY(vault_.get(link_space, to_hex(sha256(visit.field("token")))));
        if (!entry || (entry->expires && *entry->expires <= options_.clock()))
            return fail(Category::incorrect, "the wish to link is used up or too old");
        const JsonDocument document = TRY(JsonDocument::parse(entry->value));
        const Json& wish = document.root();
        if (wish.string_at("account") != account.name ||
            wish.string_at("session") != visit.session->subject.session)
            return fail(Category::incorrect, "the wish to link is of another session");
        entry->removed = true;
        if (!TRY(vault_.put({*std::move(entry)})))
            return fail(Category::incorrect, "the wish to link is used up");
        return accounts_.link(account.name, {std::string(wish.string_at("issuer")),
                                             std::string(wish.string_at("subject"))});
    }();
    report(visit, "account.identity", account.name, linked.has_value());
    if (linked) return redirect("/account/identities");
    const Category category = linked.error().category;
    if (category != Category::incorrect && category != Category::conflict)
        return failure(visit, linked.error());
    return identities_page(
        visit, status_of(linked.error()),
        category == Category::conflict
            ? visit.say("此身份已关联到一个账户。",
                        "This identity is linked with an account already.")
            : visit.say("页面已过期，请重新关联。", "This page is too old. Link it again."));
}

net::Response SignIn::remove_identity(Visit& visit) {
    const Account& account = visit.session->account;
    const FederatedIdentity identity{std::string(visit.field("issuer")),
                                     std::string(visit.field("subject"))};
    if (!has_another_way(account))
        return identities_page(
            visit, 409,
            visit.say("这是唯一的登录方式。请先设置密码或通行密钥。",
                      "This is your only way in. Add a passkey or a password first."));
    const auto removed = accounts_.unlink(account.name, identity);
    report(visit, "account.identity-removed", account.name, removed.has_value());
    if (!removed && removed.error().category != Category::not_found)
        return failure(visit, removed.error());
    return redirect("/account/identities");
}

}  // namespace meridian::trust
