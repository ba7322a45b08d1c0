// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace meridian::trust {

/// What an account is for. An account has one role; a person with two tasks has two accounts, so
/// that what is done in each can be told apart.
enum class Role : unsigned char {
    system_admin,
    security_admin,
    audit_admin,
    doctor,
    nurse,
    pharmacist,
    follow_up,
    researcher,
    data_manager,
    insurer,
    regulator,
    patient,
    guardian,
    system_client,
};

/// All roles, in the order above.
std::span<const Role> all_roles();
/// The word for it in commands, policy files and tokens, e.g. "follow-up".
std::string_view name_of(Role role);
/// Nothing for a word that names no role.
std::optional<Role> role_named(std::string_view name);
/// Whether it is one of the three administrators, of which nobody may hold two (MLPS 2.0 level 3:
/// system, security and audit are separated).
bool is_administrator(Role role);

}  // namespace meridian::trust
