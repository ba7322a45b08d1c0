// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace meridian::trust::audit {

/// A keyed hash of a text, 12 bytes or more; the key is the record's (KeyRing::keyed_hash).
using TextHash = std::function<std::string(std::string_view)>;

/// The parameters of a search as the audit keeps them: entries are never taken away, so what says
/// who a person is must not stand in them (docs/adr/0036). Values of parameters that are codes,
/// dates of care, references or matters of the page stay as they were asked; of all others (names,
/// numbers of identity, telephones, addresses, birthdays, free text, parameters of one's own)
/// remains "~" and 16 characters of a keyed hash: who knows a value and has the keys can find out
/// whether it was asked for, and nobody can read it. `query` may begin with a path and "?"; without
/// a parameter it is kept as it is. Without a `hash` only "~" remains.
std::string covered_query(std::string_view query, const TextHash& hash);

/// Whether values of a search parameter ("subject:Patient.birthdate") may be kept as they are.
bool keeps_values_of(std::string_view parameter);

}  // namespace meridian::trust::audit
