// SPDX-License-Identifier: Apache-2.0
#include "trust/scope.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/testing.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

using meridian::testing::must;

std::vector<Scope> all(std::string_view list) {
    return must(parse_scopes(list));
}
std::string narrowed(std::string_view requested, std::string_view granted) {
    return to_text(narrow(all(requested), all(granted)));
}
std::string canonical(std::string_view text) {
    return must(Scope::parse(text)).to_text();
}

Scope any_scope() {
    Scope scope;
    scope.level = *rc::gen::element(Scope::Level::patient, Scope::Level::user);
    scope.type = *rc::gen::element<std::string>("*", "Observation", "Condition");
    scope.operations = static_cast<std::uint8_t>(*rc::gen::inRange(1, 32));
    if (scope.type != "*" && *rc::gen::arbitrary<bool>())
        scope.query = {{"a", *rc::gen::element<std::string>("1", "2")}};
    return scope;
}

/// One thing that may be done, and whether a scope lets it be done.
struct Deed {
    Scope::Level level;
    std::string type;
    std::uint8_t operation;
    std::string a;  ///< the value of the search parameter a that the resource has
};
bool allows(const std::vector<Scope>& scopes, const Deed& deed) {
    return std::ranges::any_of(scopes, [&](const Scope& scope) {
        return scope.level == deed.level && (scope.type == "*" || scope.type == deed.type) &&
               (scope.operations & deed.operation) != 0 &&
               std::ranges::all_of(scope.query,
                                   [&](const auto& pair) { return pair.second == deed.a; });
    });
}
Deed any_deed() {
    return {*rc::gen::element(Scope::Level::patient, Scope::Level::user),
            *rc::gen::element<std::string>("Observation", "Condition"),
            static_cast<std::uint8_t>(1 << *rc::gen::inRange(0, 5)),
            *rc::gen::element<std::string>("1", "2", "3")};
}
std::vector<Scope> any_scopes() {
    std::vector<Scope> scopes;
    for (int i = *rc::gen::inRange(0, 5); i > 0; --i) scopes.push_back(any_scope());
    return scopes;
}

}  // namespace

TEST(Scope, OneTextForOneMeaning) {
    EXPECT_EQ(canonical("patient/Observation.rs"), "patient/Observation.rs");
    EXPECT_EQ(canonical("user/*.cruds"), "user/*.cruds");
    EXPECT_EQ(canonical("patient/Observation.read"), "patient/Observation.rs");
    EXPECT_EQ(canonical("patient/Observation.write"), "patient/Observation.cud");
    EXPECT_EQ(canonical("user/*.*"), "user/*.cruds");
    EXPECT_EQ(canonical("patient/Observation.rs?category=http://c.example|laboratory"),
              "patient/Observation.rs?category=http://c.example|laboratory");
    EXPECT_EQ(canonical("patient/Observation.rs?b=2&a=1&b=2"), "patient/Observation.rs?a=1&b=2");
    EXPECT_EQ(canonical("launch/patient"), "launch/patient");
}

TEST(Scope, AnythingElseIsNone) {
    for (const std::string_view text : {"",
                                        "/",
                                        "patient",
                                        "patient/",
                                        "patient/Observation",
                                        "patient/Observation.",
                                        "patient/Observation.sr",
                                        "patient/Observation.rr",
                                        "patient/Observation.x",
                                        "patient/observation.rs",
                                        "patient/Obs ervation.rs",
                                        "practitioner/Observation.rs",
                                        "patient/Observation.rs?",
                                        "patient/Observation.rs?a",
                                        "patient/Observation.rs?=1",
                                        "patient/Observation.rs?a=%zz",
                                        "/Observation.rs",
                                        "OPENID",
                                        "admin",
                                        "patient/Observaton.rs",
                                        "patient/*.rs?a=1",
                                        "user/.rs"})
        EXPECT_FALSE(Scope::parse(text)) << text;
    EXPECT_EQ(to_text(all("openid  admin patient/Observation.rs openid")),
              "openid patient/Observation.rs");
    std::string many;
    for (std::size_t i = 0; i <= limits::oauth_scopes_max; ++i)
        many += fmt::format("user/Basic.r?code={} ", i);
    EXPECT_FALSE(parse_scopes(many));
}

