// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/belongings.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "fhir/home.hpp"
#include "fhir/search/extract.hpp"
#include "trust/audit/entry.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view patient_stem = "Patient/", person_stem = "Person/";

const fhir::Caller& eraser() {
    static const fhir::Caller caller = fhir::Caller::system("erasure");
    return caller;
}

class LinkedPatients {
 public:
    explicit LinkedPatients(fhir::Repository& repository) : repository_(repository) {}

    Result<std::set<std::string>> of(const std::string& subject) {
        if (subject.starts_with(person_stem)) {
            TRY(add_person(subject.substr(person_stem.size())));
        } else {
            add(subject);
        }
        while (!to_visit_.empty()) {
            const std::string patient = *to_visit_.begin();
            to_visit_.erase(to_visit_.begin());
            TRY(visit(patient));
            if (found_.size() > limits::erasure_patients_max)
                return fail(Category::too_large,
                            fmt::format("more than {} patients are linked to this person: look at "
                                        "their links first",
                                        limits::erasure_patients_max));
        }
        return found_;
    }

 private:
    void add(const std::string& patient) {
        if (!patient.empty() && found_.insert(patient).second) to_visit_.insert(patient);
    }

    Result<void> add_person(const std::string& id) {
        const auto person = TRY(repository_.read(eraser(), "Person", id));
        const JsonDocument document = TRY(JsonDocument::parse(person.json));
        for (const Json& link : document.root()["link"].items())
            add(patient_in(link["target"].string_at("reference"), repository_.base_url()));
        return {};
    }

    Result<void> visit(const std::string& patient) {
        const auto read =
            repository_.read(eraser(), "Patient", patient.substr(patient_stem.size()));
        // One that was deleted or never there may still have been linked by others.
        if (!read && read.error().category != Category::gone &&
            read.error().category != Category::not_found)
            return std::unexpected(read.error());
        if (read) {
            const JsonDocument document = TRY(JsonDocument::parse(read->json));
            for (const Json& link : document.root()["link"].items())
                add(patient_in(link["other"].string_at("reference"), repository_.base_url()));
        }
        TRY(each_that_refers("Patient", "link", patient, [this](const fhir::Resource& other) {
            add(fmt::format("Patient/{}", other.id));
            return Result<void>();
        }));
        return each_that_refers("Person", "patient", patient, [this](const fhir::Resource& person) {
            return add_person(person.id);
        });
    }

    template <class Visit>
    Result<void> each_that_refers(std::string_view type, std::string_view parameter,
                                  const std::string& patient, Visit visit) {
        fhir::Page page = TRY(repository_.search(
            eraser(), type, {{std::string(parameter), patient}}, fhir::SearchOptions{}));
        for (std::size_t pages = 0; pages <= limits::erasure_patients_max; ++pages) {
            for (const auto& entry : page.entries) TRY(visit(entry.resource));
            if (page.next.empty()) return {};
            page = TRY(repository_.next_page(eraser(), page.next));
        }
        return fail(Category::too_large, "too many resources link to this person");
    }

    fhir::Repository& repository_;
    std::set<std::string> found_, to_visit_;
};

class Gathering {
 public:
    Gathering(fhir::Repository& repository, KeyRing& ring, const std::set<std::string>& patients,
              RetentionClock* clock)
        : repository_(repository),
          ring_(ring),
          clock_(clock),
          parameters_(repository.parameters()),
          patients_(patients) {
        for (const std::string& patient : patients) keys_.insert(ring.id_of(patient));
    }

    Result<Belongings> run() {
        for (const std::string& patient : patients_) {
            TRY(look_through(patient));
            if (clock_ != nullptr) TRY(look_for_former(patient));
        }
        return std::move(found_);
    }

 private:
    store::Identity identity_of(const std::string& patient) const {
        return {parameters_->type_name("Patient"), patient.substr(patient_stem.size())};
    }

    Result<void> look_through(const std::string& patient) {
        store::Plan plan;
        plan.where = store::InCompartment{identity_of(patient)};
        plan.limit = limits::erasure_batch_resources;
        while (true) {
            const auto snapshot = TRY(repository_.store().snapshot());
            const auto matches = TRY(snapshot->search(plan));
            for (const auto& stored : TRY(snapshot->fetch(matches.rids)))
                TRY(sort(*snapshot, stored, patient));
            if (!matches.more) return look_for_mentions(*snapshot, patient);
            plan.after = matches.rids.back();
        }
    }

