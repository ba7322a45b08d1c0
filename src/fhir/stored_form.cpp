// SPDX-License-Identifier: Apache-2.0
#include "fhir/stored_form.hpp"

namespace meridian::fhir {

namespace {

// FHIR R4 §2.26.3.1: the server overwrites meta.versionId and meta.lastUpdated; everything else in
// meta is the client's.
bool is_stamped_by_server(std::string_view key) {
    return key == "versionId" || key == "lastUpdated" || key == "_versionId" ||
           key == "_lastUpdated";
}

}  // namespace

StoredForm stored_form(const Json& resource, std::string_view type, std::string_view id) {
    StoredForm form;
    std::string& out = form.json;
    out.reserve(2048);
    out += R"({"resourceType":")";
    out += type;
    out += R"(","id":")";
    out += id;
    out += R"(","meta":{)";
    form.stamp_at = static_cast<std::uint32_t>(out.size());
    bool first = true;
    for (const JsonMember& member : resource["meta"].members()) {
        if (is_stamped_by_server(member.key)) continue;
        if (!first) out += ',';
        first = false;
        write_string(member.key, out);
        out += ':';
        write(member.value, out);
    }
    out += '}';
    for (const JsonMember& member : resource.members()) {
        if (member.key == "resourceType" || member.key == "id" || member.key == "meta") continue;
        out += ',';
        write_string(member.key, out);
        out += ':';
        write(member.value, out);
    }
    out += '}';
    return form;
}

}  // namespace meridian::fhir
