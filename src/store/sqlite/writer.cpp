// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/writer.hpp"

#include "base/hash.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/engine/measures.hpp"
#include "store/engine/relevance.hpp"
#include "store/sqlite/private_rows.hpp"
#include "store/sqlite/search.hpp"

namespace meridian::store::sqlite {

namespace {

constexpr std::size_t salts_at_once = 1'024;

constexpr std::string_view update_resource =
    "UPDATE resource SET version = ?, position = ?, updated = ?, verb = ?, patient = ?, "
    "organisation = ?, body = ? WHERE rid = ?";
constexpr std::string_view remove_resource =
    "UPDATE resource SET version = ?, position = ?, updated = ?, verb = 3, organisation = ?, body "
    "= x'' WHERE rid = ?";

/// Calls `visit` with each identity of a change, in the order in which apply asks for them: its
/// own, then those of its rows as resolve_rows does.
template <class Visit>
void each_mention(const Change& change, Visit visit) {
    visit(change.identity);
    for (const auto& row : change.rows.references) visit(row.target);
    for (const auto& row : change.rows.patients) visit(row.patient);
    for (const Identity& patient : change.rows.compartments) visit(patient);
}

std::size_t mention_count(const Change& change) {
    return 1 + change.rows.references.size() + change.rows.patients.size() +
           change.rows.compartments.size();
}

}  // namespace

Writer::Writer(std::unique_ptr<Database> database, Dictionary& names, std::size_t audit_index_batch)
    : database_(std::move(database)),
      names_(names),
      directory_(limits::directory_cache_identities),
      audit_index_(audit_index_batch) {}

Result<std::unique_ptr<Writer>> Writer::make(std::unique_ptr<Database> database, Dictionary& names,
                                             std::size_t audit_index_batch) {
    std::unique_ptr<Writer> writer(new Writer(std::move(database), names, audit_index_batch));
    TRY(writer->load());
    return writer;
}

Result<void> Writer::load() {
    next_position_ = TRY(database_->integer("SELECT max(position) FROM log", -1)) + 1;
    next_position_before_ = next_position_;
    next_audit_ = next_audit_before_ = TRY(next_audit_number(*database_));
    TRY(audit_index_.load(*database_, next_position_));
    opened_at_ = last_change_of_any_ = next_position_ - 1;
    at_.milliseconds =
        TRY(database_->integer("SELECT at FROM log WHERE position = ?", 0, next_position_ - 1));
    return directory_.load(*database_);
}

// --- groups ---

void Writer::write_group(std::span<const std::shared_ptr<Task>> group) {
    if (broken_) {
        for (const auto& task : group) task->outcome = std::unexpected(*broken_);
        return;
    }
    // lastUpdated never goes back, even when the machine's clock does: _since and history rely on
    // it.
    at_ = std::max(at_, now());
    if (auto written = write_all(group); !written) fail_group(group, written.error());
}

Result<void> Writer::write_all(std::span<const std::shared_ptr<Task>> group) {
    database_->forget_last_code();
    TRY(database_->run("BEGIN IMMEDIATE"));
    TRY(prefetch(group));
    Directory::Mention* mentions = mentions_.data();
    for (const auto& task : group) {
        // Counted before the rows are moved out of the change.
        std::size_t count = 0;
        for (const Change& change : task->commit.changes) count += mention_count(change);
        TRY(write_task(*task, mentions));
        mentions += count;
    }
    TRY(flush());
    TRY(audit_index_.write_some(*database_));
    TRY(finish_transaction());
    TRY(database_->run("COMMIT"));
    directory_.finish(true);
    names_.saved(true);
    touched_.clear();
    next_position_before_ = next_position_;
    next_audit_before_ = next_audit_;
    audit_index_.finish(true, next_position_);
    return {};
}

Result<void> Writer::write_task(Task& task, Directory::Mention* mentions) {
    if (task.job) {
        TRY(flush());  // a job may read any table
        TRY(task.job());
        task.outcome = Receipt{};
        return {};
    }
    const Verdict verdict = TRY(verify(task.commit));
    if (verdict.refused) {
        task.outcome = std::unexpected(*verdict.refused);
    } else if (verdict.stale) {
        task.outcome =
            Receipt{.stale = true, .position = last_position(), .at = at_, .written = {}};
    } else {
        task.outcome = TRY(apply(task.commit, mentions));
    }
    return {};
}

Result<void> Writer::finish_transaction() {
    for (const auto& [type, change] : count_changes_) {
        if (change == 0) continue;
        TRY(
            database_->run("INSERT INTO type_count(type, resources) VALUES(?1, ?2) "
                           "ON CONFLICT(type) DO UPDATE SET resources = resources + ?2",
                           type, change));
    }
    count_changes_.clear();
    return names_.save(*database_);
}

void Writer::fail_group(std::span<const std::shared_ptr<Task>> group, const Error& error) {
    const int code = database_->last_code();
    if (!database_->in_autocommit()) {
        if (auto undone = database_->run("ROLLBACK"); !undone && !database_->in_autocommit()) {
            broken_ = undone.error();
            measures::note_store_works(false);
        }
    }
    directory_.finish(false);
    names_.saved(false);
    rows_.clear();
    index_.clear();
    touched_.clear();
    count_changes_.clear();
    next_position_ = next_position_before_;
    next_audit_ = next_audit_before_;
    audit_index_.finish(false, next_position_);
    // After a failed write or fsync nobody knows what is on the disk, and a second fsync may claim
    // success for lost pages.
    if (is_lasting(code)) stop_writing(error);
    for (const auto& task : group) task->outcome = std::unexpected(broken_ ? *broken_ : error);
}

void Writer::stop_writing(Error why) {
    if (broken_) return;
    why.category = Category::unavailable;
    why.message = fmt::format(
        "the store stopped writing after a disk error: {}; check the disk, then restart",
        why.message);
    log::error("the store stopped writing", {{"reason", why.message}});
    measures::note_store_works(false);
    broken_ = std::move(why);
}

// --- conditions ---

Result<Writer::Verdict> Writer::verify(const Commit& commit) {
    for (const Change& change : commit.changes) {
        if (change.body.size() > limits::resource_bytes_max) {
            return Verdict{.refused = Error{Category::too_large,
                                            "a stored body exceeds limits::resource_bytes_max"}};
        }
        if (change.rows.size() > limits::index_rows_per_resource_max) {
            return Verdict{
                .refused = Error{
                    Category::too_large,
                    "a resource has more index rows than limits::index_rows_per_resource_max"}};
        }
    }
    if (auto beyond = beyond_audit_limits(commit.audit))
        return Verdict{.refused = std::move(*beyond)};
    Verdict verdict = TRY(verify_versions(commit));
    if (verdict.passes()) verdict = TRY(verify_expectations(commit));
    if (verdict.passes()) verdict = TRY(verify_unique_keys(commit));
    if (verdict.passes()) verdict = TRY(verify_private_rows(commit));
    return verdict;
}

Result<Writer::Verdict> Writer::verify_private_rows(const Commit& commit) {
    for (const PrivateRow& row : commit.private_rows) {
        if (!TRY(is_writable(*database_, row, at_))) return Verdict{.stale = true, .refused = {}};
    }
    return Verdict{};
}

Result<Writer::Verdict> Writer::verify_versions(const Commit& commit) {
    for (std::size_t index = 0; index < commit.changes.size(); ++index) {
        const Change& change = commit.changes[index];
        if (!change.if_version) continue;
        const Before state = TRY(before(change.identity));
        Version version = state.version;
        bool current = state.current();
        // The same resource earlier in this commit: count its changes as if they were written.
        for (std::size_t earlier = 0; earlier < index; ++earlier) {
            if (commit.changes[earlier].identity != change.identity) continue;
            const bool removes = commit.changes[earlier].verb == Verb::remove;
            if (!removes || current) ++version;
            current = !removes;
        }
        if (*change.if_version != (current ? version : 0))
            return Verdict{.stale = true, .refused = {}};
    }
    return Verdict{};
}

Result<Writer::Verdict> Writer::verify_unique_keys(const Commit& commit) {
    std::unordered_map<std::string_view, const Identity*> claimed;
    for (const Change& change : commit.changes) {
        for (const std::string& key : change.rows.unique_keys) {
            const auto [place, first] = claimed.emplace(key, &change.identity);
            bool taken = !first && *place->second != change.identity;
            const Rid holder =
                TRY(database_->integer("SELECT rid FROM unique_key WHERE key = ?", 0, key));
            if (!taken && holder != 0 &&
                holder != TRY(directory_.find(*database_, change.identity))) {
                taken = true;
                // Unless the holder lets it go in this very commit.
                for (const Change& other : commit.changes) {
                    if (TRY(directory_.find(*database_, other.identity)) == holder) taken = false;
                }
            }
            if (!taken) continue;
            return Verdict{
                .stale = false,
                .refused = Error{
                    Category::conflict,
                    fmt::format("another resource already holds the unique key \"{}\"", key),
                    names_.text(NameKind::type, change.identity.type) + "/" + change.identity.id}};
        }
    }
    return Verdict{};
}

bool Writer::unchanged_since(const Plan& plan, Position seen) const {
    const auto types = types_looked_at(plan);
    if (!types) return seen >= last_change_of_any_;
    return std::all_of(types->begin(), types->end(), [&](Name type) {
        const auto found = last_change_.find(type);
        return seen >= (found == last_change_.end() ? opened_at_ : found->second);
    });
}

Result<Writer::Verdict> Writer::verify_expectations(const Commit& commit) {
    if (!commit.expectations.empty() && commit.codings_seen != names_.coding_count())
        return Verdict{.stale = true, .refused = {}};
    for (const Expectation& expectation : commit.expectations) {
        if (unchanged_since(*expectation.plan, commit.seen)) continue;
        TRY(flush());  // earlier commits of the group count
        Matches matches = TRY(search(*database_, *expectation.plan, names_));
        std::sort(matches.rids.begin(), matches.rids.end());
        if (matches.more || matches.rids != expectation.expected)
            return Verdict{.stale = true, .refused = {}};
    }
    return Verdict{};
}

// --- writing ---

Result<void> Writer::prefetch(std::span<const std::shared_ptr<Task>> group) {
    mentions_.clear();
    for (const auto& task : group) {
        for (const Change& change : task->commit.changes) {
            if (change.fresh) directory_.note_new(change.identity);
        }
    }
    for (const auto& task : group) {
        for (const Change& change : task->commit.changes) {
            each_mention(change, [this](const Identity& identity) {
                mentions_.push_back(directory_.want(identity));
            });
        }
        for (const AuditEntry& entry : task->commit.audit) {
            for (const Identity& patient : entry.patients) directory_.want(patient);
        }
    }
    return directory_.prefetch(*database_);
}

Result<Receipt> Writer::apply(Commit& commit, Directory::Mention* mentions) {
    Receipt receipt;
    receipt.at = at_;
    receipt.written.reserve(commit.changes.size());
    left_.clear();
    for (const AuditEntry& entry : commit.audit) {
        if (entry.change) left_[*entry.change];
    }
    for (Change& change : commit.changes) {
        Directory::Mention* const own = mentions;
        mentions += mention_count(change);
        receipt.written.push_back(change.verb == Verb::remove
                                      ? TRY(apply_remove(commit, change))
                                      : TRY(apply_write(commit, change, own)));
        if (receipt.written.back().position >= 0) {
            last_change_[change.identity.type] = last_change_of_any_ =
                receipt.written.back().position;
        }
    }
    TRY(apply_audit(commit, receipt.written));
    TRY(write_private(*database_, commit.private_rows, at_));
    receipt.position = last_position();
    return receipt;
}

Result<void> Writer::apply_audit(const Commit& commit, const std::vector<Written>& written) {
    for (const AuditEntry& entry : commit.audit) {
        std::vector<Rid> patients;
        for (const Identity& patient : entry.patients)
            patients.push_back(TRY(directory_.find(*database_, patient)));
        if (entry.change) {
            const std::vector<Rid>& left = left_[*entry.change];
            patients.insert(patients.end(), left.begin(), left.end());
        }
        AuditRow row = TRY(audit_row(entry, std::move(patients), written));
        audit_index_.add(row.patients, next_position_);
        rows_.add_audit({next_position_++, next_audit_++, std::move(row), next_salt()});
    }
    return {};
}

void Writer::note_left(const Commit& commit, const Change& change, const ResolvedRows& rows) {
    const auto place = left_.find(static_cast<std::size_t>(&change - commit.changes.data()));
    if (place != left_.end()) place->second = rows.compartments;
}

Result<Writer::Before> Writer::before(const Identity& identity) {
    return before(TRY(directory_.find(*database_, identity)));
}

Result<Writer::Before> Writer::before(Rid rid) {
    Before state;
    state.rid = rid;
    if (rid == 0) return state;
    if (touched_.contains(rid)) TRY(flush());
    auto row = TRY(database_->prepare("SELECT version, verb FROM resource WHERE rid = ?"));
    row.bind(1, rid);
    if (!TRY(row.step())) return state;
    state.version = row.integer(0);
    state.verb = static_cast<Verb>(row.integer(1));
    return state;
}

Result<Written> Writer::apply_write(const Commit& commit, Change& change,
                                    Directory::Mention* mentions) {
    Directory::Mention const own = *mentions++;
    const Before old = TRY(before(own->second));
    Written written;
    written.rid = directory_.resolve(own);
    written.version = old.version + 1;
    written.position = next_position_;
    written.created = !old.current();
    touched_.insert(written.rid);
    Resolved resolved = TRY(resolve_rows(
        std::move(change.rows),
        [&](const Identity&) { return Result<Rid>(directory_.resolve(*mentions++)); },
        [this](Name param) { return text_field(param); }));
    std::vector<std::string> keys_before;
    if (old.version != 0) TRY(keep_history(old));
    if (old.current()) {
        if (auto rows = TRY(forward_rows(written.rid))) {
            std::vector<int> fields;
            for (const Name param : rows->texts) fields.push_back(text_field(param));
            keys_before = rows->unique_keys;
            note_left(commit, change, *rows);
            index_.remove(written.rid, change.identity.type, std::move(*rows), fields);
        }
    }
    const Verb verb = written.created ? Verb::create : Verb::update;
    const ResourceRows::Entry entry =
        append_log(commit, change, written.rid, written.version, verb);
    std::string packed = pack(resolved.rows);
    if (old.version == 0) {
        rows_.add_resource(entry, resolved.patient, std::move(packed));
    } else {
        auto update = TRY(database_->prepare(update_resource));
        update.bind_all(written.version, written.position, at_.milliseconds, verb, resolved.patient,
                        commit.organisation);
        TRY(update.bind_blob(7, change.body).bind(8, written.rid).run());
        auto forward =
            TRY(database_->prepare("INSERT OR REPLACE INTO forward(rid, rows) VALUES(?, ?)"));
        TRY(forward.bind(1, written.rid).bind_blob(2, packed).run());
    }
    TRY(change_unique_keys(written.rid, keys_before, resolved.rows.unique_keys));
    index_.add(written.rid, change.identity.type, std::move(resolved.rows),
               std::move(resolved.texts));
    if (written.created) ++count_changes_[change.identity.type];
    return written;
}

Result<Written> Writer::apply_remove(const Commit& commit, const Change& change) {
    const Before old = TRY(before(change.identity));
    Written written;
    written.rid = old.rid;
    written.version = old.version;
    written.existed = old.current();
    if (!old.current()) return written;
    written.version = old.version + 1;
    written.position = next_position_;
    touched_.insert(old.rid);
    TRY(keep_history(old));
    if (auto rows = TRY(forward_rows(old.rid))) {
        std::vector<int> fields;
        for (const Name param : rows->texts) fields.push_back(text_field(param));
        TRY(change_unique_keys(old.rid, rows->unique_keys, {}));
        note_left(commit, change, *rows);
        index_.remove(old.rid, change.identity.type, std::move(*rows), fields);
    }
    TRY(database_->run(remove_resource, written.version, written.position, at_.milliseconds,
                       commit.organisation, old.rid));
    TRY(database_->run("DELETE FROM forward WHERE rid = ?", old.rid));
    append_log(commit, change, old.rid, written.version, Verb::remove);
    --count_changes_[change.identity.type];
    return written;
}

Result<void> Writer::keep_history(const Before& state) {
    return database_->run(
        "INSERT INTO history(rid, version, position, updated, verb, body) "
        "SELECT rid, version, position, updated, verb, body FROM resource WHERE rid = ?",
        state.rid);
}

Result<std::optional<ResolvedRows>> Writer::forward_rows(Rid rid) {
    auto row = TRY(database_->prepare("SELECT rows FROM forward WHERE rid = ?"));
    row.bind(1, rid);
    if (!TRY(row.step())) return std::optional<ResolvedRows>();
    return std::optional<ResolvedRows>(TRY(unpack(row.blob(0))));
}

ResourceRows::Entry Writer::append_log(const Commit& commit, const Change& change, Rid rid,
                                       Version version, Verb verb) {
    const ResourceRows::Entry entry{
        next_position_++,    rid,        &change, version, verb, commit.actor,
        commit.organisation, next_salt()};
    rows_.add_entry(entry);
    return entry;
}

std::array<char, log_salt_bytes> Writer::next_salt() {
    if (salt_at_ == salts_.size()) {
        salts_ = random_bytes(log_salt_bytes *
                              salts_at_once);  // one call to the system for many entries
        salt_at_ = 0;
    }
    std::array<char, log_salt_bytes> salt;
    std::memcpy(salt.data(), salts_.data() + salt_at_, salt.size());
    salt_at_ += salt.size();
    return salt;
}

Result<void> Writer::change_unique_keys(Rid rid, const std::vector<std::string>& before,
                                        const std::vector<std::string>& after) {
    for (const std::string& key : before) {
        // Not one that another change of this commit has taken over.
        TRY(database_->run("DELETE FROM unique_key WHERE key = ? AND rid = ?", key, rid));
    }
    for (const std::string& key : after) {
        TRY(database_->run("INSERT OR REPLACE INTO unique_key(key, rid) VALUES(?, ?)", key, rid));
    }
    return {};
}

int Writer::text_field(Name param) {
    const auto [place, first] = text_fields_.emplace(param, 0);
    if (first) place->second = text_field_of(names_, param);
    return place->second;
}

Result<void> Writer::touch(Rid rid) {
    if (touched_.insert(rid).second) return {};
    TRY(flush());
    touched_.insert(rid);
    return {};
}

Result<void> Writer::flush() {
    TRY(directory_.flush(*database_));
    TRY(rows_.flush(*database_, at_));
    TRY(index_.flush(*database_));
    touched_.clear();
    return {};
}

// --- reindex ---

namespace {

/// A reindex leaves no entry in the log, so what was counted before it is told by a number of its
/// own.
constexpr std::string_view note_index_change =
    "INSERT INTO setting(key, value) VALUES('index_generation', 1) "
    "ON CONFLICT(key) DO UPDATE SET value = value + 1";

}  // namespace

Result<void> Writer::reindex(Rid rid, Version version, std::span<const Name> params, Rows rows) {
    auto row = TRY(database_->prepare("SELECT type, version, verb FROM resource WHERE rid = ?"));
    row.bind(1, rid);
    if (!TRY(row.step()) || row.integer(1) != version ||
        row.integer(2) == static_cast<int>(Verb::remove))
        return {};
    const auto type = static_cast<Name>(row.integer(0));
    row.reset();
    TRY(touch(rid));
    TRY(database_->run(note_index_change));
    ResolvedRows old;
    if (auto found = TRY(forward_rows(rid))) old = std::move(*found);
    Resolved fresh = TRY(resolve_rows(
        std::move(rows),
        [this](const Identity& identity) { return directory_.resolve(*database_, identity); },
        [this](Name param) { return text_field(param); }));
    const std::vector<std::string> keys_before = old.unique_keys;
    std::vector<int> fields;
    for (const Name param : old.texts) {
        if (params.empty() || std::find(params.begin(), params.end(), param) != params.end())
            fields.push_back(text_field(param));
    }
    ResolvedRows merged;
    if (params.empty()) {
        merged = std::move(fresh.rows);
    } else {
        merged = with_params_replaced(old, params, std::move(fresh.rows));
        old.views.clear();  // they stay, and their values are not known here
    }
    const std::string packed = pack(merged);
    auto forward =
        TRY(database_->prepare("INSERT OR REPLACE INTO forward(rid, rows) VALUES(?, ?)"));
    TRY(forward.bind(1, rid).bind_blob(2, packed).run());
    if (params.empty()) {
        TRY(change_unique_keys(rid, keys_before, merged.unique_keys));
        TRY(database_->run("UPDATE resource SET patient = ?1 WHERE rid = ?2 AND patient <> ?1",
                           fresh.patient, rid));
    } else {
        merged.views.clear();
    }
    index_.remove(rid, type, std::move(old), fields);
    index_.add(rid, type, std::move(merged), std::move(fresh.texts));
    // Conditions decided before now must be looked at again: rows changed although the log did not
    // grow.
    last_change_[type] = last_change_of_any_ = next_position_;
    return {};
}

}  // namespace meridian::store::sqlite
