// SPDX-License-Identifier: Apache-2.0
#include "trust/pseudonym/project.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "trust/pseudonym/limits.hpp"
#include "trust/pseudonym/transform.hpp"

namespace meridian::trust::pseudonym {

namespace {

constexpr std::string_view space = "project";

std::string key_text(const SecretKey& key) {
    return base64_encode({reinterpret_cast<const char*>(key.data()), key.size()});
}

Json list_of(JsonDocument& document, const std::vector<std::string>& texts) {
    Json all = document.array();
    for (const std::string& text : texts) document.append(all, document.string(text));
    return all;
}

std::vector<std::string> texts_of(const Json& list) {
    std::vector<std::string> texts;
    for (const Json& text : list.items()) texts.emplace_back(text.text());
    return texts;
}

std::string to_json(const Project& project) {
    JsonDocument document;
    Json out = document.object();
    const auto set = [&](std::string_view name, std::string_view value) {
        document.set(out, name, document.string(value));
    };
    set("title", project.title);
    set("cohort", project.cohort);
    set("actor", project.actor);
    set("purpose", project.purpose);
    set("consent", policy::name_of(project.consent));
    set("referenceDay", project.reference_day);
    set("secret", key_text(project.secret));
    document.set(out, "labels", list_of(document, project.labels));
    document.set(out, "members", list_of(document, project.members));
    document.set(out, "created", document.number(project.created.milliseconds));
    document.set(out, "generation", document.number(std::int64_t{project.generation}));
    return to_text(out);
}

std::int64_t number_of(const Json& value) {
    std::int64_t number = 0;
    const std::string_view text = value.text();
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

Result<Project> project_of(const Vault::Entry& entry) {
    const JsonDocument document = TRY(JsonDocument::parse(entry.value));
    const Json& stored = document.root();
    Project project;
    project.id = entry.key;
    project.version = entry.version;
    project.title = stored.string_at("title");
    project.cohort = stored.string_at("cohort");
    project.actor = stored.string_at("actor");
    project.purpose = stored.string_at("purpose");
    const std::string_view consent = stored.string_at("consent");
    for (const auto rule : {policy::ConsentRule::not_asked, policy::ConsentRule::opt_out,
                            policy::ConsentRule::opt_in})
        if (policy::name_of(rule) == consent) project.consent = rule;
    project.reference_day = stored.string_at("referenceDay");
    project.labels = texts_of(stored["labels"]);
    project.members = texts_of(stored["members"]);
    project.created = Instant{number_of(stored["created"])};
    project.generation = static_cast<int>(number_of(stored["generation"]));
    std::string secret;
    if (!base64_decode(stored.string_at("secret"), secret) || secret.size() != sizeof(SecretKey))
        return fail(Category::fault, "a project's secret cannot be read", project.id);
    std::memcpy(project.secret.data(), secret.data(), secret.size());
    return project;
}

Result<void> check(const Project& project) {
    for (const std::string* text :
         {&project.title, &project.cohort, &project.actor, &project.purpose}) {
        if (text->size() > limits::project_text_bytes_max)
            return fail(Category::too_large, "a text of the project is too long");
    }
    if (!project.cohort.starts_with("Group/") || project.cohort.size() == 6)
        return fail(
            Category::incorrect,
            fmt::format("\"{}\" is no cohort: expected Group/ID", project.cohort.substr(0, 80)),
            "--group");
    // It becomes a word of a policy.
    const bool has_purpose =
        !project.purpose.empty() && std::all_of(project.purpose.begin(), project.purpose.end(),
                                                [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!has_purpose)
        return fail(Category::incorrect,
                    "the purpose is a code of v3-ActReason, e.g. HRESCH or CAREMGT", "--purpose");
    if (project.members.size() > limits::project_members_max)
        return fail(Category::too_large,
                    fmt::format("a project has at most {} members", limits::project_members_max),
                    "--member");
    return {};
}

std::string quoted(const std::vector<std::string_view>& words) {
    std::string list;
    for (const std::string_view word : words)
        list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", word);
    return list;
}

/// One clause for the roles that may be members, in the words of docs/policy.md.
std::string clause_text(const Project& project, std::string_view role,
                        const std::vector<std::string_view>& types, policy::ConsentRule consent,
                        const std::vector<std::string_view>& withheld) {
    return fmt::format(
        "[roles.{0}]\nsummary = \"A member of a project.\"\ndefault_purpose = \"{1}\"\n"
        "[[roles.{0}.allow]]\nclause = \"project {2}\"\ntypes = [{3}]\n"
        "may = [\"read\", \"search\", \"operations\"]\nrelations = [\"region\"]\n"
        "purposes = [\"{1}\"]\nconsent = \"{4}\"\nwithheld = [{5}]\n",
        role, project.purpose, project.id, quoted(types), policy::name_of(consent),
        quoted(withheld));
}

Result<std::shared_ptr<const policy::Policy>> with_clauses(
    const Project& project, std::vector<policy::File> files,
    const std::vector<std::string_view>& types, policy::ConsentRule consent,
    const std::vector<std::string_view>& withheld) {
    std::string text = fmt::format("policy = \"project {}\"\nversion = 1\n", project.id);
    for (const std::string_view role : {"researcher", "follow-up"})
        text += clause_text(project, role, types, consent, withheld);
    files.push_back({.name = fmt::format("project {}", project.id), .text = std::move(text)});
    return policy::parse(files);
}

}  // namespace

bool may_be_member(Role role) {
    return role == Role::researcher || role == Role::follow_up;
}

Result<std::string> project_id(std::string_view text) {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!text.empty() && text.size() <= limits::project_id_bytes_max && is_plain &&
        !text.starts_with('-'))
        return std::string(text);
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no id of a project: expected 1 to {} of a-z, 0-9 and -",
                            text.substr(0, 80), limits::project_id_bytes_max));
}

