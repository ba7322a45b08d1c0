// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/trail.hpp"

#include <charconv>

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/query_string.hpp"
#include "fhir/search/run.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::audit {

namespace {

using fhir::Caller;
using fhir::Page;
using fhir::QueryParameters;
using fhir::Resource;
using store::Position;

/// Where a cursor goes on: only positions below.
constexpr std::string_view before_parameter = "_before";

std::vector<std::string> parts_of(std::string_view text) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t comma = text.find(',');
        parts.emplace_back(text.substr(0, comma));
        if (comma == std::string_view::npos) return parts;
        text.remove_prefix(comma + 1);
    }
}

/// "system|code", "|code", "system|" or "code", as of FHIR R4 §3.1.1.4.10.
bool matches(std::string_view token, const Code& code) {
    const std::size_t bar = token.find('|');
    if (bar == std::string_view::npos) return token == code.code;
    const std::string_view wanted = token.substr(bar + 1);
    return token.substr(0, bar) == code.system && (wanted.empty() || wanted == code.code);
}

/// What a search asks for. Of several values of one parameter any will do; parameters are ANDed.
struct Question {
    std::optional<std::vector<std::string>> patients{};  ///< ids
    std::optional<std::string> agent{};
    std::vector<std::vector<std::string>> actions{}, entities{}, types{}, subtypes{}, outcomes{};
    std::optional<std::vector<Position>> ids{};
    Position from = 0;
    Position before = std::numeric_limits<Position>::max();
    std::size_t count = limits::page_size_default;
    std::vector<std::string> elements{};
    QueryParameters asked{};  ///< those that count, for links
};

/// Reads the parameters of a search, with the log's times at hand.
class Reader {
 public:
    Reader(store::Snapshot& snapshot, bool is_lenient)
        : snapshot_(snapshot), is_lenient_(is_lenient) {}

    Result<Question> read(const QueryParameters& parameters) {
        for (const auto& [name, value] : parameters) TRY(read_one(name, value));
        return std::move(question_);
    }

 private:
    Result<void> read_one(const std::string& name, const std::string& value) {
        if (name == before_parameter) return read_before(value);
        if (name == "_format" || name == "_pretty") return {};
        question_.asked.emplace_back(name, value);
        if (name == "patient" || name == "patient:Patient") return read_patients(value);
        if (name == "agent") return question_.agent = value, Result<void>();
        if (name == "date" || name == "_lastUpdated") return read_date(name, value);
        if (name == "action") return question_.actions.push_back(parts_of(value)), Result<void>();
        if (name == "entity") return question_.entities.push_back(parts_of(value)), Result<void>();
        if (name == "type") return question_.types.push_back(parts_of(value)), Result<void>();
        if (name == "subtype") return question_.subtypes.push_back(parts_of(value)), Result<void>();
        if (name == "outcome") return question_.outcomes.push_back(parts_of(value)), Result<void>();
        if (name == "_id") return read_ids(value);
        if (name == "_elements") return question_.elements = parts_of(value), Result<void>();
        if (name == "_total" && value == "none") return {};
        if (name == "_count") return read_count(value);
        // The newest first is the only order that there is, and what it is without one.
        if (name == "_sort" && (value == "-date" || value == "-_lastUpdated")) return {};
        question_.asked.pop_back();
        return is_lenient_ ? Result<void>() : refuse(name);
    }

    static std::unexpected<Error> refuse(const std::string& name) {
        return fail(Category::incorrect,
                    fmt::format("a search of AuditEvent does not know \"{}\" so: expected patient, "
                                "agent, date, action, entity, type, subtype, outcome, _id, _count, "
                                "_elements, _total=none or _sort=-date",
                                name.substr(0, 40)),
                    name);
    }

