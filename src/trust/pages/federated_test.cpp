// SPDX-License-Identifier: Apache-2.0
// What becomes of somebody whom an outside provider has proved. The protocol is in oauth/.
#include <gtest/gtest.h>

#include "base/query_string.hpp"
#include "trust/accounts/one_time_code.hpp"
#include "trust/pages/sign_in.hpp"
#include "trust/sessions/cookie.hpp"
#include "trust/testing/memory_vault.hpp"

namespace meridian::trust {
namespace {

constexpr std::string_view good = "lavendel zieht nach westen";
const FederatedIdentity outside{"https://id.example", "person-7"};

struct FederatedPages : ::testing::Test {
    testing::MemoryVault vault;
    Instant at = now();
    std::vector<std::string> audit;
    Accounts accounts{vault, {.argon2_operations = 1, .argon2_memory_bytes = 8192, .clock = [this] {
                                  return at;
                              }}};
    Sessions sessions{
        vault, accounts, {.origins = {"https://example.org"}, .clock = [this] { return at; }}};
    SignIn sign_in{
        vault,
        accounts,
        sessions,
        {.make_person = [](const NewAccount&) -> Result<std::string> { return "Patient/9"; },
         .audit =
             [this](std::string_view what, std::string_view account, bool ok, const net::Request&) {
                 audit.push_back(fmt::format("{} {} {}", what, account, ok));
             },
         .providers =
             [] {
                 return std::vector<OutsideProvider>{
                     {"clinic", "Clinic <ID>", "诊所身份", "https://id.example"}};
             },
         .clock = [this] { return at; }}};
    std::map<std::string, std::string> jar;

