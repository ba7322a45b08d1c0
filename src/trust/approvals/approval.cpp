// SPDX-License-Identifier: Apache-2.0
#include "trust/approvals/approval.hpp"

#include <charconv>

namespace meridian::trust::approvals {

namespace {

constexpr std::pair<State, std::string_view> states[] = {
    {State::asked, "asked"}, {State::approved, "approved"}, {State::refused, "refused"},
    {State::used, "used"},   {State::lapsed, "lapsed"},
};

constexpr std::pair<std::string_view, std::string Approval::*> texts[] = {
    {"kind", &Approval::kind},
    {"target", &Approval::target},
    {"detail", &Approval::detail},
    {"reason", &Approval::reason},
    {"decisionReason", &Approval::decision_reason},
    {"usedBy", &Approval::used_by},
};

constexpr std::pair<std::string_view, Instant Approval::*> instants[] = {
    {"askedAt", &Approval::asked_at},     {"decideBy", &Approval::decide_by},
    {"decidedAt", &Approval::decided_at}, {"usableUntil", &Approval::usable_until},
    {"usedAt", &Approval::used_at},
};

constexpr std::pair<std::string_view, std::string Party::*> party_texts[] = {
    {"account", &Party::account},
    {"role", &Party::role},
    {"person", &Party::person},
    {"organisation", &Party::organisation},
};

Json written(JsonDocument& document, const Party& party) {
    Json out = document.object();
    for (const auto& [name, member] : party_texts)
        document.set(out, name, document.string(party.*member));
    return out;
}

Party party_of(const Json& stored) {
    Party party;
    for (const auto& [name, member] : party_texts) party.*member = stored.string_at(name);
    return party;
}

std::unexpected<Error> unreadable() {
    return fail(Category::fault, "a stored approval cannot be read");
}

}  // namespace

std::string_view name_of(State state) {
    for (const auto& [each, name] : states) {
        if (each == state) return name;
    }
    return {};
}

State Approval::state_at(Instant at) const {
    if (state == State::asked && decide_by <= at) return State::lapsed;
    if (state == State::approved && usable_until <= at) return State::lapsed;
    return state;
}

std::string to_json(const Approval& approval) {
    JsonDocument document;
    Json root = document.object();
    for (const auto& [name, member] : texts)
        document.set(root, name, document.string(approval.*member));
    for (const auto& [name, member] : instants)
        document.set(root, name, document.number((approval.*member).milliseconds));
    document.set(root, "state", document.string(name_of(approval.state)));
    document.set(root, "askedBy", written(document, approval.asked_by));
    if (approval.decided_by)
        document.set(root, "decidedBy", written(document, *approval.decided_by));
    Json patients = document.array();
    for (const std::string& id : approval.patients) document.append(patients, document.string(id));
    document.set(root, "patients", patients);
    return to_text(root);
}

Result<Approval> approval_of(std::string_view id, std::string_view json) {
    const auto document = JsonDocument::parse(json);
    if (!document) return unreadable();
    const Json& root = document->root();
    Approval approval;
    approval.id = id;
    for (const auto& [name, member] : texts) approval.*member = root.string_at(name);
    for (const auto& [name, member] : instants) {
        const std::string_view digits = root[name].text();
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(),
                                                    (approval.*member).milliseconds);
        if (problem != std::errc() || end != digits.data() + digits.size()) return unreadable();
    }
    const auto* const state =
        std::find_if(std::begin(states), std::end(states),
                     [&](const auto& each) { return each.second == root.string_at("state"); });
    if (state == std::end(states)) return unreadable();
    approval.state = state->first;
    approval.asked_by = party_of(root["askedBy"]);
    if (const Json* by = root.find("decidedBy")) approval.decided_by = party_of(*by);
    for (const Json& patient : root["patients"].items())
        approval.patients.emplace_back(patient.text());
    return approval;
}

}  // namespace meridian::trust::approvals
