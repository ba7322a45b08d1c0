// SPDX-License-Identifier: Apache-2.0
// $everything of a patient, of all patients, of an encounter or of a group: a search over
// compartments with all references included.
#include "base/limits.hpp"
#include "fhir/store_repository.hpp"

namespace meridian::fhir {

namespace {

/// The parameters of $everything (https://hl7.org/fhir/R4/operation-patient-everything.html).
struct Wanted {
    QueryParameters search;  ///< those that are search parameters as well
    std::optional<Instant> start, end;
};

Result<Wanted> read_parameters(const QueryParameters& parameters, bool lenient) {
    Wanted wanted;
    for (const auto& [name, value] : parameters) {
        if (name == "_since") {
            wanted.search.emplace_back("_lastUpdated", "ge" + value);
        } else if (name == "_type" || name == "_count") {
            wanted.search.emplace_back(name, value);
        } else if (name == "start") {
            wanted.start = TRY(parse_date(value)).lower();
        } else if (name == "end") {
            wanted.end = TRY(parse_date(value)).upper();
        } else if (!lenient) {
            return fail(Category::incorrect,
                        fmt::format("$everything does not know the parameter \"{}\": expected "
                                    "start, end, _since, _type or _count",
                                    name.substr(0, 40)),
                        name);
        }
    }
    return wanted;
}

/// Leaves out what has a clinical date of its own outside [start, end); what has none (an allergy,
/// the patient) stays.
store::Condition within_dates(const search::Parameters& parameters, const Wanted& wanted) {
    store::DateBox box;
    if (wanted.end) box.lo_below = wanted.end->milliseconds;
    if (wanted.start) box.hi_above = wanted.start->milliseconds;
    store::NoneOf outside;
    for (const Type* type : definitions().resources()) {
        const search::Parameter* date = parameters.main_date(type->name);
        if (date == nullptr) continue;
        store::AllOf dated_elsewhere;
        store::NoneOf not_inside;
        not_inside.parts.push_back(store::HasDate{date->name, box});
        dated_elsewhere.parts.push_back(store::HasAny{date->name});
        dated_elsewhere.parts.push_back(std::move(not_inside));
        outside.parts.push_back(std::move(dated_elsewhere));
    }
    return outside;
}

std::string patient_types() {
    std::string list;
    for (const CompartmentMember& member : definitions().compartment("Patient")->members) {
        if (member.params.empty()) continue;
        if (!list.empty()) list += ',';
        list += member.type;
    }
    return list;
}

/// The patients that a group lists as its members.
Result<store::AnyOf> member_compartments(const Json& group, store::Name patient_type) {
    store::AnyOf members;
    for (const Json& member : group["member"].items()) {
        const std::string_view reference = member["entity"].string_at("reference");
        if (!reference.starts_with("Patient/")) continue;
        if (members.parts.size() == limits::conditional_matches_max)
            return fail(Category::too_large,
                        fmt::format("$everything of a group takes at most {} patients: use $export",
                                    limits::conditional_matches_max));
        members.parts.push_back(
            store::InCompartment{{patient_type, std::string(reference.substr(8))}});
    }
    return members;
}

/// Whether the audit is among what is asked for: all of it, or by its type. What was changed since
/// some time, or has a clinical date, it is not.
bool shows_audit(const QueryParameters& asked) {
    return std::all_of(asked.begin(), asked.end(), [](const auto& parameter) {
        if (parameter.first != "_type") return parameter.first != "_lastUpdated";
        std::string_view rest = parameter.second;
        while (!rest.empty()) {
            const std::size_t comma = std::min(rest.find(','), rest.size());
            if (rest.substr(0, comma) == "AuditEvent") return true;
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
        return false;
    });
}

void narrow(store::Condition& where, store::Condition also) {
    if (auto* all = std::get_if<store::AllOf>(static_cast<store::Condition::variant*>(&where));
        all != nullptr && all->first_admits) {
        all->parts.push_back(std::move(also));
        return;
    }
    store::AllOf both;
    both.parts.push_back(std::move(where));
    both.parts.push_back(std::move(also));
    where = std::move(both);
}

}  // namespace

Result<Page> StoreRepository::everything(const Caller& caller, std::string_view type,
                                         std::string_view id, const QueryParameters& parameters,
                                         const SearchOptions& options) {
    AuditRecord about{.interaction = Interaction::operation,
                      .type = std::string(type),
                      .id = std::string(id),
                      .query = "$everything"};
    const auto work = [&](store::Snapshot& snapshot, AuditRecord& record) -> Result<Page> {
        TRY(caller.access->allow(Right::operation, type));
        return everything_on(snapshot, record, caller, type, id, parameters, options);
    };
    return read_from(caller, std::move(about), work);
}

Result<Page> StoreRepository::everything_on(store::Snapshot& snapshot, AuditRecord& record,
                                            const Caller& caller, std::string_view type,
                                            std::string_view id, const QueryParameters& parameters,
                                            const SearchOptions& options) {
    const auto registry = this->parameters();
    const Wanted wanted = TRY(read_parameters(parameters, options.lenient));
    const search::SnapshotTimeline timeline(snapshot);
    search::ParseOptions parse = parse_options(caller, options.base_url);
    parse.lenient = options.lenient;
    parse.timeline = &timeline;

    store::AnyOf members;
    QueryParameters asked = wanted.search;
    const bool has_types = std::any_of(asked.begin(), asked.end(), [](const auto& parameter) {
        return parameter.first == "_type";
    });
    if (!id.empty()) {
        const auto owner = TRY(find(snapshot, caller, type, id, &record));
        if (!owner)
            return fail(Category::not_found,
                        fmt::format("there is no {}/{}", type, id.substr(0, 64)));
        if (owner->deleted())
            return fail(Category::gone, fmt::format("{}/{} was deleted", type, id));
        if (type == "Group") {
            const Resource group = TRY(decode(*owner));
            members = TRY(member_compartments(TRY(JsonDocument::parse(group.json)).root(),
                                              registry->type_name("Patient")));
            members.parts.push_back(store::HasId{registry->type_name("Group"), {std::string(id)}});
        } else {
            parse.compartment_type = type;
            parse.compartment_id = id;
        }
    }
    const bool in_compartment = !parse.compartment_type.empty();
    if (!in_compartment && !has_types)
        asked.emplace_back("_type", patient_types() + (type == "Group" ? ",Group" : ""));

    search::Query query =
        TRY(search::parse(*registry, store_.names(), in_compartment ? "*" : "", asked, parse));
    for (search::TypeFilter& filter : query.types) {
        if (type == "Group") {
            store::AnyOf copy;
            for (const store::Condition& part : members.parts) {
                if (const auto* compartment = std::get_if<store::InCompartment>(&part.as_variant()))
                    copy.parts.push_back(*compartment);
                if (const auto* own = std::get_if<store::HasId>(&part.as_variant());
                    own != nullptr && filter.type == "Group")
                    copy.parts.push_back(*own);
            }
            narrow(filter.where, std::move(copy));
        }
        if (wanted.start || wanted.end) narrow(filter.where, within_dates(*registry, wanted));
    }
    // "…and any resource referenced from those" (the operation's definition).
    query.includes.push_back({.reverse = false, .iterate = false, .source_type = "*", .code = "*"});
    Page page = TRY(
        page_of(caller, TRY(search::run(run_context(snapshot, *registry, caller),
                                        std::make_shared<const search::Query>(std::move(query))))));
    page.self_path = id.empty() ? fmt::format("{}/$everything", type)
                                : fmt::format("{}/{}/$everything", type, id);
    page.self.clear();
    const bool is_dated = wanted.start || wanted.end;
    if (options_.trail && type == "Patient" && !id.empty() && !is_dated &&
        shows_audit(wanted.search))
        TRY(lead_to_audit(snapshot, caller, id, page));
    tell_patients(caller, page, record);
    return page;
}

}  // namespace meridian::fhir
