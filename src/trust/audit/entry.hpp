// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/caller.hpp"

/// What happened (docs/adr/0027): compact entries of the one log.
namespace meridian::trust::audit {

/// What one audit entry says. When it happened, which version was written and the salt against
/// guessing are the log's own.
struct Entry {
    fhir::Interaction interaction = fhir::Interaction::request;
    fhir::AuditOutcome outcome = fhir::AuditOutcome::success;
    // Who:
    std::string actor{};    ///< reference of the person or system; empty = nobody who is known
    std::string account{};  ///< name of the account
    std::string role{};
    std::string client{};        ///< OAuth client; empty = the server's own pages
    std::string organisation{};  ///< reference
    std::string on_behalf_of{};  ///< reference
    // What:
    std::string type{}, id{};
    store::Version version = 0;           ///< that was asked for; 0 = the newest
    std::string query{};                  ///< parameters with their values: patient data
    bool is_query_cut = false;            ///< `query` was longer
    std::vector<std::string> patients{};  ///< ids, ascending, each once
    /// The answer concerned more than are named here. Other entries of the same request name them,
    /// up to limits::audit_request_patients_max.
    bool has_more_patients = false;
    std::int64_t resources = 0;  ///< how many a job, an import or an export has handled
    // From where and why:
    std::string address{};
    std::string request_id{};
    std::string session{};
    std::string purpose{};  ///< code of v3-ActReason
    std::string policy_version{}, clause{};

    bool operator==(const Entry&) const = default;
};

/// The canonical bytes, which the log's hash is of: a format number, then each member that is not
/// empty as tag, length and value, by ascending tags. Two entries that are equal have the same
/// bytes. Texts must be UTF-8.
std::string encode(const Entry& entry);

/// The inverse. Errors: `fault` for anything that encode does not make: another format, unknown or
/// repeated or unordered tags, numbers that are not as short as they can be, empty members,
/// patients out of order, texts that are not UTF-8, bytes behind the end.
Result<Entry> decode(std::string_view bytes);

}  // namespace meridian::trust::audit
