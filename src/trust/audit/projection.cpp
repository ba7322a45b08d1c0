// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/projection.hpp"

#include <charconv>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/query_string.hpp"

namespace meridian::trust::audit {

namespace {

using fhir::Interaction;

constexpr std::string_view event_types = "http://terminology.hl7.org/CodeSystem/audit-event-type";
constexpr std::string_view interactions = "http://hl7.org/fhir/restful-interaction";
constexpr std::string_view dicom = "http://dicom.nema.org/resources/ontology/DCM";
constexpr std::string_view lifecycle = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
constexpr std::string_view entity_types = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
constexpr std::string_view object_roles = "http://terminology.hl7.org/CodeSystem/object-role";
constexpr std::string_view participation =
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
constexpr std::string_view profiles = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";
constexpr std::string_view id_prefix = "log-";

constexpr Code rest{event_types, "rest", "Restful Operation"};
constexpr Code disclose{lifecycle, "disclose", "Disclose Record Lifecycle Event"};

Code interaction(std::string_view code) {
    return {interactions, code, code};
}

/// Puts JSON together: members and items follow one another with commas between them.
class Text {
 public:
    void open(char bracket) {
        comma();
        out_ += bracket;
        is_first_ = true;
    }
    void open(std::string_view key, char bracket) {
        name(key);
        out_ += bracket;
        is_first_ = true;
    }
    void close(char bracket) {
        out_ += bracket;
        is_first_ = false;
    }
    void member(std::string_view key, std::string_view value) {
        if (value.empty()) return;
        name(key);
        write_string(value, out_);
    }
    void item(std::string_view value) {
        comma();
        write_string(value, out_);
    }
    void flag(std::string_view key, bool value) {
        name(key);
        out_ += value ? "true" : "false";
    }
    void coding(const Code& code) {
        open('{');
        members_of(code);
        close('}');
    }
    void coding(std::string_view key, const Code& code) {
        open(key, '{');
        members_of(code);
        close('}');
    }
    /// A CodeableConcept.
    void concept_of(std::string_view key, const Code& code) {
        open(key, '{');
        codings(code);
        close('}');
    }
    void codings(const Code& code) {
        open("coding", '[');
        coding(code);
        close(']');
    }
    std::string take() { return std::move(out_); }

 private:
    void comma() {
        if (!is_first_) out_ += ',';
        is_first_ = false;
    }
    void name(std::string_view key) {
        comma();
        write_string(key, out_);
        out_ += ':';
    }
    void members_of(const Code& code) {
        member("system", code.system);
        member("code", code.code);
        member("display", code.display);
    }
    std::string out_;
    bool is_first_ = true;
};

bool is_reference(std::string_view text) {
    return text.find('/') != std::string_view::npos;
}

/// The parties of an event, by the codes that BALP has for them. Data flows from the source to the
/// destination; with a query it is the parameters that flow.
struct Parties {
    Code client, server, user;
};
Parties parties_of(const Shape& shape) {
    constexpr Code source{dicom, "110153", "Source Role ID"};
    constexpr Code destination{dicom, "110152", "Destination Role ID"};
    constexpr Code recipient{participation, "IRCP", "information recipient"};
    constexpr Code author{participation, "AUT", "author (originator)"};
    if (shape.action == 'D')
        return {{dicom, "110150", "Application"},
                {"http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian",
                 "Custodian"},
                author};
    if (shape.action == 'R') return {destination, source, recipient};
    return {source, destination, shape.action == 'E' ? recipient : author};
}

bool is_shown(const std::string& patient, const Shown& shown) {
    return !shown.patients || std::find(shown.patients->begin(), shown.patients->end(), patient) !=
                                  shown.patients->end();
}

/// One AuditEvent in the making.
class Event {
 public:
    Event(const Entry& entry, const store::LogEntry& place, const Shown& shown,
          std::string_view base_url)
        : entry_(entry), place_(place), shape_(shape_of(entry)), base_url_(base_url) {
        hides_ = hides_some(entry, shown);
        for (const std::string& patient : entry.patients) {
            if (is_shown(patient, shown)) patients_.push_back(patient);
        }
    }

