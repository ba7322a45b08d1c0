// SPDX-License-Identifier: Apache-2.0
// Accounts and tokens, for scripts on the machine that owns the data folder.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "base/file.hpp"
#include "base/json.hpp"
#include "base/query_string.hpp"
#include "cli/ask.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"

namespace meridian::cli {

namespace {

/// As a JSON array. Several may stand in one word, as in OAuth's own parameter `scope`.
Json words(JsonDocument& document, const std::vector<std::string>& given) {
    Json all = document.array();
    for (const std::string& each : given) {
        for (std::size_t begin = 0; begin < each.size();) {
            const std::size_t end = std::min(each.find(' ', begin), each.size());
            if (end > begin) document.append(all, document.string(each.substr(begin, end - begin)));
            begin = end + 1;
        }
    }
    return all;
}

void print_account(const Json& account) {
    std::printf(
        "%-24.*s %-16.*s %-44.*s %s\n", static_cast<int>(account.string_at("name").size()),
        account.string_at("name").data(), static_cast<int>(account.string_at("role").size()),
        account.string_at("role").data(), static_cast<int>(account.string_at("person").size()),
        account.string_at("person").data(), account["disabled"].boolean() ? "disabled" : "");
}

/// Where its owner chooses the password of an account, when the answer says so.
void print_setup(const Json& account) {
    const std::string setup(account.string_at("setup"));
    if (setup.empty()) return;
    std::printf("The password is chosen once, within a day, at %s%s\n",
                setup.starts_with('/') ? "the server's address, " : "", setup.c_str());
}

void add_add(CLI::App& account, Action& action) {
    struct Arguments {
        Place place;
        std::string name, role, organisation, practitioner, patient, display, password;
        bool reads_password = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = account.add_subcommand("add", "make an account");
    command->add_option("NAME", arguments->name, "what the person signs in with")->required();
    command->add_option("--role", arguments->role, "what the account is for")->required();
    command->add_option("--organisation", arguments->organisation,
                        "Organization/ID that the person works in");
    command->add_option("--practitioner", arguments->practitioner,
                        "Practitioner/ID that the account stands for; made when not named");
    command->add_option("--patient", arguments->patient,
                        "Patient/ID that the account stands for, or whose guardian it is");
    command->add_option("--display", arguments->display, "the person's name as others see it");
    command->add_flag("--password-stdin", arguments->reads_password,
                      "read the password from the first line of standard input; without it a "
                      "one-time address is printed at which the person chooses it");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            if (arguments->reads_password && !std::getline(std::cin, arguments->password))
                return fail(Category::incorrect, "standard input holds no password",
                            "--password-stdin");
            JsonDocument document;
            Json wanted = document.object();
            for (const auto& [name, value] :
                 {std::pair("name", &arguments->name), std::pair("role", &arguments->role),
                  std::pair("organisation", &arguments->organisation),
                  std::pair("practitioner", &arguments->practitioner),
                  std::pair("patient", &arguments->patient),
                  std::pair("display", &arguments->display),
                  std::pair("password", &arguments->password)}) {
                if (!value->empty()) document.set(wanted, name, document.string(*value));
            }
            const JsonDocument made = TRY(
                ask(arguments->place, net::Method::post, "/accounts", meridian::to_text(wanted)));
            print_account(made.root());
            print_setup(made.root());
            return done;
        };
    });
}

void add_list(CLI::App& account, Action& action) {
    auto place = std::make_shared<Place>();
    CLI::App* command = account.add_subcommand("list", "show all accounts");
    add_place(*command, place->folder, place->database)->required();
    command->callback([place, &action] {
        action = [place]() -> Result<int> {
            const JsonDocument all = TRY(ask(*place, net::Method::get, "/accounts"));
            for (const Json& each : all.root()["accounts"].items()) print_account(each);
            return done;
        };
    });
}

void add_disable(CLI::App& account, Action& action) {
    struct Arguments {
        Place place;
        std::string name;
        bool again = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = account.add_subcommand(
        "disable", "close an account: its sessions and tokens end within a second");
    command->add_option("NAME", arguments->name, "of the account")->required();
    command->add_flag("--enable", arguments->again, "open it again");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            const JsonDocument changed =
                TRY(ask(arguments->place, net::Method::post,
                        fmt::format("/accounts/{}/disabled", percent_encode(arguments->name)),
                        arguments->again ? R"({"disabled":false})" : R"({"disabled":true})"));
            print_account(changed.root());
            return done;
        };
    });
}

