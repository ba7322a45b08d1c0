// SPDX-License-Identifier: Apache-2.0
#include "rest/answer.hpp"

#include <gtest/gtest.h>

namespace meridian::rest {
namespace {

TEST(AnswerOfAnError, TellsClientsNothingOfTheInside) {
    ::testing::internal::CaptureStderr();
    const Answer fault = answer_of(Error{Category::fault, "no such table: secret_rows (code 1)",
                                         "SELECT body FROM secret_rows WHERE rid=?", nullptr});
    const std::string logged = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(fault.status, 500);
    EXPECT_EQ(fault.json.find("secret_rows"), std::string::npos) << fault.json;
    EXPECT_EQ(fault.json.find("SELECT"), std::string::npos) << fault.json;
    EXPECT_NE(logged.find("secret_rows"), std::string::npos) << "the operator is told";
    for (const Category category : {Category::unavailable, Category::storage_full}) {
        const Answer away =
            answer_of(Error{category, "the disk is full", "INSERT INTO log VALUES(?,?)", nullptr});
        EXPECT_NE(away.json.find("the disk is full"), std::string::npos);
        EXPECT_EQ(away.json.find("INSERT"), std::string::npos) << away.json;
    }
}

TEST(AnswerOfAnError, NamesThePlaceInWhatTheClientSent) {
    const Answer wrong =
        answer_of(Error{Category::incorrect, "expected a date", "Patient.birthDate", nullptr});
    EXPECT_EQ(wrong.status, 400);
    EXPECT_NE(wrong.json.find("Patient.birthDate"), std::string::npos) << wrong.json;
}

}  // namespace
}  // namespace meridian::rest
