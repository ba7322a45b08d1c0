// SPDX-License-Identifier: Apache-2.0
// Two records that differ only in what a caller may not see answer that caller's requests byte for
// byte alike: whatever is asked, in whatever way. MERIDIAN_NONINTERFERENCE_REQUESTS says how many
// requests are made (1,500), MERIDIAN_NONINTERFERENCE_SEED which.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/query_string.hpp"
#include "rest/basic_operations.hpp"
#include "rest/bulk/export.hpp"
#include "rest/service.hpp"
#include "rest/subscriptions/testing.hpp"
#include "rest/testing/random_requests.hpp"
#include "rest/validate_operation.hpp"
#include "store/engine/visits.hpp"
#include "store/postgres/test_cluster.hpp"
#include "trust/policy/decisions.hpp"

namespace meridian::rest {
namespace {

namespace fs = std::filesystem;
namespace policy = trust::policy;
using subscriptions::testing::Folder;
using subscriptions::testing::must;
using subscriptions::testing::must_open;
using testing::Asked;
using testing::RandomRecord;
using testing::RandomRequests;

/// Roles that are wider than those that ship, so that every interaction is met under a filter.
constexpr const char* wider_roles = R"(
policy = "test"
version = 1
[groups]
all = ["Patient", "Observation", "Condition", "MedicationRequest", "DiagnosticReport", "Procedure", "AllergyIntolerance",
  "DocumentReference", "Encounter", "Appointment", "List", "CareTeam", "Consent", "Coverage", "Claim", "Task", "RelatedPerson",
  "Organization", "Group", "Practitioner"]
changeable = ["Patient", "Observation", "Condition", "MedicationRequest", "DiagnosticReport", "Procedure", "AllergyIntolerance",
  "DocumentReference", "List"]
[roles.researcher]
summary = "x"
masked = ["Patient.name", "Patient.address", "Patient.identifier", "Observation.performer", "Condition.recorder"]
[[roles.researcher.allow]]
clause = "who agreed"
types = ["@all"]
may = ["read", "search", "history", "operations", "export"]
relations = ["region"]
purposes = ["HRESCH"]
consent = "opt-in"
[roles.follow-up]
summary = "x"
[[roles.follow-up.allow]]
clause = "what is not labelled"
types = ["@all"]
may = ["read", "search", "history", "operations", "export"]
relations = ["region"]
purposes = ["*"]
consent = "not-asked"
withheld = ["psychiatry", "very-restricted"]
[[roles.follow-up.allow]]
clause = "changes"
types = ["@changeable"]
may = ["read", "create", "update", "delete"]
relations = ["region"]
purposes = ["*"]
consent = "not-asked"
withheld = ["psychiatry", "very-restricted"]
)";

std::shared_ptr<const policy::Policy> policies() {
    const std::string path = MERIDIAN_SOURCE_DIR "/data/policy/default.toml";
    return must(policy::parse(
        {{"default.toml", must(read_file(path, 1 << 20))}, {"test.toml", wider_roles}}));
}

/// Answers with what differs from one server to another taken out: made ids by the order of their
/// appearance, times of writing, page links down to their length.
class Canonical {
 public:
    std::string of(std::string_view text) {
        std::string out;
        for (std::size_t at = 0; at < text.size();) {
            if (const std::size_t cursor = text.substr(at).starts_with("_cursor=") ? 8 : 0) {
                const std::size_t end = std::min(text.find('"', at), text.size());
                out += fmt::format("_cursor=#{}", end - at - cursor);
                at = end;
            } else if (text.size() - at >= 36 && text[at + 8] == '-' &&
                       is_uuid(text.substr(at, 36))) {
                out += label(text.substr(at, 36));
                at += 36;
            } else if (is_recent(text.substr(at, 24))) {
                out += "#time";
                at += 24;
            } else {
                out += text[at++];
            }
        }
        return out;
    }

 private:
    std::string label(std::string_view id) {
        const auto [known, is_new] = ids_.try_emplace(std::string(id), ids_.size());
        return fmt::format("#id{}", known->second);
    }
    static bool is_recent(std::string_view text) {
        return text.size() == 24 && text[4] == '-' && text[10] == 'T' && text[23] == 'Z' &&
               text.substr(0, 4) >= to_text(now()).substr(0, 4);
    }
    std::map<std::string, std::size_t, std::less<>> ids_;
};

/// What was visited from here on, by searches of this thread.
class Visited {
 public:
    store::Visits so_far() const {
        const store::Visits& now = store::visits();
        return {now.work - before_.work, now.withheld - before_.withheld, now.open - before_.open};
    }