/// A command that asks for one thing about one account.
void add_act(CLI::App& account, Action& action, const std::string& word, const std::string& says,
             const std::string& path, const std::string& body) {
    struct Arguments {
        Place place;
        std::string name;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = account.add_subcommand(word, says);
    command->add_option("NAME", arguments->name, "of the account")->required();
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, path, body, &action] {
        action = [arguments, path, body]() -> Result<int> {
            const JsonDocument changed = TRY(
                ask(arguments->place, net::Method::post,
                    fmt::format("/accounts/{}/{}", percent_encode(arguments->name), path), body));
            print_account(changed.root());
            print_setup(changed.root());
            return done;
        };
    });
}

void add_client_add(CLI::App& client, Action& action) {
    struct Arguments {
        Place place;
        std::string name, id, jwks_file, jwks_uri, account;
        std::vector<std::string> redirects, scopes;
        bool has_secret = false, is_first_party = false, introspects = false, pushes = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = client.add_subcommand("add", "register an app that may use OAuth");
    command->add_option("NAME", arguments->name, "shown to people who are asked")->required();
    command->add_option("--id", arguments->id, "client_id; made when not given");
    command->add_option("--redirect", arguments->redirects,
                        "address that people are sent back to; may be given several times");
    command->add_option("--scope", arguments->scopes,
                        "all that it may ever get, e.g. \"launch/patient patient/*.rs openid\"");
    command->add_option("--account", arguments->account,
                        "account that it acts as by itself (client_credentials)");
    CLI::Option* secret = command->add_flag("--secret", arguments->has_secret,
                                            "it keeps a secret, which is printed once");
    CLI::Option* jwks = command->add_option("--jwks", arguments->jwks_file,
                                            "file with its public keys (private_key_jwt)");
    command->add_option("--jwks-uri", arguments->jwks_uri, "or where they lie")
        ->excludes(jwks)
        ->excludes(secret);
    jwks->excludes(secret);
    command->add_flag("--first-party", arguments->is_first_party,
                      "it is the region's own: people are not asked");
    command->add_flag(
        "--pushed", arguments->pushes,
        "it hands each of its requests in first (RFC 9126), and is refused otherwise");
    command->add_flag("--introspects", arguments->introspects,
                      "it may ask about everybody's tokens, as a resource server does (RFC 7662)");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            document.set(wanted, "name", document.string(arguments->name));
            document.set(wanted, "id", document.string(arguments->id));
            document.set(wanted, "account", document.string(arguments->account));
            document.set(wanted, "redirects", words(document, arguments->redirects));
            document.set(wanted, "scopes", words(document, arguments->scopes));
            document.set(wanted, "firstParty", document.boolean(arguments->is_first_party));
            document.set(wanted, "mayIntrospect", document.boolean(arguments->introspects));
            document.set(wanted, "pushes", document.boolean(arguments->pushes));
            if (!arguments->jwks_file.empty())
                document.set(wanted, "jwks", document.string(TRY(read_file(arguments->jwks_file))));
            document.set(wanted, "jwksUri", document.string(arguments->jwks_uri));
            const bool has_key = !arguments->jwks_file.empty() || !arguments->jwks_uri.empty();
            document.set(wanted, "authentication",
                         document.string(has_key                 ? "private-key"
                                         : arguments->has_secret ? "secret"
                                                                 : "none"));
            const JsonDocument added = TRY(
                ask(arguments->place, net::Method::post, "/clients", meridian::to_text(wanted)));
            std::printf("client_id      %s\n", std::string(added.root().string_at("id")).c_str());
            if (const auto made = added.root().string_at("secret"); !made.empty())
                std::printf("client_secret  %s\n", std::string(made).c_str());
            return done;
        };
    });
}