TEST(Scope, TheDecisionUnderstandsWhatWasGranted) {
    const std::vector<std::string> granted{"openid", "launch/patient", "patient/Observation.read",
                                           "user/*.cruds", "a word"};
    const auto scopes = must(resource_scopes(granted));
    ASSERT_EQ(scopes.size(), 2u);
    EXPECT_TRUE(scopes[0].allows(Scope::read) && scopes[0].allows(Scope::search));
    EXPECT_FALSE(scopes[0].allows(Scope::create) || scopes[0].allows(Scope::remove));
    EXPECT_TRUE(scopes[0].covers("Observation"));
    EXPECT_FALSE(scopes[0].covers("Condition"));
    EXPECT_TRUE(scopes[1].covers("Condition"));
    EXPECT_FALSE(must(Scope::parse("openid")).covers("Condition"));
    EXPECT_FALSE(resource_scopes(std::vector<std::string>{"patient/Observaton.rs"}))
        << "never passed over: it would give nothing, or all";
    EXPECT_FALSE(resource_scopes(
        std::vector<std::string>(limits::policy_scopes_max + 1, "patient/Observation.rs")));
}

TEST(Scope, NarrowGivesWhatBothGive) {
    EXPECT_EQ(narrowed("patient/*.cruds", "patient/*.rs"), "patient/*.rs");
    EXPECT_EQ(narrowed("patient/*.rs", "patient/Observation.rs patient/Condition.r user/*.rs"),
              "patient/Observation.rs patient/Condition.r");
    EXPECT_EQ(narrowed("patient/*.rs", "patient/Observation.rs?category=a"),
              "patient/Observation.rs?category=a");
    EXPECT_EQ(narrowed("patient/Observation.rs?category=a", "patient/Observation.rs?category=b"),
              "patient/Observation.rs?category=a&category=b");
    EXPECT_EQ(narrowed("openid launch user/*.rs", "openid user/*.cud"), "openid");
    EXPECT_EQ(narrowed("system/*.rs", "user/*.cruds patient/*.cruds"), "");
}

TEST(Scope, CoversKnowsMoreFromLess) {
    EXPECT_TRUE(covers(all("patient/*.rs openid"), all("patient/Observation.r openid")));
    EXPECT_TRUE(covers(all("patient/*.r patient/*.s"), all("patient/Observation.rs")));
    EXPECT_TRUE(covers(all("patient/*.rs"), all("patient/Observation.rs?a=1")));
    EXPECT_FALSE(covers(all("patient/Observation.rs?a=1"), all("patient/Observation.rs")));
    EXPECT_FALSE(covers(all("patient/Observation.rs"), all("patient/*.rs")));
    EXPECT_FALSE(covers(all("patient/*.rs"), all("patient/*.rds")));
    EXPECT_FALSE(covers(all("patient/*.rs"), all("offline_access")));
    EXPECT_TRUE(covers({}, {}));
}

RC_GTEST_PROP(ScopeProperty, TheTextComesBack, ()) {
    const Scope scope = any_scope();
    RC_ASSERT(must(Scope::parse(scope.to_text())) == scope);
}

RC_GTEST_PROP(ScopeProperty, ANarrowedListAllowsExactlyWhatBothAllow, ()) {
    const auto requested = any_scopes();
    const auto granted = any_scopes();
    const auto both = narrow(requested, granted);
    for (int i = 0; i < 20; ++i) {
        const Deed deed = any_deed();
        RC_ASSERT(allows(both, deed) == (allows(requested, deed) && allows(granted, deed)));
    }
    RC_ASSERT(covers(requested, both));
    RC_ASSERT(covers(granted, both));
}

RC_GTEST_PROP(ScopeProperty, CoveredIsNeverMore, ()) {
    const auto granted = any_scopes();
    const auto requested = any_scopes();
    RC_PRE(covers(granted, requested));
    for (int i = 0; i < 20; ++i) {
        const Deed deed = any_deed();
        RC_ASSERT(!allows(requested, deed) || allows(granted, deed));
    }
}

RC_GTEST_PROP(ScopeProperty, AnyTextIsReadOrRefused, (const std::string& text)) {
    if (const auto scope = Scope::parse(text))
        RC_ASSERT(must(Scope::parse(scope->to_text())) == *scope);
}

}  // namespace meridian::trust
