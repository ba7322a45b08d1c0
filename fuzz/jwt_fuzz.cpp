// SPDX-License-Identifier: Apache-2.0
// Signed tokens, keys and claims of any shape: nothing is believed that our one key has not signed.
#include <cstdlib>

#include "trust/jose/jwt.hpp"

namespace {

/// A property that must hold whatever came in.
void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace meridian::trust::jose;
    static const Key key = *Key::generate(Algorithm::es256);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    require(!verify(text, KeySet({key})));
    ClaimRules rules;
    rules.issuer = "https://issuer.example";
    rules.audiences = {"me"};
    if (const auto claims = check_claims(text, rules, {1'700'000'000'000}))
        require(claims->issuer == rules.issuer && claims->expires.milliseconds > 1'699'999'900'000);
    if (const auto set = KeySet::parse(text))
        require(KeySet::parse(set->to_text())->to_text() == set->to_text());
    if (const auto one = Key::from_jwk(text)) {
        require(!one->algorithms().empty());
        require(one->is_pair() == one->private_jwk().has_value());
    }
    return 0;
}