void add_client_list(CLI::App& client, Action& action) {
    auto place = std::make_shared<Place>();
    CLI::App* command = client.add_subcommand("list", "show all registered apps");
    add_place(*command, place->folder, place->database)->required();
    command->callback([place, &action] {
        action = [place]() -> Result<int> {
            const JsonDocument all = TRY(ask(*place, net::Method::get, "/clients"));
            for (const Json& each : all.root()["clients"].items())
                std::printf("%-40s %s%s\n", std::string(each.string_at("id")).c_str(),
                            std::string(each.string_at("name")).c_str(),
                            each["disabled"].boolean() ? "  disabled" : "");
            return done;
        };
    });
}

void add_client_remove(CLI::App& client, Action& action) {
    struct Arguments {
        Place place;
        std::string id;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = client.add_subcommand("remove", "an app may use OAuth no more");
    command->add_option("ID", arguments->id, "its client_id")->required();
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            TRY(ask(arguments->place, net::Method::post,
                    fmt::format("/clients/{}/removed", percent_encode(arguments->id)), "{}"));
            return done;
        };
    });
}

/// The first line of a file that holds nothing but a secret.
Result<std::string> read_secret(const std::string& file) {
    std::string text = TRY(read_file(file));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.empty() || text.find('\n') != std::string::npos)
        return fail(Category::incorrect, fmt::format("{} holds no single secret", file));
    return text;
}

void add_provider_add(CLI::App& provider, Action& action) {
    struct Arguments {
        Place place;
        std::string name, issuer, client_id, secret_file, key_file, label, label_zh, creates;
        std::string scope = "openid";
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command =
        provider.add_subcommand("add", "let people of an outside OpenID provider sign in here");
    command->add_option("NAME", arguments->name, "in addresses: letters, digits and -")->required();
    command->add_option("--issuer", arguments->issuer, "what it calls itself, letter by letter")
        ->required();
    command->add_option("--client-id", arguments->client_id, "what it calls this server")
        ->required();
    CLI::Option* secret =
        command->add_option("--secret-file", arguments->secret_file, "file with our secret there");
    command
        ->add_option("--key-file", arguments->key_file,
                     "file with our key pair as a JWK (private_key_jwt)")
        ->excludes(secret);
    command->add_option("--label", arguments->label, "what people read on its button");
    command->add_option("--label-zh", arguments->label_zh, "the same in Chinese");
    command->add_option("--scope", arguments->scope,
                        "what is asked of it, e.g. \"openid email\" (default: openid)");
    command->add_option("--creates", arguments->creates,
                        "make an account with this role for people without one (default: none)");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            for (const auto& [member, text] :
                 {std::pair("name", &arguments->name), std::pair("issuer", &arguments->issuer),
                  std::pair("clientId", &arguments->client_id),
                  std::pair("label", &arguments->label), std::pair("labelZh", &arguments->label_zh),
                  std::pair("scope", &arguments->scope), std::pair("creates", &arguments->creates)})
                document.set(wanted, member, document.string(*text));
            if (!arguments->secret_file.empty())
                document.set(wanted, "secret",
                             document.string(TRY(read_secret(arguments->secret_file))));
            if (!arguments->key_file.empty())
                document.set(wanted, "key", document.string(TRY(read_file(arguments->key_file))));
            const JsonDocument added = TRY(
                ask(arguments->place, net::Method::post, "/providers", meridian::to_text(wanted)));
            std::printf("callback  %s\n", std::string(added.root().string_at("callback")).c_str());
            if (const auto keys = added.root().string_at("jwks"); !keys.empty())
                std::printf("jwks      %s\n", std::string(keys).c_str());
            return done;
        };
    });
}

void add_provider_list(CLI::App& provider, Action& action) {
    auto place = std::make_shared<Place>();
    CLI::App* command = provider.add_subcommand("list", "show all outside providers");
    add_place(*command, place->folder, place->database)->required();
    command->callback([place, &action] {
        action = [place]() -> Result<int> {
            const JsonDocument all = TRY(ask(*place, net::Method::get, "/providers"));
            for (const Json& each : all.root()["providers"].items()) {
                const std::string_view creates = each.string_at("creates");
                std::printf("%-20s %s  %s%s\n", std::string(each.string_at("name")).c_str(),
                            std::string(each.string_at("issuer")).c_str(),
                            std::string(each.string_at("clientId")).c_str(),
                            creates.empty() ? "" : fmt::format("  creates {}", creates).c_str());
            }
            return done;
        };
    });
}

