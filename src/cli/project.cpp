// SPDX-License-Identifier: Apache-2.0
// Projects: who sees which patients under pseudonyms.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/query_string.hpp"
#include "cli/ask.hpp"
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/place.hpp"

namespace meridian::cli {

namespace {

Json list_of(JsonDocument& document, const std::vector<std::string>& texts) {
    Json all = document.array();
    for (const std::string& text : texts) document.append(all, document.string(text));
    return all;
}

void print_project(const Json& project) {
    std::string members;
    for (const Json& member : project["members"].items())
        members.append(members.empty() ? "" : ", ").append(member.text());
    std::printf(
        "%-20.*s %-28.*s %-10.*s %-10.*s %s\n", static_cast<int>(project.string_at("id").size()),
        project.string_at("id").data(), static_cast<int>(project.string_at("group").size()),
        project.string_at("group").data(), static_cast<int>(project.string_at("purpose").size()),
        project.string_at("purpose").data(), static_cast<int>(project.string_at("consent").size()),
        project.string_at("consent").data(), members.c_str());
}

void add_add(CLI::App& project, Action& action) {
    struct Arguments {
        Place place;
        std::string id, title, group, actor, purpose, consent;
        std::vector<std::string> labels, members;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = project.add_subcommand("add", "make a project");
    command->add_option("ID", arguments->id, "short name: a-z, 0-9 and -")->required();
    command->add_option("--group", arguments->group, "Group/ID whose members are the patients")
        ->required();
    command->add_option("--title", arguments->title, "what the project is for");
    command->add_option("--actor", arguments->actor,
                        "reference that patients' consents may name, e.g. ResearchStudy/ID; the "
                        "group when not given");
    command->add_option("--purpose", arguments->purpose,
                        "code of v3-ActReason: HRESCH (as it is) or CAREMGT");
    command->add_option("--consent", arguments->consent,
                        "opt-in (as it is): only who permits it is shown; opt-out: who does not "
                        "deny it; not-asked");
    command->add_option("--label", arguments->labels,
                        "a sensitivity label of the policy that is shown all the same");
    command->add_option("--member", arguments->members,
                        "account of a researcher or of follow-up staff");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            for (const auto& [name, value] :
                 {std::pair("id", &arguments->id), std::pair("title", &arguments->title),
                  std::pair("group", &arguments->group), std::pair("actor", &arguments->actor),
                  std::pair("purpose", &arguments->purpose),
                  std::pair("consent", &arguments->consent)}) {
                if (!value->empty()) document.set(wanted, name, document.string(*value));
            }
            document.set(wanted, "labels", list_of(document, arguments->labels));
            document.set(wanted, "members", list_of(document, arguments->members));
            const JsonDocument made = TRY(
                ask(arguments->place, net::Method::post, "/projects", meridian::to_text(wanted)));
            print_project(made.root());
            return done;
        };
    });
}

void add_list(CLI::App& project, Action& action) {
    auto place = std::make_shared<Place>();
    CLI::App* command = project.add_subcommand("list", "show all projects");
    add_place(*command, place->folder, place->database)->required();
    command->callback([place, &action] {
        action = [place]() -> Result<int> {
            const JsonDocument all = TRY(ask(*place, net::Method::get, "/projects"));
            for (const Json& each : all.root()["projects"].items()) print_project(each);
            return done;
        };
    });
}

void add_members(CLI::App& project, Action& action) {
    struct Arguments {
        Place place;
        std::string id;
        std::vector<std::string> add, remove;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = project.add_subcommand("members", "change who sees a project");
    command->add_option("ID", arguments->id, "the project")->required();
    command->add_option("--add", arguments->add, "account that becomes a member");
    command->add_option("--remove", arguments->remove, "account that is one no more");
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            JsonDocument document;
            Json wanted = document.object();
            document.set(wanted, "add", list_of(document, arguments->add));
            document.set(wanted, "remove", list_of(document, arguments->remove));
            const JsonDocument changed =
                TRY(ask(arguments->place, net::Method::post,
                        fmt::format("/projects/{}/members", percent_encode(arguments->id)),
                        meridian::to_text(wanted)));
            print_project(changed.root());
            return done;
        };
    });
}

void add_remove(CLI::App& project, Action& action) {
    struct Arguments {
        Place place;
        std::string id;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = project.add_subcommand(
        "remove", "take a project away, with its view and the secret behind its pseudonyms");
    command->add_option("ID", arguments->id, "the project")->required();
    add_place(*command, arguments->place.folder, arguments->place.database)->required();
    command->callback([arguments, &action] {
        action = [arguments]() -> Result<int> {
            TRY(ask(arguments->place, net::Method::post,
                    fmt::format("/projects/{}/removed", percent_encode(arguments->id)), "{}"));
            return done;
        };
    });
}

}  // namespace

void add_project(CLI::App& app, Action& action) {
    CLI::App* project =
        app.add_subcommand("project", "projects: who sees which patients under pseudonyms");
    project->require_subcommand(1);
    add_add(*project, action);
    add_list(*project, action);
    add_members(*project, action);
    add_remove(*project, action);
}

}  // namespace meridian::cli
