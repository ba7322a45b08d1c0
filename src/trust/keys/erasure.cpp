// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/erasure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <set>
#include <thread>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "fhir/search/extract.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/body_cipher.hpp"
#include "trust/keys/certificate.hpp"
#include "trust/keys/retention.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

constexpr std::string_view patient_stem = "Patient/", person_stem = "Person/";
constexpr std::string_view space_of_holds = "hold", space_of_erasures = "erasure";

const fhir::Caller& eraser() {
    static const fhir::Caller caller = fhir::Caller::system("erasure");
    return caller;
}

std::string with_capital(std::string_view subject) {
    std::string text(subject);
    if (text.starts_with("person/") || text.starts_with("patient/")) text[0] = 'P';
    return text;
}

/// "Patient/7" of a reference that names a patient of this record; empty for any other.
std::string patient_in(std::string_view reference, std::string_view base_url) {
    if (!base_url.empty() && reference.starts_with(base_url)) {
        reference.remove_prefix(base_url.size());
        while (reference.starts_with('/')) reference.remove_prefix(1);
    }
    if (!reference.starts_with(patient_stem)) return {};
    const std::size_t end = reference.find('/', patient_stem.size());
    return std::string(reference.substr(0, end));
}

// --- who the person is ---

/// All Patients that are one person.
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

// --- what is theirs ---

/// What lies in the patients' compartments now.
struct Belongings {
    std::vector<store::Identity> own;                           ///< their home is erased with them
    std::map<std::string, std::int64_t> counts;                 ///< of `own`, by type
    std::vector<std::pair<std::string, std::string>> mentions;  ///< others' resource, patient
    /// Of `own`, those that concern a patient who stays, too: resource, that patient.
    std::vector<std::pair<std::string, std::string>> shared;
    std::string unsealed;  ///< the first resource of theirs with a version that is not sealed
};

class Gathering {
 public:
    Gathering(fhir::Repository& repository, const KeyRing& ring,
              const std::set<std::string>& patients, RetentionClock* clock)
        : repository_(repository), clock_(clock), parameters_(repository.parameters()) {
        for (const std::string& patient : patients) keys_[ring.id_of(patient)] = patient;
    }

