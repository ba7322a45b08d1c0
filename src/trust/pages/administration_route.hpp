// SPDX-License-Identifier: Apache-2.0
// Inside pages/: what the files of the administration share.
#pragma once

#include "trust/pages/administration.hpp"
#include "trust/pages/visit.hpp"

namespace meridian::trust {

struct Administration::Route {
    net::Method method;
    std::string_view path;
    Handler handler;
    Desk desk;
    std::string_view come_back{};  ///< of a POST: the page it belongs to
};

}  // namespace meridian::trust
