// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/repository.hpp"

namespace meridian::fhir {

/// The audit's entries as AuditEvent resources. They are in no table of resources: they are made
/// when somebody asks (trust/audit fills this shape). Thread-safe. What the caller may see is the
/// implementation's to know; what may not be seen is not there.
class AuditTrail {
 public:
    virtual ~AuditTrail() = default;
    /// Whether `id` is of the form of an audit entry's.
    virtual bool is_id(std::string_view id) const = 0;
    /// Nothing when there is none that the caller may see.
    virtual Result<std::optional<Resource>> read(store::Snapshot& snapshot, const Caller& caller,
                                                 std::string_view id) const = 0;
    /// A search of AuditEvent. Errors: `incorrect` for parameters that it does not know.
    virtual Result<Page> search(store::Snapshot& snapshot, const Caller& caller,
                                const QueryParameters& parameters,
                                const SearchOptions& options) const = 0;
    /// Whether a cursor is of a page of `search`; they begin with "a.".
    virtual Result<Page> next_page(store::Snapshot& snapshot, const Caller& caller,
                                   std::string_view cursor) const = 0;
    /// Where a patient's entries begin that the caller may see: the page behind the last one of
    /// $everything. Empty when there are none, or `count` entries a page.
    virtual Result<std::string> cursor_of_patient(store::Snapshot& snapshot, const Caller& caller,
                                                  std::string_view id, std::size_t count) const = 0;
    /// Entries up to `at` that the caller may see, oldest first, from `from` on, at most `limit`:
    /// the walk of an export. `from` moves behind the last entry that was looked at; beyond `at`
    /// all is done.
    virtual Result<std::vector<Resource>> walk(store::Snapshot& snapshot, const Caller& caller,
                                               store::Position& from, store::Position at,
                                               std::size_t limit) const = 0;
};

}  // namespace meridian::fhir
