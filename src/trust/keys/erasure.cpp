// SPDX-License-Identifier: Apache-2.0
#include "trust/keys/erasure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "fhir/home.hpp"
#include "fhir/search/extract.hpp"
#include "trust/key_file.hpp"
#include "trust/keys/belongings.hpp"
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

// --- what others keep ---

/// The resource without the people who are erased; nothing when it names none of them.
std::shared_ptr<JsonDocument> without(std::string_view json, const fhir::PeopleElement& people,
                                      const std::set<std::string>& erased,
                                      std::string_view base_url) {
    auto parsed = JsonDocument::parse(json);
    if (!parsed) return nullptr;
    auto document = std::make_shared<JsonDocument>(*std::move(parsed));
    Json kept = document->array();
    const Json all = document->root()[people.list];
    for (const Json& item : all.items()) {
        const Json& reference = people.reference.empty() ? item : item[people.reference];
        if (!erased.contains(patient_in(reference.string_at("reference"), base_url)))
            document->append(kept, item);
    }
    if (kept.size() == all.size()) return nullptr;
    if (kept.size() == 0) {
        document->remove(document->root(), people.list);
    } else {
        document->set(document->root(), people.list, kept);
    }
    return document;
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
            read_progress(begun->value);
        } else {
            patients_ = TRY(patients_of_person(repository_, request_.subject));
            if (const auto allowed = find_out(); !allowed) {
                if (allowed.error().category == Category::conflict)
                    TRY(tell(fhir::AuditOutcome::refused));
                return std::unexpected(allowed.error());
            }
            TRY(save_progress());
        }
        from_ = TRY(repository_.store().snapshot())->position() + 1;
        // What is about others too is written without the person first: when the keys are gone,
        // nobody could.
        TRY(part(TRY(belongings_of(repository_, ring_, patients_, nullptr))));
        TRY(shred());
        TRY(delete_until_nothing_comes());
        if (request_.besides) TRY(request_.besides(patients_));
        TRY(repository_.store().scrub());
        auto certificate = TRY(sign_certificate(folder_, TRY(statement())));
        TRY(tell(fhir::AuditOutcome::success));
        TRY(forget_progress());
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
        const Belongings found = TRY(belongings_of(repository_, ring_, patients_, &clock));
        if (found.own.empty())
            return fail(Category::not_found,
                        fmt::format("there is nothing of {} to erase", request_.subject));
        if (!found.unsealed.empty())
            return fail(Category::unsupported,
                        fmt::format("{} has a version from before encryption was switched on: it "
                                    "would stay readable. Seal the record first (`meridian keys "
                                    "seal`)",
                                    found.unsealed));
        shared_ = found.shared;
        shared_keys_ = found.shared_keys;
        mentions_.insert(found.mentions.begin(), found.mentions.end());
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

    /// The audit's entry of it, found by each of the patients. Not one of the many that the
    /// server's own reads would make.
    Result<void> tell(fhir::AuditOutcome outcome) {
        fhir::Caller caller = eraser();
        auto origin = std::make_shared<fhir::Origin>();
        origin->account = request_.by;
        caller.origin = std::move(origin);
        const std::size_t slash = request_.subject.find('/');
        fhir::AuditRecord record{.interaction = fhir::Interaction::security,
                                 .type = request_.subject.substr(0, slash),
                                 .id = request_.subject.substr(slash + 1),
                                 .query = "erasure",
                                 .outcome = outcome};
        for (const std::string& patient : patients_)
            record.add_patient(std::string_view(patient).substr(patient_stem.size()));
        return repository_.note(caller, {std::move(record)});
    }

    /// Writes what the person shares with others without the person, and remembers the keys of the
    /// versions before. Those are kept in the store first: the new versions do not tell of them.
    Result<void> part(const Belongings& found) {
        if (!std::ranges::includes(shared_keys_, found.shared_keys)) {
            shared_keys_.insert(found.shared_keys.begin(), found.shared_keys.end());
            TRY(save_progress());
        }
        for (const auto& [type, id] : found.of_several) TRY(part_from(type, id));
        return {};
    }

    Result<void> part_from(const std::string& type, const std::string& id) {
        const auto read = repository_.read(eraser(), type, id);
        // Somebody else deleted it meanwhile.
        if (!read && (read.error().category == Category::gone ||
                      read.error().category == Category::not_found))
            return {};
        if (!read) return std::unexpected(read.error());
        const auto document =
            without(read->json, *fhir::people_of(type), patients_, repository_.base_url());
        if (!document) return {};
        fhir::Transaction transaction;
        transaction.want_json = false;
        fhir::Operation& update = transaction.operations.emplace_back();
        update.kind = fhir::Operation::Kind::update;
        update.type = type;
        update.id = id;
        update.resource = document->root();
        update.document = document;
        update.if_match = read->version;
        const auto written = repository_.commit(eraser(), std::move(transaction));
        if (written) {
            parted_.insert(fmt::format("{}/{}", type, id));
            return {};
        }
        const Category why = written.error().category;
        // Changed meanwhile: it is found again.
        if (why == Category::precondition || why == Category::conflict) return {};
        // What is no valid resource without the person goes with the person.
        if (why != Category::unprocessable && why != Category::incorrect)
            return std::unexpected(written.error());
        shared_.emplace_back(fmt::format("{}/{}", type, id), "others");
        const std::vector<store::Identity> invalid{{repository_.parameters()->type_name(type), id}};
        return delete_all(repository_, invalid);
    }

    Result<void> shred() {
        std::vector<std::string> ids;
        for (const std::string& patient : patients_) ids.push_back(ring_.id_of(patient));
        ids.insert(ids.end(), shared_keys_.begin(), shared_keys_.end());
        if (ids == ids_) return {};
        ids_ = ids;
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
            const Belongings found = TRY(belongings_of(repository_, ring_, patients_, nullptr));
            mentions_.insert(found.mentions.begin(), found.mentions.end());
            TRY(part(found));
            TRY(shred());
            TRY(delete_all(repository_, found.own));
            erased_ += static_cast<std::int64_t>(found.own.size());
            for (const auto& [type, count] : found.counts) counts_[type] += count;
            if (is_last && found.own.empty() && found.of_several.empty()) return {};
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
        list("staysWithoutThePerson", parted_);
        pairs("goneThoughShared", "with", shared_);
        document.set(root, "logFrom", document.number(from_));
        document.set(root, "logTo",
                     document.number(TRY(repository_.store().snapshot())->position()));
        return to_text(root);
    }

    // --- how far it is, for whoever goes on after a kill ---

    Result<void> save_progress() {
        store::PrivateRow row{.space = std::string(space_of_erasures), .key = request_.subject};
        for (const std::string& patient : patients_) row.value += patient + "\n";
        for (const std::string& id : shared_keys_)
            row.value += std::string(progress_key) + to_hex(id) + "\n";
        if (const auto before = TRY(repository_.store().private_row(row.space, row.key)))
            row.version = before->version;
        if (TRY(repository_.store().save_private({row}))) return {};
        return fail(Category::busy, "somebody else erases this person at the same time");
    }
    void read_progress(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = text.substr(0, end);
            if (line.starts_with(progress_key)) {
                shared_keys_.insert(
                    KeyRing::id_in(fmt::format("data/{}", line.substr(progress_key.size()))));
            } else {
                patients_.emplace(line);
            }
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }
    Result<void> forget_progress() {
        const auto row = TRY(repository_.store().private_row(space_of_erasures, request_.subject));
        if (!row) return {};
        TRY(repository_.store().save_private(
            {{.space = row->space, .key = row->key, .version = row->version, .removed = true}}));
        return {};
    }

    static constexpr std::string_view progress_key = "key ";

    fhir::Repository& repository_;
    KeyRing& ring_;
    std::string folder_;
    ErasureRequest request_;
    std::set<std::string> patients_;
    std::set<std::string> shared_keys_;  ///< ids of those of versions about others, too
    std::vector<std::string> ids_;       ///< of the keys that were shredded
    std::map<std::string, std::int64_t> counts_;
    std::set<Belongings::Pair> mentions_;
    std::vector<Belongings::Pair> shared_;
    std::set<std::string> parted_;
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