 private:
    store::Visits before_ = store::visits();
};

/// One of the two servers.
class Side {
 public:
    explicit Side(const std::string& folder)
        : store_(must_open(folder)), repository_(must(fhir::Repository::open(*store_, {}))) {
        add_basic_operations(service_);
        add_validate_operation(service_, nullptr);
    }

    fhir::Repository& repository() { return *repository_; }
    fhir::Caller caller(const trust::Subject& subject) { return must(decisions_.caller(subject)); }

    /// The whole of an answer, canonical. `next` becomes the link to the next page, and `visits`
    /// what was visited for it.
    std::string ask(const trust::Subject& subject, const Asked& asked, std::string* next,
                    store::Visits* visits = nullptr) {
        Exchange exchange;
        exchange.method = asked.method;
        exchange.base_url = "http://record.test/fhir";
        exchange.caller = caller(subject);
        exchange.lenient = asked.lenient;
        const std::size_t question = asked.target.find('?');
        const std::string path = asked.target.substr(0, question);
        for (std::size_t from = 0; from < path.size();) {
            const std::size_t slash = std::min(path.find('/', from), path.size());
            exchange.path.push_back(path.substr(from, slash - from));
            from = slash + 1;
        }
        if (question != std::string::npos)
            exchange.parameters = must(parse_query_string(asked.target.substr(question + 1)));
        exchange.body = asked.body;
        exchange.content_type =
            asked.is_json_patch ? "application/json-patch+json" : "application/fhir+json";
        exchange.if_match = asked.if_match;
        exchange.if_none_match = asked.if_none_match;
        exchange.if_none_exist = asked.if_none_exist;
        const Visited visited;
        const auto answered = store::with_names([&] { return service_.dispatch(exchange); });
        if (visits != nullptr) *visits = visited.so_far();
        const Answer answer = answered ? *answered : answer_of(answered.error());
        if (next != nullptr) *next = next_of(answer.json);
        std::string text = fmt::format("{} version {} location {}\n", answer.status,
                                       answer.version.value_or(-1), answer.location);
        for (const auto& [name, value] : answer.headers) text += name + ": " + value + "\n";
        return canonical_.of(text + answer.json);
    }

    /// The files of an export of everything, canonical.
    std::string export_all(const trust::Subject& subject, const std::string& folder) {
        const auto result = export_to_folder(repository(), caller(subject), ExportRequest{}, folder,
                                             [](const ExportProgress&) { return true; });
        if (!result) return result.error().message;
        std::string text;
        for (const ExportFile& file : result->output)
            text += fmt::format("{} {}\n{}", file.name, file.count,
                                must(read_file(folder + "/" + file.name, 1 << 26)));
        return canonical_.of(text);
    }

