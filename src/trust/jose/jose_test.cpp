// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/hash.hpp"
#include "base/testing.hpp"
#include "trust/jose/jwt.hpp"
#include "trust/jose/testing/vectors.hpp"
#include "trust/limits.hpp"

namespace meridian::trust::jose {

namespace {

using meridian::testing::must;

constexpr std::array all_algorithms{Algorithm::es256, Algorithm::es384, Algorithm::rs256,
                                    Algorithm::rs384, Algorithm::ps256, Algorithm::eddsa};

Key key(std::string_view jwk) {
    return must(Key::from_jwk(jwk));
}
KeySet set_of(Key one) {
    return KeySet({std::move(one)});
}

std::string decoded(std::string_view text) {
    std::string out;
    EXPECT_TRUE(base64url_decode(text, out));
    return out;
}

/// One pair for each algorithm, made once: RSA takes long.
const Key& pair_for(Algorithm algorithm) {
    static const auto pairs = [] {
        std::vector<Key> made;
        for (const Algorithm one : all_algorithms) made.push_back(must(Key::generate(one)));
        return made;
    }();
    return pairs[static_cast<std::size_t>(algorithm)];
}

std::string with_header(std::string_view header, const Key& signer, Algorithm algorithm,
                        std::string_view payload = "{}") {
    const std::string text = base64url_encode(header) + '.' + base64url_encode(payload);
    return text + '.' + base64url_encode(must(signer.sign(algorithm, text)));
}

constexpr Instant moment{1'700'000'000'000};

ClaimRules usual() {
    ClaimRules rules;
    rules.issuer = "https://issuer.example";
    rules.audiences = {"me"};
    return rules;
}

std::string claims(std::string_view more) {
    return fmt::format(R"({{"iss":"https://issuer.example","aud":"me","exp":1700000100{}{}}})",
                       more.empty() ? "" : ",", more);
}

bool is_believed(std::string_view payload, const ClaimRules& rules = usual()) {
    return check_claims(payload, rules, moment).has_value();
}

}  // namespace

TEST(Jws, Rfc7515AppendixA) {
    const Key rsa = key(vectors::rsa_pair);
    EXPECT_EQ(base64url_encode(must(rsa.sign(Algorithm::rs256, vectors::rs256_text))),
              vectors::rs256_signature);
    const auto verified = must(verify(vectors::rs256_text + '.' + vectors::rs256_signature,
                                      set_of(key(vectors::rsa_public))));
    EXPECT_EQ(verified.payload, vectors::payload_text);
    EXPECT_EQ(must(verify(vectors::es256, set_of(key(vectors::p256_public)))).payload,
              vectors::payload_text);
    EXPECT_FALSE(verify(vectors::hs256, set_of(rsa)));
    EXPECT_FALSE(verify(vectors::unsecured, set_of(rsa)));
    EXPECT_FALSE(verify(vectors::es256, set_of(rsa)));
}

TEST(Jws, Rfc8037AppendixA) {
    const Key pair = key(vectors::ed25519_pair);
    EXPECT_EQ(pair.thumbprint(), vectors::ed25519_thumbprint);
    EXPECT_EQ(base64url_encode(must(pair.sign(Algorithm::eddsa, vectors::ed25519_text))),
              vectors::ed25519_signature);
    EXPECT_EQ(must(verify(vectors::ed25519_text + '.' + vectors::ed25519_signature, set_of(pair)))
                  .payload,
              "Example of Ed25519 signing");
}

TEST(Jwk, Rfc7638Section31) {
    EXPECT_EQ(key(vectors::thumbprint_key).thumbprint(), vectors::thumbprint);
    EXPECT_EQ(key(vectors::thumbprint_key).id(), "2011-04-29");
}

TEST(Jws, EveryAlgorithmThereAndBack) {
    for (const Algorithm algorithm : all_algorithms) {
        const Key& pair = pair_for(algorithm);
        const std::string token = must(sign(pair, "what is said"));
        JsonDocument document;
        const Key half = must(Key::from_jwk(pair.public_jwk(document)));
        EXPECT_FALSE(half.is_pair());
        EXPECT_EQ(must(verify(token, set_of(half))).payload, "what is said");
        EXPECT_FALSE(half.sign(algorithm, "x")) << "a public half cannot sign";
        EXPECT_FALSE(half.private_jwk());
        const Key again = key(must(pair.private_jwk()));
        EXPECT_EQ(again.id(), pair.id());
        EXPECT_TRUE(verify(must(sign(again, "x")), set_of(half)));
    }
}

TEST(Jws, EveryFlippedBitIsRefused) {
    for (const Algorithm algorithm : all_algorithms) {
        const Key& pair = pair_for(algorithm);
        const std::string token = must(sign(pair, R"({"sub":"a"})"));
        const KeySet keys = set_of(pair);
        ASSERT_TRUE(verify(token, keys));
        for (std::size_t bit = 0; bit < 8 * token.size(); ++bit) {
            std::string other = token;
            other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
            EXPECT_FALSE(verify(other, keys)) << name_of(algorithm) << " bit " << bit;
        }
        for (std::size_t length = 0; length < token.size(); ++length)
            EXPECT_FALSE(verify(std::string_view(token).substr(0, length), keys));
        EXPECT_FALSE(verify(token + "A", keys));
        EXPECT_FALSE(verify(token + ".", keys));
        EXPECT_FALSE(verify(token + "=", keys));
    }
}

TEST(Jws, AnotherKeysSignatureIsRefused) {
    for (const Algorithm algorithm : {Algorithm::es256, Algorithm::es384, Algorithm::eddsa}) {
        const std::string token = must(sign(pair_for(algorithm), "x"));
        EXPECT_FALSE(verify(token, set_of(must(Key::generate(algorithm)))));
        EXPECT_FALSE(verify(token, KeySet()));
    }
}

TEST(Jws, TheHeaderDoesNotChooseTheAlgorithm) {
    const Key& p256 = pair_for(Algorithm::es256);
    const Key rsa = key(vectors::rsa_pair);
    EXPECT_TRUE(verify(with_header(R"({"alg":"ES256"})", p256, Algorithm::es256), set_of(p256)));
    // Good signatures, all of them: only what the header says is wrong.
    for (const std::string_view header :
         {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS256"})", R"({"alg":"es256"})",
          R"({"alg":"ES384"})", R"({"alg":"ES512"})", R"({"alg":"EdDSA"})", R"({"alg":null})",
          R"({"alg":["ES256"]})", R"({})", R"({"alg":"ES256","crit":["exp"],"exp":1})",
          R"({"alg":"ES256","crit":[]})", R"({"alg":"ES256","b64":false})",
          R"({"alg":"ES256","zip":"DEF"})", R"({"alg":"ES256","kid":7})",
          R"({"alg":"ES256","alg":"ES256"})", R"({"alg":"ES256","kid":"another"})", R"(["ES256"])",
          R"({"alg":"ES256"} )"
          "x"})
        EXPECT_FALSE(verify(with_header(header, p256, Algorithm::es256), set_of(p256))) << header;
    // RFC 8725 §2.1: the public key as an HMAC secret.
    const std::string text = base64url_encode(R"({"alg":"HS256"})") + '.' + vectors::payload;
    const Sha256 mac = hmac_sha256(vectors::rsa_public, text);
    const std::string forged =
        text + '.' + base64url_encode({reinterpret_cast<const char*>(mac.data()), mac.size()});
    EXPECT_FALSE(verify(forged, set_of(key(vectors::rsa_public))));
    // A key that says PS256 is for nothing else, though it could.
    const Key only_pss =
        key(vectors::rsa_pair.substr(0, vectors::rsa_pair.size() - 1) + R"(,"alg":"PS256"})");
    EXPECT_TRUE(verify(must(sign(only_pss, "x")), set_of(only_pss)));
    EXPECT_FALSE(verify(must(sign(rsa, "x")), set_of(only_pss)));
    EXPECT_FALSE(only_pss.sign(Algorithm::rs256, "x"));
}

TEST(Jws, KeysInsideTheTokenAreNotBelieved) {
    const Key foreign = must(Key::generate(Algorithm::es256));
    JsonDocument document;
    const std::string header =
        R"({"alg":"ES256","jwk":)" + to_text(foreign.public_jwk(document)) + "}";
    EXPECT_FALSE(
        verify(with_header(header, foreign, Algorithm::es256), set_of(pair_for(Algorithm::es256))));
}

TEST(Jws, EcdsaSignaturesHaveOneLength) {
    const Key& pair = pair_for(Algorithm::es256);
    const std::string signature = must(pair.sign(Algorithm::es256, "data"));
    EXPECT_EQ(signature.size(), 64u);
    EXPECT_TRUE(pair.verify(Algorithm::es256, "data", signature));
    EXPECT_FALSE(pair.verify(Algorithm::es256, "data", std::string(64, '\0')));
    EXPECT_FALSE(pair.verify(Algorithm::es256, "data", '\0' + signature));
    EXPECT_FALSE(pair.verify(Algorithm::es256, "data", ""));
    EXPECT_EQ(must(pair_for(Algorithm::es384).sign(Algorithm::es384, "data")).size(), 96u);
}

TEST(Jwk, WhatIsNoKeyIsRefused) {
    const std::string x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const std::string y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const auto point = [](std::string_view at_x, std::string_view at_y,
                          std::string_view more = "") {
        return fmt::format(R"({{"kty":"EC","crv":"P-256","x":"{}","y":"{}"{}}})", at_x, at_y, more);
    };
    ASSERT_TRUE(Key::from_jwk(point(x, y)));
    EXPECT_FALSE(Key::from_jwk(point(y, x))) << "not on the curve";
    EXPECT_FALSE(Key::from_jwk(point(std::string(43, 'A'), std::string(43, 'A')))) << "zero";
    EXPECT_FALSE(Key::from_jwk(point(x, y.substr(0, 40))));
    EXPECT_FALSE(Key::from_jwk(point(x, y, R"(,"use":"enc")")));
    EXPECT_FALSE(Key::from_jwk(point(x, y, R"(,"alg":"ES384")")));
    EXPECT_FALSE(Key::from_jwk(point(x, y, R"(,"alg":"HS256")")));
    EXPECT_FALSE(Key::from_jwk(point(x, y, R"(,"key_ops":["deriveKey"])")));
    EXPECT_FALSE(Key::from_jwk(point(x, y, ",\"d\":\"" + x + "\""))) << "halves of two pairs";
    EXPECT_FALSE(Key::from_jwk(R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMko"})"));
    EXPECT_FALSE(Key::from_jwk(R"({"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"})"));
    EXPECT_FALSE(Key::from_jwk(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})")) << "24 bits";
    EXPECT_FALSE(Key::from_jwk(R"({"kty":"RSA","n":")" + vectors::rsa_n + R"(","e":"Aw"})"));
    EXPECT_FALSE(Key::from_jwk(R"({"kty":"RSA","n":")" + vectors::rsa_n + R"(","e":"AQAA"})"));
    std::string even = decoded(vectors::rsa_n);
    even.append(1024, 'x');
    EXPECT_FALSE(
        Key::from_jwk(R"({"kty":"RSA","n":")" + base64url_encode(even) + R"(","e":"AQAB"})"))
        << "too long to check for everyone who sends it";
    EXPECT_FALSE(Key::from_jwk("[]"));
}

TEST(JwkSet, PassesOverWhatItDoesNotKnow) {
    const KeySet keys =
        must(KeySet::parse(R"({"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-521"},)" +
                           vectors::p256_public + "," + vectors::thumbprint_key + "]}"));
    ASSERT_EQ(keys.keys().size(), 2u);
    EXPECT_TRUE(keys.has("2011-04-29"));
    EXPECT_EQ(must(KeySet::parse(keys.to_text())).to_text(), keys.to_text());
    EXPECT_FALSE(KeySet::parse(R"({"keys":[)" + vectors::p256_pair + "]}")) << "a private key";
    EXPECT_FALSE(KeySet::parse(R"({"keys":{}})"));
    EXPECT_FALSE(KeySet::parse("[]"));
    std::string many = R"({"keys":[{})";
    for (std::size_t i = 0; i < limits::jwks_keys_max; ++i) many += ",{}";
    EXPECT_FALSE(KeySet::parse(many + "]}"));
    EXPECT_EQ(pair_for(Algorithm::eddsa).is_pair(), true);
    EXPECT_EQ(set_of(pair_for(Algorithm::eddsa)).to_text().find("\"d\""), std::string::npos);
}

TEST(Jwt, ClaimsInTimeAndForUs) {
    EXPECT_TRUE(is_believed(claims("")));
    EXPECT_TRUE(is_believed(claims(R"("nbf":1700000020,"iat":1700000020)"))) << "within the skew";
    EXPECT_FALSE(is_believed(claims(R"("nbf":1700000031)")));
    EXPECT_FALSE(is_believed(claims(R"("iat":1700000031)"))) << "made in the future";
    EXPECT_FALSE(is_believed(claims(R"("iat":"now")")));
    EXPECT_FALSE(is_believed(claims(R"("nbf":null)")));
    const auto with = [](std::string_view issuer, std::string_view audience, std::string_view end) {
        return fmt::format(R"({{"iss":{},"aud":{},"exp":{}}})", issuer, audience, end);
    };
    const std::string ours = R"("https://issuer.example")";
    EXPECT_TRUE(is_believed(with(ours, R"(["me","you"])", "1699999971")));
    EXPECT_FALSE(is_believed(with(ours, R"("me")", "1699999970"))) << "over, skew included";
    EXPECT_FALSE(is_believed(with(R"("https://issuer.example/")", R"("me")", "1700000100")));
    EXPECT_FALSE(is_believed(with("null", R"("me")", "1700000100")));
    EXPECT_FALSE(is_believed(with(ours, R"("you")", "1700000100")));
    EXPECT_FALSE(is_believed(with(ours, "[]", "1700000100")));
    EXPECT_FALSE(is_believed(with(ours, "null", "1700000100")));
    EXPECT_FALSE(is_believed(with(ours, R"("me")", "\"1700000100\"")));
    EXPECT_FALSE(is_believed(with(ours, R"("me")", "-1")));
    EXPECT_FALSE(is_believed(with(ours, R"("me")", "1e300")));
    EXPECT_FALSE(is_believed(R"({"iss":"https://issuer.example","aud":"me"})")) << "no exp";
    EXPECT_FALSE(is_believed(claims(R"("exp":1900000000)"))) << "a claim that stands twice";
    EXPECT_FALSE(is_believed("[]"));
}

TEST(Jwt, RulesOfAssertions) {
    ClaimRules rules = usual();
    rules.life_max = std::chrono::seconds(60);
    EXPECT_FALSE(is_believed(claims(""), rules)) << "100 s ahead";
    rules.life_max = std::chrono::seconds(300);
    EXPECT_TRUE(is_believed(claims(""), rules));
    rules.needs_identifier = true;
    EXPECT_FALSE(is_believed(claims(""), rules));
    EXPECT_TRUE(is_believed(claims(R"("jti":"1")"), rules));
    EXPECT_FALSE(is_believed(claims(R"("jti":"")"), rules));
    EXPECT_FALSE(is_believed(claims("\"jti\":\"" + std::string(257, 'x') + "\""), rules));
    rules.age_max = std::chrono::seconds(100);
    EXPECT_FALSE(is_believed(claims(R"("jti":"1")"), rules)) << "no iat";
    EXPECT_FALSE(is_believed(claims(R"("jti":"1","iat":1699999870)"), rules));
    EXPECT_TRUE(is_believed(claims(R"("jti":"1","iat":1699999871)"), rules));
    rules = usual();
    rules.audience_alone = true;
    EXPECT_FALSE(is_believed(
        R"({"iss":"https://issuer.example","aud":["me","you"],"exp":1700000100})", rules));
    EXPECT_FALSE(check_claims(claims(""), ClaimRules{}, moment)) << "no rule is no yes";
}

TEST(Jwt, TypesAreNotMixed) {
    const Key& pair = pair_for(Algorithm::es256);
    const auto typed = [&](std::string_view type) {
        return verify_jwt(must(sign(pair, claims(""), type)), set_of(pair), usual(), moment);
    };
    EXPECT_TRUE(typed("JWT"));
    EXPECT_TRUE(typed("application/jwt"));
    EXPECT_TRUE(typed(""));
    EXPECT_FALSE(typed("at+jwt"));
    EXPECT_FALSE(typed("logout+jwt"));
}

RC_GTEST_PROP(JwsProperty, AnyTextIsRefusedWithoutHarm, (const std::string& text)) {
    RC_ASSERT(!verify(text, set_of(pair_for(Algorithm::es256))));
    RC_ASSERT(!check_claims(text, usual(), moment));
}

RC_GTEST_PROP(JwsProperty, AnyPayloadComesBack, (const std::string& payload)) {
    for (const Algorithm algorithm : {Algorithm::es256, Algorithm::eddsa}) {
        const Key& pair = pair_for(algorithm);
        RC_ASSERT(must(verify(must(sign(pair, payload)), set_of(pair))).payload == payload);
    }
}

RC_GTEST_PROP(JwsProperty, AMutatedTokenIsRefused, (const std::string& payload)) {
    const Key& pair = pair_for(Algorithm::eddsa);
    std::string token = must(sign(pair, payload));
    const auto at = *rc::gen::inRange<std::size_t>(0, token.size());
    const char other = *rc::gen::arbitrary<char>();
    RC_PRE(token[at] != other);
    token[at] = other;
    RC_ASSERT(!verify(token, set_of(pair)));
}

}  // namespace meridian::trust::jose