    template <class Number>
    static Result<bool> read_number(std::string_view text, Number& number) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc() && end == text.data() + text.size();
    }

    Result<void> read_before(const std::string& value) {
        Position before = 0;
        if (!TRY(read_number(value, before))) return refuse(std::string(before_parameter));
        question_.before = std::min(question_.before, before);
        return {};
    }

    Result<void> read_patients(const std::string& value) {
        std::vector<std::string> ids;
        for (std::string& part : parts_of(value)) {
            constexpr std::string_view type = "Patient/";
            ids.push_back(part.starts_with(type) ? part.substr(type.size()) : std::move(part));
        }
        if (question_.patients) {
            // Twice: both must be concerned, which is told by the one and looked for in the other.
            return fail(Category::incorrect, "name patient once, with commas for any of several",
                        "patient");
        }
        question_.patients = std::move(ids);
        return {};
    }

    Result<void> read_ids(const std::string& value) {
        question_.ids.emplace();
        for (const std::string& id : parts_of(value)) {
            if (const auto position = position_of(id)) question_.ids->push_back(*position);
        }
        std::sort(question_.ids->begin(), question_.ids->end());
        return {};
    }

    Result<void> read_count(const std::string& value) {
        if (!TRY(read_number(value, question_.count)))
            return fail(Category::incorrect, "_count is no number", "_count");
        question_.count = std::clamp<std::size_t>(question_.count, 1, limits::page_size_max);
        return {};
    }

    /// FHIR R4 §3.1.1.4.7, prefixes. Times rise with positions, so a date is an interval of those.
    Result<void> read_date(const std::string& name, const std::string& value) {
        std::string_view text = value;
        std::string_view prefix = "eq";
        if (text.size() > 2 && text[0] >= 'a' && text[0] <= 'z') {
            prefix = text.substr(0, 2);
            text.remove_prefix(2);
        }
        const PartialDate date = TRY(parse_date(text));
        const fhir::search::SnapshotTimeline timeline(snapshot_);
        const Position begin = TRY(timeline.first_from(date.lower()));
        const Position end = TRY(timeline.first_from(date.upper()));
        const auto from = [&](Position at) { question_.from = std::max(question_.from, at); };
        const auto before = [&](Position at) { question_.before = std::min(question_.before, at); };
        if (prefix == "eq") {
            from(begin), before(end);
        } else if (prefix == "ge") {
            from(begin);
        } else if (prefix == "gt" || prefix == "sa") {
            from(end);
        } else if (prefix == "le") {
            before(end);
        } else if (prefix == "lt" || prefix == "eb") {
            before(begin);
        } else {
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no prefix of {} here: expected eq, ge, gt, le, lt, "
                                    "sa or eb",
                                    prefix, name),
                        name);
        }
        return {};
    }

    store::Snapshot& snapshot_;
    bool is_lenient_;
    Question question_;
};

template <class Test>
bool any_of_each(const std::vector<std::vector<std::string>>& groups, Test test) {
    return std::all_of(groups.begin(), groups.end(), [&](const std::vector<std::string>& values) {
        return std::any_of(values.begin(), values.end(), test);
    });
}

bool answers(const Question& question, Position position, const Entry& entry, const Shown& shown) {
    if (question.ids && !std::binary_search(question.ids->begin(), question.ids->end(), position))
        return false;
    const Shape shape = shape_of(entry);
    const bool hides = hides_some(entry, shown);
    const auto is_entity = [&](std::string_view value) {
        if (!hides && !entry.id.empty() && value == entry.type + "/" + entry.id) return true;
        return value.starts_with("Patient/") &&
               (!shown.patients || std::find(shown.patients->begin(), shown.patients->end(),
                                             value.substr(8)) != shown.patients->end()) &&
               std::binary_search(entry.patients.begin(), entry.patients.end(), value.substr(8));
    };
    constexpr std::string_view actions = "http://hl7.org/fhir/audit-event-action";
    constexpr std::string_view outcomes = "http://hl7.org/fhir/audit-event-outcome";
    const std::string outcome = std::to_string(static_cast<int>(entry.outcome));
    return any_of_each(question.actions,
                       [&](std::string_view value) {
                           return matches(value, {actions, {&shape.action, 1}, {}});
                       }) &&
           any_of_each(
               question.outcomes,
               [&](std::string_view value) { return matches(value, {outcomes, outcome, {}}); }) &&
           any_of_each(question.types,
                       [&](std::string_view value) { return matches(value, shape.type); }) &&
           any_of_each(question.subtypes,
                       [&](std::string_view value) {
                           return shape.subtype && matches(value, *shape.subtype);
                       }) &&
           any_of_each(question.entities, is_entity);
}

class Trail final : public fhir::AuditTrail {
 public:
    Trail(store::Store& store, std::function<std::string()> base_url,
          std::function<AuditScope(const Caller&)> scope)
        : store_(store), base_url_(std::move(base_url)), scope_(std::move(scope)) {}

