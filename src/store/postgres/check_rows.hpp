// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "store/engine/findings.hpp"
#include "store/postgres/connection.hpp"

namespace meridian::store::postgres {

/// The part of a check that compares index rows: what resources' forward rows say of each table
/// against what stands there, both ways, in ranges of rids; and forward rows against bodies.
class RowCheck {
 public:
    RowCheck(Connection& connection, Names& names, const BodyReader& reader, Findings& findings)
        : connection_(connection), names_(names), reader_(reader), findings_(findings) {}

    /// A newest version and its packed rows.
    struct Subject {
        const Stored* stored;
        std::string_view forward;
    };
    /// All rows with rids in (after, last]; `subjects` are all resources there, by rid.
    Result<void> check_part(Rid after, Rid last, std::span<const Subject> subjects);
    /// Nobody has rows with rids below 1 or above `last`.
    Result<void> check_outside(Rid last);
    /// Keys and rows of views that no resource claims: their tables have no order by rid.
    Result<void> check_keys();

 private:
    struct Claimed {
        const Stored* stored;
        ResolvedRows rows;
        std::string_view packed;
    };
    Result<void> check_tables(Rid after, Rid last, const std::vector<Claimed>& claims);
    Result<void> check_texts(Rid after, Rid last, const std::vector<Claimed>& claims);
    Result<void> check_unique_keys(const std::vector<Claimed>& claims);
    Result<void> check_views(const std::vector<Claimed>& claims);
    Result<void> check_bodies(const std::vector<Claimed>& claims);
    Result<void> check_words(const std::vector<std::pair<const Stored*, ResolvedText>>& texts);
    Result<std::map<std::pair<Name, std::string>, Rid>> rids_of(const std::vector<Rows>& rows);
    Result<void> check_unique_key_owners();
    Result<void> check_view_owners();
    Result<std::map<Rid, ResolvedRows>> rows_of(const std::vector<Rid>& rids);
    const Stored* find(const std::vector<Claimed>& claims, Rid rid) const;

    Connection& connection_;
    Names& names_;
    const BodyReader& reader_;
    Findings& findings_;
};

}  // namespace meridian::store::postgres
