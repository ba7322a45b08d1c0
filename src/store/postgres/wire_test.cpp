// SPDX-License-Identifier: Apache-2.0
#include "store/postgres/wire.hpp"

#include <gtest/gtest.h>

#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {
namespace {

TEST(DatabaseWire, ADatabaseElsewhereIsSpokenToOverTlsOnly) {
    for (const char* url :
         {"postgres://meridian@db.example/meridian", "postgres://u@127.0.0.1,db2/m",
          "host=10.1.2.3 dbname=m", "postgres://u@localhost/m?hostaddr=10.1.2.3",
          "postgres://u@db/m?sslmode=require", "postgres://u@db/m?sslmode=verify-full",
          "postgres://u@[2001:db8::1]/m"})
        EXPECT_EQ(default_tls_mode(url).value_or("refused"), "verify-full") << url;
    for (const char* url : {"postgres://u@db/m?sslmode=disable", "postgres://u@db/m?sslmode=prefer",
                            "host=10.1.2.3 dbname=m sslmode=allow"}) {
        const auto refused = default_tls_mode(url);
        ASSERT_FALSE(refused) << url;
        EXPECT_EQ(refused.error().category, Category::incorrect);
        EXPECT_NE(refused.error().message.find("expected verify-full"), std::string::npos);
        // The connection asks the same question.
        EXPECT_EQ(Connection::open({.url = url}).error().category, Category::incorrect) << url;
    }
    for (const char* url : {"postgres:///m", "postgres://u@localhost/m?sslmode=disable",
                            "host=/var/run/postgresql dbname=m", "postgres://u@127.0.0.1:5433/m",
                            "postgres://u@[::1]/m"})
        EXPECT_EQ(default_tls_mode(url).value_or("refused"), "prefer") << url;
    EXPECT_FALSE(default_tls_mode("nonsense"));
}

}  // namespace
}  // namespace meridian::store::postgres