    bool is_id(std::string_view id) const override { return position_of(id).has_value(); }

    Result<std::optional<Resource>> read(store::Snapshot& snapshot, const Caller& caller,
                                         std::string_view id) const override {
        const auto position = position_of(id);
        if (!position) return std::optional<Resource>();
        const auto seen = sight_of(caller);
        if (!seen) return std::optional<Resource>();
        store::AuditQuery query = seen->query;
        query.from = *position;
        query.before = *position + 1;
        query.limit = 1;
        const auto kept = TRY(snapshot.audit(query));
        if (kept.empty()) return std::optional<Resource>();
        return std::optional(TRY(show(kept.front(), seen->shown, base_url_())));
    }

    Result<Page> search(store::Snapshot& snapshot, const Caller& caller,
                        const QueryParameters& parameters,
                        const fhir::SearchOptions& options) const override {
        Reader reader(snapshot, options.lenient);
        QueryParameters asked = parameters;
        if (!options.compartment_type.empty()) {
            if (options.compartment_type != "Patient")
                return fail(Category::incorrect, "AuditEvents are in the compartments of patients");
            asked.emplace_back("patient", options.compartment_id);
        }
        return page_of(snapshot, caller, TRY(reader.read(asked)));
    }

    Result<Page> next_page(store::Snapshot& snapshot, const Caller& caller,
                           std::string_view cursor) const override {
        std::string text;
        const bool is_ours = cursor.starts_with("a.") &&
                             cursor.size() <= limits::audit_cursor_bytes_max &&
                             base64url_decode(cursor.substr(2), text);
        const auto asked = is_ours ? parse_query_string(text) : Result<QueryParameters>();
        if (!is_ours || !asked)
            return fail(Category::gone, "this page link is not valid: start the search again");
        // What it says is looked at as if it came with a first page: it needs no seal.
        Reader reader(snapshot, false);
        return page_of(snapshot, caller, TRY(reader.read(*asked)));
    }

    Result<std::string> cursor_of_patient(store::Snapshot& snapshot, const Caller& caller,
                                          std::string_view id, std::size_t count) const override {
        Question question;
        question.patients = {std::string(id)};
        question.asked = {{"patient", std::string(id)}, {"_count", std::to_string(count)}};
        question.before = snapshot.position() + 1;
        auto seen = sight_of(caller);
        if (!seen || !narrow(*seen, question)) return std::string();
        seen->query.limit = 1;
        if (TRY(snapshot.audit(seen->query)).empty()) return std::string();
        return cursor_text(question, question.before);
    }

    Result<std::vector<Resource>> walk(store::Snapshot& snapshot, const Caller& caller,
                                       Position& from, Position at,
                                       std::size_t limit) const override {
        std::vector<Resource> events;
        const auto seen = sight_of(caller);
        if (!seen) {
            from = at + 1;
            return events;
        }
        // An interval of the log that holds at most as many, taken newest first and turned round.
        store::AuditQuery query = seen->query;
        query.from = from;
        query.before = std::min<Position>(at, from + static_cast<Position>(limit) - 1) + 1;
        query.limit = limit;
        auto kept = TRY(snapshot.audit(query));
        std::reverse(kept.begin(), kept.end());
        const std::string base_url = base_url_();
        for (const store::KeptAudit& each : kept)
            events.push_back(TRY(show(each, seen->shown, base_url)));
        from = query.before;
        return events;
    }

 private:
    /// What a caller may see, as a question to the store.
    struct Sight {
        store::AuditQuery query;
        Shown shown;
    };

    std::optional<Sight> sight_of(const Caller& caller) const {
        AuditScope scope = scope_(caller);
        Sight sight;
        switch (scope.kind) {
            case AuditScope::Kind::nothing:
                return std::nullopt;
            case AuditScope::Kind::everything:
                return sight;
            case AuditScope::Kind::patients:
                sight.query.patients = identities(scope.patients);
                sight.shown.patients = std::move(scope.patients);
                return sight;
            case AuditScope::Kind::actor:
                sight.query.actor = store_.names().find(store::NameKind::actor, caller.actor);
                if (*sight.query.actor == 0) return std::nullopt;
                return sight;
        }
        return std::nullopt;
    }

    std::vector<store::Identity> identities(const std::vector<std::string>& ids) const {
        const store::Name type = store_.names().find(store::NameKind::type, "Patient");
        std::vector<store::Identity> all;
        for (const std::string& id : ids) all.push_back({type, id});
        return all;
    }