    std::string json() {
        text_.open('{');
        text_.member("resourceType", "AuditEvent");
        text_.member("id", id_of(place_.position));
        put_meta();
        text_.coding("type", shape_.type);
        if (shape_.subtype) {
            text_.open("subtype", '[');
            text_.coding(*shape_.subtype);
            text_.close(']');
        }
        text_.member("action", std::string_view(&shape_.action, 1));
        text_.member("recorded", to_text(place_.at));
        text_.member("outcome", std::to_string(static_cast<int>(entry_.outcome)));
        if (entry_.outcome == fhir::AuditOutcome::refused)
            text_.member("outcomeDesc", "refused: who asked may not");
        put_purpose("purposeOfEvent");
        put_agents();
        put_source();
        put_entities();
        text_.close('}');
        return text_.take();
    }

 private:
    void put_meta() {
        text_.open("meta", '{');
        text_.member("versionId", "1");
        text_.member("lastUpdated", to_text(place_.at));
        if (const std::string profile = profile_of(); !profile.empty()) {
            text_.open("profile", '[');
            text_.item(profile);
            text_.close(']');
        }
        text_.close('}');
    }

    /// The profile that it keeps to. All of them are of successes, and of a client in the network.
    std::string profile_of() const {
        if (entry_.outcome != fhir::AuditOutcome::success || entry_.address.empty() || hides_)
            return {};
        const bool is_bulk = shape_.subtype && shape_.subtype->code == disclose.code;
        if (is_bulk) {
            if (patients_.size() != 1) return {};
            return fmt::format("{}IHE.BasicAudit.PrivacyDisclosure.{}", profiles,
                               shape_.action == 'R' ? "Source" : "Recipient");
        }
        const std::string_view kind = kind_of_profile();
        if (kind.empty()) return {};
        return fmt::format("{}IHE.BasicAudit.{}{}", profiles,
                           patients_.size() == 1 ? "Patient" : "", kind);
    }
    std::string_view kind_of_profile() const {
        switch (entry_.interaction) {
            case Interaction::read:
            case Interaction::vread:
                return "Read";
            case Interaction::search:
                return "Query";
            case Interaction::create:
                return "Create";
            case Interaction::update:
            case Interaction::patch:
                return "Update";
            case Interaction::remove:
                return "Delete";
            default:
                return {};
        }
    }

    void put_purpose(std::string_view key) {
        if (entry_.purpose.empty()) return;
        text_.open(key, '[');
        text_.open('{');
        text_.codings({"http://terminology.hl7.org/CodeSystem/v3-ActReason", entry_.purpose, {}});
        text_.close('}');
        text_.close(']');
    }

    void put_who(std::string_view reference_or_name) {
        text_.open("who", '{');
        text_.member(is_reference(reference_or_name) ? "reference" : "display", reference_or_name);
        text_.close('}');
    }

    void put_agents() {
        const Parties parties = parties_of(shape_);
        text_.open("agent", '[');
        put_client(parties.client);
        put_server(parties.server);
        put_user(parties.user);
        put_beneficiary(entry_.organisation, "organisation that the user works in");
        put_beneficiary(entry_.on_behalf_of, "on whose behalf the user acts");
        text_.close(']');
    }

    void put_client(const Code& type) {
        text_.open('{');
        text_.concept_of("type", type);
        put_who(entry_.client.empty() ? "the server's own pages" : entry_.client);
        text_.member("altId", entry_.session);
        text_.flag("requestor", false);
        if (!entry_.address.empty()) {
            text_.open("network", '{');
            text_.member("address", entry_.address);
            text_.member("type", "2");  // an IP address
            text_.close('}');
        }
        text_.close('}');
    }

