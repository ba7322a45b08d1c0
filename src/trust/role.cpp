// SPDX-License-Identifier: Apache-2.0
#include "trust/role.hpp"

namespace meridian::trust {

namespace {

struct Named {
    Role role;
    std::string_view name;
};
constexpr Named names[] = {
    {Role::system_admin, "system-admin"},
    {Role::security_admin, "security-admin"},
    {Role::audit_admin, "audit-admin"},
    {Role::doctor, "doctor"},
    {Role::nurse, "nurse"},
    {Role::pharmacist, "pharmacist"},
    {Role::follow_up, "follow-up"},
    {Role::researcher, "researcher"},
    {Role::data_manager, "data-manager"},
    {Role::insurer, "insurer"},
    {Role::regulator, "regulator"},
    {Role::patient, "patient"},
    {Role::guardian, "guardian"},
    {Role::system_client, "system-client"},
};
constexpr auto roles = [] {
    std::array<Role, std::size(names)> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = names[i].role;
    return all;
}();

}  // namespace

std::span<const Role> all_roles() {
    return roles;
}

std::string_view name_of(Role role) {
    return names[static_cast<std::size_t>(role)].name;
}

std::optional<Role> role_named(std::string_view name) {
    for (const Named& each : names) {
        if (each.name == name) return each.role;
    }
    return std::nullopt;
}

bool is_administrator(Role role) {
    return role == Role::system_admin || role == Role::security_admin || role == Role::audit_admin;
}

}  // namespace meridian::trust
