// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"
#include "base/limits.hpp"
#include "fhir/search/extraction.hpp"
#include "fhir/search/pairs.hpp"
#include "text/words.hpp"

namespace meridian::fhir::search {
namespace {

/// The readable text of a narrative: tags become spaces, entities their characters.
void append_narrative(std::string_view xhtml, std::string& out) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> entities{
        {{"&amp;", "&"},
         {"&lt;", "<"},
         {"&gt;", ">"},
         {"&quot;", "\""},
         {"&apos;", "'"},
         {"&nbsp;", " "}}};
    for (std::size_t at = 0; at < xhtml.size();) {
        if (xhtml[at] == '<') {
            const std::size_t end = xhtml.find('>', at);
            if (end == std::string_view::npos) return;
            out += ' ';
            at = end + 1;
            continue;
        }
        if (xhtml[at] == '&') {
            const auto entity = std::find_if(entities.begin(), entities.end(), [&](const auto& e) {
                return xhtml.substr(at).starts_with(e.first);
            });
            if (entity != entities.end()) {
                out += entity->second;
                at += entity->first.size();
                continue;
            }
        }
        out += xhtml[at++];
    }
}

/// Narratives repeat numbers of identity and telephones. Those are indexed as keyed hashes, for
/// whole values only, and must not lie beside them as words.
void remove_identifying(const Json& resource, std::string& text) {
    constexpr std::size_t telling_bytes = 5;  ///< shorter ones are words of many
    const auto remove = [&](const Json& item) {
        const std::string_view value = item.string_at("value");
        if (value.size() < telling_bytes) return;
        for (std::size_t at = 0; (at = text.find(value, at)) != std::string::npos;)
            text.replace(at, value.size(), value.size(), ' ');
    };
    for (const char* member : {"identifier", "telecom"}) {
        const Json& found = resource[member];
        if (found.is_object()) remove(found);
        for (const Json& item : found.items()) remove(item);
    }
}

void append_attachment(const Json& attachment, std::string& out) {
    if (const auto title = attachment.string_at("title"); !title.empty()) (out += ' ') += title;
    if (!attachment.string_at("contentType").starts_with("text/plain")) return;
    const std::string_view data = attachment.string_at("data");
    std::string decoded;
    if (data.empty() || data.size() / 4 * 3 > limits::index_text_bytes_max ||
        !base64_decode(data, decoded))
        return;
    (out += ' ') += decoded;
}

}  // namespace

void Extraction::prose(const ProseNode& node, const Json& object, std::string& out) {
    for (const JsonMember& member : object.members()) {
        const int found = node.table.find(member.key);
        if (found < 0) continue;
        const ProseNode::Edge& edge = node.edges[static_cast<std::size_t>(found)];
        const auto visit = [&](const Json& value) {
            if (out.size() > limits::index_text_bytes_max) return;
            if (edge.leaf == ProseNode::Leaf::text) {
                (out += ' ') += value.text();
            } else if (edge.leaf == ProseNode::Leaf::attachment) {
                append_attachment(value, out);
            } else {
                prose(*edge.node, value, out);
            }
        };
        if (!member.value.is_array()) {
            visit(member.value);
        } else {
            for (const Json& item : member.value.items()) visit(item);
        }
    }
}

void Extraction::add_text() {
    std::string prose_text;
    const std::string_view div = resource_["text"].string_at("div");
    append_narrative(div.substr(0, limits::index_text_bytes_max), prose_text);
    remove_identifying(resource_, prose_text);
    if (program_.text_param != 0 && !prose_text.empty()) {
        std::string words = text::words(prose_text);
        if (!words.empty()) rows_.texts.push_back({program_.text_param, std::move(words)});
    }
    if (program_.content_param == 0) return;
    if (program_.prose != nullptr) prose(*program_.prose, resource_, prose_text);
    for (const Json& contained : resource_["contained"].items()) {
        const Program* inner = parameters_.program(contained.string_at("resourceType"));
        if (inner != nullptr && inner->prose != nullptr)
            prose(*inner->prose, contained, prose_text);
    }
    remove_identifying(resource_, prose_text);
    if (prose_text.empty()) return;
    std::string words = text::words(prose_text);
    if (!words.empty()) rows_.texts.push_back({program_.content_param, std::move(words)});
}

void Extraction::add_patients() {
    // Home patient first: the order of the compartment's paths, then the order in the resource.
    std::stable_sort(patients_.begin(), patients_.end(),
                     [](const PatientHit& a, const PatientHit& b) { return a.rank < b.rank; });
    auto& compartments = rows_.compartments;
    if (program_.is_patient)
        compartments.push_back({program_.type, std::string(resource_.string_at("id"))});
    for (PatientHit& hit : patients_) {
        if (std::find(compartments.begin(), compartments.end(), hit.identity) ==
            compartments.end()) {
            compartments.push_back(std::move(hit.identity));
        }
    }
    std::int64_t date = std::numeric_limits<std::int64_t>::min();
    if (program_.main_date != nullptr) {
        bool is_first = true;
        for (const auto& row : rows_.dates) {
            if (row.param != program_.main_date->name) continue;
            date = is_first ? row.lo : std::min(date, row.lo);
            is_first = false;
        }
    }
    std::vector<std::int64_t> codes{0};
    if (program_.main_code != nullptr) {
        for (const auto& row : rows_.tokens) {
            if (row.param != program_.main_code->name) continue;
            if (std::find(codes.begin(), codes.end(), row.value) == codes.end())
                codes.push_back(row.value);
        }
    }
    for (const auto& patient : compartments) {
        for (const std::int64_t code : codes) rows_.patients.push_back({patient, code, date});
    }
    if (program_.main_date == nullptr || program_.main_date->repeats) return;
    for (const std::int64_t code : codes) {
        if (code != 0) rows_.patients.push_back({everyone(), code, date});
    }
}

}  // namespace meridian::fhir::search
