// SPDX-License-Identifier: Apache-2.0
#include "generate/region.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"

namespace meridian::generate {
namespace {

struct Kept {
    std::string type, id, json;
    std::uint64_t patient;
};

/// Keeps everything in memory: for small regions only.
struct Keep : Sink {
    std::vector<Kept> items;
    std::map<std::string, std::string> truths;
    Result<void> resource(const Item& item) override {
        items.push_back(
            {std::string(item.type), std::string(item.id), std::string(item.json), item.patient});
        return {};
    }
    Result<void> truth(std::string_view id, std::string_view json) override {
        truths.emplace(std::string(id), std::string(json));
        return {};
    }
};

/// Keeps a running hash only.
struct Digest : Sink {
    std::string state;
    std::uint64_t count = 0, documents = 0;
    Result<void> resource(const Item& item) override {
        const SipKey key{};
        state = fmt::format("{:x}", siphash(state + std::string(item.json), key));
        ++count;
        return {};
    }
    Result<void> truth(std::string_view, std::string_view json) override {
        const SipKey key{};
        state = fmt::format("{:x}", siphash(state + std::string(json), key));
        ++documents;
        return {};
    }
};

RegionOptions options_of(std::uint64_t patients, std::uint64_t seed = 1) {
    RegionOptions options;
    options.patients = patients;
    options.seed = seed;
    return options;
}

const Keep& small_region() {
    static const Keep* kept = [] {
        auto* made = new Keep;
        EXPECT_TRUE(generate(options_of(70, 5), *made).has_value());
        return made;
    }();
    return *kept;
}

template <class Visit>
void walk(const Json& node, std::string_view key, const Visit& visit) {
    visit(key, node);
    for (const auto& member : node.members()) walk(member.value, member.key, visit);
    for (const auto& item : node.items()) walk(item, key, visit);
}

std::vector<std::string> code_points(std::string_view text) {
    std::vector<std::string> points;
    for (char c : text) {
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) points.emplace_back();
        points.back().push_back(c);
    }
    return points;
}

TEST(Region, SameSeedSameBytes) {
    Digest first, second, other;
    ASSERT_TRUE(generate(options_of(25, 3), first).has_value());
    ASSERT_TRUE(generate(options_of(25, 3), second).has_value());
    ASSERT_TRUE(generate(options_of(25, 4), other).has_value());
    EXPECT_EQ(first.state, second.state);
    EXPECT_NE(first.state, other.state);
}

TEST(Region, SmallerRegionIsPrefixAndPatientsStandAlone) {
    Keep small, large, alone;
    ASSERT_TRUE(generate(options_of(14, 9), small).has_value());
    ASSERT_TRUE(generate(options_of(22, 9), large).has_value());
    ASSERT_GT(large.items.size(), small.items.size());
    for (std::size_t i = 0; i < small.items.size(); ++i)
        ASSERT_EQ(small.items[i].json, large.items[i].json);

    const auto region = Region::create(options_of(1, 9));
    ASSERT_TRUE(region.has_value());
    ASSERT_TRUE(region->patient(22, alone).has_value());
    std::vector<std::string> last;
    for (const auto& item : large.items)
        if (item.patient == 22) last.push_back(item.json);
    ASSERT_EQ(alone.items.size(), last.size());
    for (std::size_t i = 0; i < last.size(); ++i) {
        EXPECT_EQ(alone.items[i].json, last[i]);
    }
}

TEST(Region, EveryResourceParsesAndIdsAreUnique) {
    std::unordered_set<std::string> seen;
    for (const auto& item : small_region().items) {
        const auto document = JsonDocument::parse(item.json);
        ASSERT_TRUE(document.has_value()) << item.json;
        EXPECT_EQ(document->root().string_at("resourceType"), item.type);
        EXPECT_EQ(document->root().string_at("id"), item.id);
        EXPECT_TRUE(is_fhir_id(item.id)) << item.id;
        EXPECT_TRUE(seen.insert(item.type + "/" + item.id).second) << item.id;
        EXPECT_EQ(item.json.find('\n'), std::string::npos);
    }
}

TEST(Region, ReferencesPointBackwardsWithinThePatientOrTheCity) {
    std::unordered_map<std::string, std::uint64_t> owner;
    std::uint64_t checked = 0;
    for (const auto& item : small_region().items) {
        const auto document = JsonDocument::parse(item.json);
        ASSERT_TRUE(document.has_value());
        walk(document->root(), "", [&](std::string_view key, const Json& node) {
            if (key != "reference" || !node.is_string()) return;
            ++checked;
            const auto found = owner.find(std::string(node.text()));
            ASSERT_NE(found, owner.end())
                << item.type << "/" << item.id << " refers to " << node.text();
            EXPECT_TRUE(found->second == 0 || found->second == item.patient || item.type == "Group")
                << item.id << " → " << node.text();
        });
        owner[item.type + "/" + item.id] = item.patient;
    }
    EXPECT_GT(checked, 100'000u);
}

TEST(Region, AveragesOfThreeHundredResourcesAndFourDocuments) {
    // The named cast is left out: its long stories would lift the average.
    const auto region = Region::create(options_of(210, 2));
    ASSERT_TRUE(region.has_value());
    Digest digest;
    for (std::uint64_t number = 11; number <= 410; ++number)
        ASSERT_TRUE(region->patient(number, digest).has_value());
    EXPECT_GE(static_cast<double>(digest.count) / 400, 300) << digest.count;
    EXPECT_LE(static_cast<double>(digest.count) / 400, 600)
        << "scale runs of 20,000 patients would not fit a small machine";
    EXPECT_GE(static_cast<double>(digest.documents) / 400, 4.0) << digest.documents;
}

TEST(Region, NothingAfterDeathNorBeforeBirthNorInTheFuture) {
    const auto region = Region::create(options_of(1, 6));
    ASSERT_TRUE(region.has_value());
    int dead = 0;
    for (std::uint64_t number = 1; number <= 400; ++number) {
        Keep kept;
        ASSERT_TRUE(region->patient(number, kept).has_value());
        const auto person = JsonDocument::parse(kept.items.front().json);
        ASSERT_TRUE(person.has_value());
        const std::string birth(person->root().string_at("birthDate"));
        const std::string death(person->root().string_at("deceasedDateTime"));
        if (!death.empty()) ++dead;
        for (const auto& item : kept.items) {
            if (item.type == "Group") continue;
            // Without a death, only booked appointments lie after the region's last day.
            const auto document = JsonDocument::parse(item.json);
            walk(document->root(), "", [&](std::string_view key, const Json& node) {
                const std::string_view text = node.text();
                if (!node.is_string() || text.size() < 10 || text[4] != '-' || text[7] != '-' ||
                    key == "data" || key == "value")
                    return;
                if (text[0] != '1' && text[0] != '2') return;
                if (item.type == "Patient") return;
                EXPECT_GE(text.substr(0, 10), birth) << item.id << " " << key;
                const bool supply = item.type == "MedicationRequest" && key == "end";
                if (death.empty()) {
                    if (!supply && item.type != "Appointment") {
                        EXPECT_LE(text.substr(0, 10), "2026-06-30") << item.id << " " << key;
                    }
                } else if (text.size() > 10) {
                    EXPECT_LE(text, death) << item.id << " " << key;
                } else {
                    EXPECT_LE(text, death.substr(0, 10)) << item.id << " " << key;
                }
            });
        }
    }
    EXPECT_GT(dead, 4);
}

TEST(Region, EncountersContainTheirEvents) {
    std::unordered_map<std::string, std::pair<std::string, std::string>> periods;
    std::uint64_t checked = 0;
    for (const auto& item : small_region().items) {
        const auto document = JsonDocument::parse(item.json);
        const Json& root = document->root();
        if (item.type == "Encounter") {
            const Json& period = root["period"];
            const std::string start(period.string_at("start")),
                end(period.string_at("end", "9999"));
            EXPECT_LT(start, end);
            EXPECT_EQ(root.string_at("status"), period.find("end") ? "finished" : "in-progress");
            periods["Encounter/" + item.id] = {start, end};
            continue;
        }
        const std::string encounter(root["encounter"].string_at("reference"));
        if (encounter.empty()) continue;
        ASSERT_TRUE(periods.contains(encounter));
        const auto& [start, end] = periods[encounter];
        for (std::string_view key :
             {"effectiveDateTime", "authoredOn", "occurrenceDateTime", "started", "recordedDate"})
            if (const std::string_view at = root.string_at(key); !at.empty()) {
                ++checked;
                EXPECT_GE(at, start) << item.type << "/" << item.id << " " << key;
                EXPECT_LE(at, end) << item.type << "/" << item.id << " " << key;
            }
        if (const Json* period = root.find("performedPeriod")) {
            EXPECT_GE(period->string_at("start"), start) << item.id;
            EXPECT_LE(period->string_at("end"), end) << item.id;
        }
    }
    EXPECT_GT(checked, 10'000u);
}

TEST(Region, ResidentIdsAreValidAndCannotBelongToAnyone) {
    // Written out on its own, from the standard: weights 2^(17-i) mod 11, check digits 1 0 X 9 … 2.
    auto check = [](std::string_view id) {
        int sum = 0;
        for (int i = 0; i < 17; ++i) {
            int weight = 1;
            for (int k = 0; k < 17 - i; ++k) weight = weight * 2 % 11;
            sum += (id[static_cast<std::size_t>(i)] - '0') * weight;
        }
        return "10X98765432"[sum % 11];
    };
    ASSERT_EQ(check("11010519491231002"), 'X') << "the example of the standard";
    int seen = 0;
    for (const auto& item : small_region().items) {
        if (item.type != "Patient") continue;
        const auto document = JsonDocument::parse(item.json);
        const Json& root = document->root();
        const std::string id(root["identifier"].items()[0].string_at("value"));
        ASSERT_EQ(id.size(), 18u);
        EXPECT_EQ(id.substr(0, 4), "9901");
        EXPECT_EQ(id[17], check(id));
        std::string birth(root.string_at("birthDate"));
        std::erase(birth, '-');
        EXPECT_EQ(id.substr(6, 8), birth);
        EXPECT_EQ((id[16] - '0') % 2 == 1, root.string_at("gender") == "male");
        ++seen;
    }
    EXPECT_EQ(seen, 70);
}

struct Fact {
    std::string variable, value, assertion, surface;
};

std::vector<Fact> facts_of(const Json& truth) {
    const auto points = code_points(truth.string_at("text"));
    std::vector<Fact> facts;
    auto cut = [&](const Json& start, const Json& end) {
        std::string text;
        for (std::size_t i = std::stoul(std::string(start.text()));
             i < std::stoul(std::string(end.text())) && i < points.size(); ++i)
            text += points[i];
        return text;
    };
    for (const auto& point : truth["points"].items()) {
        facts.push_back(
            {std::string(point.string_at("variable")), std::string(point["value"].text()),
             std::string(point.string_at("assertion")), cut(point["start"], point["end"])});
        EXPECT_FALSE(facts.back().surface.empty());
        EXPECT_LE(std::stoul(std::string(point["end"].text())), points.size());
        for (const auto& span : point["attributes"]["also"].items())
            EXPECT_FALSE(cut(span.items()[0], span.items()[1]).empty());
    }
    return facts;
}

TEST(RegionDocuments, TextOfTheRecordIsTheTextOfTheTruth) {
    std::set<std::string> styles, kinds;
    int documents = 0;
    for (const auto& item : small_region().items) {
        if (item.type != "DocumentReference") continue;
        ++documents;
        const auto document = JsonDocument::parse(item.json);
        const auto truth = JsonDocument::parse(small_region().truths.at(item.id));
        ASSERT_TRUE(truth.has_value());
        std::string text;
        ASSERT_TRUE(base64_decode(
            document->root()["content"].items()[0]["attachment"].string_at("data"), text));
        EXPECT_EQ(text, truth->root().string_at("text"));
        EXPECT_EQ(truth->root().string_at("id"), item.id);
        styles.insert(std::string(truth->root().string_at("style")));
        kinds.insert(std::string(truth->root().string_at("kind")));
        if (truth->root().string_at("lang") != "en") continue;
        for (unsigned char c : text) {
            ASSERT_LT(c, 0xE3) << "a Chinese sign in an English note: " << text;
        }
    }
    EXPECT_EQ(static_cast<std::size_t>(documents), small_region().truths.size());
    EXPECT_EQ(styles.size(), 5u);
    EXPECT_EQ(kinds, (std::set<std::string>{"admission", "discharge", "imaging", "pathology"}));
}

/// What the structured record says, gathered per patient.
struct Record {
    std::set<std::string> conditions, texts, procedures, drugs, values, dates;
};

std::string first_code(const Json& resource) {
    return std::string(resource["code"]["coding"].items()[0].string_at("code"));
}

std::string_view value_of(const Json& component) {
    return component["valueQuantity"]["value"].text();
}

void gather_observation(const Json& root, Record& record) {
    const std::string code = first_code(root);
    record.values.insert(code + "=" + std::string(value_of(root)));
    record.texts.insert(code + "=" + std::string(root["valueCodeableConcept"].string_at("text")));
    if (code != "85354-9") return;
    const auto pressures = root["component"].items();
    record.texts.insert(
        fmt::format("{}={}/{}", code, value_of(pressures[0]), value_of(pressures[1])));
}

void gather(const Kept& item, Record& record) {
    const auto document = JsonDocument::parse(item.json);
    const Json& root = document->root();
    if (item.type == "Condition") {
        record.conditions.insert(first_code(root));
        record.conditions.insert(first_code(root).substr(0, 3));
    }
    if (item.type == "Observation") gather_observation(root, record);
    if (item.type == "Procedure") record.procedures.insert(first_code(root));
    walk(root, "", [&](std::string_view, const Json& node) {
        if (node.is_string() && node.text().size() >= 10 && node.text()[4] == '-')
            record.dates.insert(std::string(node.text().substr(0, 10)));
    });
}

std::map<std::uint64_t, Record> gather_records(const Keep& region) {
    std::map<std::uint64_t, Record> records;
    for (const auto& item : region.items)
        if (item.patient != 0) gather(item, records[item.patient]);
    return records;
}

/// A laboratory value or another observation that a note quotes.
bool observed(const Record& record, const Fact& fact) {
    static const std::map<std::string_view, std::string_view> values = {
        {"wbc", "6690-2"},  {"platelet", "777-3"},     {"alt", "1742-6"},
        {"cea", "2039-6"},  {"nse", "15060-7"},        {"egfr_rate", "62238-1"},
        {"uacr", "9318-7"}, {"er_percent", "85329-1"}, {"ki67_percent", "85330-9"}};
    static const std::map<std::string_view, std::string_view> texts = {
        {"blood_pressure", "85354-9"}, {"her2", "85319-2"}, {"response", "recist-response"}};
    if (const auto lab = values.find(fact.variable); lab != values.end())
        return record.values.contains(fmt::format("{}={}", lab->second, fact.value));
    if (const auto kind = texts.find(fact.variable); kind != texts.end())
        return record.texts.contains(fmt::format("{}={}", kind->second, fact.value));
    // English hospitals print these two in conventional units.
    if (fact.variable == "hemoglobin")
        return record.values.contains("718-7=" + fact.value) ||
               record.values.contains(fmt::format("718-7={:.1f}", std::stod(fact.value) / 10));
    if (fact.variable == "creatinine")
        return record.values.contains("14682-9=" + fact.value) ||
               record.values.contains(fmt::format("2160-0={:.2f}", std::stod(fact.value) / 88.4));
    return true;
}

/// A clinical (c) or pathological (p) category of the tumour.
bool staged(const Record& record, const Fact& fact) {
    const bool clinical = fact.value.starts_with('c');
    if (fact.variable == "t_category")
        return record.texts.contains((clinical ? "21905-5=" : "21899-0=") + fact.value);
    if (fact.variable == "n_category")
        return record.texts.contains((clinical ? "21906-3=" : "21900-6=") + fact.value);
    if (fact.variable == "stage_group")
        return record.texts.contains("21908-9=" + fact.value) ||
               record.texts.contains("21902-2=" + fact.value);
    return true;
}

/// A diagnosis, an operation or the day of something.
bool recorded(const Record& record, const Fact& fact) {
    if (fact.variable == "comorbidity" || fact.variable == "diagnosis")
        return record.conditions.contains(fact.value);
    if (fact.variable == "surgery" && fact.value == "lobectomy")
        return record.procedures.contains("lobectomy");
    if (fact.variable == "kidney_transplant")
        return record.procedures.contains("kidney-transplant");
    if (fact.variable.ends_with("_date"))
        return fact.value.size() == 10 && record.dates.contains(fact.value);
    return true;
}

TEST(RegionDocuments, FactsAgreeWithTheStructuredRecord) {
    auto records = gather_records(small_region());
    std::map<std::string, int> checked;
    for (const auto& item : small_region().items) {
        if (item.type != "DocumentReference") continue;
        const auto& record = records[item.patient];
        const auto truth = JsonDocument::parse(small_region().truths.at(item.id));
        for (const auto& fact : facts_of(truth->root())) {
            if (fact.assertion != "present") continue;
            ++checked[fact.variable];
            const auto note = [&] {
                return fmt::format("{}: {} = {} in\n{}", item.id, fact.variable, fact.value,
                                   truth->root().string_at("text"));
            };
            EXPECT_TRUE(observed(record, fact)) << note();
            EXPECT_TRUE(staged(record, fact)) << note();
            EXPECT_TRUE(recorded(record, fact)) << note();
            // A number is said with its digits, whatever the unit.
            if (fact.variable == "tumor_size") {
                EXPECT_NE(fact.surface.find(fact.value[0]), std::string::npos) << note();
            }
        }
    }
    for (std::string_view needed :
         {"comorbidity", "diagnosis", "t_category", "hemoglobin", "creatinine", "symptom",
          "medication", "tumor_size", "response", "kidney_transplant", "surgery_date"})
        EXPECT_GT(checked[std::string(needed)], 0) << needed;
}

TEST(Region, CastIsTheSameInEveryRegion) {
    Keep first, second;
    RegionOptions english = options_of(10, 77);
    english.english_share = 1;
    ASSERT_TRUE(generate(options_of(10, 3), first).has_value());
    ASSERT_TRUE(generate(english, second).has_value());
    const std::string_view names[] = {
        "陈秀兰", "王建国", "刘玉梅", "张志强",          "James Whitfield", "Margaret Ashworth",
        "李德明", "赵静怡", "周文斌", "Robert Pemberton"};
    for (const Keep* kept : {&first, &second}) {
        std::map<std::uint64_t, std::set<std::string>> codes;
        int met = 0;
        for (const auto& item : kept->items) {
            const auto document = JsonDocument::parse(item.json);
            if (item.type == "Patient") {
                EXPECT_EQ(document->root()["name"].items()[0].string_at("text"), names[met]);
                ++met;
            }
            if (item.type == "Condition")
                codes[item.patient].insert(std::string(
                    document->root()["code"]["coding"].items()[0].string_at("code").substr(0, 3)));
        }
        EXPECT_EQ(met, 10);
        for (std::uint64_t number = 1; number <= 6; ++number) {
            EXPECT_TRUE(codes[number].contains("C34")) << number;
        }
        for (std::uint64_t number = 7; number <= 10; ++number) {
            EXPECT_TRUE(codes[number].contains("N18") && codes[number].contains("Z99")) << number;
        }
        EXPECT_TRUE(codes[7].contains("Z94") && codes[8].contains("Z94"));
        EXPECT_FALSE(codes[1].contains("C79")) << "cured";
        EXPECT_TRUE(codes[2].contains("C79") && codes[5].contains("C79")) << "recurrence";
    }
    EXPECT_NE(std::find_if(first.items.begin(), first.items.end(),
                           [](const Kept& item) { return item.id == "cast-kidney"; }),
              first.items.end());
}

TEST(Region, RefusesOptionsOutsideTheirBounds) {
    Digest digest;
    auto refused = [&](auto change) {
        RegionOptions options;
        change(options);
        const auto result = generate(options, digest);
        return !result && result.error().category == Category::incorrect;
    };
    EXPECT_TRUE(refused([](RegionOptions& o) { o.patients = limits::region_patients_max + 1; }));
    EXPECT_TRUE(refused([](RegionOptions& o) { o.english_share = 1.5; }));
    EXPECT_TRUE(refused([](RegionOptions& o) { o.years = 0; }));
    EXPECT_TRUE(refused([](RegionOptions& o) { o.as_of = {2025, 2, 30}; }));
    EXPECT_EQ(digest.count, 0u);
}

TEST(Region, AnErrorOfTheSinkEndsTheGeneration) {
    struct Full : Sink {
        int taken = 0;
        Result<void> resource(const Item&) override {
            if (++taken == 2000) return fail(Category::storage_full, "the disk is full");
            return {};
        }
    } full;
    const auto result = generate(options_of(100), full);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().category, Category::storage_full);
    EXPECT_EQ(full.taken, 2000);
}

TEST(Region, OtherYearsAndLastDaysWork) {
    RegionOptions options = options_of(30);
    options.years = 2;
    options.as_of = {2031, 2, 28};
    Digest short_record;
    EXPECT_TRUE(generate(options, short_record).has_value());
    options.years = 20;
    Digest long_record;
    EXPECT_TRUE(generate(options, long_record).has_value());
    EXPECT_GT(long_record.count, short_record.count * 3);
}

}  // namespace
}  // namespace meridian::generate
