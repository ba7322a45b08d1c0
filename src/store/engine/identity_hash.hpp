// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "store/rows.hpp"

namespace meridian::store {

struct IdentityHash {
    std::size_t operator()(const Identity& identity) const {
        return std::hash<std::string_view>{}(identity.id) ^
               (static_cast<std::size_t>(identity.type) * 0x9e3779b97f4a7c15u);
    }
};

}  // namespace meridian::store
