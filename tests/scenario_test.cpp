// SPDX-License-Identifier: Apache-2.0
#include "tests/scenario.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/server_process.hpp"

namespace meridian::tests {
namespace {

class ScenarioFile : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioFile, AnswersAsWritten) {
    std::string error;
    const auto scenarios = read_scenarios(GetParam(), error);
    ASSERT_TRUE(error.empty()) << error;
    ASSERT_FALSE(scenarios.empty());
    ServerProcess server({}, {}, Trust::on);
    ASSERT_TRUE(server.is_running()) << server.output();
    for (const Scenario& scenario : scenarios) {
        EXPECT_EQ(run_scenario(scenario, server.base_url(), server.token()), "")
            << GetParam() << ": " << scenario.name;
    }
    EXPECT_EQ(server.stop(), 0) << server.output();
}

std::vector<std::string> files() {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             std::filesystem::path(MERIDIAN_SOURCE_DIR) / "tests/scenarios")) {
        if (entry.path().extension() == ".scn") found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
    std::string name = std::filesystem::path(info.param).stem().string();
    std::replace_if(
        name.begin(), name.end(),
        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, ScenarioFile, ::testing::ValuesIn(files()), name_of);

}  // namespace
}  // namespace meridian::tests