 private:
    static std::string next_of(std::string_view json) {
        const std::size_t at = json.find(R"("relation":"next","url":")");
        if (at == std::string_view::npos) return {};
        const std::size_t cursor = json.find("?_cursor=", at);
        return std::string(json.substr(cursor, json.find('"', cursor) - cursor));
    }

    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    Service service_{*repository_, {}};
    policy::Decisions decisions_{*repository_, policies()};
    Canonical canonical_;
};

void remove(fhir::Repository& repository, const std::string& type, const std::string& id) {
    fhir::Transaction transaction;
    fhir::Operation operation;
    operation.kind = fhir::Operation::Kind::remove;
    operation.type = type;
    operation.id = id;
    transaction.operations.push_back(std::move(operation));
    must(repository.commit(fhir::Caller::system("test"), std::move(transaction)));
}

void fill(const std::string& folder, const RandomRecord& record) {
    const auto store = must_open(folder);
    const auto repository = must(fhir::Repository::open(*store, {}));
    for (const auto& resource : record.resources())
        subscriptions::testing::write(*repository, resource.json);
    // Deleted ones are met too, and versions of another patient's.
    for (int i = 85; i < 90; ++i) {
        const auto& one =
            record.resources()[record.resources().size() - 40 + static_cast<unsigned>(i) - 85];
        if (one.type == "Observation" || one.type == "Condition")
            remove(*repository, one.type, one.id);
    }
}

trust::Subject subject_of(trust::Role role, std::string person, std::string organisation,
                          std::string purpose, std::vector<std::string> scopes = {}) {
    trust::Subject subject;
    subject.account = fmt::format("{}-{}", trust::name_of(role), person);
    subject.role = role;
    subject.person = std::move(person);
    subject.organisation = std::move(organisation);
    subject.purpose = std::move(purpose);
    subject.scopes = std::move(scopes);
    // Fresh for as long as the test runs.
    subject.authenticated_at = {now().milliseconds + 86'400'000};
    return subject;
}

std::vector<trust::Subject> subjects() {
    using trust::Role;
    return {
        subject_of(Role::doctor, "Practitioner/d0", "Organization/o0", "TREAT"),
        subject_of(Role::nurse, "Practitioner/d1", "Organization/o1", "TREAT"),
        subject_of(Role::pharmacist, "Practitioner/d2", "Organization/o2", "TREAT"),
        subject_of(Role::patient, "Patient/p0", "", "PATRQT"),
        subject_of(Role::guardian, "RelatedPerson/r2", "", "FAMRQT"),
        subject_of(Role::insurer, "Practitioner/d3", "Organization/o1", "HPAYMT"),
        subject_of(Role::regulator, "Practitioner/d3", "", "HCOMPL"),
        subject_of(Role::data_manager, "Practitioner/d3", "Organization/o1", "HQUALIMP"),
        subject_of(Role::researcher, "Practitioner/d3", "", "HRESCH"),
        subject_of(Role::follow_up, "Practitioner/d3", "", "TREAT"),
        subject_of(
            Role::doctor, "Practitioner/d0", "Organization/o0", "TREAT",
            {"user/Observation.rs?category=laboratory", "user/Patient.rs", "user/Condition.cruds"}),
    };
}

/// The same record twice, and in the second what one caller may not see is other: removed, changed,
/// added.
class TwoRecords {
 public:
    TwoRecords(const std::string& folder, const std::string& base, const RandomRecord& record,
               const trust::Subject& subject, unsigned seed) {
        for (const char* name : {"/a", "/b"}) {
            if (store::postgres::tests_use_postgres()) {
                fill(folder + name, record);
            } else {
                fs::copy(base, folder + name, fs::copy_options::recursive);
            }
        }
        a_ = std::make_unique<Side>(folder + "/a");
        b_ = std::make_unique<Side>(folder + "/b");
        alter(record, subject, seed);
    }

    Side& a() { return *a_; }
    Side& b() { return *b_; }
    int altered() const { return altered_; }

 private:
    bool sees(Side& side, const trust::Subject& subject, const std::string& type,
              const std::string& id) {
        const auto found = side.repository().read(side.caller(subject), type, id);
        return found.has_value() || found.error().category == Category::gone;
    }

    void alter(const RandomRecord& record, const trust::Subject& subject, unsigned seed) {
        RandomRecord dice(seed);
        std::vector<std::pair<std::string, std::string>> all;
        for (const auto& one : record.resources()) {
            all.emplace_back(one.type, one.id);
            const bool is_changeable =
                std::find(std::begin(RandomRecord::changeable), std::end(RandomRecord::changeable),
                          one.type) != std::end(RandomRecord::changeable);
            if ((!is_changeable && one.type != "List") ||
                must(read_as_system(one.type, one.id)) == false ||
                sees(*b_, subject, one.type, one.id))
                continue;
            const int choice = dice.any(3);
            if (choice == 0 || one.type == "List") {
                remove(b_->repository(), one.type, one.id);
                ++altered_;
            } else if (choice == 1) {
                change(dice, one);
                if (sees(*b_, subject, one.type, one.id)) give_to_both(one.type, one.id);
                ++altered_;
            }
        }
        for (int i = 0; i < 20; ++i) {
            const std::string id = fmt::format("y{}", i);
            const std::string type = RandomRecord::changeable[i % 7];
            // A patient whom nobody treats, insures or manages, and labelled besides.
            if (i == 0)
                subscriptions::testing::write(
                    b_->repository(),
                    R"({"resourceType":"Patient","id":"p14","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},"name":[{"family":"Family1"}],"gender":"male","identifier":[{"system":"urn:mrn","value":"14"}],"telecom":[{"value":"55514"}]})");
            const int patient = i % 3 == 0 ? 14 : dice.any(RandomRecord::patients);
            subscriptions::testing::write(b_->repository(), dice.clinical(type, id, patient, "V"));
            if (sees(*b_, subject, type, id)) give_to_both(type, id);
            all.emplace_back(type, id);
            ++altered_;
        }
        for (const auto& [type, id] : all) {
            EXPECT_EQ(sees(*a_, subject, type, id), sees(*b_, subject, type, id))
                << subject.account << " " << type << "/" << id;
        }
    }

    Result<bool> read_as_system(const std::string& type, const std::string& id) {
        return b_->repository().read(fhir::Caller::system("test"), type, id).has_value();
    }

    /// Other values under the same patient and labels.
    void change(RandomRecord& dice, const RandomRecord::Resource& one) {
        const auto stored =
            must(b_->repository().read(fhir::Caller::system("test"), one.type, one.id));
        const JsonDocument document = must(JsonDocument::parse(stored.json));
        const Json& root = document.root();
        const char* subject = one.type == "AllergyIntolerance" ? "patient" : "subject";
        const std::string patient(root[subject].string_at("reference").substr(9));
        std::string label;
        for (const Json& security : root["meta"]["security"].items())
            label = security.string_at("code");
        subscriptions::testing::write(b_->repository(),
                                      dice.clinical(one.type, one.id, std::stoi(patient), label));
    }

    /// With its new values this caller sees it: both records get it so.
    void give_to_both(const std::string& type, const std::string& id) {
        const auto stored = must(b_->repository().read(fhir::Caller::system("test"), type, id));
        subscriptions::testing::write(a_->repository(), stored.json);
    }

    std::unique_ptr<Side> a_, b_;
    int altered_ = 0;
};

