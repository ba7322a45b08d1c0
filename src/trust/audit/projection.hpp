// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/store.hpp"
#include "trust/audit/entry.hpp"

namespace meridian::trust::audit {

struct Code {
    std::string_view system;
    std::string_view code;
    std::string_view display;
};

/// How AuditEvent says what was done (IHE ITI BALP 1.1.3).
struct Shape {
    Code type;
    std::optional<Code> subtype;
    char action;  ///< C, R, U, D, E
};
Shape shape_of(const Entry& entry);

/// The logical id of an entry's AuditEvent: "log-17".
std::string id_of(store::Position position);
/// The inverse; nothing for another form.
std::optional<store::Position> position_of(std::string_view id);

/// What the reader of an AuditEvent may see of it.
struct Shown {
    /// Of the patients only these; nothing = all. Where some are hidden, so is what was asked for:
    /// it may tell of them.
    std::optional<std::vector<std::string>> patients{};
};

/// Whether an entry concerns patients whom its reader may not see.
bool hides_some(const Entry& entry, const Shown& shown);

/// An entry as the JSON of an AuditEvent: the shapes of IHE BALP (BasicAudit Create, Read, Update,
/// Delete and Query, each with its Patient form where exactly one patient is concerned, and
/// PrivacyDisclosure for exports and imports). It claims the profile that it keeps to; a failure
/// claims none, as the profiles are of successes. `base_url`: of this server.
std::string audit_event(const Entry& entry, const store::LogEntry& place, const Shown& shown,
                        std::string_view base_url);

}  // namespace meridian::trust::audit
