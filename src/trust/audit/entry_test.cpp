// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/entry.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "base/testing.hpp"

namespace meridian::trust::audit {
namespace {

using meridian::testing::must;

std::string any_text() {
    return *rc::gen::map(
        rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 6)), [](const auto& picks) {
            constexpr std::string_view pieces[] = {"a", "Z9", "/", "\x01", "é", "𝄞"};
            std::string text;
            for (const int pick : picks) text += pieces[static_cast<std::size_t>(pick)];
            return text;
        });
}

Entry any_entry() {
    Entry entry;
    entry.interaction = static_cast<fhir::Interaction>(*rc::gen::inRange(1, 19));
    entry.outcome =
        *rc::gen::element(fhir::AuditOutcome::success, fhir::AuditOutcome::minor_failure,
                          fhir::AuditOutcome::refused);
    for (std::string* text :
         {&entry.actor, &entry.account, &entry.role, &entry.client, &entry.organisation,
          &entry.on_behalf_of, &entry.type, &entry.id, &entry.query, &entry.address,
          &entry.request_id, &entry.session, &entry.purpose, &entry.policy_version, &entry.clause})
        *text = any_text();
    entry.version = *rc::gen::inRange<store::Version>(0, 1'000'000);
    entry.resources = *rc::gen::element<std::int64_t>(0, 1, 127, 128, 1LL << 40, INT64_MAX);
    entry.is_query_cut = *rc::gen::arbitrary<bool>();
    entry.has_more_patients = *rc::gen::arbitrary<bool>();
    std::set<std::string> patients;
    const int count = *rc::gen::inRange(0, 4);
    for (int i = 0; i < count; ++i) patients.insert("p" + any_text());
    entry.patients.assign(patients.begin(), patients.end());
    return entry;
}

RC_GTEST_PROP(AuditEntry, IsReadAsItWasWritten, ()) {
    const Entry entry = any_entry();
    RC_ASSERT(must(decode(encode(entry))) == entry);
}

RC_GTEST_PROP(AuditEntry, HasOneFormOnly, ()) {
    std::string bytes = encode(any_entry());
    const auto place =
        static_cast<std::size_t>(*rc::gen::inRange<int>(0, static_cast<int>(bytes.size())));
    switch (*rc::gen::inRange(0, 3)) {
        case 0:
            bytes[place] = static_cast<char>(*rc::gen::inRange(0, 256));
            break;
        case 1:
            bytes.erase(place, 1);
            break;
        default:
            bytes.insert(place, 1, static_cast<char>(*rc::gen::inRange(0, 256)));
    }
    // Whatever can be read is what would be written for it: no two byte strings mean the same.
    if (const auto entry = decode(bytes)) RC_ASSERT(encode(*entry) == bytes);
}

TEST(AuditEntry, RefusesWhatEncodeDoesNotMake) {
    Entry entry;
    entry.interaction = fhir::Interaction::read;
    entry.patients = {"a", "b"};
    const std::string good = encode(entry);
    EXPECT_EQ(good, std::string("\x01\x01\x01\x0e\x01"
                                "a\x0e\x01"
                                "b"));
    must(decode(good));
    const auto refused = [](std::string_view bytes) {
        const auto read = decode(bytes);
        return !read && read.error().category == Category::fault;
    };
    EXPECT_TRUE(refused(""));
    EXPECT_TRUE(refused("\x01")) << "no interaction";
    EXPECT_TRUE(refused("\x02\x01\x01")) << "another format";
    EXPECT_TRUE(refused("\x01\x01\x7f")) << "no interaction that is known";
    EXPECT_TRUE(refused("\x01\x01\x81\x00\x0e")) << "a number longer than it need be";
    EXPECT_TRUE(refused("\x01\x03\x01x\x01\x01")) << "tags out of order";
    EXPECT_TRUE(refused("\x01\x01\x01\x03\x01x\x03\x01y")) << "a tag twice";
    EXPECT_TRUE(refused("\x01\x01\x01\x17\x01x")) << "a tag that is not known";
    EXPECT_TRUE(refused("\x01\x01\x01\x02\x01")) << "no outcome that is known";
    EXPECT_TRUE(refused("\x01\x01\x06\x02\x88\x0e")) << "1,800 ends in the byte of one";
    EXPECT_TRUE(
        refused("\x01\x01\x01\x0e\x01"
                "b\x0e\x01"
                "a"))
        << "patients out of order";
    EXPECT_TRUE(refused("\x01\x01\x01\x03\x02x")) << "a text behind the end";
    EXPECT_TRUE(refused("\x01\x01\x01\x03\x01\xff")) << "no UTF-8";
    for (std::size_t size = 0; size + 3 < good.size(); ++size) {
        if (size == 3) continue;  // an entry without patients
        EXPECT_TRUE(refused(std::string_view(good).substr(0, size))) << size;
    }
}

}  // namespace
}  // namespace meridian::trust::audit
