// SPDX-License-Identifier: Apache-2.0
#include "server/project_control.hpp"

#include <algorithm>

#include "trust/pseudonym/project.hpp"

namespace meridian::server {

namespace {

using trust::policy::ConsentRule;
using trust::pseudonym::Project;
using trust::pseudonym::ProjectList;

Json list_of(JsonDocument& document, const std::vector<std::string>& texts) {
    Json all = document.array();
    for (const std::string& text : texts) document.append(all, document.string(text));
    return all;
}

/// All but the secret.
Json described(JsonDocument& document, const Project& project) {
    Json out = document.object();
    document.set(out, "id", document.string(project.id));
    document.set(out, "title", document.string(project.title));
    document.set(out, "group", document.string(project.cohort));
    document.set(out, "actor", document.string(project.actor));
    document.set(out, "purpose", document.string(project.purpose));
    document.set(out, "consent", document.string(name_of(project.consent)));
    document.set(out, "labels", list_of(document, project.labels));
    document.set(out, "members", list_of(document, project.members));
    document.set(out, "referenceDay", document.string(project.reference_day));
    document.set(out, "created", document.string(to_text(project.created)));
    return out;
}

std::vector<std::string> texts_of(const Json& list) {
    std::vector<std::string> texts;
    for (const Json& text : list.items()) texts.emplace_back(text.text());
    return texts;
}

Result<ConsentRule> consent_of(std::string_view word) {
    if (word.empty()) return ConsentRule::opt_in;
    for (const auto rule : {ConsentRule::not_asked, ConsentRule::opt_out, ConsentRule::opt_in})
        if (name_of(rule) == word) return rule;
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no rule of consent: expected opt-in, opt-out or not-asked",
                            word.substr(0, 40)),
                "--consent");
}

class Answering {
 public:
    Answering(Guard& guard, fhir::Repository& repository)
        : guard_(guard), repository_(repository), list_(guard.vault()) {}

    Result<std::string> add(const Json& wanted) {
        Project project;
        project.id = wanted.string_at("id");
        project.title = wanted.string_at("title");
        project.cohort = wanted.string_at("group");
        project.actor = wanted.string_at("actor");
        project.purpose = wanted.string_at("purpose", project.purpose);
        project.consent = TRY(consent_of(wanted.string_at("consent")));
        project.labels = texts_of(wanted["labels"]);
        TRY(check_group(project.cohort));
        TRY(add_members(project, texts_of(wanted["members"])));
        const Project made = TRY(list_.add(std::move(project)));
        TRY(note(made.id, "made"));
        JsonDocument document;
        return to_text(described(document, made));
    }

    Result<std::string> list() {
        JsonDocument document;
        Json all = document.array();
        for (const Project& project : TRY(list_.all()))
            document.append(all, described(document, project));
        Json out = document.object();
        document.set(out, "projects", all);
        return to_text(out);
    }

    Result<std::string> set_members(const std::string& id, const Json& wanted) {
        const auto changed = TRY(list_.change(id, [&](Project& project) -> Result<void> {
            for (const std::string& name : texts_of(wanted["remove"]))
                std::erase(project.members, name);
            return add_members(project, texts_of(wanted["add"]));
        }));
        TRY(note(id, "members changed"));
        JsonDocument document;
        return to_text(described(document, changed));
    }

    Result<std::string> remove(const std::string& id) {
        TRY(list_.remove(id));
        TRY(note(id, "removed"));
        JsonDocument document;
        Json out = document.object();
        document.set(out, "id", document.string(id));
        return to_text(out);
    }

 private:
    Result<void> check_group(std::string_view cohort) {
        const std::size_t slash = cohort.find('/');
        if (cohort.substr(0, slash) != "Group" || slash == std::string_view::npos)
            return {};  // the list says what is wrong with it
        const auto found =
            repository_.read(fhir::Caller::system("projects"), "Group", cohort.substr(slash + 1));
        if (found) return {};
        Error error = found.error();
        error.where = "--group";
        return std::unexpected(std::move(error));
    }

    Result<void> add_members(Project& project, const std::vector<std::string>& names) {
        for (const std::string& given : names) {
            const std::string name = TRY(trust::account_name(given));
            const auto account = TRY(guard_.accounts().find(name));
            if (!account)
                return fail(Category::not_found, fmt::format("there is no account \"{}\"", name),
                            "--member");
            if (!trust::pseudonym::may_be_member(account->role))
                return fail(Category::forbidden,
                            fmt::format("{} is an account for a {}: only researchers and follow-up "
                                        "staff, who see no names, may be members",
                                        name, name_of(account->role)),
                            "--member");
            if (std::find(project.members.begin(), project.members.end(), name) ==
                project.members.end())
                project.members.push_back(name);
        }
        return {};
    }

    Result<void> note(std::string_view id, std::string_view what) {
        fhir::AuditRecord record;
        record.interaction = fhir::Interaction::security;
        record.query = fmt::format("project {}: {}", id, what);
        return repository_.note(fhir::Caller::system("projects"), {std::move(record)});
    }

    Guard& guard_;
    fhir::Repository& repository_;
    ProjectList list_;
};

}  // namespace

Result<std::string> answer_about_projects(Guard& guard, fhir::Repository& repository,
                                          net::Method method, const std::vector<std::string>& path,
                                          const Json& wanted, int& status) {
    Answering answering(guard, repository);
    status = 200;
    if (path.size() == 1 && method == net::Method::get) return answering.list();
    if (path.size() == 1 && method == net::Method::post) {
        status = 201;
        return answering.add(wanted);
    }
    if (path.size() == 3 && method == net::Method::post) {
        if (path[2] == "members") return answering.set_members(path[1], wanted);
        if (path[2] == "removed") return answering.remove(path[1]);
    }
    return fail(Category::not_found, "there is no such question");
}

}  // namespace meridian::server
