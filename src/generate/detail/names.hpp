// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "generate/detail/calendar.hpp"
#include "generate/detail/random.hpp"

namespace meridian::generate {

/// A person's name as written at home, and for Chinese names its pinyin.
struct Name {
    bool english = false;
    std::string family, given;  ///< 王 + 建国, or Smith + John
    std::string family_latin,
        given_latin;  ///< Wang + Jianguo; equal to the above for English names

    std::string full() const { return english ? given + " " + family : family + given; }
    std::string full_latin() const {
        return english ? given + " " + family : family_latin + " " + given_latin;
    }
};

/// A name drawn by frequency of surnames. Chinese given names have one or two characters.
Name draw_name(Random& random, bool male, bool english);

struct District {
    std::string_view id, zh, en;
    std::string_view postal_code;
    int code;           ///< last two digits of the region prefix of resident ids
    double population;  ///< share of the city
};
inline constexpr int district_count = 6;
const District& district(int index);
/// Street, number, building and flat.
std::string draw_street(Random& random, int district, bool english);

/// 18 digits: 9901xx (province 99 has never been assigned in GB/T 2260), birth date, sequence (odd:
/// male), check digit.
std::string resident_id(int district, Day birth, bool male, std::uint64_t number);
/// Check character of the first 17 digits, ISO/IEC 7064 MOD 11-2 as in GB 11643.
char resident_check(std::string_view first_17_digits);
/// +86 100 xxxx xxxx: 100xx are operators' service numbers, so no subscriber's number begins so.
std::string phone_number(std::uint64_t number);

}  // namespace meridian::generate
