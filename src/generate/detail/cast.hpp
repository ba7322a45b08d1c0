// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "generate/detail/json_writer.hpp"
#include "generate/detail/names.hpp"

namespace meridian::generate {

struct Person;

/// The first patients of every region are these named people; their stories are fixed
/// (docs/region.md).
inline constexpr int cast_size = 10;
inline constexpr std::uint64_t cast_seed = 20260630;
bool cast_has_lung_cancer(int number);
/// Replaces what chance gave patient `number` by the person of the cast. The story hangs on
/// `as_of`.
void play_cast_role(int number, Day as_of, Person& person);

/// One HumanName; `latin` gives the pinyin form of a Chinese name.
void human_name(JsonWriter& json, const Name& name, bool latin);

}  // namespace meridian::generate
