// SPDX-License-Identifier: Apache-2.0
// docs/security.md tells users and operators what is bounded; what it tells must be so.
#include <gtest/gtest.h>

#include <charconv>
#include <map>

#include "base/file.hpp"
#include "base/limits.hpp"
#include "trust/limits.hpp"
#include "trust/sessions/session.hpp"

namespace meridian::trust {
namespace {

#define MERIDIAN_LIMIT(name) {#name, static_cast<std::uint64_t>(limits::name)}

/// What the document must tell: who asks meets these first.
const std::map<std::string, std::uint64_t, std::less<>> told = {
    MERIDIAN_LIMIT(account_requests_burst),
    MERIDIAN_LIMIT(account_requests_a_second),
    MERIDIAN_LIMIT(sessions_per_account_max),
    MERIDIAN_LIMIT(audit_refusals_a_second),
    MERIDIAN_LIMIT(policy_patients_max),
    MERIDIAN_LIMIT(break_glass_reason_bytes_max),
    MERIDIAN_LIMIT(http_body_bytes_max),
    MERIDIAN_LIMIT(http_header_bytes_max),
    MERIDIAN_LIMIT(http_headers_max),
    MERIDIAN_LIMIT(http_url_bytes_max),
    MERIDIAN_LIMIT(http_connections_max),
    MERIDIAN_LIMIT(http_requests_waiting_max),
    MERIDIAN_LIMIT(websocket_message_bytes_max),
    MERIDIAN_LIMIT(resource_bytes_max),
    MERIDIAN_LIMIT(bundle_entries_max),
    MERIDIAN_LIMIT(json_depth_max),
    MERIDIAN_LIMIT(xml_depth_max),
    MERIDIAN_LIMIT(search_parameters_max),
    MERIDIAN_LIMIT(chain_depth_max),
    MERIDIAN_LIMIT(page_size_max),
    MERIDIAN_LIMIT(includes_max),
    MERIDIAN_LIMIT(conditional_matches_max),
    MERIDIAN_LIMIT(fhirpath_steps_max),
    MERIDIAN_LIMIT(subscriptions_max),
    MERIDIAN_LIMIT(subscription_sockets_max),
    MERIDIAN_LIMIT(export_jobs_max),
    MERIDIAN_LIMIT(import_jobs_max),
    MERIDIAN_LIMIT(commit_queue_max),
};

std::string document() {
    auto text = read_file(MERIDIAN_SOURCE_DIR "/docs/security.md", 1 << 20);
    EXPECT_TRUE(text);
    return text ? *std::move(text) : std::string();
}

/// The rows of the table below a heading: what stands between its bars.
std::vector<std::vector<std::string>> rows_below(std::string_view heading) {
    const std::string text = document();
    std::vector<std::vector<std::string>> rows;
    std::size_t at = text.find(heading);
    if (at == std::string::npos) return rows;
    const std::size_t end = std::min(text.find("\n#", at + heading.size()), text.size());
    for (at = text.find("\n|", at); at < end; at = text.find("\n|", at + 1)) {
        const std::string line = text.substr(at + 2, text.find('\n', at + 1) - at - 2);
        std::vector<std::string> cells;
        for (std::size_t from = 0; from < line.size();) {
            const std::size_t bar = std::min(line.find('|', from), line.size());
            std::string cell = line.substr(from, bar - from);
            std::erase_if(cell, [](char c) { return c == '`'; });
            while (cell.starts_with(' ')) cell.erase(0, 1);
            while (cell.ends_with(' ')) cell.pop_back();
            cells.push_back(std::move(cell));
            from = bar + 1;
        }
        rows.push_back(std::move(cells));
    }
    return rows;
}

TEST(Documented, LimitsAreThoseOfTheProgram) {
    std::map<std::string, std::uint64_t, std::less<>> found;
    for (const auto& row : rows_below("### Limits (")) {
        if (row.size() != 3 || row[0] == "name" || row[0].starts_with('-')) continue;
        std::uint64_t value = 0;
        std::from_chars(row[1].data(), row[1].data() + row[1].size(), value);
        found[row[0]] = value;
    }
    EXPECT_EQ(found, told);
}

TEST(Documented, SessionsEndAsItSays) {
    std::map<std::string, std::string> decides;
    for (const auto& row : rows_below("### Who decides by what")) {
        if (row.size() == 3) decides[row[0]] = row[1];
    }
    const auto minutes = [](std::chrono::seconds time) { return time.count() / 60; };
    const auto admin = session_limits(Role::system_admin), other = session_limits(Role::doctor);
    EXPECT_EQ(decides["time since the last request"],
              fmt::format("{} minutes for administrators, {} for others", minutes(admin.idle),
                          minutes(other.idle)));
    EXPECT_EQ(decides["time since sign-in"],
              fmt::format("{} hours for administrators, {} for others",
                          minutes(admin.absolute) / 60, minutes(other.absolute) / 60));
    EXPECT_TRUE(decides.contains("network of the client"));
}

TEST(Documented, WhatComesInAndWhereTheServerCallsIsTold) {
    // Each has its rules in the document; the headings are what ASVS 5.0 asks for.
    for (const auto& [heading, rows] : {std::pair("### What comes in (", 9U),
                                        std::pair("### Where the server itself calls (", 3U),
                                        std::pair("### Who decides by what (", 9U)})
        EXPECT_GE(rows_below(heading).size(), rows + 2) << heading;
    const std::string text = document();
    const std::size_t files = text.find("### Files (");
    ASSERT_NE(files, std::string::npos);
    for (const char* word :
         {"PNG", "PDF", "DICOM", "SVG", "gzip", "`Content-Disposition: attachment`",
          "`resource_bytes_max`", "`http_body_bytes_max`", "malware"})
        EXPECT_LT(text.find(word, files), text.find("\n### ", files + 1)) << word;
}

}  // namespace
}  // namespace meridian::trust
