// SPDX-License-Identifier: Apache-2.0
// Searches are compared with a naive evaluation in memory: random small stores, random conditions,
// every way to a result.
#include "store/sqlite/search.hpp"

#include <gtest/gtest.h>

#include "store/search_world.hpp"
#include "store/sqlite/index_writer.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/search_scan.hpp"

namespace meridian::store::sqlite {
namespace {

using namespace search_world;

template <class... Values>
void put(Database& database, std::string_view sql, const Values&... values) {
    const auto done = database.run(sql, values...);
    ASSERT_TRUE(done) << done.error().message << " in " << sql;
}

void store_rows(Database& database, const Document& document) {
    const Rid rid = document.rid;
    const ResolvedRows& rows = document.rows;
    const std::string packed = pack(rows);
    put(database, "INSERT INTO forward VALUES(?,?)", rid, packed);
    put(database,
        "INSERT INTO type_count VALUES(?,1) ON CONFLICT DO UPDATE SET resources=resources+1",
        document.type);
    for (auto& r : rows.tokens)
        put(database, "INSERT OR IGNORE INTO idx_token VALUES(?,?,?)", r.param, r.value, rid);
    for (auto& r : rows.strings) {
        put(database, "INSERT OR IGNORE INTO idx_string(param,folded,rid,exact) VALUES(?,?,?,?)",
            r.param, r.folded, rid, r.exact == r.folded ? "" : r.exact.c_str());
    }
    for (auto& r : rows.dates) {
        put(database, "INSERT OR IGNORE INTO idx_date VALUES(?,?,?,?,?)", r.param,
            date_span(r.lo, r.hi), r.lo, r.hi, rid);
    }
    for (auto& r : rows.numbers)
        put(database, "INSERT OR IGNORE INTO idx_number VALUES(?,?,?,?)", r.param, r.lo, r.hi, rid);
    for (auto& r : rows.quantities) {
        put(database, "INSERT OR IGNORE INTO idx_quantity VALUES(?,?,?,?,?)", r.param, r.unit, r.lo,
            r.hi, rid);
    }
    for (auto& r : rows.references)
        put(database, "INSERT OR IGNORE INTO idx_reference VALUES(?,?,?)", r.param, r.target, rid);
    for (auto& r : rows.uris)
        put(database, "INSERT OR IGNORE INTO idx_uri VALUES(?,?,?)", r.param, r.uri, rid);
    for (auto& r : rows.composites) {
        put(database, "INSERT OR IGNORE INTO idx_composite VALUES(?,?,?,?,?,?,?)", r.param, r.key,
            r.second, r.lo, r.hi, r.folded, rid);
    }
    for (auto& r : rows.patients) {
        put(database, "INSERT OR IGNORE INTO idx_patient VALUES(?,?,?,?,?)", r.patient,
            document.type, r.code, r.date, rid);
        if (r.code != 0) {
            put(database, "INSERT OR IGNORE INTO idx_patient_code VALUES(?,?,?)", document.type,
                r.code, r.patient);
        }
    }
    for (const Rid patient : rows.compartments)
        put(database, "INSERT OR IGNORE INTO compartment VALUES(?,?)", patient, rid);
    for (const int field : {0, 1}) {
        if (document.texts[field].empty()) continue;
        put(database, "INSERT INTO idx_text(rowid, words) VALUES(?,?)", rid * 2 + field,
            document.texts[field]);
    }
}

void store_document(Database& database, const Document& document) {
    put(database, "INSERT INTO directory VALUES(?,?,?)", document.type, document.id, document.rid);
    if (!document.written) return;
    for (int version = 1; version <= document.versions; ++version) {
        const bool removes = version == document.versions && !document.live;
        put(database, "INSERT INTO log VALUES(?,0,0,?,?,?,?,0,0,'','')",
            document.position - document.versions + version, document.rid, document.type, version,
            removes ? 3 : 1);
    }
    put(database, "INSERT INTO resource VALUES(?,?,?,?,?,0,?,0,0,0,'')", document.rid,
        document.type, document.id, document.versions, document.position, document.live ? 1 : 3);
    if (document.live) store_rows(database, document);
}

/// A random world, and the same in a database.
struct StoredWorld : World {
    std::unique_ptr<Database> database;
};
StoredWorld make_stored_world(std::uint64_t seed, int documents) {
    StoredWorld world{make_world(seed, documents), *Database::open(":memory:", {.create = true})};
    EXPECT_TRUE(world.database->execute(schema));
    EXPECT_TRUE(world.database->execute("BEGIN"));
    for (const std::size_t i : world.turn) store_document(*world.database, world.documents[i]);
    EXPECT_TRUE(world.database->execute("COMMIT"));
    return world;
}

/// Tiny allowances make every way be taken.
void expect_as_naive(StoredWorld& world, Plan& plan, const SearchAllowances& allowances) {
    search_world::expect_as_naive(
        world, plan,
        [&] { return search(*world.database, plan, world.names, nullptr, allowances); },
        [&] { return count(*world.database, plan, world.names, nullptr, allowances); });
}

const SearchAllowances stingy{.join = 8, .sorted = 20, .count = 8, .reach = 60, .link_reach = 30};

TEST(Search, EveryKindOfConditionAloneIsAsTheNaiveEvaluationSays) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        StoredWorld world = make_stored_world(seed, 250);
        Random random(seed);
        Maker maker{random, world};
        for (int kind = 0; kind < Maker::kinds; ++kind) {
            for (int i = 0; i < 40 && !::testing::Test::HasFatalFailure(); ++i) {
                Plan plan;
                plan.type = 1 + below(random, types_end - 1);
                plan.where =
                    kind < 10 ? maker.value(plan.type, kind) : maker.link(plan.type, kind, 1);
                plan.limit = 1 + below(random, 30);
                expect_as_naive(world, plan, i % 2 == 0 ? SearchAllowances{} : stingy);
            }
        }
    }
}