int from_environment(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoi(text);
}

/// A GET that still differs, with as few parameters as do.
Asked shrunk(TwoRecords& records, const trust::Subject& subject, Asked asked) {
    if (asked.method != net::Method::get) return asked;
    bool is_smaller = true;
    while (is_smaller) {
        is_smaller = false;
        const std::size_t question = asked.target.find('?');
        if (question == std::string::npos) break;
        std::vector<std::string> parts;
        for (std::size_t from = question + 1; from <= asked.target.size();) {
            const std::size_t end = std::min(asked.target.find('&', from), asked.target.size());
            parts.push_back(asked.target.substr(from, end - from));
            from = end + 1;
        }
        for (std::size_t left_out = 0; left_out < parts.size() && parts.size() > 1; ++left_out) {
            Asked smaller = asked;
            smaller.target = asked.target.substr(0, question);
            char separator = '?';
            for (std::size_t i = 0; i < parts.size(); ++i) {
                if (i == left_out) continue;
                smaller.target += std::exchange(separator, '&') + parts[i];
            }
            if (records.a().ask(subject, smaller, nullptr) ==
                records.b().ask(subject, smaller, nullptr))
                continue;
            asked = smaller;
            is_smaller = true;
            break;
        }
    }
    return asked;
}

/// Where two texts part, with a little around it.
std::string parting(const std::string& a, const std::string& b) {
    const auto [at, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    const auto from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at - a.begin() - 200));
    return fmt::format("without: …{}\nwith:    …{}", a.substr(from, 500), b.substr(from, 500));
}

/// How many pairs of equal questions took equally many visits.
struct Tally {
    int asked = 0;
    /// Visits differ, by exactly what was spent on resources within the caller's reach that are
    /// withheld from them.
    int by_withheld = 0;
    /// Visits differ, and a search was open: the caller has no list of what they may see.
    int by_open = 0;
    std::set<std::string> open_asked;
    /// Visits differ, and the question walks what is no list of resources: the log past hidden
    /// entries, or the labels in use.
    int by_walk = 0;
    /// They differ otherwise.
    int leaks = 0;
    std::uint64_t withheld_most = 0;  ///< by which a pair's visits differed

    void add(const Tally& other) {
        asked += other.asked, by_withheld += other.by_withheld, by_open += other.by_open;
        by_walk += other.by_walk;
        leaks += other.leaks, withheld_most = std::max(withheld_most, other.withheld_most);
    }
};

class Session {
 public:
    Session(TwoRecords& records, const trust::Subject& subject)
        : records_(records), subject_(subject) {}