    /// Resources outside of the compartment that refer to the patient.
    Result<void> look_for_mentions(store::Snapshot& snapshot, const std::string& patient) {
        const store::Rid rid = TRY(snapshot.rid_of(identity_of(patient)));
        if (rid == 0) return {};
        const auto rids = TRY(snapshot.sources(std::array{rid}, 0, limits::erasure_mentions_max));
        for (const auto& stored : TRY(snapshot.fetch(rids))) TRY(sort(snapshot, stored, patient));
        return {};
    }

    /// Resources about several people of which an older version names the patient: no index row
    /// tells of it any more, but the audit of the change does.
    Result<void> look_for_former(const std::string& patient) {
        store::AuditQuery query;
        query.patients = {identity_of(patient)};
        query.limit = limits::audit_entries_at_once;
        while (true) {
            const auto snapshot = TRY(repository_.store().snapshot());
            const auto kept = TRY(snapshot->audit(query));
            for (const store::KeptAudit& each : kept) {
                query.before = each.entry.position;
                const audit::Entry entry = TRY(audit::decode(each.bytes));
                if (fhir::people_of(entry.type) == nullptr || entry.id.empty()) continue;
                TRY(collect_keys(*snapshot, {parameters_->type_name(entry.type), entry.id},
                                 entry.type));
            }
            if (kept.size() < query.limit) return {};
        }
    }

    Result<void> sort(store::Snapshot& snapshot, const store::Stored& stored,
                      const std::string& patient) {
        if (!seen_.emplace(stored.rid, patient).second) return {};
        const std::string type(parameters_->type_text(stored.type));
        if (fhir::people_of(type) != nullptr && TRY(sort_shared(snapshot, stored, type))) return {};
        if (!TRY(is_own(stored, type))) {
            if (found_.mentions.size() < limits::erasure_mentions_max)
                found_.mentions.emplace_back(fmt::format("{}/{}", type, stored.id), patient);
            return {};
        }
        return add_own(snapshot, stored, type);
    }

    /// False when the resource is about none of the patients, or about one alone, like any other.
    Result<bool> sort_shared(store::Snapshot& snapshot, const store::Stored& stored,
                             const std::string& type) {
        const auto patients = TRY(patients_of(stored, type));
        if (!patients) {
            // Its key was shredded before: an erasure that was killed goes on.
            TRY(add_own(snapshot, stored, type));
            return true;
        }
        const auto erased = std::count_if(patients->begin(), patients->end(),
                                          [this](const auto& each) { return is_erased(each); });
        if (erased == 0 || patients->size() == 1) return false;
        TRY(collect_keys(snapshot, {stored.type, stored.id}, type));
        if (static_cast<std::size_t>(erased) == patients->size()) {
            TRY(add_own(snapshot, stored, type));
        } else if (parted_.insert(stored.rid).second) {
            found_.of_several.emplace_back(type, stored.id);
        }
        return true;
    }

    Result<void> add_own(store::Snapshot& snapshot, const store::Stored& stored,
                         const std::string& type) {
        if (!own_.insert(stored.rid).second) return {};
        found_.own.push_back({stored.type, stored.id});
        ++found_.counts[type];
        return clock_ == nullptr ? Result<void>() : examine(snapshot, stored, type);
    }

    /// Whether its home is one of the patients: that is whose key its body lies under.
    Result<bool> is_own(const store::Stored& stored, const std::string& type) {
        if (is_sealed(stored.body)) return keys_.contains(std::string(key_id_of(stored.body)));
        const auto concerned = TRY(patients_of(stored, type));
        return concerned && !concerned->empty() && is_erased(concerned->front());
    }

    /// Whom a version concerns, its subject first; nothing when nobody can read it any more.
    Result<std::optional<std::vector<std::string>>> patients_of(const store::Stored& stored,
                                                                const std::string& type) {
        const auto resource = repository_.decode(stored);
        if (!resource && resource.error().category == Category::gone)
            return std::optional<std::vector<std::string>>();
        if (!resource) return std::unexpected(resource.error());
        const JsonDocument document = TRY(JsonDocument::parse(resource->json));
        const std::string base = repository_.base_url();
        const auto rows = fhir::search::extract(*parameters_, type, document.root(),
                                                repository_.store().names(), {.base_url = base});
        std::vector<std::string> patients;
        for (const store::Identity& patient : rows.compartments)
            patients.push_back(fmt::format("Patient/{}", patient.id));
        return std::optional(std::move(patients));
    }