Result<Project> ProjectList::add(Project project) {
    project.id = TRY(project_id(project.id));
    if (project.actor.empty()) project.actor = project.cohort;
    TRY(check(project));
    if (TRY(all()).size() >= limits::projects_max)
        return fail(Category::too_large,
                    fmt::format("there are {} projects already", limits::projects_max));
    project.created = now();
    if (project.reference_day.empty())
        project.reference_day = to_text(project.created).substr(0, 10);
    const std::string secret = random_bytes(sizeof(SecretKey));
    std::memcpy(project.secret.data(), secret.data(), secret.size());
    project.generation = 1;
    if (!TRY(vault_.put(
            {{.space = std::string(space), .key = project.id, .value = to_json(project)}})))
        return fail(Category::conflict, fmt::format("the project {} exists already", project.id));
    return find(project.id);
}

Result<Project> ProjectList::find(std::string_view id) {
    const auto entry = TRY(vault_.get(space, id));
    if (!entry)
        return fail(Category::not_found,
                    fmt::format("there is no project \"{}\"", id.substr(0, 80)));
    return project_of(*entry);
}

Result<std::vector<Project>> ProjectList::all() {
    std::vector<Project> projects;
    for (const auto& entry : TRY(vault_.list(space, {}, limits::projects_max)))
        projects.push_back(TRY(project_of(entry)));
    return projects;
}

Result<Project> ProjectList::change(std::string_view id,
                                    const std::function<Result<void>(Project&)>& change) {
    for (std::size_t attempt = 0; attempt < limits::project_write_attempts_max; ++attempt) {
        Project project = TRY(find(id));
        TRY(change(project));
        TRY(check(project));
        if (TRY(vault_.put({{.space = std::string(space),
                             .key = project.id,
                             .value = to_json(project),
                             .version = project.version}})))
            return find(id);
    }
    return fail(Category::busy, "others kept changing the project; try again");
}

Result<void> ProjectList::remove(std::string_view id) {
    for (std::size_t attempt = 0; attempt < limits::project_write_attempts_max; ++attempt) {
        const Project project = TRY(find(id));
        if (TRY(vault_.put({{.space = std::string(space),
                             .key = project.id,
                             .version = project.version,
                             .removed = true}})))
            return {};
    }
    return fail(Category::busy, "others kept changing the project; try again");
}

Result<std::shared_ptr<const policy::Policy>> policy_of_entry(const Project& project,
                                                              std::vector<policy::File> files) {
    const auto types = shown_types();
    const auto known = TRY(policy::parse(files));
    std::vector<std::string_view> withheld;
    for (const auto& [label, codes] : known->labels) {
        if (std::find(project.labels.begin(), project.labels.end(), label) == project.labels.end())
            withheld.push_back(label);
    }
    return with_clauses(project, std::move(files), {types.begin(), types.end()}, project.consent,
                        withheld);
}

Result<std::shared_ptr<const policy::Policy>> policy_of_reading(const Project& project,
                                                                std::vector<policy::File> files) {
    const auto shown = shown_types(), copied = copied_types();
    std::vector<std::string_view> types(shown.begin(), shown.end());
    types.insert(types.end(), copied.begin(), copied.end());
    return with_clauses(project, std::move(files), types, policy::ConsentRule::not_asked, {});
}

Subject subject_of_entry(const Project& project) {
    Subject subject;
    subject.account = fmt::format("project {}", project.id);
    subject.role = Role::researcher;
    subject.person = project.actor;
    subject.purpose = project.purpose;
    return subject;
}

}  // namespace meridian::trust::pseudonym
