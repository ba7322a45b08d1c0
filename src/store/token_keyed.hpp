// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/hash.hpp"

namespace meridian::store {

/// Names whose token hashes can be made under a key that does not lie in the store: the
/// dictionaries of both engines. The store's own key is for records without a better one.
class TokenKeyed {
 public:
    virtual ~TokenKeyed() = default;
    /// From now on token_key() is `key`. Before the first token is hashed or looked for: nobody
    /// else may use the names meanwhile.
    virtual void use_token_key(const SipKey& key) = 0;
};

}  // namespace meridian::store
