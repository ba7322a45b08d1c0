// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace meridian::store::postgres {

/// A text as it stands in a key: as it is up to limits::database_key_bytes_max bytes, else its
/// start and its hash (PostgreSQL takes no key of more than a third of a page). What PostgreSQL's
/// text does not hold, U+0000 and bytes that are no UTF-8, is written as U+FFFF, which stands for
/// no character (Unicode 23.7).
std::string key_of(std::string_view text);
/// The same for a column of type bytea, which holds U+0000.
std::string byte_key_of(std::string_view bytes);
/// A text for a column that is no key.
std::string text_of(std::string_view text);

}  // namespace meridian::store::postgres