TEST(Search, ChartsOfManyResourcesAreAsTheNaiveEvaluationSays) {
    for (std::uint64_t seed = 31; seed <= 34; ++seed) {
        StoredWorld world = make_stored_world(seed, 900);
        Random random(seed);
        Maker maker{random, world};
        for (int i = 0; i < 60 && !::testing::Test::HasFatalFailure(); ++i) {
            Plan plan;
            plan.type = patient_type;
            AllOf both;
            both.parts.push_back(maker.link(plan.type, 21, 1));
            if (chance(random, 50)) both.parts.push_back(maker.value(plan.type, below(random, 8)));
            plan.where = std::move(both);
            plan.limit = 1 + below(random, 12);
            expect_as_naive(world, plan, i % 2 == 0 ? SearchAllowances{} : stingy);
        }
    }
}

TEST(Search, EveryOrderAloneIsAsTheNaiveEvaluationSays) {
    StoredWorld world = make_stored_world(11, 250);
    Random random(11);
    Maker maker{random, world};
    for (int i = 0; i < 600 && !HasFatalFailure(); ++i) {
        Plan plan;
        plan.type = 1 + below(random, types_end - 1);
        if (chance(random, 50)) plan.where = maker.leaf(plan.type, 1);
        while (plan.order.empty()) plan.order = maker.orders(plan.type);
        plan.limit = 1 + below(random, 40);
        expect_as_naive(world, plan, i % 2 == 0 ? SearchAllowances{} : stingy);
    }
}