    bool is_erased(const std::string& patient) const { return patients_.contains(patient); }

    /// The keys of versions that name one of the patients. A key that is another patient's, as of
    /// versions from before such resources had their own, is left alone: the version stays.
    Result<void> collect_keys(store::Snapshot& snapshot, const store::Identity& identity,
                              const std::string& type) {
        if (!collected_.emplace(identity.type, identity.id).second) return {};
        store::HistoryScope scope{.type = identity.type, .id = identity.id};
        scope.limit = limits::erasure_batch_resources;
        while (true) {
            const auto versions = TRY(snapshot.history(scope));
            for (const store::Stored& version : versions) {
                scope.before = version.position;
                TRY(collect_key(version, type));
            }
            if (versions.size() < scope.limit) return {};
        }
    }

    Result<void> collect_key(const store::Stored& version, const std::string& type) {
        if (version.deleted()) return {};
        const auto patients = TRY(patients_of(version, type));
        if (!patients || std::none_of(patients->begin(), patients->end(),
                                      [this](const auto& each) { return is_erased(each); }))
            return {};
        if (!is_sealed(version.body)) return note_unsealed(version, type);
        const auto key = TRY(ring_.key_with(key_id_of(version.body)));
        if (fhir::is_shared_home(key->owner)) {
            found_.shared_keys.insert(key->id);
        } else if (!keys_.contains(key->id) &&
                   found_.mentions.size() < limits::erasure_mentions_max) {
            found_.mentions.emplace_back(
                fmt::format("{}/{}", type, version.id),
                *std::find_if(patients->begin(), patients->end(),
                              [this](const auto& each) { return is_erased(each); }));
        }
        return {};
    }

    Result<void> note_unsealed(const store::Stored& version, const std::string& type) {
        if (found_.unsealed.empty()) found_.unsealed = fmt::format("{}/{}", type, version.id);
        return {};
    }

    /// What the retention's clock and the proof that all of it is shredded need to know.
    Result<void> examine(store::Snapshot& snapshot, const store::Stored& stored,
                         const std::string& type) {
        store::HistoryScope scope{.type = stored.type, .id = stored.id};
        scope.limit = limits::erasure_versions_max;
        for (const auto& version : TRY(snapshot.history(scope))) {
            if (!version.deleted() && !is_sealed(version.body)) TRY(note_unsealed(version, type));
        }
        const auto resource = TRY(repository_.decode(stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        clock_->see(type, stored.updated, document.root());
        const auto patients = TRY(patients_of(stored, type));
        for (const std::string& patient : patients.value_or(std::vector<std::string>())) {
            if (!is_erased(patient) && found_.shared.size() < limits::erasure_mentions_max)
                found_.shared.emplace_back(fmt::format("{}/{}", type, stored.id), patient);
        }
        return {};
    }

    fhir::Repository& repository_;
    KeyRing& ring_;
    RetentionClock* clock_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    const std::set<std::string>& patients_;
    std::set<std::string> keys_;  ///< their ids
    std::set<std::pair<store::Rid, std::string>> seen_;
    std::set<store::Rid> own_, parted_;
    std::set<std::pair<store::Name, std::string>> collected_;
    Belongings found_;
};

}  // namespace

std::string patient_in(std::string_view reference, std::string_view base_url) {
    if (!base_url.empty() && reference.starts_with(base_url)) {
        reference.remove_prefix(base_url.size());
        while (reference.starts_with('/')) reference.remove_prefix(1);
    }
    if (!reference.starts_with(patient_stem)) return {};
    const std::size_t end = reference.find('/', patient_stem.size());
    return std::string(reference.substr(0, end));
}

Result<std::set<std::string>> patients_of_person(fhir::Repository& repository,
                                                 const std::string& subject) {
    return LinkedPatients(repository).of(subject);
}

Result<Belongings> belongings_of(fhir::Repository& repository, KeyRing& ring,
                                 const std::set<std::string>& patients, RetentionClock* clock) {
    return Gathering(repository, ring, patients, clock).run();
}

}  // namespace meridian::trust
