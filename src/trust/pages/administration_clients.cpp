// SPDX-License-Identifier: Apache-2.0
// Apps that may use OAuth, for security administrators.
#include "trust/pages/administration_route.hpp"

namespace meridian::trust {

namespace {

using Visit = SignIn::Visit;
using oauth::ClientAuthentication;

/// The words of a field, between blanks and line ends.
std::vector<std::string> words_of(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    std::vector<std::string> words;
    for (std::size_t begin = text.find_first_not_of(blanks); begin != std::string_view::npos;
         begin = text.find_first_not_of(blanks, begin)) {
        const std::size_t end = std::min(text.find_first_of(blanks, begin), text.size());
        words.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    return words;
}

std::string_view kind_text(const Visit& visit, ClientAuthentication authentication) {
    switch (authentication) {
        case ClientAuthentication::none:
            return visit.say("公开应用（PKCE）", "Public app (PKCE)");
        case ClientAuthentication::secret:
            return visit.say("持有密钥串", "Keeps a secret");
        case ClientAuthentication::private_key:
            return visit.say("持有私钥", "Keeps a private key");
    }
    return "";
}

std::string text_area(std::string_view name, std::string_view label, std::string_view value,
                      std::string_view hint) {
    return fmt::format(
        R"(<div><label for="{0}">{1}</label><textarea id="{0}" name="{0}" rows="3" spellcheck="false" placeholder="{2}">{3}</textarea></div>)",
        name, label, escaped_markup(hint), escaped_markup(value));
}

std::string kind_options(const Visit& visit) {
    constexpr std::pair<std::string_view, ClientAuthentication> kinds[] = {
        {"none", ClientAuthentication::none},
        {"secret", ClientAuthentication::secret},
        {"private-key", ClientAuthentication::private_key}};
    std::string out;
    for (const auto& [word, kind] : kinds)
        out += fmt::format(R"(<option value="{}"{}>{}</option>)", word,
                           visit.field("authentication") == word ? " selected" : "",
                           kind_text(visit, kind));
    return out;
}

std::string register_form(const Visit& visit) {
    constexpr std::string_view plain =
        R"(maxlength="256" autocapitalize="none" spellcheck="false" autocomplete="off")";
    const std::string fields =
        field_row("app", visit.say("名称（授权时显示）", "Name, as people see it"),
                  visit.field("app"), R"(required maxlength="120" autocomplete="off")") +
        field_row("id", visit.say("client_id（留空则自动生成）", "client_id (made when empty)"),
                  visit.field("id"), plain) +
        fmt::format(
            R"(<div><label for="authentication">{}</label><select id="authentication" name="authentication">{}</select></div>)",
            visit.say("类型", "Kind"), kind_options(visit)) +
        field_row("account",
                  visit.say("后台服务所用账户（可选）", "Account it acts as by itself (a service)"),
                  visit.field("account"), plain) +
        field_row("jwks-uri", visit.say("公钥地址（私钥应用）", "Where its public keys lie"),
                  visit.field("jwks-uri"), R"(type="url" maxlength="1000")") +
        text_area("redirects", visit.say("回调地址，每行一个", "Redirect addresses, one a line"),
                  visit.field("redirects"), "https://app.example.org/callback") +
        text_area("scopes", visit.say("最大权限范围", "All the scopes it may ever get"),
                  visit.field("scopes"), "launch/patient patient/*.rs openid") +
        text_area("jwks", visit.say("或公钥（JWK Set）", "Or the keys themselves (a JWK set)"),
                  visit.field("jwks"), R"({"keys":[…]})");
    return fmt::format(
        R"(<section aria-labelledby="register"><h2 id="register">{}</h2><form method="post" action="/administration/clients">{}<div class="fields">{}</div><button>{}</button></form></section>)",
        visit.say("登记应用", "Register an app"), visit.hidden_csrf(), fields,
        visit.say("登记", "Register"));
}

oauth::Client wanted_client(const Visit& visit) {
    oauth::Client client;
    client.name = visit.field("app");
    client.id = visit.field("id");
    client.account = visit.field("account");
    client.redirect_uris = words_of(visit.field("redirects"));
    client.scopes = words_of(visit.field("scopes"));
    client.jwks = visit.field("jwks");
    client.jwks_uri = visit.field("jwks-uri");
    if (visit.field("authentication") == "secret")
        client.authentication = ClientAuthentication::secret;
    if (visit.field("authentication") == "private-key")
        client.authentication = ClientAuthentication::private_key;
    return client;
}

}  // namespace

net::Response Administration::clients_page(Visit& visit, int status, std::string_view above) {
    const auto clients = clients_.list();
    if (!clients) return failure_page(visit, clients.error());
    std::string rows;
    for (const oauth::Client& client : *clients)
        rows += table_row(
            {escaped_markup(client.name), fmt::format("<code>{}</code>", escaped_markup(client.id)),
             kind_text(visit, client.authentication),
             escaped_markup(fmt::format("{}", fmt::join(client.scopes, " "))),
             client.disabled ? visit.say("已停用", "Disabled") : visit.say("可用", "Active"),
             button_form(visit, "/administration/clients/remove", "id", client.id,
                         visit.say("移除", "Remove"), client.name)});
    const std::string_view title = visit.say("应用", "Apps");
    std::string body(above);
    if (Visit::value(visit.query, "done") == "removed")
        body += good_news(visit.say("应用已移除。", "The app is removed."));
    body += table(title,
                  {visit.say("名称", "Name"), "client_id", visit.say("类型", "Kind"),
                   visit.say("最大权限范围", "Scopes"), visit.say("状态", "State"), ""},
                  rows,
                  visit.say("还没有登记应用。登记后，应用才能请求授权。",
                            "No app is registered yet. Only registered apps can ask for access."));
    return page(visit, status, Desk::clients, title, body + register_form(visit));
}

net::Response Administration::show_clients(Visit& visit) {
    return clients_page(visit, 200, "");
}

net::Response Administration::add_client(Visit& visit) {
    const auto added = [&]() -> Result<oauth::Clients::Added> {
        oauth::Client client = wanted_client(visit);
        if (!client.account.empty() && !TRY(accounts_.find(client.account)))
            return fail(Category::incorrect, "there is no such account", "account");
        return clients_.add(std::move(client));
    }();
    const auto noted =
        note(visit, "client.added", added ? added->client.id : "", added.has_value());
    if (!noted) return failure_page(visit, noted.error());
    if (!added) {
        const int status = status_of(added.error());
        if (status >= 500) return failure_page(visit, added.error());
        return clients_page(
            visit, status,
            alert("problem", fmt::format("{} ({})",
                                         visit.say("登记内容不可用。",
                                                   "The app cannot be registered like that."),
                                         added.error().message)));
    }
    std::string above = fmt::format(
        R"(<div class="good" role="status"><p>{}</p><dl class="facts"><dt>client_id</dt><dd><code>{}</code></dd>)",
        visit.say("应用已登记。", "The app is registered."), escaped_markup(added->client.id));
    if (!added->secret.empty())
        above += fmt::format(
            "<dt>client_secret</dt><dd><code>{}</code><br>{}</dd>", escaped_markup(added->secret),
            visit.say("只显示这一次，请立即保存。", "It is not shown again: keep it now."));
    visit.form.clear();
    return clients_page(visit, 201, above + "</dl></div>");
}

net::Response Administration::remove_client(Visit& visit) {
    const std::string_view id = visit.field("id");
    const auto removed = clients_.remove(id);
    if (const auto noted = note(visit, "client.removed", id, removed.has_value()); !noted)
        return failure_page(visit, noted.error());
    if (!removed && removed.error().category != Category::not_found)
        return failure_page(visit, removed.error());
    return redirect("/administration/clients?done=removed");
}

}  // namespace meridian::trust
