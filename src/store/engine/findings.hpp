// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "store/engine/resolve.hpp"
#include "store/maintain.hpp"

/// What the checks of all engines say and look for; how rows are read is the engines' own.
namespace meridian::store {

/// What a check has found so far. Texts name records by their ids, never by what stands in them.
class Findings {
 public:
    Findings(CheckReport& report, const CheckOptions& options, const Names& names)
        : report_(report), options_(options), names_(names) {}

    void problem(std::string text);
    /// Whether there are so many problems that more would help nobody.
    bool enough() const;
    void progress(std::string_view part, std::int64_t done, std::int64_t total);
    CheckReport& report() { return report_; }
    const Names& names() const { return names_; }

    std::string name_of(Name type, std::string_view id) const;
    std::string version_name(const Stored& stored) const;

 private:
    CheckReport& report_;
    const CheckOptions& options_;
    const Names& names_;
};

/// The log, given entry by entry in its order: dense from 0, times that never go back.
class LogCheck {
 public:
    explicit LogCheck(Findings& findings) : findings_(findings) {}
    struct Entry {
        Position position;
        Instant at;
        std::int64_t kind;
        std::int64_t salt_bytes, hash_bytes;
    };
    void entry(const Entry& entry, std::int64_t total);
    /// How many of them were of a resource version.
    std::int64_t versions() const { return versions_; }
    /// How many were of the audit.
    std::int64_t audits() const { return audits_; }

 private:
    Findings& findings_;
    std::int64_t audits_ = 0;
    Position expected_ = 0;
    Instant at_before_{INT64_MIN};
    std::int64_t versions_ = 0;
};

/// The audit entries, given in the order of their positions, each with what the log says of it.
class AuditCheck {
 public:
    explicit AuditCheck(Findings& findings) : findings_(findings) {}
    struct Entry {
        Position position;
        bool is_in_log;  ///< as an entry of kind 1
        Name actor, actor_in_log;
        std::string_view bytes, hash;
        /// How many of its patients lead to it, and how many there are.
        std::int64_t patients_found, patients;
    };
    void entry(const Entry& entry);
    /// Behind the last one: how many the log tells of, and rows there are by patient.
    void finish(std::int64_t entries_in_log, std::int64_t patient_rows);

 private:
    Findings& findings_;
    std::int64_t entries_ = 0;
    std::int64_t patients_ = 0;
};

/// Versions that are no longer the newest, given by resource and version: 1, 2, 3 … without gaps up
/// to the one before the newest, at ascending positions.
class HistoryCheck {
 public:
    explicit HistoryCheck(Findings& findings) : findings_(findings) {}
    /// The newest version of the resource, as it stands in `resource`.
    struct Newest {
        bool exists = false;
        Version version = 0;
        Position position = -1;
    };
    void version(const Stored& stored, const Newest& newest);
    /// Behind the last one.
    void finish();

 private:
    void begin(const Stored& stored, const Newest& newest);
    Findings& findings_;
    Rid rid_ = 0;
    Version expected_ = 1;
    Newest newest_;
    Position position_before_ = -1;
    std::string name_;
};

/// The log's entry of a version, as far as a check compares it.
struct EntryFacts {
    Rid rid;
    Version version;
    Verb verb;
    Instant at;
    Name type;
    std::string_view body_hash;
};
/// Compares a version with its entry (null: there is none) and its body with the hash there. True
/// when the entry tells of this version.
bool check_version(Findings& findings, const BodyReader& reader, const Stored& stored,
                   const EntryFacts* entry);

/// The packed rows of a newest version: they are there when it is current, and can be read. What
/// they say, or nothing when there is nothing more to look at.
std::optional<ResolvedRows> check_forward(Findings& findings, const Stored& stored, bool is_there,
                                          std::string_view packed);
/// Whether the rows that the body gives today are those that are packed; tells when not.
bool check_packed(Findings& findings, const Stored& stored, const Resolved& expected,
                  std::string_view packed);
/// Tells that a row that forward rows name is missing in a table.
void missing_row(Findings& findings, const Stored& stored, std::string_view table);
void wrong_words(Findings& findings, const Stored& stored);
void wrong_count(Findings& findings, Name type, std::int64_t difference);

}  // namespace meridian::store
