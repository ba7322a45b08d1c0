// SPDX-License-Identifier: Apache-2.0
// Searches are compared with a naive evaluation in memory: the worlds and questions that the SQLite
// engine answers too (store/search_world.hpp).
#include "store/postgres/search.hpp"

#include "store/postgres/index_writer.hpp"
#include "store/postgres/keys.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/test_cluster.hpp"
#include "store/search_world.hpp"

namespace meridian::store::postgres {
namespace {

using namespace search_world;

/// A random world, and the same in a database of the tests' cluster.
struct StoredWorld : World {
    std::unique_ptr<Connection> database;
    Layout layout;
    Few few{};
    std::size_t asked = 0;
};

void must_run(Connection& database, std::string_view sql, Parameters parameters = {}) {
    const auto done = database.ask(sql, std::move(parameters));
    ASSERT_TRUE(done) << done.error().message << " in " << sql;
}

/// Where a document lies: a patient with itself.
Rid home_of(const Document& document) {
    if (document.type == patient_type) return document.rid;
    return document.rows.compartments.empty() ? 0 : document.rows.compartments.front();
}

void store_document(Connection& database, IndexWriter& index, const Document& document) {
    const Rid home = home_of(document);
    must_run(database,
             "INSERT INTO meridian.directory(type, key, rid, home) "
             "SELECT $1, $2, $3, CASE WHEN $5 <> 0 THEN $4 END",
             std::move(Parameters()
                           .small(document.type)
                           .bytes(byte_key_of(document.id))
                           .integer(document.rid)
                           .integer(home)
                           .small(document.written ? 1 : 0)));
    if (!document.written) return;
    for (int version = 1; version <= document.versions; ++version) {
        const bool removes = version == document.versions && !document.live;
        must_run(database,
                 "INSERT INTO meridian.log(position, at, rid, kind, verb, type, version, actor, "
                 "organisation, id, salt, body_hash) "
                 "VALUES($1, 0, $2, 0, $3::integer, $4, $5, 0, 0, '', '', '')",
                 std::move(Parameters()
                               .integer(document.position - document.versions + version)
                               .integer(document.rid)
                               .small(removes ? 3 : 1)
                               .small(document.type)
                               .small(version)));
    }
    // Each is a batch of its own.
    must_run(database, "INSERT INTO meridian.batch VALUES($1, $2, 1, 0)",
             std::move(Parameters().integer(document.rid).integer(document.position)));
    must_run(database,
             "INSERT INTO meridian.resource(rid, patient, batch, ordinal, type, version, "
             "organisation, verb, id, body, forward) "
             "VALUES($1, $2, $1, 0, $3, $4, 0, $5::integer, $6, '', '')",
             std::move(Parameters()
                           .integer(document.rid)
                           .integer(home)
                           .small(document.type)
                           .small(document.versions)
                           .small(document.live ? 1 : 3)
                           .text(document.id)));
    if (!document.live) return;
    std::vector<ResolvedText> texts;
    for (const int field : {0, 1}) {
        if (!document.texts[field].empty()) texts.push_back({field, document.texts[field]});
    }
    index.add({document.rid, home, document.type}, document.rows, texts);
}

StoredWorld make_stored_world(const Layout& layout, std::uint64_t seed, int documents) {
    StoredWorld world{make_world(seed, documents), nullptr, layout};
    world.database = *Connection::open({.url = TestCluster::instance().database("search_world")});
    Connection& database = *world.database;
    EXPECT_TRUE(database.execute("DROP SCHEMA IF EXISTS meridian CASCADE"));
    EXPECT_TRUE(make_store(database, layout));
    EXPECT_TRUE(database.execute("BEGIN"));
    IndexWriter index(layout);
    for (const std::size_t i : world.turn) store_document(database, index, world.documents[i]);
    index.send(database);
    EXPECT_TRUE(database.flush());
    EXPECT_TRUE(database.execute("COMMIT; ANALYZE"));
    return world;
}

/// Asks for a plan, each time with another idea of what is few: they take different ways.
void expect_as_naive(StoredWorld& world, Plan& plan) {
    world.few = std::array{Few{}, Few{20, 5, 8}, Few{3, 1, 3}, Few{0, 0, 0}}[world.asked++ % 4];
    search_world::expect_as_naive(
        world, plan,
        [&]() -> Result<Matches> {
            return TRY(search(*world.database, plan, world.names, world.layout, world.few)).matches;
        },
        [&]() -> Result<std::int64_t> {
            // All resources of a type are counted beside them, which this world does not do.
            if (std::holds_alternative<Everything>(plan.where.as_variant()))
                return static_cast<std::int64_t>(Naive{world}.matches(plan).size());
            return count(*world.database, plan, world.names, world.layout, world.few);
        });
}

class PostgresSearch : public ::testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(Layouts, PostgresSearch,
                         ::testing::Values(Layout{}, Layout{Layout::Kind::partitioned, 8}),
                         [](const auto& layout) {
                             return layout.param.is_sharded() ? std::string("Partitioned")
                                                              : std::string("Whole");
                         });

TEST_P(PostgresSearch, EveryKindOfConditionAloneIsAsTheNaiveEvaluationSays) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        StoredWorld world = make_stored_world(GetParam(), seed, 250);
        Random random(seed);
        Maker maker{random, world};
        for (int kind = 0; kind < Maker::kinds; ++kind) {
            for (int i = 0; i < 20 && !::testing::Test::HasFatalFailure(); ++i) {
                Plan plan;
                plan.type = 1 + below(random, types_end - 1);
                plan.where =
                    kind < 10 ? maker.value(plan.type, kind) : maker.link(plan.type, kind, 1);
                plan.limit = 1 + below(random, 30);
                expect_as_naive(world, plan);
            }
        }
    }
}

