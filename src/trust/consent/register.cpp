// SPDX-License-Identifier: Apache-2.0
#include "trust/consent/register.hpp"

#include "base/limits.hpp"
#include "fhir/search/parameters.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::consent {

namespace {

/// Types from which the context of a decision is read (policy/context.cpp).
constexpr std::string_view relation_types[] = {
    "CareTeam", "Task", "Appointment", "Encounter", "RelatedPerson", "Patient", "PractitionerRole",
};

bool is_relation(std::string_view type) {
    return std::find(std::begin(relation_types), std::end(relation_types), type) !=
           std::end(relation_types);
}

}  // namespace

Result<Standing> Register::at(store::Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    const store::Position last = snapshot.position();
    const auto backlog = static_cast<std::size_t>(std::max<store::Position>(0, last + 1 - next_));
    if (!is_read_ || backlog > limits::policy_log_entries_max) {
        TRY(read_all(snapshot));
        return standing_;
    }
    std::set<std::string> changed;
    const auto parameters = repository_.parameters();
    while (next_ <= last) {
        const auto entries = TRY(snapshot.log(next_, limits::export_batch_resources));
        if (entries.empty()) break;
        for (const store::LogEntry& entry : entries) {
            next_ = entry.position + 1;
            if (entry.kind != 0) continue;
            const std::string_view type = parameters->type_text(entry.type);
            if (type == "Consent") {
                changed.insert(entry.id);
                standing_.consents_at = entry.position;
            } else if (is_relation(type)) {
                standing_.relations_at = entry.position;
            }
        }
    }
    if (!changed.empty()) TRY(read_again(snapshot, changed));
    return standing_;
}

Result<void> Register::read_all(store::Snapshot& snapshot) {
    const auto parameters = repository_.parameters();
    auto all = std::make_shared<Consents>();
    store::Plan plan;
    plan.type = parameters->type_name("Consent");
    plan.limit = limits::page_size_max;
    while (true) {
        const store::Matches matches = TRY(snapshot.search(plan));
        for (const store::Stored& stored : TRY(snapshot.fetch(matches.rids))) {
            const fhir::Resource resource = TRY(repository_.decode(stored));
            const JsonDocument document = TRY(JsonDocument::parse(resource.json));
            if (auto read_one = read(document.root()))
                all->emplace(stored.id, std::make_shared<const Document>(*std::move(read_one)));
        }
        if (all->size() > limits::consents_max)
            return fail(Category::too_large, "there are too many consents to decide by");
        if (!matches.more) break;
        plan.after = matches.rids.back();
    }
    standing_.consents = std::move(all);
    standing_.consents_at = standing_.relations_at = snapshot.position();
    next_ = snapshot.position() + 1;
    is_read_ = true;
    return {};
}

Result<void> Register::read_again(store::Snapshot& snapshot, const std::set<std::string>& ids) {
    const store::Name type = repository_.parameters()->type_name("Consent");
    auto all = std::make_shared<Consents>(*standing_.consents);
    // Until all of them are read, the old answers must not stand.
    is_read_ = false;
    for (const std::string& id : ids) {
        all->erase(id);
        const auto stored = TRY(snapshot.find({type, id}));
        if (!stored || stored->deleted()) continue;
        const fhir::Resource resource = TRY(repository_.decode(*stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        if (auto read_one = read(document.root()))
            all->emplace(id, std::make_shared<const Document>(*std::move(read_one)));
    }
    standing_.consents = std::move(all);
    is_read_ = true;
    return {};
}

}  // namespace meridian::trust::consent