    void put_server(const Code& type) {
        text_.open('{');
        text_.concept_of("type", type);
        put_observer("who");
        text_.flag("requestor", false);
        if (!base_url_.empty()) {
            text_.open("network", '{');
            text_.member("address", base_url_);
            text_.member("type", "5");  // a URI
            text_.close('}');
        }
        text_.close('}');
    }

    void put_observer(std::string_view key) {
        text_.open(key, '{');
        text_.member("display", base_url_.empty() ? "this server" : base_url_);
        text_.close('}');
    }

    void put_user(const Code& type) {
        if (entry_.actor.empty() && entry_.account.empty()) return;
        text_.open('{');
        text_.concept_of("type", type);
        if (!entry_.role.empty()) {
            text_.open("role", '[');
            text_.open('{');
            text_.member("text", entry_.role);
            text_.close('}');
            text_.close(']');
        }
        put_who(entry_.actor.empty() ? entry_.account : entry_.actor);
        text_.member("altId", entry_.account);
        text_.flag("requestor", true);
        if (!entry_.policy_version.empty()) {
            text_.open("policy", '[');
            text_.item(
                fmt::format("urn:meridian:policy:{}{}{}", percent_encode(entry_.policy_version),
                            entry_.clause.empty() ? "" : "#", percent_encode(entry_.clause)));
            text_.close(']');
        }
        put_purpose("purposeOfUse");
        text_.close('}');
    }

    void put_beneficiary(const std::string& reference, std::string_view what) {
        if (reference.empty()) return;
        text_.open('{');
        text_.open("type", '{');
        text_.member("text", what);
        text_.close('}');
        put_who(reference);
        text_.flag("requestor", false);
        text_.close('}');
    }

    void put_source() {
        text_.open("source", '{');
        put_observer("observer");
        text_.open("type", '[');
        text_.coding({"http://terminology.hl7.org/CodeSystem/security-source-type", "4",
                      "Application Server"});
        text_.close(']');
        text_.close('}');
    }

    bool has_entities() const {
        return !patients_.empty() || has_data() || has_query() || !entry_.request_id.empty() ||
               entry_.resources != 0;
    }
    bool has_data() const { return !entry_.type.empty() && !entry_.id.empty() && !hides_; }
    bool has_query() const {
        return !hides_ && (!entry_.query.empty() || entry_.interaction == Interaction::search);
    }

    void put_entities() {
        if (!has_entities()) return;
        text_.open("entity", '[');
        if (has_data()) put_data();
        if (has_query()) put_query();
        for (const std::string& patient : patients_) put_patient(patient);
        if (!entry_.request_id.empty()) put_request();
        if (entry_.resources != 0) put_count();
        text_.close(']');
    }

    void put_data() {
        const store::Version version = place_.version != 0 ? place_.version : entry_.version;
        text_.open('{');
        text_.open("what", '{');
        std::string reference = fmt::format("{}/{}", entry_.type, entry_.id);
        if (version != 0) reference += fmt::format("/_history/{}", version);
        text_.member("reference", reference);
        text_.close('}');
        text_.coding("type", {entity_types, "2", "System Object"});
        text_.coding("role", {object_roles, "4", "Domain Resource"});
        text_.close('}');
    }

    void put_query() {
        // As it was asked for, but for values that may say who somebody is (covered_query.hpp).
        std::string query = entry_.query;
        if (entry_.interaction == Interaction::search)
            query = entry_.type + (query.empty() ? "" : "?") + query;
        text_.open('{');
        text_.coding("type", {entity_types, "2", "System Object"});
        text_.coding("role", {object_roles, "24", "Query"});
        if (entry_.is_query_cut) text_.member("description", "longer than what is kept of it");
        text_.member("query", base64_encode(query.empty() ? "?" : query));
        text_.close('}');
    }

    void put_patient(const std::string& patient) {
        text_.open('{');
        text_.open("what", '{');
        text_.member("reference", "Patient/" + patient);
        text_.close('}');
        text_.coding("type", {entity_types, "1", "Person"});
        text_.coding("role", {object_roles, "1", "Patient"});
        text_.close('}');
    }