    /// False when an answer differed.
    bool request(const Asked& asked) {
        std::string next_a;
        std::string next_b;
        store::Visits visits_a;
        store::Visits visits_b;
        const std::string a = records_.a().ask(subject_, asked, &next_a, &visits_a);
        const std::string b = records_.b().ask(subject_, asked, &next_b, &visits_b);
        compare(asked, visits_a, visits_b);
        ++statuses_[a.substr(0, 3)];
        if (a.find(R"("entry":[)") != std::string::npos) ++with_entries_;
        if (a != b) return differs(asked, a, b);
        for (int page = 0; page < 3 && !next_a.empty(); ++page) {
            const Asked more_a{.target = next_a};
            const Asked more_b{.target = next_b};
            const std::string page_a = records_.a().ask(subject_, more_a, &next_a, &visits_a);
            const std::string page_b = records_.b().ask(subject_, more_b, &next_b, &visits_b);
            compare(asked, visits_a, visits_b);
            if (page_a != page_b) return differs(asked, page_a, page_b);
            carry(more_a, more_b);
        }
        return true;
    }

    std::map<std::string, int> statuses_;
    int with_entries_ = 0;
    Tally tally_;

 private:
    void compare(const Asked& asked, const store::Visits& a, const store::Visits& b) {
        ++tally_.asked;
        if (a.work == b.work) return;
        if (a.open + b.open > 0) {
            ++tally_.by_open;
            tally_.open_asked.insert(asked.target);
        } else if (walks(asked)) {
            ++tally_.by_walk;
        } else if (a.work - a.withheld == b.work - b.withheld) {
            ++tally_.by_withheld;
            tally_.withheld_most =
                std::max(tally_.withheld_most, std::max(a.work, b.work) - std::min(a.work, b.work));
        } else {
            constexpr int shown_max = 5;
            if (++tally_.leaks > shown_max) return;
            ADD_FAILURE() << subject_.account << " can count what they may not see: "
                          << fmt::format("{} visits ({} withheld) and {} ({} withheld)\n", a.work,
                                         a.withheld, b.work, b.withheld)
                          << asked.text();
        }
    }

    /// A history of a type or of the record, or what all of a type carries.
    static bool walks(const Asked& asked) {
        const std::string path = asked.target.substr(0, asked.target.find('?'));
        const auto slashes = std::ranges::count(path, '/');
        return (path.ends_with("_history") && slashes < 2) ||
               (path.ends_with("$meta") && slashes < 2);
    }

    /// A page link in somebody else's hands is worth nothing.
    void carry(const Asked& to_a, const Asked& to_b) {
        trust::Subject other = subject_;
        other.account = "somebody-else";
        EXPECT_TRUE(records_.a().ask(other, to_a, nullptr).starts_with("410"));
        EXPECT_TRUE(records_.b().ask(other, to_b, nullptr).starts_with("410"));
    }

    bool differs(const Asked& asked, const std::string& a, const std::string& b) {
        const Asked small = shrunk(records_, subject_, asked);
        ADD_FAILURE() << subject_.account << " learns of what they may not see:\n"
                      << asked.text() << "\nsmallest: " << small.text() << "\n"
                      << parting(a, b);
        return false;
    }

    TwoRecords& records_;
    const trust::Subject& subject_;
};