    void add(const std::string& name, Role role, bool linked = true) {
        ASSERT_TRUE(accounts.add({.name = name,
                                  .role = role,
                                  .person = "Practitioner/" + name,
                                  .password = std::string(good)}));
        if (linked) {
            ASSERT_TRUE(accounts.link(name, outside));
        }
    }
    net::Request request(net::Method method, std::string target) {
        net::Request out;
        out.method = method;
        out.target = std::move(target);
        out.headers.add("Host", "example.org");
        std::string cookies;
        for (const auto& [name, value] : jar)
            cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", name, value);
        if (!cookies.empty()) out.headers.add("Cookie", cookies);
        return out;
    }
    net::Response keep(net::Response response) {
        for (std::size_t i = 0; i < response.headers.size(); ++i) {
            if (response.headers[i].name != "Set-Cookie") continue;
            const std::string_view pair =
                response.headers[i].value.substr(0, response.headers[i].value.find(';'));
            const std::size_t equals = pair.find('=');
            jar[std::string(pair.substr(0, equals))] = pair.substr(equals + 1);
            if (equals + 1 == pair.size()) jar.erase(std::string(pair.substr(0, equals)));
        }
        return response;
    }
    net::Response get(std::string target) {
        return keep(*sign_in.handle(request(net::Method::get, std::move(target))));
    }
    net::Response post(std::string target, net::Parameters form, bool with_csrf = true) {
        net::Request out = request(net::Method::post, std::move(target));
        if (with_csrf) form.emplace_back("csrf", Sessions::csrf_token(out));
        out.headers.add("Content-Type", "application/x-www-form-urlencoded");
        out.body = query_string(form);
        return keep(*sign_in.handle(out));
    }
    net::Response come_back(Federated federated) {
        federated.provider = {"clinic", "Clinic <ID>", "诊所身份", "https://id.example"};
        return keep(sign_in.take_federated(
            request(net::Method::get, "/oauth/federated/clinic/callback"), federated));
    }
    net::Response enter(std::optional<Instant> proved = std::nullopt) {
        return come_back({.identity = outside,
                          .shown = "li@clinic.example",
                          .proved = proved,
                          .return_to = "/chart"});
    }
    std::optional<Subject> signed_in() { return sessions.find(request(net::Method::get, "/")); }
};

TEST_F(FederatedPages, WhoIsLinkedSignsIn) {
    add("wang", Role::doctor);
    const net::Response in = enter(at);
    EXPECT_EQ(in.status, 303);
    EXPECT_EQ(in.headers.get("Location"), "/chart");
    ASSERT_TRUE(signed_in());
    EXPECT_EQ(signed_in()->account, "wang");
    EXPECT_EQ(signed_in()->methods, std::vector<std::string>{"fed"});
    EXPECT_EQ(signed_in()->authenticated_at.milliseconds, at.milliseconds);
    EXPECT_EQ(audit,
              (std::vector<std::string>{"sign-in.federated wang true", "sign-in wang true"}));
}

TEST_F(FederatedPages, WhoIsLinkedWithNobodyOrDisabledDoesNot) {
    add("wang", Role::doctor, false);
    const net::Response nobody = enter(at);
    EXPECT_EQ(nobody.status, 403);
    EXPECT_FALSE(signed_in());
    EXPECT_EQ(audit.back(), "sign-in.federated  false");
    ASSERT_TRUE(accounts.link("wang", outside));
    ASSERT_TRUE(accounts.set_disabled("wang", true));
    const net::Response disabled = enter(at);
    EXPECT_EQ(disabled.status, 403);
    EXPECT_EQ(disabled.body, nobody.body) << "nothing says that there is an account";
    EXPECT_FALSE(signed_in());
}

TEST_F(FederatedPages, AnOldProofIsNoneForWhatAsksForAFreshOne) {
    add("wang", Role::doctor);
    enter(Instant{at.milliseconds - 3'600'000});
    EXPECT_EQ(get("/account/identities").headers.get("Location"),
              "/step-up?return_to=%2Faccount%2Fidentities");
    enter();  // the provider does not say when
    ASSERT_TRUE(signed_in());
    EXPECT_EQ(get("/account/identities").status, 303);
    enter(at);
    EXPECT_EQ(get("/account/identities").status, 200);
}

TEST_F(FederatedPages, TheProviderStandsForThePasswordNotForTheSecondFactor) {
    add("wang", Role::doctor);
    ASSERT_TRUE(accounts.begin_totp("wang"));
    const auto waiting = *accounts.find("wang");
    const auto code = [&](Instant when) {
        return one_time_code(waiting->totp_waiting->secret,
                             static_cast<std::uint64_t>(when.milliseconds / 30'000),
                             limits::totp_digits);
    };
    ASSERT_TRUE(accounts.confirm_totp("wang", code(at)));
    at.milliseconds += 60'000;
    const net::Response in = enter(at);
    EXPECT_EQ(in.headers.get("Location"), "/sign-in/second");
    EXPECT_FALSE(signed_in());
    EXPECT_EQ(post("/sign-in/second", {{"code", code(at)}}).headers.get("Location"), "/chart");
    ASSERT_TRUE(signed_in());
    EXPECT_EQ(signed_in()->methods, (std::vector<std::string>{"fed", "otp"}));
}

TEST_F(FederatedPages, AnAdministratorEnrolsASecondFactorFirst) {
    add("wang", Role::security_admin);
    EXPECT_EQ(enter(at).headers.get("Location"), "/account");
    EXPECT_FALSE(signed_in()) << "the session is good for enrolling only";
}

TEST_F(FederatedPages, AccountsAreMadeOnlyWhereThatIsConfigured) {
    Federated stranger{.identity = outside,
                       .shown = "Li <b>",
                       .proved = at,
                       .return_to = "/",
                       .creates = Role::patient};
    EXPECT_EQ(come_back(stranger).status, 303);
    ASSERT_TRUE(signed_in());
    const std::string name = signed_in()->account;
    EXPECT_TRUE(name.starts_with("clinic-")) << name;
    const auto made = *accounts.find(name);
    EXPECT_EQ(made->role, Role::patient);
    EXPECT_EQ(made->person, "Patient/9");
    EXPECT_TRUE(made->password.empty());
    jar.clear();
    EXPECT_EQ(come_back(stranger).status, 303);
    EXPECT_EQ(signed_in()->account, name) << "once";
    ASSERT_TRUE(accounts.unlink(name, outside));
    jar.clear();
    EXPECT_EQ(come_back(stranger).status, 403) << "who was unlinked is not linked again";
}

TEST_F(FederatedPages, LinkingIsConfirmedByThePersonOnOurPage) {
    add("wang", Role::doctor, false);
    get("/sign-in");
    post("/sign-in", {{"name", "wang"}, {"password", std::string(good)}});
    EXPECT_NE(get("/account/identities?lang=en").body.find("Link an identity of Clinic &lt;ID&gt;"),
              std::string::npos);
    const Federated wish{.purpose = Federated::Purpose::link,
                         .identity = outside,
                         .shown = "<li>",
                         .proved = at,
                         .return_to = "/account/identities"};
    const net::Response page = come_back(wish);
    ASSERT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("&lt;li&gt;"), std::string::npos);
    const std::size_t from = page.body.find("name=\"token\" value=\"") + 20;
    const std::string token = page.body.substr(from, page.body.find('"', from) - from);
    EXPECT_FALSE(*accounts.find_by_identity(outside)) << "not yet";
    EXPECT_EQ(post("/account/identities", {{"token", token}}, false).status, 403) << "CSRF";
    EXPECT_EQ(post("/account/identities", {{"token", "x"}}).status, 400);
    EXPECT_FALSE(*accounts.find_by_identity(outside));
    EXPECT_EQ(post("/account/identities", {{"token", token}}).status, 303);
    EXPECT_EQ((*accounts.find_by_identity(outside))->name, "wang");
    EXPECT_EQ(audit.back(), "account.identity wang true");
    EXPECT_EQ(post("/account/identities", {{"token", token}}).status, 400) << "once";
    const net::Parameters same{{"issuer", outside.issuer}, {"subject", outside.subject}};
    EXPECT_EQ(post("/account/identities/remove", same).status, 303);
    EXPECT_FALSE(*accounts.find_by_identity(outside));
    EXPECT_EQ(audit.back(), "account.identity-removed wang true");
}

TEST_F(FederatedPages, AWishToLinkIsOfItsSessionAndMoment) {
    add("wang", Role::doctor, false);
    const auto signed_in_page = [&] {
        jar.clear();
        get("/sign-in");
        post("/sign-in", {{"name", "wang"}, {"password", std::string(good)}});
    };
    const auto wish = [&] {
        const net::Response page = come_back({.purpose = Federated::Purpose::link,
                                              .identity = outside,
                                              .shown = "li",
                                              .proved = at});
        const std::size_t from = page.body.find("name=\"token\" value=\"") + 20;
        return page.body.substr(from, page.body.find('"', from) - from);
    };
    signed_in_page();
    const std::string of_another = wish();
    signed_in_page();
    EXPECT_EQ(post("/account/identities", {{"token", of_another}}).status, 400);
    const std::string late = wish();
    at.milliseconds += 10 * 60'000;
    EXPECT_NE(post("/account/identities", {{"token", late}}).status, 200);
    EXPECT_FALSE(*accounts.find_by_identity(outside));
    jar.clear();
    EXPECT_EQ(come_back({.purpose = Federated::Purpose::link, .identity = outside})
                  .headers.get("Location"),
              "/sign-in");
}

TEST_F(FederatedPages, TheOnlyWayInIsNotTakenAway) {
    ASSERT_TRUE(accounts.add({.name = "li", .role = Role::patient, .person = "Patient/1"}));
    ASSERT_TRUE(accounts.link("li", outside));
    enter(at);
    ASSERT_TRUE(signed_in());
    EXPECT_EQ(post("/account/identities/remove",
                   {{"issuer", outside.issuer}, {"subject", outside.subject}})
                  .status,
              409);
    EXPECT_TRUE(*accounts.find_by_identity(outside));
}

TEST_F(FederatedPages, AStepUpIsOfTheSamePersonAndNotInPlaceOfTheSecondFactor) {
    add("wang", Role::doctor);
    enter(Instant{at.milliseconds - 3'600'000});
    EXPECT_NE(get("/step-up?return_to=/account&lang=en").body.find("Confirm with Clinic"),
              std::string::npos);
    Federated proof{.purpose = Federated::Purpose::step_up,
                    .identity = {outside.issuer, "somebody-else"},
                    .proved = at,
                    .return_to = "/account/identities"};
    EXPECT_EQ(come_back(proof).headers.get("Location"),
              "/step-up?return_to=%2Faccount%2Fidentities");
    EXPECT_EQ(audit.back(), "step-up wang false");
    EXPECT_EQ(get("/account/identities").status, 303);
    proof.identity = outside;
    EXPECT_EQ(come_back(proof).headers.get("Location"), "/account/identities");
    EXPECT_EQ(get("/account/identities").status, 200);
    EXPECT_EQ(audit.back(), "step-up wang true");
}

TEST_F(FederatedPages, EachProviderHasALinkInBothLanguages) {
    EXPECT_NE(get("/sign-in?lang=en").body.find("Sign in with Clinic &lt;ID&gt;"),
              std::string::npos);
    EXPECT_NE(get("/sign-in?lang=zh").body.find("通过诊所身份登录"), std::string::npos);
}

}  // namespace
}  // namespace meridian::trust