    Result<Belongings> run() {
        for (const auto& [key, patient] : keys_) TRY(look_through(patient));
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

    Result<void> sort(store::Snapshot& snapshot, const store::Stored& stored,
                      const std::string& patient) {
        if (!seen_.emplace(stored.rid, patient).second) return {};
        const std::string type(parameters_->type_text(stored.type));
        if (!TRY(is_own(stored, type))) {
            if (found_.mentions.size() < limits::erasure_mentions_max)
                found_.mentions.emplace_back(fmt::format("{}/{}", type, stored.id), patient);
            return {};
        }
        if (!own_.insert(stored.rid).second) return {};
        found_.own.push_back({stored.type, stored.id});
        ++found_.counts[type];
        return clock_ == nullptr ? Result<void>() : examine(snapshot, stored, type);
    }

    /// Whether its home is one of the patients: that is whose key its body lies under.
    Result<bool> is_own(const store::Stored& stored, const std::string& type) {
        if (is_sealed(stored.body)) return keys_.contains(std::string(key_id_of(stored.body)));
        const auto resource = TRY(repository_.decode(stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        const auto concerned = patients_of(type, document.root());
        return !concerned.empty() && is_erased(concerned.front());
    }

    /// Whom a resource concerns; its home comes first.
    std::vector<std::string> patients_of(const std::string& type, const Json& resource) const {
        const std::string base = repository_.base_url();
        const auto rows = fhir::search::extract(*parameters_, type, resource,
                                                repository_.store().names(), {.base_url = base});
        std::vector<std::string> patients;
        for (const store::Identity& patient : rows.compartments)
            patients.push_back(fmt::format("Patient/{}", patient.id));
        return patients;
    }

    bool is_erased(const std::string& patient) const {
        return std::any_of(keys_.begin(), keys_.end(),
                           [&](const auto& each) { return each.second == patient; });
    }

    /// What the retention's clock and the proof that all of it is shredded need to know.
    Result<void> examine(store::Snapshot& snapshot, const store::Stored& stored,
                         const std::string& type) {
        store::HistoryScope scope{.type = stored.type, .id = stored.id};
        scope.limit = limits::erasure_versions_max;
        for (const auto& version : TRY(snapshot.history(scope))) {
            if (!version.deleted() && !is_sealed(version.body) && found_.unsealed.empty())
                found_.unsealed = fmt::format("{}/{}", type, stored.id);
        }
        const auto resource = TRY(repository_.decode(stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        clock_->see(type, stored.updated, document.root());
        for (const std::string& patient : patients_of(type, document.root())) {
            if (!is_erased(patient) && found_.shared.size() < limits::erasure_mentions_max)
                found_.shared.emplace_back(fmt::format("{}/{}", type, stored.id), patient);
        }
        return {};
    }

    fhir::Repository& repository_;
    RetentionClock* clock_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    std::map<std::string, std::string> keys_;  ///< id of the key → patient
    std::set<std::pair<store::Rid, std::string>> seen_;
    std::set<store::Rid> own_;
    Belongings found_;
};

Result<void> delete_all(fhir::Repository& repository, const std::vector<store::Identity>& own) {
    const store::Name actor =
        repository.store().names().intern(store::NameKind::actor, eraser().actor);
    for (std::size_t at = 0; at < own.size(); at += limits::erasure_batch_resources) {
        store::Commit commit;
        commit.actor = actor;
        const std::size_t end = std::min(own.size(), at + limits::erasure_batch_resources);
        for (std::size_t i = at; i < end; ++i) {
            store::Change& change = commit.changes.emplace_back();
            change.verb = store::Verb::remove;
            change.identity = own[i];
        }
        TRY(repository.store().commit(std::move(commit)));
    }
    return {};
}

// --- holds ---

MessageKey hold_key(const KeyRing& ring) {
    SecretKey key;
    const std::string bytes = ring.keyed_hash("holds", {});
    std::memcpy(key.data(), bytes.data(), key.size());
    return {ring.suite(), key};
}

Result<void> require_patient(std::string_view patient) {
    if (patient.starts_with(patient_stem) && patient.size() > patient_stem.size()) return {};
    return fail(Category::incorrect,
                fmt::format("\"{}\" is no patient: expected Patient/ID", patient.substr(0, 80)));
}

/// Why nobody may erase the patient; empty when nothing stands against it.
Result<std::string> hold_on(store::Store& store, const KeyRing& ring, const std::string& patient) {
    const auto row = TRY(store.private_row(space_of_holds, patient));
    if (!row) return std::string();
    return hold_key(ring).open(patient, row->value);
}

// --- the folder's list ---

std::string erased_path(const std::string& folder) {
    return folder + "/keys/erased";
}

/// Kept outside of the store, so that a restore of the store knows of it.
Result<void> note_erased(const std::string& folder, const std::vector<std::string>& ids) {
    auto known = TRY(erased_keys(folder));
    std::set<std::string> all(known.begin(), known.end());
    all.insert(ids.begin(), ids.end());
    std::string text;
    for (const std::string& id : all) text += to_hex(id) + "\n";
    return write_secret_file(erased_path(folder), text);
}

// --- the erasure ---

class Erasure {
 public:
    Erasure(fhir::Repository& repository, KeyRing& ring, const std::string& folder,
            ErasureRequest request)
        : repository_(repository), ring_(ring), folder_(folder), request_(std::move(request)) {}

    Result<std::string> run() {
        request_.subject = with_capital(request_.subject);
        TRY(check_request());
        const auto begun =
            TRY(repository_.store().private_row(space_of_erasures, request_.subject));
        if (begun) {
            // It was killed on the way: whom it is about cannot be read any more.
            read_patients(begun->value);
        } else {
            patients_ = TRY(LinkedPatients(repository_).of(request_.subject));
            TRY(find_out());
            TRY(repository_.store().save_private({{.space = std::string(space_of_erasures),
                                                   .key = request_.subject,
                                                   .value = patients_text()}}));
        }
        from_ = TRY(repository_.store().snapshot())->position() + 1;
        TRY(shred());
        TRY(delete_until_nothing_comes());
        TRY(repository_.store().scrub());
        auto certificate = TRY(sign_certificate(folder_, TRY(statement())));
        if (const auto row =
                TRY(repository_.store().private_row(space_of_erasures, request_.subject))) {
            TRY(repository_.store().save_private({{.space = row->space,
                                                   .key = row->key,
                                                   .version = row->version,
                                                   .removed = true}}));
        }
        log::info("a person was erased", {{"resources", erased_}});
        return certificate;
    }

 private:
    Result<void> check_request() const {
        const std::string& subject = request_.subject;
        const std::size_t slash = subject.find('/');
        if ((!subject.starts_with(patient_stem) && !subject.starts_with(person_stem)) ||
            slash + 1 == subject.size())
            return fail(Category::incorrect,
                        fmt::format("\"{}\" is no person: expected Person/ID or Patient/ID",
                                    subject.substr(0, 80)));
        if (request_.reason.empty())
            return fail(Category::incorrect,
                        "an erasure needs a reason: it stands in the "
                        "certificate");
        const auto& approvers = request_.approvers;
        if (!request_.override_retention) return {};
        if (approvers.size() == 2 && !approvers[0].empty() && !approvers[1].empty() &&
            approvers[0] != approvers[1] && approvers[0] != request_.by &&
            approvers[1] != request_.by)
            return {};
        return fail(
            Category::incorrect,
            "to erase in spite of clocks and holds, two different people other than the one "
            "who asks have to approve");
    }

    /// What stands against it, and what is shared.
    Result<void> find_out() {
        RetentionClock clock(TRY(read_retention(folder_)));
        const Belongings found = TRY(Gathering(repository_, ring_, patients_, &clock).run());
        if (found.own.empty())
            return fail(Category::not_found,
                        fmt::format("there is nothing of {} to erase", request_.subject));
        if (!found.unsealed.empty())
            return fail(Category::unsupported,
                        fmt::format("{} has a version from before encryption was switched on: it "
                                    "would stay readable. Move the record into a new store first "
                                    "(`meridian export`, `meridian import`)",
                                    found.unsealed));
        shared_ = found.shared;
        std::string hold = clock.hold();
        for (const std::string& patient : patients_) {
            if (hold.empty()) {
                hold = TRY(hold_on(repository_.store(), ring_, patient));
                if (!hold.empty()) hold = fmt::format("{}: {}", patient, hold);
            }
        }
        const auto allowed = clock.allowed_from();
        if (allowed && now() < *allowed) kept_until_ = to_text(*allowed);
        hold_ = hold;
        if (request_.override_retention || (hold_.empty() && kept_until_.empty())) return {};
        return fail(Category::conflict,
                    hold_.empty()
                        ? fmt::format("the record has to be kept until {}; erasing it is allowed "
                                      "from then on",
                                      kept_until_)
                        : fmt::format("a legal hold stands against it ({}){}", hold_,
                                      kept_until_.empty()
                                          ? std::string()
                                          : "; besides it has to be kept until " + kept_until_));
    }

    Result<void> shred() {
        for (const std::string& patient : patients_) ids_.push_back(ring_.id_of(patient));
        TRY(note_erased(folder_, ids_));
        return ring_.shred(ids_);
    }

    /// Other servers know the keys for a moment, and what they have sealed is on its way.
    Result<void> delete_until_nothing_comes() {
        const auto known_by_others =
            std::chrono::steady_clock::now() +
            std::chrono::milliseconds(2 * limits::key_standing_milliseconds);
        while (true) {
            const bool is_last = std::chrono::steady_clock::now() >= known_by_others;
            const Belongings found = TRY(Gathering(repository_, ring_, patients_, nullptr).run());
            mentions_ = found.mentions;
            TRY(delete_all(repository_, found.own));
            erased_ += static_cast<std::int64_t>(found.own.size());
            for (const auto& [type, count] : found.counts) counts_[type] += count;
            if (is_last && found.own.empty()) return {};
            if (!is_last)
                std::this_thread::sleep_for(
                    std::chrono::milliseconds(limits::key_look_milliseconds));
        }
    }

    Result<std::string> statement() {
        JsonDocument document;
        Json root = document.object();
        const auto text = [&](std::string_view key, std::string_view value) {
            document.set(root, key, document.string(value));
        };
        const auto list = [&](std::string_view key, const auto& values) {
            Json items = document.array();
            for (const std::string& value : values) document.append(items, document.string(value));
            document.set(root, key, items);
        };
        text("what",
             "the data keys of this person were destroyed, and what lay under them cannot "
             "be read any more, in this record and in every copy of it");
        text("subject", request_.subject);
        list("patients", patients_);
        text("reason", request_.reason);
        text("by", request_.by);
        text("at", to_text(now()));
        if (request_.override_retention) {
            list("approvedBy", request_.approvers);
            if (!kept_until_.empty()) text("keptUntilOtherwise", kept_until_);
            if (!hold_.empty()) text("holdOverruled", hold_);
        }
        std::vector<std::string> keys;
        for (const std::string& id : ids_) keys.push_back(to_hex(id));
        list("keys", keys);
        document.set(root, "resources", document.number(erased_));
        Json counts = document.object();
        for (const auto& [type, count] : counts_)
            document.set(counts, type, document.number(count));
        document.set(root, "byType", counts);
        const auto pairs = [&](std::string_view key, std::string_view second, const auto& items) {
            Json all = document.array();
            for (const auto& [resource, patient] : items) {
                Json one = document.object();
                document.set(one, "resource", document.string(resource));
                document.set(one, second, document.string(patient));
                document.append(all, one);
            }
            document.set(root, key, all);
        };
        pairs("stays", "mentions", mentions_);
        pairs("goneThoughShared", "with", shared_);
        document.set(root, "logFrom", document.number(from_));
        document.set(root, "logTo",
                     document.number(TRY(repository_.store().snapshot())->position()));
        return to_text(root);
    }

    std::string patients_text() const {
        std::string text;
        for (const std::string& patient : patients_) text += patient + "\n";
        return text;
    }
    void read_patients(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            patients_.emplace(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

    fhir::Repository& repository_;
    KeyRing& ring_;
    std::string folder_;
    ErasureRequest request_;
    std::set<std::string> patients_;
    std::vector<std::string> ids_;
    std::map<std::string, std::int64_t> counts_;
    std::vector<std::pair<std::string, std::string>> mentions_, shared_;
    std::string hold_, kept_until_;
    std::int64_t erased_ = 0;
    store::Position from_ = 0;
};

}  // namespace

Result<std::string> erase_person(fhir::Repository& repository, KeyRing& ring,
                                 const std::string& folder, const ErasureRequest& request) {
    return Erasure(repository, ring, folder, request).run();
}

Result<void> hold_patient(store::Store& store, const KeyRing& ring, std::string_view patient,
                          std::string_view by, std::string_view reason) {
    TRY(require_patient(patient));
    if (reason.empty()) return fail(Category::incorrect, "a hold needs a reason");
    store::PrivateRow row{.space = std::string(space_of_holds), .key = std::string(patient)};
    hold_key(ring).seal(patient, fmt::format("{} ({}, {})", reason, by, to_text(now())), row.value);
    if (const auto before = TRY(store.private_row(row.space, row.key)))
        row.version = before->version;
    if (TRY(store.save_private({row}))) return {};
    return fail(Category::busy, "somebody else changed the hold at the same time; try again");
}

Result<bool> release_patient(store::Store& store, std::string_view patient) {
    TRY(require_patient(patient));
    auto row = TRY(store.private_row(space_of_holds, patient));
    if (!row) return false;
    row->removed = true;
    return store.save_private({*row});
}

Result<std::vector<std::string>> erased_keys(const std::string& folder) {
    const auto read = read_file(erased_path(folder));
    std::vector<std::string> ids;
    if (!read && read.error().category == Category::not_found) return ids;
    if (!read) return std::unexpected(read.error());
    for (std::string_view text = *read; !text.empty();) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (end == 2 * DataKey::id_bytes)
            ids.push_back(KeyRing::id_in(fmt::format("data/{}", text.substr(0, end))));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return ids;
}

Result<std::int64_t> sweep_erased(fhir::Repository& repository, KeyRing& ring) {
    std::int64_t swept = 0;
    const auto types = TRY(TRY(repository.store().snapshot())->counts());
    for (const store::TypeCount& type : types) {
        for (store::Rid after = 0;;) {
            auto snapshot = TRY(repository.store().scan());
            const auto batch = TRY(snapshot->walk(type.type, snapshot->position(), after,
                                                  limits::erasure_batch_resources));
            snapshot.reset();
            if (batch.empty()) break;
            after = batch.back().rid;
            std::vector<store::Identity> erased;
            for (const store::Stored& stored : batch) {
                if (!is_sealed(stored.body)) continue;
                const auto key = ring.key_with(key_id_of(stored.body));
                if (key) continue;
                if (key.error().category != Category::gone) return std::unexpected(key.error());
                erased.push_back({stored.type, stored.id});
            }
            TRY(delete_all(repository, erased));
            swept += static_cast<std::int64_t>(erased.size());
        }
    }
    if (swept > 0) TRY(repository.store().scrub());
    return swept;
}

}  // namespace meridian::trust
