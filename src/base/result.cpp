// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

namespace meridian {

const char* name_of(Category category) {
    switch (category) {
        case Category::incorrect:
            return "incorrect";
        case Category::unauthenticated:
            return "unauthenticated";
        case Category::forbidden:
            return "forbidden";
        case Category::not_found:
            return "not_found";
        case Category::not_allowed:
            return "not_allowed";
        case Category::unacceptable:
            return "unacceptable";
        case Category::conflict:
            return "conflict";
        case Category::gone:
            return "gone";
        case Category::precondition:
            return "precondition";
        case Category::too_large:
            return "too_large";
        case Category::unsupported_media:
            return "unsupported_media";
        case Category::unprocessable:
            return "unprocessable";
        case Category::busy:
            return "busy";
        case Category::unsupported:
            return "unsupported";
        case Category::unavailable:
            return "unavailable";
        case Category::storage_full:
            return "storage_full";
        case Category::fault:
            return "fault";
    }
    return "fault";
}

Category category_named(std::string_view name) {
    for (auto each = Category::incorrect; each != Category::fault;
         each = static_cast<Category>(static_cast<unsigned char>(each) + 1)) {
        if (name == name_of(each)) return each;
    }
    return Category::fault;
}

}  // namespace meridian