TEST_P(PostgresSearch, EveryOrderAloneIsAsTheNaiveEvaluationSays) {
    StoredWorld world = make_stored_world(GetParam(), 11, 250);
    Random random(11);
    Maker maker{random, world};
    for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
        Plan plan;
        plan.type = 1 + below(random, types_end - 1);
        if (chance(random, 50)) plan.where = maker.leaf(plan.type, 1);
        while (plan.order.empty()) plan.order = maker.orders(plan.type);
        plan.limit = 1 + below(random, 40);
        expect_as_naive(world, plan);
    }
}

TEST_P(PostgresSearch, ChartsNewestFirstAreAsTheNaiveEvaluationSays) {
    // Charts that hold many times a page.
    StoredWorld world = make_stored_world(GetParam(), 12, 900);
    Random random(12);
    Maker maker{random, world};
    for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
        Plan plan;
        plan.type = 2 + below(random, types_end - 2);
        OfPatient chart{plan.type, {maker.any_patient()}};
        if (chance(random, 30)) chart.patients.push_back(maker.any_patient());
        chart.codes = maker.some_of<std::int64_t>(2, [&] { return 1 + below(random, 4); });
        if (chance(random, 30)) chart.date_from = some_day(random);
        AllOf all;
        all.parts.push_back(std::move(chart));
        if (chance(random, 40)) all.parts.push_back(maker.any(plan.type, 1));
        plan.where = std::move(all);
        plan.order = {{SortKind::patient_date, 0, true}};
        plan.limit = 1 + below(random, 5);
        expect_as_naive(world, plan);
    }
}

TEST_P(PostgresSearch, RandomTreesOfConditionsAreAsTheNaiveEvaluationSays) {
    for (std::uint64_t seed = 100; seed < 110 && !HasFatalFailure(); ++seed) {
        StoredWorld world =
            make_stored_world(GetParam(), seed, 100 + static_cast<int>(seed % 4) * 80);
        Random random(seed);
        Maker maker{random, world};
        for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
            Plan plan;
            plan.type = chance(random, 10) ? 0 : 1 + below(random, types_end - 1);
            plan.where = maker.any(plan.type, 3);
            plan.order = maker.orders(plan.type);
            plan.limit = chance(random, 5) ? 0 : 1 + below(random, 25);
            expect_as_naive(world, plan);
        }
    }
}

/// How many partitions of a table a plan looks at.
std::size_t partitions_in(const std::string& plan, const std::string& table) {
    std::set<std::string> names;
    for (std::size_t at = plan.find(table + "_"); at != std::string::npos;
         at = plan.find(table + "_", at + 1)) {
        const std::size_t digits = at + table.size() + 1;
        const std::size_t end = plan.find_first_not_of("0123456789", digits);
        if (end != digits) names.insert(plan.substr(at, end - at));
    }
    return names.size();
}

TEST(PostgresShards, AChartIsAskedForInOneShardAndAPopulationInAll) {
    constexpr int partitions = 8;
    StoredWorld world = make_stored_world({Layout::Kind::partitioned, partitions}, 3, 250);
    const auto plan_of = [&](Condition condition, Name type) {
        Plan plan;
        plan.type = type;
        plan.where = std::move(condition);
        return *explain(*world.database, plan, world.names, world.layout);
    };
    // One whom nothing concerns that lies with somebody else.
    const auto lies_together = [&](const Document& patient) {
        return std::ranges::all_of(world.documents, [&](const Document& document) {
            const auto& all = document.rows.compartments;
            return std::ranges::find(all, patient.rid) == all.end() ||
                   home_of(document) == patient.rid;
        });
    };
    const auto patient = std::ranges::find_if(world.documents, [&](const Document& document) {
        return document.type == patient_type && document.live && lies_together(document);
    });
    ASSERT_NE(patient, world.documents.end());
    const std::string chart =
        plan_of(OfPatient{.type = observation_type, .patients = {{patient_type, patient->id}}},
                observation_type);
    EXPECT_EQ(partitions_in(chart, "resource"), 1U) << chart;
    EXPECT_EQ(partitions_in(chart, "idx_patient"), 1U) << chart;
    const std::string by_reference = plan_of(
        HasReference{param_of(observation_type, reference_b), {{patient_type, patient->id}}, true},
        observation_type);
    EXPECT_EQ(partitions_in(by_reference, "resource"), 1U) << by_reference;
    EXPECT_EQ(partitions_in(by_reference, "idx_reference"), 1U) << by_reference;
    const std::string population =
        plan_of(HasAny{param_of(observation_type, token_a)}, observation_type);
    EXPECT_EQ(partitions_in(population, "resource"), static_cast<std::size_t>(partitions))
        << population;
}

TEST_P(PostgresSearch, WordsThatLookLikeFullTextSyntaxAreJustWords) {
    StoredWorld world = make_stored_world(GetParam(), 6, 60);
    for (const char* words : {"red\"", "\"", "red OR green", "NOT", "red*", "(", "a:b", "'red'",
                              "re\\d", "NEAR(red green)", "^red", "-red", "{a b} : c", ""}) {
        for (const bool phrase : {false, true}) {
            Plan plan;
            plan.type = patient_type;
            plan.where = HasText{param_of(patient_type, text_a), words, phrase};
            const auto found = search(*world.database, plan, world.names, world.layout);
            EXPECT_TRUE(found) << words << ": " << found.error().message;
        }
    }
}

}  // namespace
}  // namespace meridian::store::postgres
