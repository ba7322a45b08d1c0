// SPDX-License-Identifier: Apache-2.0
#include "trust/subject.hpp"

namespace meridian::trust {

namespace {

/// The members that are plain text, by the names they are stored under.
constexpr std::pair<std::string_view, std::string Subject::*> texts[] = {
    {"account", &Subject::account},           {"person", &Subject::person},
    {"organisation", &Subject::organisation}, {"behalf", &Subject::on_behalf_of},
    {"purpose", &Subject::purpose},           {"patient", &Subject::patient},
    {"encounter", &Subject::encounter},       {"client", &Subject::client},
    {"session", &Subject::session},
};

Json list(JsonDocument& document, const std::vector<std::string>& words) {
    Json array = document.array();
    for (const std::string& word : words) document.append(array, document.string(word));
    return array;
}

std::vector<std::string> words_of(const Json& array) {
    std::vector<std::string> words;
    for (const Json& word : array.items()) words.emplace_back(word.text());
    return words;
}

}  // namespace

std::string to_json(const Subject& subject) {
    JsonDocument document;
    Json root = document.object();
    document.set(root, "role", document.string(name_of(subject.role)));
    for (const auto& [name, member] : texts) {
        if (!(subject.*member).empty()) document.set(root, name, document.string(subject.*member));
    }
    if (!subject.scopes.empty()) document.set(root, "scopes", list(document, subject.scopes));
    if (!subject.methods.empty()) document.set(root, "methods", list(document, subject.methods));
    document.set(root, "at", document.number(subject.authenticated_at.milliseconds));
    return to_text(root);
}

Result<Subject> subject_of(const Json& stored) {
    Subject subject;
    const auto role = role_named(stored.string_at("role"));
    const std::string_view at = stored["at"].text();
    const auto [end, error] =
        std::from_chars(at.data(), at.data() + at.size(), subject.authenticated_at.milliseconds);
    if (!role || error != std::errc() || end != at.data() + at.size())
        return fail(Category::incorrect, "this is no stored subject");
    subject.role = *role;
    subject.purpose.clear();
    for (const auto& [name, member] : texts) subject.*member = stored.string_at(name);
    subject.scopes = words_of(stored["scopes"]);
    subject.methods = words_of(stored["methods"]);
    return subject;
}

}  // namespace meridian::trust
