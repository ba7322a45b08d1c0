// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/row_feed.hpp"

#include "store/sqlite/database.hpp"
#include "store/store_test_support.hpp"

namespace meridian::store::sqlite {

namespace {

std::unique_ptr<Database> database_in(const TestFolder& folder) {
    DatabaseOptions options;
    options.create = true;
    auto database = must(Database::open(folder.path() + "/rows.db", options));
    must(database->execute(
        "CREATE TABLE t(number INTEGER, real REAL, text TEXT, bytes BLOB, PRIMARY KEY(number, "
        "text)) WITHOUT ROWID"));
    return database;
}

constexpr std::string_view insert_three =
    "INSERT OR FAIL INTO t(number, real, text) SELECT c0, c1, c2 FROM row_feed";

using Row = std::tuple<int, double, std::string>;

}  // namespace

TEST(RowFeed, WritesEveryKindOfValueInOneStatement) {
    const TestFolder folder;
    const auto database = database_in(folder);
    const std::string zero_inside("a\0b", 3);
    const std::vector<Row> rows = {{1, -0.5, "一二"}, {1, 1e300, zero_inside}, {INT_MIN, 0, ""}};
    must(database->run_on_rows(insert_three, TupleSource(rows)));
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM t", 0)), 3);
    auto read = must(database->prepare("SELECT number, real, text FROM t ORDER BY real"));
    for (const Row& row : {rows[0], rows[2], rows[1]}) {
        ASSERT_TRUE(must(read.step()));
        EXPECT_EQ(read.integer(0), std::get<0>(row));
        EXPECT_EQ(read.real(1), std::get<1>(row));
        EXPECT_EQ(read.text(2), std::get<2>(row));
        EXPECT_FALSE(read.is_null(2));
    }
}

TEST(RowFeed, TakesBlobsAndLeavesOutColumns) {
    const TestFolder folder;
    const auto database = database_in(folder);
    const std::vector<std::string> blobs = {std::string(), std::string(100'000, '\x7f')};
    const auto put = [&](const std::string& blob, int column, Cell& cell) {
        column == 0 ? cell.integer(static_cast<std::int64_t>(blob.size())) : cell.blob(blob);
    };
    must(database->run_on_rows(
        "INSERT OR FAIL INTO t(number, text, bytes) SELECT c0, 'x', c1 FROM row_feed",
        ItemSource(blobs, put)));
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM t WHERE length(bytes) = number AND "
                                     "typeof(bytes) = 'blob'",
                                     0)),
              2);
}

TEST(RowFeed, ASourceIsForgottenAfterItsStatement) {
    const TestFolder folder;
    const auto database = database_in(folder);
    must(database->run_on_rows(insert_three, TupleSource(std::vector<Row>{})));
    {
        const std::vector<Row> rows = {{1, 1, "a"}, {2, 2, "b"}};
        must(database->run_on_rows(insert_three, TupleSource(rows)));
    }
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM row_feed", -1)), 0);
    const std::vector<Row> more = {{3, 3, "c"}};
    must(database->run_on_rows(insert_three, TupleSource(more)));
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM t", 0)), 3);
}

TEST(RowFeed, ARowThatIsThereAlreadyIsAConflictThatARollbackUndoes) {
    const TestFolder folder;
    const auto database = database_in(folder);
    must(database->execute("BEGIN"));
    const std::vector<Row> rows = {{1, 1, "a"}, {2, 2, "b"}, {1, 3, "a"}};
    const auto refused = database->run_on_rows(insert_three, TupleSource(rows));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::conflict);
    must(database->execute("ROLLBACK"));
    EXPECT_EQ(must(database->integer("SELECT count(*) FROM t", 0)), 0);
}

}  // namespace meridian::store::sqlite