TEST(Search, RandomTreesOfConditionsAreAsTheNaiveEvaluationSays) {
    for (std::uint64_t seed = 100; seed < 120 && !HasFatalFailure(); ++seed) {
        StoredWorld world = make_stored_world(seed, 100 + static_cast<int>(seed % 4) * 80);
        Random random(seed);
        Maker maker{random, world};
        for (int i = 0; i < 250 && !HasFatalFailure(); ++i) {
            Plan plan;
            plan.type = chance(random, 10) ? 0 : 1 + below(random, types_end - 1);
            plan.where = maker.any(plan.type, 3);
            plan.order = maker.orders(plan.type);
            plan.limit = chance(random, 5) ? 0 : 1 + below(random, 25);
            const SearchAllowances random_allowances{
                static_cast<std::uint64_t>(below(random, 400)),
                static_cast<std::uint64_t>(below(random, 400)),
                static_cast<std::uint64_t>(below(random, 400))};
            expect_as_naive(world, plan,
                            chance(random, 50) ? SearchAllowances{} : random_allowances);
        }
    }
}

// --- plans are what they are meant to be ---

TEST(Search, EveryStatementSearchesOneKeyInItsOrder) {
    StoredWorld world = make_stored_world(1, 20);
    for (std::size_t i = 0; i < static_cast<std::size_t>(Sql::last); ++i) {
        const std::string sql(sql_text(static_cast<Sql>(i)));
        auto statement = world.database->prepare("EXPLAIN QUERY PLAN " + sql);
        ASSERT_TRUE(statement) << sql;
        std::vector<std::string> steps;
        while (*statement->step()) steps.emplace_back(statement->text(3));
        ASSERT_EQ(steps.size(), 1u) << sql << ": more than one step, e.g. a sort";
        if (static_cast<Sql>(i) == Sql::text_match || static_cast<Sql>(i) == Sql::text_here) {
            EXPECT_TRUE(steps[0].find("VIRTUAL TABLE INDEX") != std::string::npos) << steps[0];
        } else if (sql.starts_with("SELECT max(")) {
            EXPECT_EQ(steps[0],
                      "SEARCH " + sql.substr(sql.rfind(' ') + 1));  // the last row, without a walk
        } else {
            EXPECT_TRUE(steps[0].starts_with("SEARCH ")) << sql << ": " << steps[0];
            // As many columns of the key bound the search as the statement has values.
            const auto values = static_cast<std::size_t>(std::count(sql.begin(), sql.end(), '?'));
            const auto bounds = std::count(steps[0].begin(), steps[0].end(), '?');
            EXPECT_EQ(static_cast<std::size_t>(bounds), values) << sql << ": " << steps[0];
        }
    }
}

TEST(Search, DamagedForwardRowsAreAFaultAndNotAWrongAnswer) {
    StoredWorld world = make_stored_world(5, 100);
    ASSERT_TRUE(world.database->execute("UPDATE forward SET rows = x'0101ff'"));
    Plan plan;
    plan.type = observation_type;
    plan.where = HasDate{param_of(observation_type, date_a), {.lo_from = 0}};
    plan.order = {{SortKind::number, param_of(observation_type, number_a)}};
    const auto found = search(*world.database, plan, world.names);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().category, Category::fault);
}

TEST(Search, WordsThatLookLikeFullTextSyntaxAreJustWords) {
    StoredWorld world = make_stored_world(6, 60);
    for (const char* words : {"red\"", "\"", "red OR green", "NOT", "red*", "(", "a:b",
                              "NEAR(red green)", "^red", "-red", "{a b} : c", ""}) {
        for (const bool phrase : {false, true}) {
            Plan plan;
            plan.type = patient_type;
            plan.where = HasText{param_of(patient_type, text_a), words, phrase};
            const auto found = search(*world.database, plan, world.names);
            EXPECT_TRUE(found) << words << ": " << found.error().message;
        }
    }
}

TEST(Search, AFailingDatabaseIsAnErrorAndNotAnEmptyAnswer) {
    StoredWorld world = make_stored_world(7, 60);
    ASSERT_TRUE(world.database->execute("DROP TABLE idx_token"));
    Plan plan;
    plan.type = patient_type;
    plan.where = HasToken{param_of(patient_type, token_a), {1}};
    EXPECT_FALSE(search(*world.database, plan, world.names));
    EXPECT_FALSE(count(*world.database, plan, world.names));
}

}  // namespace
}  // namespace meridian::store::sqlite
