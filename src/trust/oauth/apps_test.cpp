// SPDX-License-Identifier: Apache-2.0
// The page on which a person sees the apps that use their access, and ends them.
#include <gtest/gtest.h>

#include "trust/limits.hpp"
#include "trust/oauth/testing/oauth_server.hpp"

namespace meridian::trust::oauth {

using meridian::testing::must;

/// A suite of its own, on the same server.
class Apps : public testing::OauthServer {
 protected:
    net::Response page(const std::string& language = "en") {
        return send(net::Method::get, "/account/apps?lang=" + language, "", {{"Cookie", session}});
    }
    net::Response post(const std::string& step, const std::string& form,
                       const std::string& csrf = "csrf-token") {
        return send(net::Method::post, "/account/apps/" + step, form + "&csrf=" + csrf,
                    {{"Cookie", session}});
    }
    bool shows(const std::string& text, const std::string& language = "en") {
        return page(language).body.find(text) != std::string::npos;
    }
};

TEST_F(Apps, AreShownWithTheirPermissionsInBothLanguages) {
    EXPECT_TRUE(shows("No app may use your access."));
    EXPECT_TRUE(shows("没有应用可以使用您的访问权限。", "zh"));
    const net::Response tokens = exchange(code());
    ASSERT_EQ(tokens.status, 200);
    EXPECT_TRUE(shows("An &lt;app&gt;")) << page().body;
    EXPECT_FALSE(shows("<app>"));
    EXPECT_TRUE(shows("Read, search: all health data"));
    EXPECT_TRUE(shows("读取、检索：全部健康数据", "zh"));
    EXPECT_TRUE(shows("Allowed since"));
    EXPECT_TRUE(shows("最近使用", "zh"));
    session = "session=" + surroundings.sign_in("doctor");
    EXPECT_TRUE(shows("No app may use your access.")) << "another person's";
    EXPECT_EQ(send(net::Method::get, "/account/apps").headers.get("Location"),
              "/sign-in?return_to=%2Faccount%2Fapps");
}

TEST_F(Apps, LastUsedIsWhenATokenWasLastGiven) {
    const net::Response tokens = exchange(code());
    const std::string before = to_text(surroundings.clock()).substr(0, 10);
    surroundings.ahead_seconds = 40 * 86'400;
    const std::string later = to_text(surroundings.clock()).substr(0, 10);
    EXPECT_FALSE(shows("last used <time datetime=\"" + later));
    EXPECT_EQ(refresh(member(tokens, "refresh_token")).status, 200);
    EXPECT_TRUE(shows("last used <time datetime=\"" + later));
    EXPECT_TRUE(shows("Allowed since <time datetime=\"" + before));
}

TEST_F(Apps, EndedByThePersonTheyHaveNothingAtOnce) {
    const net::Response one = exchange(code());
    const net::Response two = exchange(code({{"scope", "openid patient/*.rs"}}));
    const std::string on_its_way = code();
    ASSERT_TRUE(is_active(member(one, "access_token")));
    EXPECT_EQ(post("end", "client=app").status, 303);
    EXPECT_FALSE(is_active(member(one, "access_token")));
    EXPECT_FALSE(is_active(member(two, "access_token"))) << "also one without a refresh token";
    EXPECT_EQ(refresh(member(one, "refresh_token")).status, 400);
    EXPECT_EQ(member(exchange(on_its_way), "error"), "invalid_grant")
        << "a code that was waiting is one of the old allowance";
    EXPECT_TRUE(shows("No app may use your access."));
    EXPECT_EQ(authorize().status, 200) << "the person is asked again";
    EXPECT_EQ(exchange(code()).status, 200);
    EXPECT_EQ(surroundings.audited("oauth.app-ended", true), 1);
}

TEST_F(Apps, OnePermissionCanBeTakenAway) {
    const net::Parameters both{
        {"scope", "openid offline_access patient/Condition.rs patient/Observation.rs"}};
    const net::Response tokens = exchange(code(both));
    ASSERT_EQ(member(tokens, "scope"),
              "openid offline_access patient/Condition.rs patient/Observation.rs");
    EXPECT_EQ(post("withhold", "client=app&scope=patient%2FCondition.rs").status, 303);
    EXPECT_FALSE(is_active(member(tokens, "access_token"))) << "what it holds is for more";
    EXPECT_TRUE(shows("Not allowed"));
    const net::Response again = authorize(both);
    EXPECT_EQ(again.status, 302) << "the rest was allowed before";
    EXPECT_EQ(member(exchange(parameter(again, "code")), "scope"),
              "openid offline_access patient/Observation.rs");
    // The app may have the person asked anew.
    net::Parameters asking = both;
    asking.emplace_back("prompt", "consent");
    EXPECT_NE(member(exchange(code(asking)), "scope").find("patient/Condition.rs"),
              std::string::npos);
    EXPECT_FALSE(shows("Not allowed"));
    EXPECT_EQ(surroundings.audited("oauth.app-withheld", true), 1);
    EXPECT_EQ(post("withhold", "client=nobody&scope=patient%2FCondition.rs").status, 400);
    EXPECT_EQ(post("withhold", "client=app&scope=nonsense").status, 400);
}

TEST_F(Apps, OnlyAPageOfOursCanChangeThem) {
    const net::Response tokens = exchange(code());
    for (const char* step : {"end", "withhold"})
        EXPECT_EQ(post(step, "client=app&scope=openid", "forged").status, 403);
    EXPECT_TRUE(is_active(member(tokens, "access_token")));
    EXPECT_EQ(surroundings.audited("oauth.app-ended", false), 1);
    EXPECT_EQ(send(net::Method::post, "/account/apps/end", "client=app&csrf=csrf-token").status,
              303)
        << "to sign in";
    EXPECT_TRUE(is_active(member(tokens, "access_token")));
    session = "session=" + surroundings.sign_in("doctor");
    EXPECT_EQ(post("end", "client=app").status, 303);
    EXPECT_TRUE(is_active(member(tokens, "access_token"))) << "another person's app";
    EXPECT_EQ(send(net::Method::get, "/account/apps/end").status, 405);
}

TEST_F(Apps, TheGrantsOfOneAppAreBounded) {
    const net::Response first = exchange(code());
    for (std::size_t i = 0; i < limits::oauth_grants_per_app_max; ++i) {
        ASSERT_TRUE(is_active(member(first, "access_token"))) << i;
        ASSERT_EQ(exchange(code()).status, 200);
    }
    EXPECT_FALSE(is_active(member(first, "access_token"))) << "the oldest made room";
}

}  // namespace meridian::trust::oauth