    void put_request() {
        text_.open('{');
        text_.open("what", '{');
        text_.open("identifier", '{');
        text_.member("value", entry_.request_id);
        text_.close('}');
        text_.close('}');
        text_.coding("type", {"https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                              "XrequestId",
                              {}});
        text_.close('}');
    }

    void put_count() {
        text_.open('{');
        text_.coding("type", {entity_types, "2", "System Object"});
        text_.coding("role", {object_roles, "20", "Job"});
        text_.member("description", fmt::format("{} in all", entry_.resources));
        text_.close('}');
    }

    const Entry& entry_;
    const store::LogEntry& place_;
    Shape shape_;
    std::string_view base_url_;
    std::vector<std::string> patients_;
    bool hides_ = false;
    Text text_;
};

}  // namespace

Shape shape_of(const Entry& entry) {
    const bool has_type = !entry.type.empty();
    const bool has_id = !entry.id.empty();
    switch (entry.interaction) {
        case Interaction::read:
            return {rest, interaction("read"), 'R'};
        case Interaction::vread:
            return {rest, interaction("vread"), 'R'};
        case Interaction::search:
            return {rest, interaction(has_type ? "search-type" : "search-system"), 'E'};
        case Interaction::history:
            return {rest,
                    interaction(has_id     ? "history-instance"
                                : has_type ? "history-type"
                                           : "history-system"),
                    'R'};
        case Interaction::create:
            return {rest, interaction("create"), 'C'};
        case Interaction::update:
            return {rest, interaction("update"), 'U'};
        case Interaction::patch:
            return {rest, interaction("patch"), 'U'};
        case Interaction::remove:
            return {rest, interaction("delete"), 'D'};
        case Interaction::transaction:
            return {rest, interaction("transaction"), 'E'};
        case Interaction::operation:
            return {rest, interaction("operation"), 'E'};
        case Interaction::bulk_export:
            return {{dicom, "110106", "Export"}, disclose, 'R'};
        case Interaction::bulk_import:
            return {{dicom, "110107", "Import"}, disclose, 'C'};
        case Interaction::sign_in:
            return {{dicom, "110114", "User Authentication"}, Code{dicom, "110122", "Login"}, 'E'};
        case Interaction::sign_out:
            return {{dicom, "110114", "User Authentication"}, Code{dicom, "110123", "Logout"}, 'E'};
        case Interaction::token:
            return {{dicom, "110114", "User Authentication"},
                    Code{dicom, "110137", "User Security Attributes Changed"},
                    'E'};
        case Interaction::request:
            return {{dicom, "110113", "Security Alert"},
                    Code{dicom, "110132", "Use of Restricted Function"},
                    'E'};
        case Interaction::security:
            return {{dicom, "110113", "Security Alert"},
                    Code{dicom, "110129", "Security Configuration"},
                    'E'};
        case Interaction::job:
            return {{dicom, "110100", "Application Activity"}, std::nullopt, 'E'};
    }
    return {rest, std::nullopt, 'E'};
}

bool hides_some(const Entry& entry, const Shown& shown) {
    if (!shown.patients) return false;
    return entry.has_more_patients ||
           !std::all_of(entry.patients.begin(), entry.patients.end(),
                        [&](const std::string& patient) { return is_shown(patient, shown); });
}

std::string id_of(store::Position position) {
    return fmt::format("{}{}", id_prefix, position);
}

std::optional<store::Position> position_of(std::string_view id) {
    if (!id.starts_with(id_prefix)) return std::nullopt;
    id.remove_prefix(id_prefix.size());
    store::Position position = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), position);
    const bool is_whole = error == std::errc() && end == id.data() + id.size();
    if (!is_whole || position < 0 || id_of(position).substr(id_prefix.size()) != id)
        return std::nullopt;
    return position;
}

std::string audit_event(const Entry& entry, const store::LogEntry& place, const Shown& shown,
                        std::string_view base_url) {
    return Event(entry, place, shown, base_url).json();
}

}  // namespace meridian::trust::audit