void add_provider_remove(CLI::App& provider, Action& action) {
    struct Arguments {
        Place place;
        std::string name;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = provider.add_subcommand("remove", "nobody signs in by it any more");
    command->add_option("NAME", arguments->name, "its name")->required();
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            TRY(ask(arguments->place, net::Method::post,
                    fmt::format("/providers/{}/removed", percent_encode(arguments->name)), "{}"));
            return done;
        };
    });
}

void add_link(CLI::App& account, Action& action) {
    struct Arguments {
        Place place;
        std::string name, provider, subject;
        bool is_removed = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command =
        account.add_subcommand("link", "say who an account is at an outside provider");
    command->add_option("NAME", arguments->name, "name of the account")->required();
    command->add_option("--provider", arguments->provider, "name of the provider")->required();
    command->add_option("--subject", arguments->subject, "the person's \"sub\" there")->required();
    command->add_flag("--remove", arguments->is_removed, "take the link away");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            document.set(wanted, "provider", document.string(arguments->provider));
            document.set(wanted, "subject", document.string(arguments->subject));
            document.set(wanted, "removed", document.boolean(arguments->is_removed));
            const JsonDocument changed =
                TRY(ask(arguments->place, net::Method::post,
                        fmt::format("/accounts/{}/identities", percent_encode(arguments->name)),
                        meridian::to_text(wanted)));
            print_account(changed.root());
            return done;
        };
    });
}

}  // namespace

void add_provider(CLI::App& app, Action& action) {
    CLI::App* command =
        app.add_subcommand("provider", "outside OpenID providers whose people may sign in");
    command->require_subcommand(1);
    add_provider_add(*command, action);
    add_provider_list(*command, action);
    add_provider_remove(*command, action);
}

void add_client(CLI::App& app, Action& action) {
    CLI::App* command = app.add_subcommand("client", "apps that use OAuth");
    command->require_subcommand(1);
    add_client_add(*command, action);
    add_client_list(*command, action);
    add_client_remove(*command, action);
}

void add_account(CLI::App& app, Action& action) {
    CLI::App* command = app.add_subcommand("account", "accounts of people and systems");
    command->require_subcommand(1);
    add_add(*command, action);
    add_list(*command, action);
    add_disable(*command, action);
    add_link(*command, action);
    add_act(*command, action, "reset", "print a one-time address for a new password", "reset",
            "{}");
    add_act(*command, action, "reset-factors",
            "the same, and take one-time codes, recovery codes and passkeys away: phone or key is "
            "lost, and you know who asks",
            "reset", R"({"secondFactors":true})");
    add_act(*command, action, "unlock", "end the waiting time after many wrong attempts",
            "unlocked", "{}");
    add_act(*command, action, "sign-out", "end all sessions of an account", "sessions", "{}");
}

void add_token(CLI::App& app, Action& action) {
    struct Arguments {
        Place place;
        std::string account;
        std::vector<std::string> scopes;
        std::int64_t seconds = 0;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand(
        "token", "print a bearer token for an account (Authorization: Bearer …)");
    command->add_option("--account", arguments->account, "name of the account")->required();
    command->add_option("--scope", arguments->scopes,
                        "SMART scope that narrows what the token may do, e.g. user/Patient.rs; may "
                        "be given several times");
    command->add_option("--seconds", arguments->seconds, "how long it lasts (default: a day)");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            document.set(wanted, "account", document.string(arguments->account));
            const Json scopes = words(document, arguments->scopes);
            document.set(wanted, "scopes", scopes);
            if (arguments->seconds != 0)
                document.set(wanted, "seconds", document.number(arguments->seconds));
            const JsonDocument answer =
                TRY(ask(arguments->place, net::Method::post, "/tokens", meridian::to_text(wanted)));
            const std::string_view token = answer.root().string_at("token");
            std::printf("%.*s\n", static_cast<int>(token.size()), token.data());
            return done;
        };
    });
}

}  // namespace meridian::cli