    /// Adds what a search asks for. False when nothing can answer it.
    bool narrow(Sight& sight, const Question& question) const {
        if (question.patients) {
            std::vector<std::string> wanted = *question.patients;
            if (const auto& shown = sight.shown.patients) {
                std::erase_if(wanted, [&](const std::string& id) {
                    return std::find(shown->begin(), shown->end(), id) == shown->end();
                });
            }
            if (wanted.empty()) return false;
            sight.query.patients = identities(wanted);
        }
        if (question.agent) {
            const store::Name actor = store_.names().find(store::NameKind::actor, *question.agent);
            if (actor == 0 || (sight.query.actor && *sight.query.actor != actor)) return false;
            sight.query.actor = actor;
        }
        sight.query.from = question.from;
        sight.query.before = question.before;
        if (question.ids) {
            if (question.ids->empty()) return false;
            sight.query.from = std::max(sight.query.from, question.ids->front());
            sight.query.before = std::min(sight.query.before, question.ids->back() + 1);
        }
        return true;
    }

    Result<Page> page_of(store::Snapshot& snapshot, const Caller& caller,
                         const Question& question) const {
        Page page;
        page.self_path = "AuditEvent";
        page.self = query_string(question.asked);
        page.elements = question.elements;
        auto seen = sight_of(caller);
        if (!seen || !narrow(*seen, question)) return page;
        const std::string base_url = base_url_();
        std::size_t looked_at = 0;
        seen->query.before = std::min(seen->query.before, snapshot.position() + 1);
        while (true) {
            seen->query.limit = std::min(limits::audit_entries_at_once, question.count + 1);
            const auto kept = TRY(snapshot.audit(seen->query));
            for (const store::KeptAudit& each : kept) {
                const Entry entry = TRY(decode(each.bytes));
                const bool is_match = answers(question, each.entry.position, entry, seen->shown);
                if (is_match && page.entries.size() == question.count) {
                    page.next = cursor_text(question, each.entry.position + 1);
                    return page;
                }
                if (is_match) page.entries.push_back({TRY(show(each, seen->shown, base_url))});
                seen->query.before = each.entry.position;
            }
            if (kept.size() < seen->query.limit) return page;
            looked_at += kept.size();
            // A rare match must not make one request read the whole audit.
            if (looked_at < limits::audit_entries_looked_at_max) continue;
            page.next = cursor_text(question, seen->query.before);
            return page;
        }
    }

    static std::string cursor_text(const Question& question, Position before) {
        QueryParameters asked = question.asked;
        asked.emplace_back(before_parameter, std::to_string(before));
        return "a." + base64url_encode(query_string(asked));
    }

    static Result<Resource> show(const store::KeptAudit& kept, const Shown& shown,
                                 std::string_view base_url) {
        Resource resource;
        resource.type = "AuditEvent";
        resource.id = id_of(kept.entry.position);
        resource.version = 1;
        resource.updated = kept.entry.at;
        resource.json = audit_event(TRY(decode(kept.bytes)), kept.entry, shown, base_url);
        return resource;
    }

    store::Store& store_;
    std::function<std::string()> base_url_;
    std::function<AuditScope(const Caller&)> scope_;
};

}  // namespace

AuditScope audit_scope(const Caller& caller) {
    return {.kind = caller.access->sees_everything() ? AuditScope::Kind::everything
                                                     : AuditScope::Kind::nothing};
}

std::shared_ptr<const fhir::AuditTrail> trail(
    store::Store& store, std::function<std::string()> base_url,
    std::function<AuditScope(const fhir::Caller&)> scope) {
    return std::make_shared<Trail>(store, std::move(base_url), std::move(scope));
}

Result<std::vector<Access>> accesses_of(store::Store& store, std::string_view patient,
                                        Position before, std::size_t limit) {
    store::AuditQuery query;
    query.patients = {{store.names().find(store::NameKind::type, "Patient"), std::string(patient)}};
    query.before = before;
    query.limit = limit;
    std::vector<Access> accesses;
    for (const store::KeptAudit& kept : TRY(TRY(store.snapshot())->audit(query)))
        accesses.push_back({kept.entry, TRY(decode(kept.bytes))});
    return accesses;
}

}  // namespace meridian::trust::audit