TEST(NonInterference, WhatIsHiddenChangesNoAnswer) {
    const int requests = from_environment("MERIDIAN_NONINTERFERENCE_REQUESTS", 1'500);
    const auto seed = static_cast<unsigned>(from_environment("MERIDIAN_NONINTERFERENCE_SEED", 7));
    const Folder folder;
    const RandomRecord record(seed);
    const std::string base = folder.path() + "/base";
    if (!store::postgres::tests_use_postgres()) fill(base, record);
    const auto callers = subjects();
    std::map<std::string, int> statuses;
    int with_entries = 0;
    Tally tally;
    for (std::size_t i = 0; i < callers.size(); ++i) {
        const trust::Subject& subject = callers[i];
        const std::string own = fmt::format("{}/{}", folder.path(), i);
        fs::create_directories(own);
        TwoRecords records(own, base, record, subject, seed + static_cast<unsigned>(i));
        EXPECT_GT(records.altered(), 20) << subject.account;
        RandomRequests next(record, seed * 1'000 + static_cast<unsigned>(i),
                            !store::postgres::tests_use_postgres());
        Session run(records, subject);
        int differences = 0;
        // Most for those who see something of everything, and may change it.
        const bool is_wide = subject.role == trust::Role::follow_up ||
                             subject.role == trust::Role::researcher ||
                             subject.role == trust::Role::data_manager || i == 0;
        const int share = requests * (is_wide ? 2 : 1) / (static_cast<int>(callers.size()) + 4) + 1;
        for (int n = 0; n < share && differences < 5; ++n)
            differences += run.request(next.next()) ? 0 : 1;
        if (records.a().caller(subject).access->allow(fhir::Right::bulk_export, "Patient")) {
            const std::string a = records.a().export_all(subject, own + "/export-a");
            const std::string b = records.b().export_all(subject, own + "/export-b");
            EXPECT_EQ(a, b) << subject.account << " exports\n" << parting(a, b);
            EXPECT_FALSE(a.empty());
        }
        const Tally& pairs = run.tally_;
        // Of PostgreSQL nobody counts.
        if (!store::postgres::tests_use_postgres())
            fmt::print(
                "{:40} {:6} asked, visits differ: {} by what is withheld (at most {}), {} open, "
                "{} walks, {} otherwise\n",
                subject.account, pairs.asked, pairs.by_withheld, pairs.withheld_most, pairs.by_open,
                pairs.by_walk, pairs.leaks);
        // Who has a list of what they may see has no open search, and a patient, from whom nothing
        // of their own is withheld, no visits that differ.
        const bool is_of_region = subject.role == trust::Role::regulator ||
                                  subject.role == trust::Role::researcher ||
                                  subject.role == trust::Role::follow_up;
        // But for a Binary, which is where its context is: reverse includes of everything ask those
        // too.
        for (const std::string& target : pairs.open_asked) {
            const bool asks_binaries = target.find("_revinclude") != std::string::npos &&
                                       target.find("=*") != std::string::npos;
            EXPECT_TRUE(is_of_region || asks_binaries) << subject.account << " " << target;
        }
        EXPECT_TRUE(subject.role != trust::Role::patient || pairs.by_withheld == 0);
        EXPECT_EQ(pairs.leaks, 0) << subject.account;
        tally.add(pairs);
        for (const auto& [status, count] : run.statuses_) statuses[status] += count;
        with_entries += run.with_entries_;
    }
    // The requests are worth something: they succeed, find, fail and write.
    EXPECT_GT(statuses["200"], requests / 3);
    EXPECT_GT(with_entries, requests / 6);
    EXPECT_GT(statuses["404"], requests / 50);
    EXPECT_GT(statuses["403"], requests / 100);
    EXPECT_GT(statuses["201"], 0);
    for (const auto& [status, count] : statuses) RecordProperty("status_" + status, count);
    RecordProperty("with_entries", with_entries);
    RecordProperty("asked_in_pairs", tally.asked);
    RecordProperty("visits_differ_by_withheld", tally.by_withheld);
    RecordProperty("visits_differ_in_open_searches", tally.by_open);
    RecordProperty("visits_differ_in_walks", tally.by_walk);
    RecordProperty("visits_differ_otherwise", tally.leaks);
}

/// A resource gets its row id when it is first mentioned, and what mentions it may be hidden.
TEST(NonInterference, AHiddenMentionMovesNothing) {
    const Folder folder;
    const auto observation = [](const std::string& id, const std::string& patient,
                                const std::string& more) {
        return fmt::format(
            R"({{"resourceType":"Observation","id":"{}","status":"final","code":{{"text":"x"}},"effectiveDateTime":"2020-01-01","subject":{{"reference":"Patient/{}"}}{}}})",
            id, patient, more);
    };
    const trust::Subject patient = subject_of(trust::Role::patient, "Patient/p0", "", "PATRQT");
    std::string answers[2];
    for (const bool is_mentioned : {false, true}) {
        Side side(folder.path() + (is_mentioned ? "/with" : "/without"));
        const auto write = [&](const std::string& json) {
            subscriptions::testing::write(side.repository(), json);
        };
        write(R"({"resourceType":"Patient","id":"p0"})");
        write(R"({"resourceType":"Patient","id":"p1"})");
        if (is_mentioned)
            write(observation("h", "p1", R"(,"derivedFrom":[{"reference":"Observation/second"}])"));
        write(observation("first", "p0", ""));
        write(observation("second", "p0", ""));
        for (const char* target :
             {"Observation?patient=p0", "Observation", "Observation?_sort=date",
              "Observation?patient=p0&_sort=-date", "Observation?_count=1",
              "Patient?_revinclude=Observation:patient", "Patient/p0/*"}) {
            std::string next;
            answers[is_mentioned] += side.ask(patient, {.target = target}, &next);
            if (!next.empty()) answers[is_mentioned] += side.ask(patient, {.target = next}, &next);
        }
    }
    EXPECT_EQ(answers[0], answers[1]) << parting(answers[0], answers[1]);
    EXPECT_NE(answers[0].find("second"), std::string::npos);
}

}  // namespace
}  // namespace meridian::rest
